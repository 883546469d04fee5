"""Motion in a video: the part of each frame that has changed since the last one."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from streamcam.explanations import StabilizedFrame
from streamcam.media.images import ByteArray

_LEAST_CHANGE = 8
"""Gray levels by which a place must change: more than noise and compression do."""

_REACH = 5
"""Places of a thumbnail, 192 wide, around a change that count as moving too: the inside of a plain object."""


def find_motion(before: ByteArray, thumbnail: ByteArray, shape: tuple[int, int]) -> NDArray[np.bool_] | None:
    """Find what differs between the thumbnails of two frames of a shot.

    Args:
        before: Gray, uint8 (h, w).
        thumbnail: The same of the later frame.
        shape: Rows and columns of the result.

    Returns:
        bool (rows, columns); None if nothing has moved.
    """
    soft, soft_before = (cv2.GaussianBlur(each, (0, 0), 1.0) for each in (thumbnail, before))
    changed = (cv2.absdiff(soft, soft_before) >= _LEAST_CHANGE).view(np.uint8)
    if not changed.any():
        return None
    size = 2 * _REACH + 1
    spread = cv2.dilate(changed, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
    return np.asarray(cv2.resize(spread, shape[::-1], interpolation=cv2.INTER_NEAREST) > 0, np.bool_)


class MotionDetector:
    """Compares the thumbnails of consecutive frames. Not thread-safe."""

    def __init__(self) -> None:
        self._last: ByteArray | None = None

    def update(self, stabilized: StabilizedFrame, shape: tuple[int, int]) -> NDArray[np.bool_] | None:
        """Return what has moved up to the next frame.

        Args:
            stabilized: The frame.
            shape: Rows and columns of the result.

        Returns:
            bool (rows, columns); None if nothing has moved, or the frame starts a shot or has no thumbnail.
        """
        thumbnail = stabilized.explanation.thumbnail
        last, self._last = self._last, thumbnail
        if last is None or thumbnail is None or last.shape != thumbnail.shape:
            return None
        return None if stabilized.explanation.starts_shot else find_motion(last, thumbnail, shape)
