"""Explanations of frames: predictions, detected objects, raw maps and stabilized heatmaps."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from streamcam.empty_maps import NOTHING_FOUND
from streamcam.frames import FloatArray, Frame, Region

if TYPE_CHECKING:
    import av

    from streamcam.overlay import OverlaySettings

UNTRUSTED_METHODS: dict[str, str] = {
    "guided-backprop": "Guided backpropagation acts as an edge detector: not to be trusted as an explanation",
    "guided-gradcam": "Guided Grad-CAM draws what an edge detector does: not to be trusted as an explanation",
}
"""Name of a method whose maps look better than they are → the warning."""

RATHER_THAN = " rather than "
"""Stands in the label of a target that is explained against another class, between the two."""

_FIRST_OBJECT = -1000
"""`Prediction.index` of the object number 0; concepts and custom targets lie above."""

_FIRST_CONCEPT = -500
"""`Prediction.index` of the first concept, the second has one less; custom targets lie above."""


@dataclasses.dataclass(frozen=True, slots=True)
class Prediction:
    """One class with its probability, one object with its score, or one number of a regressor."""

    index: int
    """The class's index in the network's output; negative for a custom target or an object."""
    label: str
    probability: float
    """From 0 to 1; NaN for a custom target or a number of a regressor, which have none."""
    value: float | None = None
    """The number that a regressor answers, or how similar the image is to a text; None for other classes."""

    @classmethod
    def of(
        cls, index: int, label: str, score: float, *, is_value: bool, value: float | None = None
    ) -> Prediction:
        """Return the prediction of a class with its probability, or of a number that is a value.

        Args:
            index: The class's index.
            label: Its name.
            score: The probability, or the value.
            is_value: Whether it is a value.
            value: The value that goes with a probability, if one does.
        """
        return cls(index, label, math.nan, score) if is_value else cls(index, label, score, value)


def whole_percents(probability: float) -> int:
    """Return the percentage that is shown for a probability: 0 below one percent, and for NaN."""
    return 0 if not probability >= 0.01 else math.floor(100 * min(probability, 1.0) + 0.5)


def is_value_alone(prediction: Prediction) -> bool:
    """Return whether a prediction has a value and no probability; a failed network has neither."""
    return prediction.value is not None and math.isnan(prediction.probability)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """One object that a network found in a frame."""

    class_index: int
    """Index of the object's class among the network's labels."""
    label: str
    score: float
    """The network's confidence, from 0 to 1."""
    box: tuple[float, float, float, float]
    """Left, top, right and bottom edge, as fractions of the frame's width and height."""
    mask: NDArray[np.bool_] | None = None
    """Which part of the box belongs to the object, bool (h, w), at any resolution; None if unknown."""
    track_id: int | None = None
    """Identifies the same object in every frame, from 1; None if objects are not tracked."""
    is_region: bool = False
    """Whether it is all of a class in the frame, as segmenters tell, rather than one object."""


def object_number(index: int) -> int | None:
    """Return the number of the object that an index of a target stands for, from 1; None for a class."""
    return _FIRST_OBJECT - index if index < _FIRST_OBJECT else None


def is_concept(index: int) -> bool:
    """Return whether an index of a target stands for a concept of the video rather than a class."""
    return _FIRST_OBJECT < index <= _FIRST_CONCEPT


def as_concept(place: int, name: str) -> Prediction:
    """Return a concept as something that is explained.

    Args:
        place: Which of the concepts, from 0.
        name: The class that it speaks for.
    """
    return Prediction(_FIRST_CONCEPT - place, name, math.nan)


def as_target(instance: Instance, place: int) -> Prediction:
    """Return an object as something that is explained.

    Args:
        instance: The object.
        place: Its index among the objects of its frame, which numbers objects that are not tracked, from 1.
    """
    number = instance.track_id if instance.track_id is not None else place + 1
    return Prediction(_FIRST_OBJECT - number, f"{instance.label} #{number}", instance.score)


