"""Sheets: several images in a grid, each with its name and probability."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from streamcam.media.images import ByteArray, Image, coding_of, image_from_rgb, planes_of
from streamcam.media.scaling import Resampler
from streamcam.overlay.label_panel import format_percentage
from streamcam.overlay.tags import TagRenderer
from streamcam.synthesis.maximization import MaximizedImage

_FORMAT = "yuv420p"
_COLOR = (20, 24, 30)
"""Behind the names."""
_LABEL_SIZE = 0.9


def draw_sheet(images: Sequence[MaximizedImage]) -> Image:
    """Draw images of one size into a grid, with names if there are several, and probabilities.

    Returns:
        Planar YUV, of even width and height.
    """
    columns = math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    height, width = (side + side % 2 for side in images[0].pixels.shape[:2])
    canvas: ByteArray = np.full((rows * height, columns * width, 3), _COLOR, np.uint8)
    for place, each in enumerate(images):
        top, left = place // columns * height, place % columns * width
        canvas[top : top + each.pixels.shape[0], left : left + each.pixels.shape[1]] = each.pixels
    sheet = Resampler().to_planar(image_from_rgb(canvas), _FORMAT)
    tags = TagRenderer(_LABEL_SIZE, width, height, _FORMAT, coding_of(sheet))
    for place, each in enumerate(images):
        text = each.name if each.probability is None else f"{each.name} {format_percentage(each.probability)}"
        tag = tags.render(text, _COLOR, width)
        if tag is not None:
            top, left = place // columns * height, place % columns * width
            tag.blend(planes_of(sheet), left, top + height - tags.height)
    return sheet
