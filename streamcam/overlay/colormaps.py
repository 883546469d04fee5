"""Color maps by name."""

from __future__ import annotations

import cv2
import numpy as np

from streamcam.errors import unknown_name
from streamcam.media.images import ByteArray

COLORMAPS: dict[str, int] = {
    name.removeprefix("COLORMAP_").lower(): getattr(cv2, name)
    for name in sorted(dir(cv2))
    if name.startswith("COLORMAP_")
}
"""Name → OpenCV's number of every color map that OpenCV has."""


def lookup_table(name: str) -> ByteArray:
    """Return the 256 colors of a color map.

    Returns:
        uint8 (256, 3), RGB, from no heat to most.

    Raises:
        UnknownNameError: if the color map does not exist.
    """
    if name not in COLORMAPS:
        raise unknown_name("color map", name, COLORMAPS)
    ramp = np.arange(256, dtype=np.uint8).reshape(-1, 1)
    bgr = cv2.applyColorMap(ramp, COLORMAPS[name])
    return np.asarray(bgr, np.uint8).reshape(256, 3)[:, ::-1].copy()