def renumber_objects(explanation: Explanation, numbers: Mapping[int, int]) -> Explanation:
    """Return an explanation with other numbers for its objects.

    Args:
        explanation: The explanation.
        numbers: Number of an object → the one that it gets; others keep theirs.
    """
    changed = tuple(
        dataclasses.replace(one, track_id=numbers.get(one.track_id or 0, one.track_id))
        for one in explanation.instances
    )
    targets = {
        as_target(before, place).index: as_target(after, place)
        for place, (before, after) in enumerate(zip(explanation.instances, changed, strict=True))
    }

    def index_of(index: int) -> int:
        return targets[index].index if index in targets else index

    return dataclasses.replace(
        explanation,
        instances=changed,
        heatmaps={index_of(index): heatmap for index, heatmap in explanation.heatmaps.items()},
        targets=tuple(targets.get(target.index, target) for target in explanation.targets),
        opposites={index_of(index): heatmap for index, heatmap in explanation.opposites.items()},
        flags={index_of(index): why for index, why in explanation.flags.items()},
    )


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """Where the network looked in one frame, and what it predicted.

    A frame that was skipped has an explanation too, with no maps, targets or predictions.
    """

    frame_index: int
    """`Frame.index` of the explained frame."""
    heatmaps: Mapping[int, FloatArray]
    """Index of each target → raw map, float32 (h, w), finite, at the target layer's resolution.

    Raw maps are not normalized: their strength is comparable between frames, and scaling happens once,
    after smoothing. They are non-negative unless `signed`.
    """
    targets: tuple[Prediction, ...]
    """The explained classes or objects, in the order of `heatmaps`; not necessarily among `predictions`.
    Empty where each object is explained and there is none."""
    predictions: tuple[Prediction, ...]
    """The most probable classes of this frame alone, best first."""
    method: str
    target_layer: str
    region: Region
    """The part of the frame that the maps cover."""
    opposites: Mapping[int, FloatArray] = dataclasses.field(default_factory=dict)
    """Index of each target that is explained against another class → what speaks for that one rather than the
    target, as a raw map, where the method knows that; the signed map itself, if `signed`, holds both."""
    flags: Mapping[int, str] = dataclasses.field(default_factory=dict)
    """Index of a target → why its map shows nothing, a key of `streamcam.empty_maps.EMPTY_MAPS`; only for
    maps that do."""
    signed: bool = False
    """Whether negative values are kept as evidence against the class."""
    hidden: float = 0.0
    """Of a regressor, the largest share of a map's evidence that lowers the value and is therefore not in the
    map, 0 to 1; 0 if `signed`."""
    starts_shot: bool = False
    """Whether a new shot begins with this frame."""
    smoothed_predictions: tuple[Prediction, ...] = ()
    """The most probable classes smoothed in time, best first; empty without a `Tracker`."""
    thumbnail: NDArray[np.uint8] | None = dataclasses.field(default=None, repr=False)
    """A small gray image of the whole frame, uint8 (h, w), for finding cuts and motion."""
    instances: tuple[Instance, ...] = ()
    """The objects found, if the network finds objects."""
    probabilities: FloatArray | None = dataclasses.field(default=None, repr=False)
    """Probability of every class in this frame alone, or the values of a regressor, float32 (classes,); None
    if the frame was skipped."""
    pane: str = ""
    """Its name among several that are compared."""
    others: tuple[Explanation, ...] = ()
    """Of several explanations of the frame that are compared, those after this one."""

    def __post_init__(self) -> None:
        if [target.index for target in self.targets] != list(self.heatmaps):
            raise ValueError("targets and heatmaps must name the same classes in the same order")
        for index, heatmap in self.heatmaps.items():
            if heatmap.ndim != 2 or heatmap.dtype != np.float32:
                raise ValueError(
                    f"the map of class {index} is {heatmap.dtype} {heatmap.shape}, not float32 (h, w)"
                )

    def __repr__(self) -> str:
        targets = ", ".join(target.label for target in self.targets)
        return (
            f"Explanation(frame_index={self.frame_index}, method={self.method!r}, targets=[{targets}], "
            f"heatmaps={_shapes_of(self.heatmaps)}, instances={len(self.instances)})"
        )

    @property
    def is_explained(self) -> bool:
        """Whether the frame was explained rather than skipped."""
        return bool(self.heatmaps or self.predictions)

    @property
    def warning(self) -> str:
        """A sentence that must stand beside the maps; empty if none."""
        return UNTRUSTED_METHODS.get(self.method, "")

    @property
    def panes(self) -> tuple[Explanation, ...]:
        """This explanation by itself, and the others of the frame that it is compared with."""
        return (dataclasses.replace(self, others=()), *self.others)

    @property
    def emptiness(self) -> str | None:
        """Why no map of the frame shows anything, a key of `EMPTY_MAPS`; None if one does, or if skipped."""
        if len(self.flags) < len(self.heatmaps):
            return None
        if self.others and None in (other.emptiness for other in self.others):
            return None
        if self.is_explained and not self.heatmaps:  # each object is explained, and there is none
            return NOTHING_FOUND
        return next(iter(self.flags.values()), None)

    def draw(self, image: Any, settings: OverlaySettings | None = None) -> NDArray[np.uint8]:
        """Draw heat, labels and boxes onto the image that was explained.

        Args:
            image: The image, in any form that `Explainer.explain` takes: RGB, uint8 (H, W, 3); a PIL image; a
                tensor (3, H, W), uint8 or float 0 to 1; or the path of a file.
            settings: What to draw, and how; the defaults if None.

        Returns:
            RGB, uint8 (H, W, 3); the image itself is not changed.

        Raises:
            InvalidArgumentError: if it is no image, or a setting cannot be used.
            SourceError: if the file cannot be read.
        """
        # Imported late: both import this module, which needs them only for drawing.
        from streamcam.overlay.single_image import draw_explanation
        from streamcam.sources.given_images import frame_of

        return draw_explanation(self, frame_of(image), settings)

    def _repr_html_(self) -> str:
        """Show heatmaps and predictions in a notebook."""
        from streamcam.overlay.single_image import describe_as_html

        return describe_as_html(self)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class HeatBox:
    """A box around one connected area of a heatmap."""

    target: int
    """Index of the target whose heat it is."""
    instance: Instance
    """The class or object explained there: its place is that of the heat, its number holds over time, and its
    score is the network's confidence in it, NaN for a target that has none."""
    share: float
    """Share of the heat in the frame that lies inside the box, 0 to 1."""


