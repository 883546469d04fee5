"""Run a backbone on OpenVINO, from pixels to the target layer's output.

Converting colors and normalizing are folded into the backend's graph, so uint8 pixels go in. One
compiled network is kept for each shape of batch; a last batch that is short is filled up.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from streamcam.caching import cached_method
from streamcam.explain.backends.bfloat16 import prepare_for_bfloat16
from streamcam.explain.backends.requests import BatchRequest, parts_of
from streamcam.explain.processor import vector_instructions
from streamcam.models.openvino_runtime import core

if TYPE_CHECKING:
    import openvino

NOT_INT8 = "int8 gives something else for images of another shape, so float32 is used for those"
"""Note on a network that was quantized, where another is used."""

_MAX_SHAPES = 4
"""How many compiled networks are kept: a video has one shape, a folder of photographs many."""


class PixelScale(Protocol):
    """Scale of a network's input; `streamcam.InputSpec` is one."""

    @property
    def mean(self) -> tuple[float, ...]:
        """Mean of each channel, on a scale of 0 to 1: three for RGB, one for gray."""

    @property
    def std(self) -> tuple[float, ...]:
        """Standard deviation of each channel, on a scale of 0 to 1."""


class OpenVinoBackbone:
    """A converted backbone, compiled for each shape of batch that comes along.

    Attributes:
        model: The converted network, in float32.
        precision: A name in `streamcam.explain.devices.PRECISIONS`.
    """

    def __init__(
        self,
        model: openvino.Model,
        scale: PixelScale,
        device: str,
        precision: str = "fp32",
    ) -> None:
        """Wrap a converted network; see `streamcam.explain.backends.conversion`.

        Args:
            model: A network with an input of any size, float32 (N, C, H, W).
            scale: Scale of the input.
            device: OpenVINO's name of a device, as in ``"CPU"``.
            precision: A name in `streamcam.explain.devices.PRECISIONS`.
        """
        self.precision = precision
        self.model = model
        self._scale = scale
        self._device = device

    def run(self, images: NDArray[Any], batch_size: int) -> tuple[NDArray[np.float32], ...]:
        """Run the backbone.

        Args:
            images: RGB, uint8 (N, H, W, 3), or what `Model.prepare` made of such, float32 (N, C, H, W).
            batch_size: How many run at once; fewer are filled up to it.

        Returns:
            The outputs of the backbone, float32, for N images each.
        """
        batches = []
        for start in range(0, len(images), batch_size):
            some = images[start : start + batch_size]
            filled = fill_up(some, batch_size)
            batches.append(self.request_for(filled.shape, filled.dtype == np.uint8).run(filled, len(some)))
        if len(batches) == 1:
            return batches[0]
        return tuple(np.concatenate(outputs) for outputs in zip(*batches, strict=True))

    def with_model(self, model: openvino.Model, precision: str | None = None) -> OpenVinoBackbone:
        """Return a backbone of another conversion of the network, in the same precision if None is named."""
        return OpenVinoBackbone(model, self._scale, self._device, precision or self.precision)

    def in_precision(self, precision: str) -> OpenVinoBackbone:
        """Return the same backbone, computed in another precision."""
        return self.with_model(self.model, precision)

    def describe_device(self) -> str:
        """Describe the device, with all that rounding may depend on."""
        return describe_device(self._device)

    @functools.cached_property
    def _prepared(self) -> openvino.Model:
        return prepare_for_bfloat16(self.model) if self.precision == "bf16" else self.model

    @cached_method(maxsize=_MAX_SHAPES)
    def request_for(self, shape: tuple[int, ...], takes_pixels: bool = True) -> BatchRequest:
        """Return the compiled network for batches of a shape.

        Args:
            shape: Of images as `run` takes them.
            takes_pixels: Whether they are pixels, uint8.
        """
        batch, height, width = shape[:3] if takes_pixels else (shape[0], *shape[2:])
        parts = parts_of(batch, self._device)
        model = self._prepared.clone()
        model.reshape([batch // parts, len(self._scale.mean), height, width])
        if takes_pixels:
            model = self._with_pixels(model)
        return BatchRequest.compile(model, self._device, precision=self.precision, parts=parts)

    def _with_pixels(self, model: openvino.Model) -> openvino.Model:
        """Put the conversion from RGB pixels in front of the model."""
        from openvino import Layout, Type
        from openvino.preprocess import ColorFormat, PrePostProcessor

        steps = PrePostProcessor(model)
        given = steps.input().tensor()
        given.set_element_type(Type.u8).set_layout(Layout("NHWC")).set_color_format(ColorFormat.RGB)
        steps.input().model().set_layout(Layout("NCHW"))
        prepared = steps.input().preprocess().convert_element_type(Type.f32)
        if len(self._scale.mean) == 1:
            prepared.convert_color(ColorFormat.GRAY)
        prepared.mean([255 * mean for mean in self._scale.mean])
        prepared.scale([255 * std for std in self._scale.std])
        return steps.build()


def describe_device(device: str) -> str:
    """Describe a device, by OpenVINO's name of it, with all that rounding may depend on."""
    name = core().get_property(device, "FULL_DEVICE_NAME")
    described = f"{name} {sorted(core().get_property(device, 'OPTIMIZATION_CAPABILITIES'))}"
    return " ".join([described, *vector_instructions()]) if device == "CPU" else described


def fill_up(images: NDArray[Any], batch_size: int) -> NDArray[Any]:
    """Repeat the last image of a batch until it has its usual size; longer ones are returned as they are."""
    if len(images) >= batch_size:
        return images
    return np.concatenate([images, np.repeat(images[-1:], batch_size - len(images), axis=0)])
