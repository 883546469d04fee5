"""Points: the strongest places of heat, as small disks on planar YUV."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence

import numpy as np

from streamcam.media.images import Image, YuvCoding, coding_of, planes_of
from streamcam.overlay.lines import draw_lines
from streamcam.overlay.sprites import Rgb
from streamcam.overlay.tags import TagRenderer

_CORNERS = 12
"""Of the polygon that is drawn as a circle."""


@dataclasses.dataclass(frozen=True, slots=True)
class Point:
    """A place on the image, and the color to draw it in."""

    x: float
    """As a fraction of the image's width."""
    y: float
    """As a fraction of its height."""
    color: Rgb


class PointPainter:
    """Draws points onto images. Not thread-safe."""

    def __init__(self) -> None:
        """Create a painter; nothing is measured before the first image."""
        self._tags = functools.lru_cache(maxsize=2)(functools.partial(TagRenderer, 1.0))

    def draw(self, image: Image, points: Sequence[Point]) -> None:
        """Draw points onto an image, in place: disks with a dark edge, clipped at the image's edges.

        Args:
            image: Planar YUV image.
            points: The points; later ones are drawn over earlier ones.
        """
        if not points:
            return
        coding: YuvCoding = coding_of(image)
        tags = self._tags(image.width, image.height, image.format.name, coding)
        planes = planes_of(image)
        radius = max(3.0, 0.008 * min(image.width, image.height))
        angles = np.arange(_CORNERS) * (2 * math.pi / _CORNERS)
        circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)[:, None]
        dark = tags.encode_color((0, 0, 0))
        for point in points:
            center = np.array([point.x * image.width, point.y * image.height])
            for color, reach in (
                (dark, radius + max(1.0, radius / 3)),
                (tags.encode_color(point.color), radius),
            ):
                # Half as wide, and drawn as thick as the radius: a disk without a hole.
                line = center + circle * (reach / 2)
                for plane, value in zip(planes, color, strict=True):
                    steps = (-(-image.width // plane.shape[1]), -(-image.height // plane.shape[0]))
                    draw_lines(plane, [line], steps, value, max(1, round(reach / min(steps))))
