"""Convert a backbone from torch to OpenVINO."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from streamcam.explain.activities import announce
from streamcam.explain.backends.backbone import OpenVinoBackbone
from streamcam.explain.backends.model_cache import ModelCache
from streamcam.models import InputSpec
from streamcam.models.openvino_runtime import load_openvino

if TYPE_CHECKING:
    import openvino

_logger = logging.getLogger("streamcam.explain")


def load_backbone(
    backbone: nn.Module, spec: InputSpec, *, size: Sequence[int], device: str, cache: ModelCache | None
) -> OpenVinoBackbone | None:
    """Convert a backbone, or take it from the cache.

    Args:
        backbone: float32 (N, C, H, W) → a tuple of tensors; on the CPU, in evaluation mode.
        spec: What the network takes in.
        size: (H, W) to trace it with.
        device: OpenVINO's name of a device.
        cache: Where it is kept; None to keep it nowhere.

    Returns:
        A backbone in float32; None where OpenVINO cannot convert it.
    """
    model = None if cache is None else cache.load()
    if model is None:
        announce("converting the network for OpenVINO, once")
        model = _convert(backbone, torch.zeros(1, spec.channels, *size))
        if model is not None and cache is not None:
            cache.save(model)
    return None if model is None else OpenVinoBackbone(model, spec, device)


def _convert(backbone: nn.Module, example: torch.Tensor) -> openvino.Model | None:
    openvino = load_openvino()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # about torch.jit.trace, which the converter is built on
        try:
            # Not traced three times to compare, as it does by itself: what it computes is checked on real
            # images, and torch keeps something of every trace until the process ends.
            trace: Any = torch.jit.trace
            traced = trace(backbone, example, strict=False, check_trace=False)
            model = openvino.convert_model(traced, example_input=example)
            model.reshape([-1, example.shape[1], -1, -1])
            model.set_friendly_name("backbone")  # not a number that counts this process's conversions
        except Exception as error:  # its errors have no class in common, and tracing raises the network's own
            _logger.info("OpenVINO cannot convert the network: %s", " ".join(str(error).split())[:300])
            return None
    return model


def convert_again(
    backbone: OpenVinoBackbone, module: nn.Module, example: torch.Tensor
) -> OpenVinoBackbone | None:
    """Convert a network again, traced with an input of another shape.

    Args:
        backbone: The first conversion.
        module: float32 (N, C, H, W) → a tuple of tensors.
        example: float32 (N, C, H, W).

    Returns:
        None where OpenVINO cannot convert it.
    """
    announce("converting the network for images of another shape")
    model = _convert(module, example)
    return None if model is None else backbone.with_model(model)
