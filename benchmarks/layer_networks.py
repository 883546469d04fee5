"""Small networks with the structure of published ones, for images of 64x64 pixels: all end in 8x8 places.

Each is built by its library's own class. Where its authors scale what a block adds by 0.00001 or so at first,
it is 0.1 here, because training is short.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

SIDE, CLASSES = 64, 4

_TOKENS: dict[str, Any] = {
    "img_size": SIDE,
    "patch_size": 8,
    "embed_dim": 48,
    "depth": 3,
    "num_heads": 3,
    "num_classes": CLASSES,
}
_WINDOWS: dict[str, Any] = {
    "img_size": SIDE,
    "patch_size": 4,
    "window_size": 4,
    "embed_dim": 24,
    "depths": (2, 2),
    "num_heads": (2, 4),
    "num_classes": CLASSES,
}


def _vit(**settings: Any) -> nn.Module:
    from timm.models.vision_transformer import VisionTransformer

    return VisionTransformer(**_TOKENS, **settings)


def _distilled_deit() -> nn.Module:
    from timm.models.deit import VisionTransformerDistilled

    return VisionTransformerDistilled(**_TOKENS)


def _beit() -> nn.Module:
    from timm.models.beit import Beit

    return Beit(**_TOKENS, use_abs_pos_emb=False, use_rel_pos_bias=True, init_values=0.1)


def _eva(**settings: Any) -> nn.Module:
    from timm.models.eva import Eva

    return Eva(**_TOKENS, **settings)


def _swin() -> nn.Module:
    from timm.models.swin_transformer import SwinTransformer

    return SwinTransformer(**_WINDOWS)


def _swin_v2() -> nn.Module:
    from timm.models.swin_transformer_v2 import SwinTransformerV2

    return SwinTransformerV2(**_WINDOWS)


def _torchvision_swin() -> nn.Module:
    from torchvision.models.swin_transformer import SwinTransformer

    return SwinTransformer([4, 4], 24, [2, 2], [2, 4], [4, 4], stochastic_depth_prob=0.0, num_classes=CLASSES)


def _torchvision_swin_v2() -> nn.Module:
    from torchvision.models import swin_transformer as swin

    return swin.SwinTransformer(
        [4, 4],
        24,
        [2, 2],
        [2, 4],
        [4, 4],
        stochastic_depth_prob=0.0,
        num_classes=CLASSES,
        block=swin.SwinTransformerBlockV2,
        downsample_layer=swin.PatchMergingV2,
    )


def _convnext_v2() -> nn.Module:
    from timm.models.convnext import ConvNeXt

    return ConvNeXt(
        num_classes=CLASSES,
        depths=(1, 1, 1, 1),
        dims=(16, 32, 48, 48),
        patch_size=2,
        output_stride=8,
        use_grn=True,
        ls_init_value=None,
    )


def _mobilenet_v4() -> nn.Module:
    from timm.models._efficientnet_builder import decode_arch_def
    from timm.models.mobilenetv3 import MobileNetV3

    stages = [
        ["cn_r1_k3_s2_e1_c24"],
        ["uir_r1_a3_k5_s2_e3_c48", "uir_r2_a0_k3_s1_e3_c48"],
        ["cn_r1_k1_s1_c96"],
    ]
    return MobileNetV3(decode_arch_def(stages), num_classes=CLASSES, stem_size=16, num_features=128)


def _maxvit() -> nn.Module:
    from timm.models.maxxvit import MaxxVit, MaxxVitCfg, MaxxVitTransformerCfg

    settings = MaxxVitCfg(
        embed_dim=(24, 48),
        depths=(1, 1),
        block_type=("M", "M"),
        stem_width=16,
        transformer_cfg=MaxxVitTransformerCfg(dim_head=12, window_size=(4, 4), grid_size=(4, 4)),
    )
    return MaxxVit(settings, img_size=SIDE, num_classes=CLASSES)


def _torchvision_maxvit() -> nn.Module:
    from torchvision.models.maxvit import MaxVit

    return MaxVit((SIDE, SIDE), 16, 4, [24, 48], [1, 1], 12, 0.0, num_classes=CLASSES)


class _LogitsOnly(nn.Module):
    """A network of transformers that answers with its logits alone."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network(images).logits
        return logits


