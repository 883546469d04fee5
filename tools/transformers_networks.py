"""Small untrained networks of each kind of Hugging Face's transformers, in folders as it writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_SMALL: dict[str, Any] = {
    "hidden_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 192,
}
_SWIN: dict[str, Any] = {"embed_dim": 24, "depths": [1, 1, 2, 1], "num_heads": [1, 2, 4, 8]}
_CLIPS: dict[str, Any] = {**_SMALL, "image_size": 112}
_RESNET: dict[str, Any] = {
    "embedding_size": 16,
    "hidden_sizes": [16, 32, 64, 128],
    "depths": [1, 1, 1, 1],
    "layer_type": "basic",
}
_DETECTOR: dict[str, Any] = {"num_labels": 5, "d_model": 64, "num_queries": 20}
_RT_DETECTOR: dict[str, Any] = {
    **_DETECTOR,
    "backbone_config": {
        **_RESNET,
        "model_type": "rt_detr_resnet",
        "out_features": ["stage2", "stage3", "stage4"],
    },
    "encoder_hidden_dim": 32,
    "encoder_in_channels": [32, 64, 128],
    "decoder_in_channels": [32, 32, 32],
    "decoder_layers": 2,
}
_TEXT: dict[str, Any] = {**_SMALL, "vocab_size": 16, "max_position_embeddings": 8, "pad_token_id": 0}
_TEXT |= {"bos_token_id": 1, "eos_token_id": 2, "projection_size": 96}
_VISION: dict[str, Any] = {**_SMALL, "patch_size": 16}

NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "ViT": ("ViTForImageClassification", _SMALL),
    "DeiT": ("DeiTForImageClassification", _SMALL),
    "BEiT": ("BeitForImageClassification", _SMALL),
    "DINOv2": ("Dinov2ForImageClassification", {**_SMALL, "mlp_ratio": 2}),
    "DINOv2 with registers": ("Dinov2WithRegistersForImageClassification", {**_SMALL, "mlp_ratio": 2}),
    "Swin": ("SwinForImageClassification", _SWIN),
    "Swin v2": ("Swinv2ForImageClassification", {**_SWIN, "image_size": 256, "window_size": 8}),
    "ConvNeXt v2": ("ConvNextV2ForImageClassification", {"hidden_sizes": [24, 48, 96, 192]}),
    "ResNet": ("ResNetForImageClassification", {"hidden_sizes": [16, 32, 64, 128], "embedding_size": 16}),
    "MobileNet v2": ("MobileNetV2ForImageClassification", {}),
    "SegFormer": ("SegformerForSemanticSegmentation", {"num_labels": 5}),
    "Mask2Former": ("Mask2FormerForUniversalSegmentation", {"num_labels": 5, "num_queries": 20}),
    "DETR": (
        "DetrForObjectDetection",
        {
            **_DETECTOR,
            "backbone_config": {**_RESNET, "model_type": "resnet", "out_features": ["stage4"]},
            "backbone": None,
            "use_timm_backbone": False,
            "use_pretrained_backbone": False,
            "encoder_layers": 2,
            "decoder_layers": 2,
        },
    ),
    "RT-DETR": ("RTDetrForObjectDetection", _RT_DETECTOR),
    "RT-DETR v2": ("RTDetrV2ForObjectDetection", _RT_DETECTOR),
    "D-FINE": ("DFineForObjectDetection", _RT_DETECTOR),
    "YOLOS": ("YolosForObjectDetection", {**_SMALL, "num_labels": 5, "image_size": [224, 224]}),
    "VideoMAE": ("VideoMAEForVideoClassification", _CLIPS),
    "TimeSformer": ("TimesformerForVideoClassification", _CLIPS),
    "ViViT": ("VivitForVideoClassification", {**_CLIPS, "num_frames": 16}),
    "V-JEPA 2": (
        "VJEPA2ForVideoClassification",
        {
            "hidden_size": 96,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "crop_size": 112,
            "frames_per_clip": 16,
            "pred_hidden_size": 96,
            "pred_num_attention_heads": 4,
        },
    ),
    "CLIP": ("CLIPModel", {"text_config": _TEXT, "vision_config": {**_VISION, "image_size": 224}}),
    "SigLIP": ("SiglipModel", {"text_config": _TEXT, "vision_config": {**_VISION, "image_size": 224}}),
    "SigLIP 2": ("Siglip2Model", {"text_config": _TEXT, "vision_config": {**_VISION, "num_patches": 196}}),
}
"""Name → its class in transformers, and what its configuration differs in from the usual one."""


def save(name: str, folder: Path) -> None:
    """Build a network of `NETWORKS` and write it, with a tokenizer if it takes texts, to a folder."""
    import transformers

    architecture, settings = NETWORKS[name]
    kind: Any = getattr(transformers, architecture)
    if "num_labels" not in settings and "text_config" not in settings:
        settings = {**settings, "num_labels": 10}
    network = kind(kind.config_class(**settings))
    network.save_pretrained(folder)
    if "text_config" in settings:
        _save_tokenizer(folder)


def _save_tokenizer(folder: Path) -> None:
    """Write a tokenizer of a few whole words to a folder."""
    import tokenizers
    import transformers

    words = ("<pad>", "<bos>", "</s>", "<unk>", "a", "cat", "cup")
    known = {word: index for index, word in enumerate(words)}
    inner: Any = tokenizers.Tokenizer(tokenizers.models.WordLevel(known, unk_token="<unk>"))
    inner.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", bos_token="<bos>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
