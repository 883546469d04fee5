"""Sizes of text, by the size of the image and the factor asked for."""

from __future__ import annotations

SMALLEST_PX = 10
"""Smaller text cannot be read."""


def label_text_px(width: int, height: int, label_size: float) -> int:
    """Return the size of labels, as the height of the em square in pixels.

    Args:
        width: Width of the image in pixels.
        height: Height of the image in pixels.
        label_size: Factor on the usual size.
    """
    return _scaled(0.032 * min(width, height), 64, label_size)


def tag_text_px(width: int, height: int, label_size: float) -> int:
    """Return the size of text in tags and in the legend, with arguments as in `label_text_px`."""
    return _scaled(0.026 * min(width, height), 52, label_size)


def caption_text_px(width: int, height: int, label_size: float) -> int:
    """Return the size of the caption, with arguments as in `label_text_px`."""
    return _scaled(0.042 * min(width, height), 84, label_size)


def _scaled(usual_px: float, most_px: int, label_size: float) -> int:
    return max(round(min(max(round(usual_px), SMALLEST_PX), most_px) * label_size), SMALLEST_PX)
