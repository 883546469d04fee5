"""The overlay stage: draws heatmaps, labels and boxes onto frames."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from streamcam.errors import unknown_name
from streamcam.explanations import (
    Instance,
    Prediction,
    StabilizedFrame,
    as_target,
    is_value_alone,
    object_number,
)
from streamcam.frames import Frame
from streamcam.media.images import LAYERED_FORMATS, Image, join_alpha, split_alpha
from streamcam.media.scaling import Resampler
from streamcam.overlay.boxes import PLAIN_COLOR, BoxPainter, ColoredInstance
from streamcam.overlay.caption import CaptionPainter
from streamcam.overlay.colormaps import lookup_table
from streamcam.overlay.fonts import note_missing
from streamcam.overlay.label_panel import ACCENT, LabelLine, LabelPanel, format_percentage
from streamcam.overlay.layouts import LAYOUTS, Rectangle, arrange, assemble, measure_canvas
from streamcam.overlay.legend import LegendPainter
from streamcam.overlay.points import Point, PointPainter
from streamcam.overlay.settings import OverlaySettings
from streamcam.overlay.share_bar import Share, ShareBarPainter
from streamcam.overlay.sprites import Rgb
from streamcam.overlay.tinting import AGAINST_COLOR, FOR_COLOR, PALETTE, split_by_sign
from streamcam.overlay.views import VIEWS, Heat, OverlayView, View

_LEGEND = (
    LabelLine("for", None, marked=True, color=FOR_COLOR),
    LabelLine("against", None, marked=True, color=AGAINST_COLOR),
)
"""Lines below the classes of a signed map."""

_NO_HEAT = np.zeros((1, 1), np.float32)


class Overlay:
    """Draws heatmaps, labels and boxes onto the frames of one video. Not thread-safe."""

    def __init__(self, settings: OverlaySettings | None = None, *, annotates_all: bool = False) -> None:
        """Check and apply the settings.

        Args:
            settings: What to draw; the defaults if None.
            annotates_all: Whether labels and boxes are drawn onto frames as they were filmed, too.

        Raises:
            InvalidArgumentError: if a setting cannot be used.
        """
        self._settings = settings or OverlaySettings()
        self._annotates_all = annotates_all
        if self._settings.layout not in LAYOUTS:
            raise unknown_name("layout", self._settings.layout, LAYOUTS)
        self._settings.check_text()
        OverlayView(self._settings)  # whatever the layout is, no setting may be wrong
        self._views = [VIEWS[name](self._settings) for name in LAYOUTS[self._settings.layout]]
        self._resampler = Resampler()
        size, corner = self._settings.label_size, self._settings.corner
        self._boxes = BoxPainter(size)
        self._points = PointPainter()
        self._bar = ShareBarPainter(size)
        self._panel = LabelPanel(size, corner)
        self._legend = LegendPainter(lookup_table(self._settings.colormap), size, corner)
        self._warning = ""
        self._caption = CaptionPainter(self._settings.caption, size)

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the user about the frames drawn so far, one sentence each."""
        missing = note_missing((*self._panel.missing, *self._boxes.missing, *self._caption.missing))
        if self._settings.legend and not any(view.uses_colormap for view in self._views):
            layout = self._settings.layout
            return (*missing, f"The layout {layout!r} shows heat without colors, so it has no legend")
        return missing

    def measure(self, width: int, height: int) -> tuple[int, int]:
        """Return the size of the image that `draw` makes of a frame.

        Args:
            width: Width of the frame in pixels.
            height: Height of the frame in pixels.

        Returns:
            (width, height) in pixels.
        """
        return measure_canvas(width, height, self._settings.layout)

    def draw(self, drawn: StabilizedFrame | Frame, size: tuple[int, int] | None = None) -> Image:
        """Draw heatmaps, boxes and labels onto a frame, in the layout of the settings.

        A single class is shown through the color map, several classes in one color each, objects in the color
        of their number, and evidence for and against a class in two colors.

        Args:
            drawn: The frame with everything to draw; or a frame that has no heat.
            size: (width, height) of the result in pixels, both even; None for what `measure` returns. Views
                are drawn at the size that they have on it, so that labels stay readable.

        Returns:
            A fresh image, black where no view lies; the frame is not changed. It has alpha if the frame is
            layered: that of the frame, raised where labels, boxes and lines are.
        """
        frame = drawn.frame if isinstance(drawn, StabilizedFrame) else drawn
        if isinstance(drawn, StabilizedFrame) and drawn.explanation.method:  # a skipped frame has none
            self.warn(drawn.explanation.warning)
        own_size = (frame.image.width, frame.image.height)
        canvas = size or self.measure(*own_size)
        rectangles = arrange(own_size, canvas, len(self._views))
        image = self._scale(frame.layered or frame.image, rectangles[0])
        if isinstance(drawn, StabilizedFrame):
            free_to = canvas[1] - self._caption.measure(*canvas)
            insets = [max(0, rectangle.top + rectangle.height - free_to) for rectangle in rectangles]
            views = [
                self._draw_view(view, image, drawn, inset)
                for view, inset in zip(self._views, insets, strict=True)
            ]
        else:
            views = [view.draw_bare(image) for view in self._views]
        is_whole = (views[0].width, views[0].height) == canvas
        shown = views[0] if is_whole else assemble(views, rectangles, canvas)
        self._caption.draw(shown)
        return shown

    def warn(self, warning: str) -> None:
        """Show a warning below the caption from now on; none if it is empty."""
        if warning != self._warning:
            self._warning = warning
            text = "\n".join(filter(None, (self._settings.caption, warning)))
            self._caption = CaptionPainter(text, self._settings.label_size)

    def measure_caption(self, width: int, height: int) -> int:
        """Return how many rows at the lower edge the caption takes, of an image that `draw` makes.

        Args:
            width: Width of that image in pixels.
            height: Height of that image in pixels.
        """
        return self._caption.measure(width, height)

    def _scale(self, image: Image, rectangle: Rectangle) -> Image:
        if (image.width, image.height) == (rectangle.width, rectangle.height):
            return image
        return self._resampler.to_size(image, rectangle.width, rectangle.height)

    def _draw_view(self, view: View, image: Image, stabilized: StabilizedFrame, inset: int) -> Image:
        heat = _heat_of(stabilized, by_confidence=self._settings.opacity_from_confidence)
        if image.format.name in LAYERED_FORMATS and not view.draws_on_alpha:
            opaque, alpha = split_alpha(image)
            drawn = join_alpha(view.draw(opaque, heat), alpha)
        else:
            drawn = view.draw(image, heat)
        # Evidence against the class is not listed.
        colors = heat.colors[: len(stabilized.heatmaps)]
        signed, is_annotated = stabilized.explanation.signed, view.annotated or self._annotates_all
        lines: list[LabelLine] = []
        if is_annotated and self._settings.labels:
            lines = _list_labels(listed_labels(stabilized), stabilized.targets, [] if signed else colors)
            lines += _LEGEND if signed else ()
        has_legend = is_annotated and self._settings.legend and view.uses_colormap
        names = ("for", "against") if signed else [target.label for target in stabilized.targets]
        classes = list(zip(names, heat.colors, strict=False))
        panels = [
            self._panel.measure(drawn, lines, inset=inset) if lines else None,
            self._legend.measure(drawn, classes, inset=inset) if has_legend else None,
        ]
        taken = [panel for panel in panels if panel is not None]
        if view.annotated or len(self._views) == 1:  # an original beside the overlay stays as it was filmed
            self._draw_localization(drawn, stabilized, colors, taken)
        if not is_annotated:
            return drawn
        if has_legend:
            self._legend.draw(drawn, classes, inset=inset)
        if self._settings.boxes and stabilized.instances:
            colored = _color_instances(stabilized.instances, stabilized.targets, colors)
            self._boxes.draw(drawn, colored, taken)
        if self._settings.labels:
            self._panel.draw(drawn, lines, inset=inset)
        return drawn

    def _draw_localization(
        self,
        drawn: Image,
        stabilized: StabilizedFrame,
        colors: Sequence[Rgb],
        taken: list[Rectangle],
    ) -> None:
        """Draw boxes around the heat, its strongest places, and how much is in the region of interest."""
        localization = stabilized.localization
        if localization is None:
            return
        targets = _class_colors(stabilized.targets, colors)
        inside = localization.inside
        if inside is not None:
            region = Instance(0, "", 1.0, (0.0, 0.0, 1.0, 1.0), inside.mask, is_region=True)
            self._boxes.draw(drawn, [ColoredInstance(region, PLAIN_COLOR, "")])
        if self._settings.boxes:
            boxes = [
                ColoredInstance(
                    box.instance, targets[box.target] or ACCENT, f"{format_percentage(box.share)} of the heat"
                )
                for box in localization.boxes or ()
            ]
            self._boxes.draw(drawn, boxes, taken)
        points = [Point(peak.x, peak.y, targets[peak.target] or ACCENT) for peak in localization.peaks]
        self._points.draw(drawn, points)
        if inside is not None:
            shares = [Share(share, targets[index] or ACCENT) for index, share in inside.shares.items()]
            self._bar.draw(drawn, shares, inside.area)


