"""From frames to a network's input: resampled by swscale straight from the decoder's planes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from streamcam.frames import Frame
from streamcam.media.scaling import Resampler
from streamcam.models.base import Model
from streamcam.models.geometry import Geometry, fit_geometry


class Preprocessor:
    """Makes batches of frames for one network. Belongs to one thread."""

    def __init__(
        self,
        model: Model,
        fit: str,
        device: torch.device,
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> None:
        """Set up the conversion.

        Args:
            model: Whose input is made.
            fit: A name in `streamcam.models.FITS`.
            device: Device of the batches.
            memory_format: Memory order of the batches.
        """
        self._model = model
        self._fit = fit
        self._device = device
        self._memory_format = memory_format
        self._resampler = Resampler()
        gray_or_rgb = [round(255 * mean) for mean in model.input.mean]
        red, green, blue = gray_or_rgb if len(gray_or_rgb) == 3 else gray_or_rgb * 3
        self._fill = (red, green, blue)

    def geometry(self, frame: Frame) -> Geometry:
        """Return how a frame is fitted into the network's input."""
        return fit_geometry(self._fit, (frame.image.width, frame.image.height), self._model.input)

    def pixels(self, frames: Sequence[Frame]) -> NDArray[np.uint8]:
        """Resample frames of one shape: RGB, uint8 (N, H, W, 3); with companions (N, H, W, 6).

        Raises:
            ModelError: if the companions that a network needs cannot be had.
        """
        geometry = self.geometry(frames[0])
        images = [self._placed(frame, geometry) for frame in frames]
        if self._model.images_at_once > 1:
            others = self._model.companions(frames)
            images = [
                np.concatenate([image, self._placed(other, geometry)], axis=-1)
                for image, other in zip(images, others, strict=True)
            ]
        return np.stack(images, out=self._room_for(len(images), images[0].shape))

    def _placed(self, frame: Frame, geometry: Geometry) -> NDArray[np.uint8]:
        return geometry.place(self._resampler.to_rgb(frame.image, *geometry.scaled), self._fill)

    def prepare(self, pixels: NDArray[np.uint8] | torch.Tensor) -> torch.Tensor:
        """Convert pixels to the network's input, on the device.

        Args:
            pixels: RGB images, uint8 (N, H, W, 3), or clips, uint8 (N, T, H, W, 3).

        Returns:
            float32 (N, channels, H, W) or (N, channels, T, H, W).
        """
        tensor = pixels if isinstance(pixels, torch.Tensor) else torch.from_numpy(pixels)
        batch = tensor.to(self._device, non_blocking=self._device.type == "cuda").movedim(-1, 1)
        return self._model.prepare(batch).contiguous(memory_format=self._memory_format)

    def _room_for(self, count: int, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
        """Return memory that an NVIDIA device fetches from by itself; None where there is no need for it.

        torch hands such memory out again only when the device has done with it.
        """
        if self._device.type != "cuda":
            return None
        room: NDArray[np.uint8] = torch.empty((count, *shape), dtype=torch.uint8, pin_memory=True).numpy()
        return room
