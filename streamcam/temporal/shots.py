"""Cuts: finding the frame at which another shot begins, from nothing but the frames until then."""

from __future__ import annotations

import math

import cv2
import numpy as np

from streamcam.frames import FloatArray
from streamcam.media.images import ByteArray

_SIZE = (48, 27)
_REACH = np.ones((5, 5), np.uint8)
"""What moves by up to two of these pixels, a twentieth of the image, is found again."""

_UNEXPLAINED = 0.085
"""A cut leaves at least this much unexplained, in contrasts; of 1500 pairs of photographs 99.7 % do."""
_UNEXPLAINED_LEVELS = 2.0
"""And at least this much in grey levels, so that the end of a fade to black, all noise, does not count."""
_CONTRAST_JUMP = 15.0
"""A hard cut to or from black, which explains anything, changes the contrast by this many levels at least."""
_BLANK = 4.0
"""Contrast, in grey levels, below which an image shows nothing."""
_ABOVE_USUAL = 2.5
"""In restless footage a cut stands out from the frames before it by this factor."""
_USUAL_S = 0.3


class CutDetector:
    """Tells hard cuts from everything else that changes an image.

    Brightness and contrast are matched first, so flicker and fades leave little; and each pixel is looked
    for in a neighbourhood of the other image, so motion leaves little. A cut leaves much.
    """

    def __init__(self) -> None:
        """Begin a video."""
        self._last: ByteArray | None = None
        self._last_s = 0.0
        self._usual = 0.0

    def is_cut(self, view: ByteArray, time_s: float) -> bool:
        """Take the next frame's view.

        Args:
            view: uint8 (h, w), of any size.
            time_s: Its presentation time in seconds.

        Returns:
            Whether a shot begins with it; False for the first frame.
        """
        small = _reduced(view)
        before, self._last = self._last, small
        elapsed_s, self._last_s = max(0.0, time_s - self._last_s), time_s
        if before is None:
            return False
        change, found = _compare(before, small, _ABOVE_USUAL * self._usual)
        if found:  # how restless the last shot was says nothing of this one
            self._usual = 0.0
        else:
            self._usual = max(change, self._usual * math.exp(-elapsed_s / _USUAL_S))
        return found


def differ(one: ByteArray, other: ByteArray) -> bool:
    """Tell whether two views show different shots; for frames that do not follow each other."""
    return _compare(_reduced(one), _reduced(other), 0.0)[1]


def _reduced(view: ByteArray) -> ByteArray:
    return np.asarray(cv2.resize(view, _SIZE, interpolation=cv2.INTER_AREA), np.uint8)


def _compare(before: ByteArray, after: ByteArray, usual: float) -> tuple[float, bool]:
    """Return what of an image the one before it leaves unexplained, and whether that is a cut."""
    (one, contrast), (other, other_contrast) = _normalised(before), _normalised(after)
    change = min(_outside(one, other), _outside(other, one))
    lower = min(contrast, other_contrast)
    if lower < _BLANK:
        return 0.0, abs(contrast - other_contrast) > _CONTRAST_JUMP
    levels = change * (lower + _BLANK)
    return change, change > max(_UNEXPLAINED, usual) and levels > _UNEXPLAINED_LEVELS


def _normalised(image: ByteArray) -> tuple[FloatArray, float]:
    """Take out brightness and contrast; what remains of an image without any is its noise, kept small."""
    values = image.astype(np.float32)
    contrast = float(values.std())
    return (values - values.mean()) / np.float32(contrast + _BLANK), contrast


def _outside(one: FloatArray, other: FloatArray) -> float:
    """How far one image's pixels lie outside the range of the other's around them, on average."""
    highest, lowest = cv2.dilate(other, _REACH), cv2.erode(other, _REACH)
    return float(np.maximum(one - highest, lowest - one).clip(min=0).mean())
