"""From frames to a network's input."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from streamcam.frames import Frame
from streamcam.models.base import Model
from streamcam.models.fitting import FrameFitter
from streamcam.models.geometry import Geometry


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
        self._device = device
        self._memory_format = memory_format
        self._fitter = FrameFitter(fit, model.input, model.input.mean)

    def geometry(self, frame: Frame) -> Geometry:
        """Return how a frame is fitted into the network's input."""
        return self._fitter.geometry(frame)

    def pixels(self, frames: Sequence[Frame]) -> NDArray[np.uint8]:
        """Resample frames of one shape: RGB, uint8 (N, H, W, 3); with companions (N, H, W, 6).

        Raises:
            ModelError: if the companions that a network needs cannot be had.
        """
        geometry = self.geometry(frames[0])
        images = [self._fitter.fit(frame, geometry) for frame in frames]
        if self._model.images_at_once > 1:
            others = self._model.companions(frames)
            images = [
                np.concatenate([image, self._fitter.fit(other, geometry)], axis=-1)
                for image, other in zip(images, others, strict=True)
            ]
        return np.stack(images, out=self._room_for(len(images), images[0].shape))

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
