"""Networks of transformers that compare images with texts: CLIP and its relatives, SigLIP and SigLIP 2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from streamcam.models.base import InputSpec, Model
from streamcam.models.families.hugging_face.folder import Folder, import_transformers
from streamcam.models.prompts import build_prompt_model, check_request

_CLIP_SCALE = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
_SIGLIP_SCALE = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
"""Mean and standard deviation of published networks, where a folder has no processor."""


class ImageTower(nn.Module):
    """The part of a network that sees images: (N, 3, H, W) → (N, features)."""

    def __init__(self, vision_model: nn.Module, projection: nn.Module) -> None:
        """Join both.

        Args:
            vision_model: Returns an object with `pooler_output`, (N, width).
            projection: (N, width) → (N, features).
        """
        super().__init__()
        self.vision_model = vision_model
        self.projection = projection

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the features of images."""
        return self.project(self.vision_model(images).pooler_output)

    def project(self, pooled: torch.Tensor) -> torch.Tensor:
        """Convert what the tower pools, (N, width), to features."""
        features: torch.Tensor = self.projection(pooled)
        return features


class PatchTower(ImageTower):
    """An image tower that takes patches instead of images, as SigLIP 2's for images of any shape."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the features of images whose sides are multiples of the patches'."""
        tower: Any = self.vision_model
        side, (count, channels, height, width) = tower.config.patch_size, images.shape
        rows, columns = height // side, width // side
        cut = images.reshape(count, channels, rows, side, columns, side).permute(0, 2, 4, 3, 5, 1)
        shapes = torch.tensor([[rows, columns]], device=images.device).expand(count, 2)
        answer = tower(cut.flatten(3).flatten(1, 2), pixel_attention_mask=None, spatial_shapes=shapes)
        return self.project(answer.pooler_output)


def load_prompt_network(folder: Folder) -> Model:
    """Load a network that compares images with texts, and its tokenizer."""
    check_request(folder.request)
    network: Any = folder.build("AutoModelForZeroShotImageClassification").eval()
    bias = getattr(network, "logit_bias", None)
    mean, std = _CLIP_SCALE if bias is None else _SIGLIP_SCALE
    tokenize = _tokenizer(folder, fills=bias is not None)

    def encode(texts: Sequence[str]) -> torch.Tensor:
        features: Any = network.get_text_features(**tokenize(texts))
        return features if isinstance(features, torch.Tensor) else features.pooler_output

    takes_patches = isinstance(getattr(network.vision_model.embeddings, "patch_embedding", None), nn.Linear)
    tower = PatchTower if takes_patches else ImageTower
    visual = tower(network.vision_model, getattr(network, "visual_projection", nn.Identity()))
    return build_prompt_model(
        folder.request,
        visual,
        encode,
        _input_of(folder, network, takes_patches=takes_patches, mean=mean, std=std),
        folder.origin,
        scale=float(network.logit_scale.detach().exp()),
        bias=None if bias is None else float(bias.detach()),
    )


def _input_of(
    folder: Folder, network: Any, *, takes_patches: bool, mean: tuple[float, ...], std: tuple[float, ...]
) -> InputSpec:
    usual = InputSpec(mean=mean, std=std)
    if takes_patches and not folder.image_size:  # as many as its table of positions has, in a square
        vision = network.vision_model.config
        side = vision.patch_size * round(vision.num_patches**0.5)
        usual = InputSpec(side, side, mean, std)
    return folder.published_input(usual)


def _tokenizer(folder: Folder, *, fills: bool) -> Any:
    """Return a function that converts texts to what `get_text_features` takes.

    Args:
        folder: Where the tokenizer is.
        fills: Whether the network was trained with texts that are filled up to its full length, unmasked.
    """
    transformers = import_transformers()
    with folder.reading(transformers):
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder.path, local_files_only=True)
    text_config = folder.config.get("text_config") or {}
    length = int(text_config.get("max_position_embeddings") or (64 if fills else 77))

    def tokenize(texts: Sequence[str]) -> dict[str, torch.Tensor]:
        with folder.reading(transformers):
            tokens = tokenizer(
                list(texts),
                padding="max_length" if fills else True,
                max_length=length,
                truncation=True,
                return_tensors="pt",
            )
        names = ("input_ids",) if fills else ("input_ids", "attention_mask")
        return {name: tokens[name] for name in names if name in tokens}

    return tokenize
