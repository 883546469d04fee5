"""Contours: lines of equal heat on an image, each with its value."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from streamcam.frames import FloatArray, Region
from streamcam.media.images import Image, PlaneArray, YuvCoding, coding_of, planes_of
from streamcam.overlay.lines import draw_lines, trace_contour
from streamcam.overlay.placement import upsample_cubic
from streamcam.overlay.sprites import Rgb, Sprite
from streamcam.overlay.tags import TagRenderer

LEVELS = (0.2, 0.4, 0.6, 0.8)
"""Heat, from 0 to 1, at which lines are drawn."""


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Contour:
    """Where a heatmap reaches one level."""

    level: float
    lines: Sequence[NDArray[np.float64]]
    """Closed lines, (N, 1, 2) each, (x, y) in pixels."""
    color: Rgb


class ContourPainter:
    """Draws contours onto images. Not thread-safe."""

    def __init__(self, label_size: float = 1.0) -> None:
        """Create a painter; nothing is measured before the first image.

        Args:
            label_size: Factor on the usual size of text.
        """
        self._renderer = functools.lru_cache(maxsize=2)(functools.partial(_ContourRenderer, label_size))

    def draw(self, image: Image, contours: Sequence[Contour]) -> None:
        """Draw contours and their values onto an image, in place.

        Args:
            image: Planar YUV image.
            contours: The contours; later ones are drawn over earlier ones, and all values over all lines.
        """
        renderer = self._renderer(image.width, image.height, image.format.name, coding_of(image))
        planes = planes_of(image)
        for contour in contours:
            renderer.draw_lines(planes, contour)
        renderer.draw_values(planes, contours)


def trace_contours(
    heat: FloatArray, levels: dict[float, Rgb], region: Region, size: tuple[int, int]
) -> list[Contour]:
    """Trace the contours of a heatmap.

    Args:
        heat: Heatmap, float32 (h, w), 0 to 1.
        levels: Color of each level.
        region: Part of the image that the heatmap covers.
        size: Size of the image, (width, height) in pixels.
    """
    pixels = ((region.bottom - region.top) * size[1], (region.right - region.left) * size[0])
    smooth = upsample_cubic(heat, (round(pixels[0]), round(pixels[1])))
    return [
        Contour(level, trace_contour(smooth, level, region, size), color) for level, color in levels.items()
    ]


class _ContourRenderer:
    """Draws contours on images of one size and coding."""

    def __init__(
        self, label_size: float, width: int, height: int, pixel_format: str, coding: YuvCoding
    ) -> None:
        self._width = width
        self._height = height
        self._thickness = max(2, 2 * round(0.002 * min(width, height)))
        self._tags = TagRenderer(label_size, width, height, pixel_format, coding)

    def draw_lines(self, planes: Sequence[PlaneArray], contour: Contour) -> None:
        """Draw a contour with a dark edge on both sides."""
        dark = self._tags.encode_color((0, 0, 0))[0]
        draw_lines(planes[0], contour.lines, (1, 1), dark, 2 * self._thickness)
        for plane, value in zip(planes, self._tags.encode_color(contour.color), strict=True):
            steps = (-(-self._width // plane.shape[1]), -(-self._height // plane.shape[0]))
            draw_lines(plane, contour.lines, steps, value, max(1, self._thickness // min(steps)))

    def draw_values(self, planes: Sequence[PlaneArray], contours: Sequence[Contour]) -> None:
        """Write each contour's value onto its longest line that has room for it."""
        taken: list[tuple[int, int]] = []
        for contour in contours:
            tag = self._tags.render(f"{contour.level:g}", contour.color, self._width - self._width % 2)
            if tag is None:
                continue
            for line in sorted(contour.lines, key=len, reverse=True):
                place = next(self._places(line[:, 0], tag, taken), None)
                if place is not None:
                    tag.blend(planes, *place)
                    taken.append(place)
                    break

    def _places(
        self, line: NDArray[np.float64], tag: Sprite, taken: Sequence[tuple[int, int]]
    ) -> Iterator[tuple[int, int]]:
        """Yield where a tag may lie: centered on a line's outermost points, inside the image, and free."""
        height, width = tag.planes[0].keep.shape
        ends = (line[:, 1].argmin(), line[:, 1].argmax(), line[:, 0].argmin(), line[:, 0].argmax())
        for x, y in line[list(ends)]:
            left, top = 2 * round((x - width / 2) / 2), 2 * round((y - height / 2) / 2)
            is_inside = 0 <= left <= self._width - width and 0 <= top <= self._height - height
            if is_inside and not any(abs(left - x) < width and abs(top - y) < height for x, y in taken):
                yield left, top
