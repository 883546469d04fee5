"""Images like photographs, made by chance: for trying networks out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_IMAGES = 8
_CONTRAST = 45.0


def check_images(height: int, width: int, count: int = _IMAGES) -> NDArray[np.uint8]:
    """Make the images that a network is checked with, the same ones every time.

    Their spectrum and the correlation of their colors are those of photographs: networks classify them as
    velvet or coral, with all degrees of certainty.

    Returns:
        RGB, uint8 (count, height, width, 3).
    """
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    frequency = np.hypot(rows, columns)
    frequency[0, 0] = np.inf  # the mean is chosen below
    images = []
    for seed in range(count):
        chance = np.random.default_rng(seed)
        phases = chance.normal(size=(2, 4, *frequency.shape))
        luma, *colors = phases[0] + 1j * phases[1]
        spectra = [(luma + 0.5 * color) / frequency ** chance.uniform(0.8, 1.4) for color in colors]
        planes = np.fft.irfft2(spectra, s=(height, width), axes=(1, 2))
        planes *= _CONTRAST / planes.std(axis=(1, 2), keepdims=True)
        means = chance.uniform(70, 180, (3, 1, 1))
        images.append(np.clip(planes + means, 0, 255).astype(np.uint8).transpose(1, 2, 0))
    return np.ascontiguousarray(images)