@dataclasses.dataclass(frozen=True, slots=True)
class HeatPeak:
    """A place where a heatmap is strongest."""

    target: int
    """Index of the target whose heat it is."""
    label: str
    x: float
    """From the left edge, as a fraction of the frame's width."""
    y: float
    """From the upper edge, as a fraction of the frame's height."""
    strength: float
    """The displayed heat there, 0 to 1."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class HeatInside:
    """How much of a frame's heat lies in the region of interest."""

    mask: NDArray[np.bool_]
    """The region, bool (h, w), at any resolution, evenly on the frame."""
    area: float
    """Share of the frame that it covers, 0 to 1."""
    shares: Mapping[int, float]
    """Index of each target that has heat → share of its heat inside, 0 to 1."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Localization:
    """Where the displayed heat of a frame lies."""

    boxes: tuple[HeatBox, ...] | None = None
    """Boxes around it, of each target the largest first; None if they were not looked for."""
    peaks: tuple[HeatPeak, ...] = ()
    """Its strongest places; of each target the strongest first."""
    inside: HeatInside | None = None
    """How much of it lies in the region of interest; None if there is no region."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class StabilizedFrame:
    """A frame with the heatmaps, labels and objects to draw on it."""

    frame: Frame
    heatmaps: Mapping[int, FloatArray]
    """Index of each target → heatmap, float32 (h, w), from 0 (none) to 1 (strongest), or from -1 if signed.

    At the raw maps' resolution, or finer if heat follows motion; empty before the first explanation, and
    where each object is explained and there is none.
    """
    targets: tuple[Prediction, ...]
    """The classes of the heatmaps, in the order of `heatmaps`."""
    labels: tuple[Prediction, ...]
    """The classes to list, best first."""
    explanation: Explanation
    """The frame's own explanation, with the region that the heatmaps cover; without raw maps if skipped."""
    instances: tuple[Instance, ...] = ()
    """The objects to draw; those of the last explained frame if this one was skipped."""
    others: tuple[StabilizedFrame, ...] = ()
    """The same frame with the explanations that are compared with this one, as in `Explanation.others`."""
    localization: Localization | None = None
    """Where the heat lies, if that was asked for."""

    @property
    def annotations(self) -> tuple[Instance, ...]:
        """The objects to write as annotations: boxes around the heat if asked for, else what was found."""
        if self.localization is None or self.localization.boxes is None:
            return self.instances
        return tuple(box.instance for box in self.localization.boxes)

    def __repr__(self) -> str:
        labels = ", ".join(label.label for label in self.labels)
        maps = _shapes_of(self.heatmaps)
        return f"StabilizedFrame(frame_index={self.frame.index}, labels=[{labels}], heatmaps={maps})"


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class RenderedFrame:
    """A finished image on its way to an output, with everything that was drawn onto it."""

    image: av.VideoFrame
    """The frame with heat and labels drawn on it: planar YUV, 4:2:0, 4:2:2 or 4:4:4, of 8 or 10 bits, with
    alpha as a fourth plane where that is kept."""
    pts: int
    """Presentation time in units of `time_base`."""
    time_base: Fraction
    """Seconds per unit of `pts`."""
    stabilized: StabilizedFrame | None = None
    """The heatmaps, labels and explanation behind the image; None if nothing was drawn on it."""
    duration: int = 0
    """How long it is shown, in units of `time_base`; 0 if unknown: until the next one."""

    @property
    def time_s(self) -> float:
        """Presentation time in seconds."""
        return float(self.pts * self.time_base)


def _shapes_of(heatmaps: Mapping[int, FloatArray]) -> str:
    """Describe maps by their shapes: ``{281: 7x12}``."""
    shapes = (f"{index}: {heatmap.shape[0]}x{heatmap.shape[1]}" for index, heatmap in heatmaps.items())
    return f"{{{', '.join(shapes)}}}"
