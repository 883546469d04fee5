"""The image that a network in a file takes, as the file describes it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch

from streamcam.errors import InvalidArgumentError, ModelError
from streamcam.models.base import InputSpec
from streamcam.models.request import ModelRequest

_GRAY = InputSpec(mean=(0.449,), std=(0.226,))
"""ImageNet's mean and deviation of gray images, as most networks of one channel are trained with."""


@dataclasses.dataclass(frozen=True, slots=True)
class ImageInput:
    """Shape and type of the only input of a network."""

    batch: int | None
    """Number of images; None for any."""
    channels: int
    """3 for RGB, 1 for gray."""
    size: tuple[int, int] | None
    """(width, height) in pixels; None for any."""
    channels_last: bool = False
    """Whether it is (N, H, W, C) instead of (N, C, H, W)."""
    dtype: torch.dtype = torch.float32

    def spec(self, request: ModelRequest) -> InputSpec:
        """Apply what was requested to what the file says.

        Raises:
            InvalidArgumentError: if they contradict each other.
        """
        published = _GRAY if self.channels == 1 else InputSpec()
        if self.size is not None:
            width, height = self.size
            published = dataclasses.replace(
                published, size=width if width == height else self.size, resize=round(min(self.size) * 8 / 7)
            )
        spec = request.input_spec(published)
        if self.size is not None and spec.sides != self.size:
            raise InvalidArgumentError(
                f"{request.name} takes images of {_in_pixels(self.size)} pixels only, not "
                f"{_in_pixels(spec.sides)}; leave `input_size` out, or export it with free height and width"
            )
        if spec.channels != self.channels:
            kind, values = (
                ("gray images", "one value") if self.channels == 1 else ("RGB images", "three values")
            )
            raise InvalidArgumentError(f"{request.name} takes {kind}; give `mean` and `std` {values} each")
        # Half precision is no concern of the spec: what runs the file converts numbers.
        return spec if self.dtype.is_floating_point else dataclasses.replace(spec, dtype=self.dtype)


def describe_input(
    name: str, inputs: Sequence[tuple[str, Sequence[int | None] | None, torch.dtype | None]]
) -> ImageInput:
    """Find out what image a network takes.

    Args:
        name: What a message calls the network.
        inputs: Name, shape and type of each input: a length that may be any is None, and so is a shape of
            any length, and a type that torch does not have.

    Raises:
        ModelError: if it does not take one image; the message says what it takes instead.
    """
    if len(inputs) != 1:
        listed = ", ".join(given for given, *_ in inputs)
        raise ModelError(
            f"{name} takes {len(inputs)} inputs ({listed}), and frames make one; export a network around it "
            "that takes only an image and adds the rest"
        )
    _, shape, dtype = inputs[0]
    if dtype is None or dtype in (torch.bool, torch.complex64):
        raise ModelError(f"{name} takes no image: its input holds neither floats nor whole numbers")
    if shape is None:
        return ImageInput(None, 3, None, dtype=dtype)
    shown = "x".join("?" if length is None else str(length) for length in shape)
    if len(shape) == 5:
        raise ModelError(
            f"{name} takes clips or volumes ({shown}), not single images; export a network around it that "
            "makes its input of one image"
        )
    if len(shape) != 4:
        raise ModelError(
            f"{name} takes {shown} numbers, which is no batch of images (N, C, H, W); export a network "
            "around it that makes its input of one"
        )
    batch = shape[0]
    if batch not in (None, 1):
        raise ModelError(
            f"{name} takes batches of exactly {batch} images; export it with a batch of 1, or of any size"
        )
    channels_last = shape[1] not in (1, 3) and shape[3] in (1, 3)
    rows, columns, channels = shape[1:] if channels_last else (*shape[2:], shape[1])
    if channels not in (None, 1, 3):
        raise ModelError(
            f"{name} takes images of {channels} channels ({shown}), and frames have 3 (or 1 in gray); export "
            "a network around it that makes them from RGB"
        )
    size = None if rows is None or columns is None else (columns, rows)
    return ImageInput(batch, channels or 3, size, channels_last, dtype)


def _in_pixels(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
