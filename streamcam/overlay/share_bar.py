"""The bar that shows how much of the heat lies inside a region, along the lower edge of an image."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence

from streamcam.media.images import Image, PlaneArray, coding_of, planes_of
from streamcam.overlay.label_panel import format_percentage
from streamcam.overlay.sprites import Rgb
from streamcam.overlay.tags import TagRenderer

_EMPTY: Rgb = (40, 44, 52)
_MARK: Rgb = (255, 255, 255)


@dataclasses.dataclass(frozen=True, slots=True)
class Share:
    """The share of one heatmap inside the region, and the color to draw it in."""

    inside: float
    """From 0 to 1."""
    color: Rgb


class ShareBarPainter:
    """Draws bars of shares onto images. Not thread-safe."""

    def __init__(self, label_size: float = 1.0) -> None:
        """Create a painter; nothing is measured before the first image.

        Args:
            label_size: Factor on the usual size of text.
        """
        self._tags = functools.lru_cache(maxsize=2)(functools.partial(TagRenderer, label_size))

    def draw(self, image: Image, shares: Sequence[Share], area: float) -> None:
        """Draw a bar for each share along the lower edge, and the first share in words, in place.

        Args:
            image: Planar YUV image.
            shares: The shares, the first at the bottom.
            area: Share of the image that the region covers, which is marked on the bars: heat that lay
                anywhere would reach it.
        """
        if not shares:
            return
        tags = self._tags(image.width, image.height, image.format.name, coding_of(image))
        planes = planes_of(image)
        width, height = image.width - image.width % 2, image.height - image.height % 2
        thickness = max(4, 2 * round(0.006 * min(width, height)))
        bottom = height
        for share in shares:
            top = bottom - thickness
            if top < height // 2:
                break
            end = _even(share.inside * width)
            self._fill(planes, image, (top, bottom), (0, end), tags.encode_color(share.color))
            self._fill(planes, image, (top, bottom), (end, width), tags.encode_color(_EMPTY))
            mark = min(max(_even(area * width), 0), width - 2)
            self._fill(planes, image, (top, bottom), (mark, mark + 2), tags.encode_color(_MARK))
            bottom = top
        tag = tags.render(f"{format_percentage(shares[0].inside)} inside", shares[0].color, width)
        if tag is not None and bottom - tags.height >= height // 2:
            tag.blend(planes, 0, bottom - tags.height)

    def _fill(
        self,
        planes: Sequence[PlaneArray],
        image: Image,
        rows: tuple[int, int],
        columns: tuple[int, int],
        color: Sequence[int],
    ) -> None:
        """Fill a rectangle whose edges are even."""
        for plane, value in zip(planes, color, strict=True):
            down, across = -(-image.height // plane.shape[0]), -(-image.width // plane.shape[1])
            plane[rows[0] // down : rows[1] // down, columns[0] // across : columns[1] // across] = value


def _even(length: float) -> int:
    return 2 * math.floor(length / 2 + 0.5)
