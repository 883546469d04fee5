"""Verdicts: how much of each class rests on the object, and how much on the rest, in figures and in words."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

OBJECT_SCORE, BACKGROUND_SCORE = 0.6, 0.4
"""From the one up a class rests on the object, from the other down it leans on the background."""

LEAST_RETAINED = 0.1
"""Where neither part keeps this share of the probability, a class needs both."""


def score_of(on_object: float, on_background: float) -> float:
    """Return a score from 0, all on the background, to 1, all on the object; 0.5 if either does as well.

    Args:
        on_object: Share of the probability that the object alone keeps.
        on_background: Share that the background alone keeps.
    """
    both = on_object + on_background
    return on_object / both if both > 0 else 0.5


@dataclasses.dataclass(frozen=True, slots=True)
class HeatShare:
    """How much of the heat lies in a part of the frame; means over frames."""

    inside: float
    """Share of the heat, 0 to 1."""
    area: float
    """Share of the frame that the part covers, 0 to 1."""


@dataclasses.dataclass(frozen=True, slots=True)
class ClassAudit:
    """The figures of one class."""

    index: int
    label: str
    frames: int
    """In how many of the frames it was explained."""
    probability: float
    """Its mean probability in them."""
    heat: HeatShare
    """Its heat inside the region."""
    without_background: Mapping[str, float]
    """Name in `INTERVENTIONS` → mean share of the probability that is left when the background is changed."""
    without_object: Mapping[str, float]
    """The same when the object is changed, and the background stays."""
    lowest_s: float
    """Time of the frame with the least heat inside, in seconds."""
    center: HeatShare
    """Its heat in the middle half of both sides, against the border."""
    motion: HeatShare | None = None
    """Its heat on what has changed since the frame before; None if nothing has in any of the frames."""

    @property
    def on_object(self) -> float:
        """Share of the probability that the object alone keeps, whatever is done to the background."""
        return min(self.without_background.values())

    @property
    def on_background(self) -> float:
        """Share of the probability that the background alone keeps, whatever is done to the object."""
        return min(self.without_object.values())

    @property
    def score(self) -> float:
        """From 0, all on the background, to 1, all on the object; 0.5 if either does as well."""
        return score_of(self.on_object, self.on_background)

    @property
    def verdict(self) -> str:
        """The figures in words."""
        if max(self.on_object, self.on_background) < LEAST_RETAINED:
            return "needs object and background together"
        if self.score >= OBJECT_SCORE:
            return "rests on the object"
        if self.score <= BACKGROUND_SCORE:
            return "leans on the background"
        return "is recognized by the background alone as well as by the object alone"

    @property
    def sentence(self) -> str:
        """The verdict with its figures."""
        return (
            f"{self.label} {self.verdict}: {self.on_object:.0%} of its probability is left with another "
            f"background, and {self.on_background:.0%} without the object"
        )

    @property
    def whereabouts(self) -> str:
        """Where its heat lies, in words."""
        moves = ""
        if self.motion is not None:
            moves = f", and {self.motion.inside:.0%} on what moves ({self.motion.area:.0%})"
        return (
            f"{self.heat.inside:.0%} of its heat is inside the region ({self.heat.area:.0%} of the frame), "
            f"{self.center.inside:.0%} in the center ({self.center.area:.0%}){moves}"
        )


@dataclasses.dataclass(frozen=True, slots=True)
class SceneAudit:
    """The figures of one shot."""

    begin_s: float
    end_s: float
    """Time of its last frame."""
    classes: tuple[ClassAudit, ...]
    """The class in most frames first."""


@dataclasses.dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a frame, as it is or changed."""

    name: str
    """As in ``"heat"`` and ``"background blurred"``."""
    probability: float
    """Of the class in it, 0 to 1."""
    jpeg: bytes = dataclasses.field(repr=False)
    """A JPEG file."""


@dataclasses.dataclass(frozen=True, slots=True)
class WorstFrame:
    """The frame of a shot in which a class leans on the background most."""

    label: str
    time_s: float
    score: float
    """As `ClassAudit.score`, of this frame alone."""
    pictures: tuple[Picture, ...]
    """The frame with heat and the region's outline first, then changed in every way."""


@dataclasses.dataclass(frozen=True, slots=True)
class AuditResult:
    """The outcome of an audit."""

    input: str
    model: str
    method: str
    roi: str
    classes: tuple[ClassAudit, ...]
    """The class in most frames first."""
    scenes: tuple[SceneAudit, ...]
    """The same by shot; those without any of the frames are left out."""
    worst: tuple[WorstFrame, ...]
    """Of each class and shot, the one with the lowest score first."""
    notes: tuple[str, ...] = ()
    """Sentences about frames that were left out, and why."""

    @property
    def score(self) -> float:
        """The lowest of the classes' scores."""
        return min(each.score for each in self.classes)
