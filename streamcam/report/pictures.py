"""Pictures of a report: heat on thumbnails, as data in the page."""

from __future__ import annotations

import base64
import bisect
import io
from collections.abc import Sequence

import numpy as np
import PIL.Image

from streamcam.explanations import Explanation
from streamcam.frames import FloatArray, Region
from streamcam.media.images import ByteArray

_ALPHA = 0.55
_WIDTH = 320


class Album:
    """The thumbnails of a video."""

    def __init__(self, thumbnails: Sequence[tuple[int, bytes]]) -> None:
        """Take thumbnails in order.

        Args:
            thumbnails: The number of a frame, and a JPEG file.
        """
        self.frames = [frame for frame, _ in thumbnails]
        self.files = [file for _, file in thumbnails]

    def nearest(self, frame: int, first: int) -> int | None:
        """Return which thumbnail shows a frame best: the last before it in its shot, else the next.

        Args:
            frame: The frame's number.
            first: The number of the first frame of its shot.
        """
        if not self.frames:
            return None
        place = bisect.bisect_right(self.frames, frame) - 1
        if place < 0 or self.frames[place] < first:
            place += 1
        return min(place, len(self.frames) - 1)

    def image(self, place: int | None) -> PIL.Image.Image:
        """Return a thumbnail in RGB; a gray one if there is none."""
        if place is None:
            return PIL.Image.new("RGB", (_WIDTH, _WIDTH * 9 // 16), (96, 96, 96))
        return PIL.Image.open(io.BytesIO(self.files[place])).convert("RGB")


def heat_of(explanation: Explanation, *, against: bool = False) -> FloatArray:
    """Return the heat of all of a frame's maps together, from 0 to 1, float32 (h, w).

    Args:
        explanation: The frame's explanation.
        against: Whether what speaks against its classes is shown instead, on the same scale.
    """
    heat: FloatArray = np.zeros((1, 1), np.float32)
    for index, heatmap in explanation.heatmaps.items():
        if index in explanation.opposites:
            heatmap = heatmap - explanation.opposites[index]
        peak = float(np.abs(heatmap).max())
        shown = -heatmap if against else heatmap
        scaled = (np.maximum(shown, 0) / (peak if peak > 0 else 1)).astype(np.float32)
        heat = np.maximum(heat, scaled) if heat.shape == scaled.shape else scaled
    return heat


def draw_heat(image: PIL.Image.Image, heat: FloatArray, region: Region, colors: ByteArray) -> str:
    """Draw heat onto a thumbnail.

    Args:
        image: The thumbnail, RGB.
        heat: From 0 to 1, float32 (h, w).
        region: The part of the frame that it covers.
        colors: The color map, uint8 (256, 3).

    Returns:
        A data URL of a JPEG file.
    """
    height = max(1, round(_WIDTH * image.height / image.width))
    canvas = np.asarray(image.resize((_WIDTH, height), PIL.Image.Resampling.BICUBIC), np.float32)
    strength = place_heat(heat, region, _WIDTH, height)
    weight = (_ALPHA * strength * (2 - strength))[..., None]
    shown = canvas * (1 - weight) + colors[(strength * 255).astype(np.uint8)] * weight
    file = io.BytesIO()
    PIL.Image.fromarray(shown.round().astype(np.uint8)).save(file, "JPEG", quality=80)
    return data_url(file.getvalue())


def place_heat(heat: FloatArray, region: Region, width: int, height: int) -> FloatArray:
    """Enlarge heat, and place it where it lies on the frame.

    Args:
        heat: From 0 to 1, float32 (h, w).
        region: The part of the frame that it covers.
        width: Of the result.
        height: Of the result.

    Returns:
        From 0 to 1, float32 (height, width); 0 outside the region.
    """
    left, right = round(region.left * width), round(region.right * width)
    top, bottom = round(region.top * height), round(region.bottom * height)
    large = PIL.Image.fromarray(heat).resize(
        (max(1, right - left), max(1, bottom - top)), PIL.Image.Resampling.BICUBIC
    )
    layer = PIL.Image.new("F", (width, height))
    layer.paste(large, (left, top))
    return np.asarray(layer).clip(0, 1)


def data_url(jpeg: bytes) -> str:
    """Return a JPEG file as a URL."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode('ascii')}"
