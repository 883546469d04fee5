"""Fit frames into a network's input: resampled by swscale straight from the decoder's planes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streamcam.frames import Frame
from streamcam.media.scaling import Resampler
from streamcam.models.geometry import Geometry, InputSize, fit_geometry


class FrameFitter:
    """Makes RGB images of the input's size from frames. Belongs to one thread."""

    def __init__(self, fit: str, size: InputSize, mean: Sequence[float]) -> None:
        """Choose the fit.

        Args:
            fit: A name in `streamcam.models.FITS`.
            size: The network's input.
            mean: Mean of each channel, on a scale of 0 to 1, three or one: the color of what lies outside.
        """
        self._fit = fit
        self._size = size
        self._resampler = Resampler()
        gray_or_rgb = [round(255 * value) for value in mean]
        red, green, blue = gray_or_rgb if len(gray_or_rgb) == 3 else gray_or_rgb * 3
        self._fill = (red, green, blue)

    def geometry(self, frame: Frame) -> Geometry:
        """Return how a frame is fitted into the network's input."""
        return fit_geometry(self._fit, (frame.image.width, frame.image.height), self._size)

    def fit(self, frame: Frame, geometry: Geometry) -> NDArray[np.uint8]:
        """Resample a frame: RGB, uint8 (H, W, 3)."""
        return geometry.place(self._resampler.to_rgb(frame.image, *geometry.scaled), self._fill)
