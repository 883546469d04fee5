"""Run a backbone on OpenVINO, from pixels to the target layer's output.

Converting colors and normalizing are folded into the backend's graph, so uint8 pixels go in. One
compiled network is kept for each shape of batch; a last batch that is short is filled up.
"""

from __future__ import annotations

import functools
import logging
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from streamcam.caching import cached_method
from streamcam.explain.activities import announce
from streamcam.explain.backends.bfloat16 import prepare_for_bfloat16
from streamcam.explain.backends.cache import ModelCache
from streamcam.explain.threads import available_cores
from streamcam.models import InputSpec
from streamcam.models.openvino_runtime import core, load_openvino

if TYPE_CHECKING:
    import openvino

_logger = logging.getLogger("streamcam.explain")

_HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}

_MAX_SHAPES = 4
"""How many compiled networks are kept: a video has one shape, a folder of photographs many."""


class OpenVinoBackbone:
    """A converted backbone, compiled for each shape of batch that comes along.

    Attributes:
        precision: A name in `streamcam.explain.devices.PRECISIONS`.
    """

    def __init__(self, model: openvino.Model, spec: InputSpec, device: str, precision: str = "fp32") -> None:
        """Wrap a converted network; see `load_backbone`.

        Args:
            model: A network with an input of any size, float32 (N, C, H, W).
            spec: Scale of the input.
            device: OpenVINO's name of a device, as in ``"CPU"``.
            precision: A name in `streamcam.explain.devices.PRECISIONS`.
        """
        self.precision = precision
        self._model = model
        self._spec = spec
        self._device = device

    def run(self, images: NDArray[Any], batch_size: int) -> tuple[NDArray[np.float32], ...]:
        """Run the backbone.

        Args:
            images: RGB, uint8 (N, H, W, 3), or what `Model.prepare` made of such, float32 (N, C, H, W).
            batch_size: The usual size of batches; shorter ones are padded to it.

        Returns:
            The outputs of the backbone, float32, for N images each.
        """
        count = len(images)
        if count < batch_size:
            filling = np.repeat(images[-1:], batch_size - count, axis=0)
            images = np.concatenate([images, filling])
        request = self._compile(images.shape, images.dtype == np.uint8)
        request.infer([np.ascontiguousarray(images)])
        return tuple(
            np.array(request.get_output_tensor(index).data[:count], np.float32)
            for index in range(len(self._model.outputs))
        )

    def in_precision(self, precision: str) -> OpenVinoBackbone:
        """Return the same backbone, computed in another precision."""
        return OpenVinoBackbone(self._model, self._spec, self._device, precision)

    def describe_device(self) -> str:
        """Describe the device, with all that rounding may depend on."""
        name = core().get_property(self._device, "FULL_DEVICE_NAME")
        return f"{name} {sorted(core().get_property(self._device, 'OPTIMIZATION_CAPABILITIES'))}"

    def converted_again(self, backbone: nn.Module, example: torch.Tensor) -> OpenVinoBackbone | None:
        """Convert the network again, traced with an input of another shape.

        Args:
            backbone: float32 (N, C, H, W) → a tuple of tensors.
            example: float32 (N, C, H, W).

        Returns:
            None where OpenVINO cannot convert it.
        """
        announce("converting the network for images of another shape")
        model = _convert(backbone, example)
        return None if model is None else OpenVinoBackbone(model, self._spec, self._device, self.precision)

    @functools.cached_property
    def _prepared(self) -> openvino.Model:
        return prepare_for_bfloat16(self._model) if self.precision == "bf16" else self._model

    @cached_method(maxsize=_MAX_SHAPES)
    def _compile(self, shape: tuple[int, ...], takes_pixels: bool) -> Any:
        batch, height, width = shape[:3] if takes_pixels else (shape[0], *shape[2:])
        model = self._prepared.clone()
        model.reshape([batch, self._spec.channels, height, width])
        properties = {
            "INFERENCE_PRECISION_HINT": _HINTS[self.precision],
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
        }
        if self._device == "CPU":
            # The other stages run on the same cores: threads bound to a core would wait for it while another
            # is free.
            properties |= {"INFERENCE_NUM_THREADS": available_cores(), "ENABLE_CPU_PINNING": False}
        if takes_pixels:
            model = self._with_pixels(model)
        compiled = core().compile_model(model, self._device, properties)
        return compiled.create_infer_request()

    def _with_pixels(self, model: openvino.Model) -> openvino.Model:
        """Put the conversion from RGB pixels in front of the model."""
        from openvino import Layout, Type
        from openvino.preprocess import ColorFormat, PrePostProcessor

        steps = PrePostProcessor(model)
        given = steps.input().tensor()
        given.set_element_type(Type.u8).set_layout(Layout("NHWC")).set_color_format(ColorFormat.RGB)
        steps.input().model().set_layout(Layout("NCHW"))
        prepared = steps.input().preprocess().convert_element_type(Type.f32)
        if self._spec.channels == 1:
            prepared.convert_color(ColorFormat.GRAY)
        prepared.mean([255 * mean for mean in self._spec.mean])
        prepared.scale([255 * std for std in self._spec.std])
        return steps.build()


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