def target_colors(stabilized: StabilizedFrame) -> dict[int, Rgb]:
    """Return the colors of the heat of a frame, by `Prediction.index` of what is explained.

    Returns:
        RGB, 0 to 255 each; empty where a single heatmap is shown through the color map, or in the two colors
        of evidence for and against.
    """
    if stabilized.explanation.signed:
        return {}
    colors = _heat_of(stabilized, by_confidence=False).colors
    return dict(zip(stabilized.heatmaps, colors, strict=True)) if colors else {}


def _heat_of(stabilized: StabilizedFrame, *, by_confidence: bool) -> Heat:
    """Return the heatmaps of a frame, their colors, and how opaque they are."""
    maps, region = list(stabilized.heatmaps.values()) or [_NO_HEAT], stabilized.explanation.region
    time_s = stabilized.frame.time_s
    opacities = [_confidence(stabilized, index) for index in stabilized.heatmaps] if by_confidence else []
    if stabilized.explanation.signed:
        return Heat(split_by_sign(maps[0]), (FOR_COLOR, AGAINST_COLOR), region, opacities * 2, time_s)
    if len(maps) == 1 and not any(map(object_number, stabilized.heatmaps)):
        return Heat(maps, (), region, opacities, time_s)
    # An object's color follows from its number, not from its rank.
    numbers = [object_number(index) or place + 1 for place, index in enumerate(stabilized.heatmaps)]
    colors = [PALETTE[(number - 1) % len(PALETTE)] for number in numbers]
    return Heat(maps, colors, region, opacities, time_s)


