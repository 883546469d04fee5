"""From frames to a network's input: resampled by swscale straight from the decoder's planes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray

from streamcam.errors import InvalidArgumentError
from streamcam.frames import Frame
from streamcam.media.images import image_from_rgb
from streamcam.media.scaling import Resampler
from streamcam.models.classifier import InputSpec
from streamcam.models.geometry import Geometry, fit_geometry


class Preprocessor:
    """Makes batches of frames for one network. Belongs to one thread."""

    def __init__(
        self,
        spec: InputSpec,
        fit: str,
        device: torch.device,
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> None:
        """Assign.

        Args:
            spec: What the network takes in.
            fit: A name in `streamcam.models.FITS`.
            device: Where the batches go.
            memory_format: The order in which they lie there.
        """
        self._spec = spec
        self._fit = fit
        self._device = device
        self._memory_format = memory_format
        self._resampler = Resampler()
        grey_or_rgb = [round(255 * mean) for mean in spec.mean]
        red, green, blue = grey_or_rgb if len(grey_or_rgb) == 3 else grey_or_rgb * 3
        self._fill = (red, green, blue)

    def geometry(self, frame: Frame) -> Geometry:
        """Tell how a frame is fitted into the network's input."""
        return fit_geometry(self._fit, (frame.image.width, frame.image.height), self._spec)

    def pixels(self, frames: Sequence[Frame]) -> NDArray[np.uint8]:
        """Resample frames of one shape: RGB, uint8 (N, H, W, 3)."""
        geometry = self.geometry(frames[0])
        images = [
            geometry.place(self._resampler.to_rgb(frame.image, *geometry.scaled), self._fill)
            for frame in frames
        ]
        return np.stack(images, out=self._room_for(len(images), images[0].shape))

    def normalise(self, pixels: NDArray[np.uint8] | torch.Tensor) -> torch.Tensor:
        """Turn pixels (N, H, W, 3) into the network's input: float32 (N, channels, H, W), on the device."""
        given = pixels if isinstance(pixels, torch.Tensor) else torch.from_numpy(pixels)
        batch = given.to(self._device, non_blocking=self._device.type == "cuda")
        return self._spec.normalise(batch.permute(0, 3, 1, 2)).contiguous(memory_format=self._memory_format)

    def _room_for(self, count: int, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
        """Return memory that an NVIDIA device fetches from by itself; None where there is no need for it.

        torch hands such memory out again only when the device has done with it.
        """
        if self._device.type != "cuda":
            return None
        room: NDArray[np.uint8] = torch.empty((count, *shape), dtype=torch.uint8, pin_memory=True).numpy()
        return room


def frame_of_array(image: NDArray[np.uint8], index: int) -> Frame:
    """Wrap an image as a frame of its own.

    Args:
        image: RGB, uint8 (H, W, 3).
        index: Its place among the caller's images.

    Raises:
        InvalidArgumentError: if it is not such an array.
    """
    try:
        wrapped = image_from_rgb(image)
    except (ValueError, AttributeError) as error:
        raise InvalidArgumentError(f"cannot explain this: {error}") from error
    return Frame(wrapped, index, index, Fraction(1), time.monotonic())