def _hugging_face_dinov2() -> nn.Module:
    from transformers import Dinov2WithRegistersConfig, Dinov2WithRegistersForImageClassification

    config = Dinov2WithRegistersConfig(
        image_size=SIDE,
        patch_size=8,
        hidden_size=48,
        num_hidden_layers=3,
        num_attention_heads=3,
        num_register_tokens=4,
        layerscale_value=0.1,
        num_labels=CLASSES,
    )
    return _LogitsOnly(Dinov2WithRegistersForImageClassification(config))


@dataclasses.dataclass(frozen=True, slots=True)
class Structure:
    """A kind of network, and the layers of it that are compared."""

    build: Callable[[], nn.Module]
    layers: dict[str, str]
    """What a layer is → its dotted name."""
    tokens: bool = True
    """Whether they put out tokens rather than planes."""


_LAST_NORMS = {"last norm1": "blocks.2.norm1", "last norm2": "blocks.2.norm2"}
_OF_CLASS_TOKEN = {
    "norm2 before": "blocks.1.norm2",
    "block before": "blocks.1",
    "last norm1": "blocks.2.norm1",
}
_OF_PATCHES = {**_LAST_NORMS, "last block": "blocks.2"}
_OF_SWIN = {
    "last norm1": "layers.1.blocks.1.norm1",
    "last norm2": "layers.1.blocks.1.norm2",
    "last stage": "layers.1",
    "final norm": "norm",
}
_OF_TORCHVISION_SWIN = {
    "last norm1": "features.3.1.norm1",
    "last norm2": "features.3.1.norm2",
    "last stage": "features.3",
    "final norm": "permute",
}

STRUCTURES: dict[str, Structure] = {
    "Swin (timm)": Structure(_swin, _OF_SWIN, tokens=False),
    "Swin v2 (timm)": Structure(_swin_v2, _OF_SWIN, tokens=False),
    "Swin (torchvision)": Structure(_torchvision_swin, _OF_TORCHVISION_SWIN, tokens=False),
    "Swin v2 (torchvision)": Structure(_torchvision_swin_v2, _OF_TORCHVISION_SWIN, tokens=False),
    "BEiT": Structure(_beit, _OF_PATCHES),
    "EVA": Structure(_eva, _OF_PATCHES),
    "EVA-02": Structure(partial(_eva, use_rot_pos_emb=True, swiglu_mlp=True, mlp_ratio=8 / 3), _OF_PATCHES),
    "SigLIP (timm)": Structure(
        partial(_vit, class_token=False, global_pool="map"), {**_OF_PATCHES, "final norm": "norm"}
    ),
    "DINOv2 with registers (hf)": Structure(
        _hugging_face_dinov2,
        {
            "last norm1": "network.dinov2_with_registers.encoder.layer.2.norm1",
            "last norm2": "network.dinov2_with_registers.encoder.layer.2.norm2",
            "final norm": "network.dinov2_with_registers.layernorm",
        },
    ),
    "MaxViT (timm)": Structure(
        _maxvit,
        {"last convolutions": "stages.1.blocks.0.conv", "last stage": "stages.1", "final norm": "norm"},
        tokens=False,
    ),
    "MaxViT (torchvision)": Structure(
        _torchvision_maxvit,
        {
            "last convolutions": "blocks.1.layers.0.layers.MBconv",
            "window attention": "blocks.1.layers.0.layers.window_attention",
            "last stage": "blocks.1",
        },
        tokens=False,
    ),
    "ViT": Structure(_vit, _OF_CLASS_TOKEN),
    "DeiT, distilled": Structure(_distilled_deit, _OF_CLASS_TOKEN),
    "DeiT III": Structure(partial(_vit, no_embed_class=True, init_values=0.1), _OF_CLASS_TOKEN),
    "DINOv2 with registers (timm)": Structure(
        partial(_vit, reg_tokens=4, no_embed_class=True, init_values=0.1), _OF_CLASS_TOKEN
    ),
    "ConvNeXt v2": Structure(
        _convnext_v2, {"stage before": "stages.2", "last stage": "stages"}, tokens=False
    ),
    "MobileNet v4": Structure(
        _mobilenet_v4, {"stage before": "blocks.1", "last stage": "blocks"}, tokens=False
    ),
}
"""By the names that tables call them."""