def _confidence(stabilized: StabilizedFrame, index: int) -> float:
    """Return the probability of a target, from 0 to 1; that on the label, which is smoothed, if it has one.

    A target that has no probability is as good as certain.
    """
    predictions = [one for one in (*stabilized.labels, *stabilized.targets) if one.index == index]
    if not predictions or is_value_alone(predictions[0]):
        return 1.0
    probability = predictions[0].probability
    return 0.0 if math.isnan(probability) else min(max(probability, 0.0), 1.0)


def _color_instances(
    instances: Sequence[Instance], targets: Sequence[Prediction], colors: Sequence[Rgb]
) -> list[ColoredInstance]:
    """Give each object its own color or its class's; those that are explained come last, and so on top."""
    explained = _class_colors(targets, colors)
    colored = []
    for place, instance in enumerate(instances):
        key = as_target(instance, place).index
        key = key if key in explained else instance.class_index
        color = (explained[key] or ACCENT) if key in explained else PLAIN_COLOR
        figure = format_percentage(instance.score)
        colored.append((key in explained, ColoredInstance(instance, color, figure)))
    return [one for _, one in sorted(colored, key=lambda pair: pair[0])]


def listed_labels(stabilized: StabilizedFrame) -> Sequence[Prediction]:
    """Return the classes to list; where each object is explained, only those of objects that were found."""
    if any(object_number(target.index) is None for target in stabilized.targets):
        return stabilized.labels
    found = {instance.class_index for instance in stabilized.instances}
    return [label for label in stabilized.labels if label.index in found]


def _list_labels(
    labels: Sequence[Prediction], targets: Sequence[Prediction], colors: Sequence[Rgb]
) -> list[LabelLine]:
    """List the most probable classes, and the explained ones that are not among them.

    Where no labels are asked for, there are none. Objects have their labels on their boxes.
    """
    if not labels:
        return []
    explained = {target.index: target for target in targets if object_number(target.index) is None}
    listed = {label.index: label for label in labels}
    listed |= {index: target for index, target in explained.items() if index not in listed}
    class_colors = _class_colors(targets, colors)
    return [
        LabelLine(
            explained.get(index, prediction).label,
            None if index < 0 or is_value_alone(prediction) else prediction.probability,
            value=prediction.value,
            marked=index in explained,
            color=class_colors.get(index),
        )
        for index, prediction in listed.items()
    ]


def _class_colors(targets: Sequence[Prediction], colors: Sequence[Rgb]) -> dict[int, Rgb | None]:
    """Map each target to its color; to None if a single class is shown through the color map."""
    if not colors:
        return dict.fromkeys(target.index for target in targets)
    return dict(zip((target.index for target in targets), colors, strict=True))
