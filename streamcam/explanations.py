"""Where a network looked in a frame, and what it saw there: predictions, raw maps, stabilized heat."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from streamcam.frames import FloatArray, Frame, Region

if TYPE_CHECKING:
    import av

NOT_FINITE = "not finite"
"""The flag of a map that could not be computed."""


@dataclasses.dataclass(frozen=True, slots=True)
class Prediction:
    """One class and how probable the network holds it to be."""

    index: int
    """The class's index in the network's output; negative for a function of the caller's own."""
    label: str
    probability: float
    """0 to 1; NaN where what is explained is no class."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """One object that a network found in a frame."""

    class_index: int
    """The object's class: its index among the network's labels."""
    label: str
    score: float
    """How certain the network is, 0 to 1."""
    box: tuple[float, float, float, float]
    """Left, top, right and bottom edge, as fractions of the frame's width and height."""
    mask: NDArray[np.bool_] | None = None
    """Which part of the box is the object, bool (h, w), of any resolution; None where that is not known."""
    track_id: int | None = None
    """The same for one object in every frame; None where objects are not tracked."""


@dataclasses.dataclass(frozen=True, slots=True)
class Explanation:
    """Where the network looked in one frame, and what it saw there.

    A frame that was left out has an explanation too, without maps, targets and predictions.
    """

    frame_index: int
    """`Frame.index` of the frame explained."""
    heatmaps: Mapping[int, FloatArray]
    """Class index → raw map, float32 (h, w), finite, at the target layer's own resolution.

    Not normalised: strength is comparable between frames, and scaling happens once, after smoothing.
    Non-negative, unless evidence against the class was asked for.
    """
    targets: tuple[Prediction, ...]
    """The classes explained, in the order of `heatmaps`; not necessarily among the best."""
    predictions: tuple[Prediction, ...]
    """The most probable classes, best first."""
    method: str
    target_layer: str
    region: Region
    """What part of the frame the maps cover."""
    flags: Mapping[int, str] = dataclasses.field(default_factory=dict)
    """Class index → why its map is all zeros, where it is."""
    signed: bool = False
    """Whether maps keep evidence against the class, as negative values."""
    cut: bool = False
    """Whether another shot begins with this frame."""
    shown: tuple[Prediction, ...] = ()
    """The most probable classes stabilized in time, best first; empty where nobody follows the video."""
    view: NDArray[np.uint8] | None = dataclasses.field(default=None, repr=False, compare=False)
    """A small grey image of the whole frame, uint8 (h, w), to see cuts and motion in."""

    instances: tuple[Instance, ...] = ()
    """The objects found, where the network finds objects."""

    def __post_init__(self) -> None:
        if [target.index for target in self.targets] != list(self.heatmaps):
            raise ValueError("targets and heatmaps must name the same classes in the same order")
        for index, heatmap in self.heatmaps.items():
            if heatmap.ndim != 2 or heatmap.dtype != np.float32:
                raise ValueError(
                    f"the map of class {index} is {heatmap.dtype} {heatmap.shape}, not float32 (h, w)"
                )

    @property
    def is_explained(self) -> bool:
        """Whether the frame was explained rather than left out."""
        return bool(self.heatmaps)


@dataclasses.dataclass(frozen=True, slots=True)
class StabilizedFrame:
    """What is shown of one frame: heat and labels after the temporal stage."""

    frame: Frame
    heats: Mapping[int, FloatArray]
    """Class index → float32 (h, w), 0 (none) to 1 (strongest); -1 to 1 where evidence against is kept.

    As fine as the raw maps, or finer where heat follows motion; empty before the first explanation.
    """
    targets: tuple[Prediction, ...]
    """The classes whose heat it is, in the order of `heats`."""
    labels: tuple[Prediction, ...]
    """The classes to be listed, best first."""
    explanation: Explanation
    """The frame's own explanation, with the region that the heat covers; its maps are raw, or left out."""


@dataclasses.dataclass(frozen=True, slots=True)
class RenderedFrame:
    """A finished image on its way to an output, with everything that was drawn onto it."""

    image: av.VideoFrame
    """The frame with heat and labels drawn on it: planar YUV, 4:2:0, 4:2:2 or 4:4:4, of 8 or 10 bits."""
    pts: int
    """Presentation time in units of `time_base`."""
    time_base: Fraction
    """Seconds per unit of `pts`."""
    stabilized: StabilizedFrame | None = None
    """The heat, labels and explanation behind the image; None for an image with nothing drawn on it."""

    @property
    def time_s(self) -> float:
        """Presentation time in seconds."""
        return float(self.pts * self.time_base)
