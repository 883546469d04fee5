"""Views: the ways to show a frame and its heat in one image."""

from __future__ import annotations

import abc
import dataclasses
import functools
import math
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from streamcam.frames import FloatArray, Region
from streamcam.media.images import ByteArray, Image, PlaneArray, blank_like, coding_of, planes_of
from streamcam.overlay.blending import HeatBlender, colormap_blender, ramp_up
from streamcam.overlay.colormaps import lookup_table
from streamcam.overlay.contours import LEVELS, ContourPainter, trace_contours
from streamcam.overlay.layouts import black_like
from streamcam.overlay.placement import Scratch, locate_region, upsample_cubic, upsample_linear
from streamcam.overlay.settings import OverlaySettings
from streamcam.overlay.sprites import Rgb
from streamcam.overlay.tinting import Tinter

_SWIPE_S = 8.0
"""How long the line of a swipe takes to the left, to the right and back, in seconds."""

_SWIPE_REACH = 0.4
"""How far it goes from the middle, as a share of the image's width."""

_LINE = 0.006
"""Its own width, as a share of the image's shorter side."""

_OPACITY_STEPS = 25
"""Opacities are rounded to this many steps: each has tables of its own."""

_DARKENED_TO = 0.15
"""Share of the light that a mask leaves where the network did not look."""

_BLURRED_TO = 0.7
"""The same for a spotlight."""

_BLUR = 0.02
"""Standard deviation of a spotlight's blur, as a share of the image's shorter side."""

_BLUR_STEP = 4
"""Blurred planes are computed at this many pixels per value."""


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Heat:
    """The heat of one frame, ready to be drawn."""

    maps: Sequence[FloatArray]
    """Strength of each heatmap, float32 (h, w), 0 to 1, all of one shape."""
    colors: Sequence[Rgb]
    """Color of each heatmap; empty if there is one, which is shown through the color map."""
    region: Region
    """Part of the image that the heatmaps cover."""

    opacities: Sequence[float] = ()
    """Factor on the weight of each heatmap, from 0 to 1; empty if it is 1 for all."""
    time_s: float = 0.0
    """When the frame is shown, for views that move."""

    @property
    def strongest(self) -> FloatArray:
        """The strongest heat at each place, float32 (h, w), 0 to 1."""
        return np.asarray(np.maximum.reduce(list(self.maps)), np.float32)


class View(abc.ABC):
    """Draws frames and their heat in one way. Not thread-safe."""

    annotated = True
    """Whether labels and boxes belong on it."""
    uses_colormap = False
    """Whether it shows the heat of a single class through the color map."""
    draws_on_alpha = False
    """Whether it draws lines on images that have alpha, and raises it there; others change colors only."""

    @abc.abstractmethod
    def draw(self, image: Image, heat: Heat) -> Image:
        """Draw an image and its heat.

        Args:
            image: Planar YUV image; it is not changed.
            heat: Its heat.

        Returns:
            A fresh image of the same size, format and tags.
        """

    def draw_bare(self, image: Image) -> Image:
        """Return a fresh image that shows a frame without heat."""
        fresh = blank_like(image)
        for target, source in zip(planes_of(fresh), planes_of(image), strict=True):
            target[:] = source
        return fresh


class OverlayView(View):
    """Heat on top of the image: through the color map, or each class in its color."""

    uses_colormap = True

    def __init__(self, settings: OverlaySettings) -> None:
        """Apply the settings.

        Args:
            settings: The look of the heat.

        Raises:
            InvalidArgumentError: if a setting cannot be used.
        """
        self._blenders = functools.lru_cache(maxsize=_OPACITY_STEPS + 1)(
            lambda opacity: colormap_blender(settings.colormap, opacity * settings.alpha, settings.blend)
        )
        self._blenders(1.0)
        self._tinter = Tinter(settings.alpha)

    def draw(self, image: Image, heat: Heat) -> Image:
        if heat.colors:
            return self._tinter.tint(image, heat.maps, heat.colors, heat.region, heat.opacities)
        opacity = round(next(iter(heat.opacities), 1.0) * _OPACITY_STEPS) / _OPACITY_STEPS
        return self._blenders(opacity).blend(image, heat.maps[0], heat.region)


class HeatView(OverlayView):
    """Heat alone, on black."""

    def __init__(self, settings: OverlaySettings) -> None:
        super().__init__(dataclasses.replace(settings, alpha=1.0, blend="even"))

    def draw(self, image: Image, heat: Heat) -> Image:
        return super().draw(black_like(image), heat)

    def draw_bare(self, image: Image) -> Image:
        return black_like(image)


class OriginalView(View):
    """The image as it was filmed."""

    annotated = False

    def draw(self, image: Image, heat: Heat) -> Image:  # noqa: ARG002
        return self.draw_bare(image)


class MaskView(View):
    """The image, darkened where the network did not look."""

    def __init__(self) -> None:
        black = np.zeros((256, 3), np.uint8)
        strength = np.linspace(0, 1, 256, dtype=np.float32)
        self._blender = HeatBlender(black, (1 - _DARKENED_TO) * (1 - ramp_up(strength)), everywhere=True)

    def draw(self, image: Image, heat: Heat) -> Image:
        return self._blender.blend(image, heat.strongest, heat.region)


class SpotlightView(View):
    """The image, blurred and a little darker where the network did not look."""

    def __init__(self) -> None:
        self._scratch = Scratch()

    def draw(self, image: Image, heat: Heat) -> Image:
        fresh = blank_like(image)
        sources, targets = planes_of(image), planes_of(fresh)
        coding = coding_of(image)
        black = coding.encode_rgb(np.zeros(3, np.float32))
        region, size = heat.region, (image.height, image.width)
        sharpness = np.float32(coding.highest) * ramp_up(heat.strongest)
        for source, target, zero in zip(sources, targets, black, strict=True):
            rows, columns = locate_region(region, size, source.shape, sources[1].shape)
            target[:] = _blur(source, _BLUR * min(source.shape), float(zero))
            if 0 in (rows.inside_length, columns.inside_length):
                continue
            where = (rows.inside, columns.inside)
            fine = upsample_cubic(sharpness, (rows.stop - rows.start, columns.stop - columns.start))
            kept = np.rint(fine).astype(coding.dtype)
            share = upsample_linear(kept, rows, columns, self._scratch, "sharpness")
            sharp = cv2.multiply(source[where], share, scale=1 / coding.highest)
            soft = cv2.multiply(target[where], coding.highest - share, scale=1 / coding.highest)
            cv2.add(sharp, soft, dst=target[where])
        return fresh


class ContoursView(View):
    """The image with lines of equal heat, in the colors of the color map or of the classes."""

    draws_on_alpha = True

    def __init__(self, settings: OverlaySettings) -> None:
        """Apply the settings.

        Args:
            settings: The look of the heat.

        Raises:
            InvalidArgumentError: if a setting cannot be used.
        """
        table = lookup_table(settings.colormap)
        self._levels = {level: _rgb(table[round(255 * level)]) for level in LEVELS}
        self._painter = ContourPainter(settings.label_size)

    def draw(self, image: Image, heat: Heat) -> Image:
        fresh, size = self.draw_bare(image), (image.width, image.height)
        # Every other level of several classes: more lines would run into each other.
        levels = [dict.fromkeys(LEVELS[1::2], color) for color in heat.colors] or [self._levels]
        contours = [
            contour
            for values, colors in zip(heat.maps, levels, strict=True)
            for contour in trace_contours(values, colors, heat.region, size)
        ]
        self._painter.draw(fresh, contours)
        return fresh


class SwipeView(OverlayView):
    """The image as it was filmed at the left of a line that wanders, and heat on top of it at the right."""

    def draw(self, image: Image, heat: Heat) -> Image:
        fresh = super().draw(image, heat)
        width = max(2, 2 * round(_LINE * min(image.width, image.height) / 2))
        middle = image.width * swipe_position(heat.time_s)
        left = 2 * round((middle - width / 2) / 2)
        white = coding_of(image).encode_rgb(np.full(3, 255, np.float32))
        for target, source, value in zip(planes_of(fresh), planes_of(image), white, strict=True):
            step = -(-image.width // source.shape[1])
            begin, end = left // step, (left + width) // step
            target[:, :begin] = source[:, :begin]
            target[:, begin:end] = round(float(value))
        return fresh


def swipe_position(time_s: float) -> float:
    """Return where the line of a swipe is at a time in seconds, as a share of the image's width.

    It begins in the middle and moves slowest near the edges: ``0.5 - 0.4 * sin(2 * pi * t / 8)``.
    """
    return 0.5 - _SWIPE_REACH * math.sin(2 * math.pi * time_s / _SWIPE_S)


def _rgb(color: ByteArray) -> Rgb:
    red, green, blue = color.tolist()
    return red, green, blue


def _blur(plane: PlaneArray, deviation: float, zero: float) -> PlaneArray:
    """Blur a plane and bring it closer to black.

    Args:
        plane: Samples, uint8 or uint16 (h, w).
        deviation: Standard deviation of the blur, in samples.
        zero: The plane's value in black.
    """
    size = plane.shape[::-1]
    few = tuple(max(1, side // _BLUR_STEP) for side in size)
    small = cv2.resize(plane, few, interpolation=cv2.INTER_AREA).astype(np.float32)
    soft = np.asarray(cv2.GaussianBlur(small, (0, 0), max(deviation / _BLUR_STEP, 0.5)), np.float32)
    dimmed = np.rint(zero + np.float32(_BLURRED_TO) * (soft - np.float32(zero))).astype(plane.dtype)
    return np.asarray(cv2.resize(dimmed, size, interpolation=cv2.INTER_LINEAR))


VIEWS: dict[str, Callable[[OverlaySettings], View]] = {
    "original": lambda _settings: OriginalView(),
    "overlay": OverlayView,
    "heat": HeatView,
    "mask": lambda _settings: MaskView(),
    "contours": ContoursView,
    "spotlight": lambda _settings: SpotlightView(),
    "swipe": SwipeView,
}
"""Every view by name; `streamcam.overlay.layouts.LAYOUTS` says which of them lie on a canvas."""
