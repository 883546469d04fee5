"""The audit of a network on a video: how much of each class rests on the object, and how much on the rest."""

from __future__ import annotations

import dataclasses
import logging
import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from streamcam.audits.interventions import INTERVENTIONS
from streamcam.errors import InvalidArgumentError
from streamcam.explain import Explainer
from streamcam.explain.targets import Target
from streamcam.explanations import Explanation, StabilizedFrame
from streamcam.frames import Frame
from streamcam.localization.grid import place_on_frame
from streamcam.localization.regions import MOTION, RegionOfInterest, read_region
from streamcam.localization.shares import share_inside
from streamcam.media.images import ByteArray
from streamcam.media.scaling import Resampler
from streamcam.sources import Location, Source, SourceSettings, open_source

OBJECT_SCORE, BACKGROUND_SCORE = 0.6, 0.4
"""From the one up a class rests on the object, from the other down it leans on the background."""

LEAST_RETAINED = 0.1
"""Where neither part keeps this share of the probability, a class needs both."""

_LEAST_PROBABILITY = 0.05
"""A class that is less probable than this has nothing to lose, and its frame is left out."""

_log = logging.getLogger("streamcam.audits")


@dataclasses.dataclass(frozen=True, slots=True)
class AuditSettings:
    """How an audit looks at a video."""

    roi: str = "center"
    """Where the object is: a region as in `LocalizationSettings.roi`."""
    frames: int = 12
    """How many frames are looked at, evenly over the video."""
    source: SourceSettings = dataclasses.field(default_factory=SourceSettings)
    """How the input is read."""

    def check(self) -> None:
        """Check the settings.

        Raises:
            InvalidArgumentError: naming the first that cannot be used.
        """
        if self.frames < 1:
            raise InvalidArgumentError(f"`frames` counts from 1, not {self.frames}")
        if self.roi == MOTION:
            raise InvalidArgumentError("`roi` motion compares neighboring frames; an audit takes single ones")


@dataclasses.dataclass(frozen=True, slots=True)
class ClassAudit:
    """The figures of one class."""

    index: int
    label: str
    frames: int
    """In how many of the frames it was explained."""
    probability: float
    """Its mean probability in them."""
    inside: float
    """Mean share of its heat inside the region, 0 to 1."""
    area: float
    """Mean share of the frame that the region covers, 0 to 1."""
    without_background: Mapping[str, float]
    """Name in `INTERVENTIONS` → mean share of the probability that is left when the background is changed."""
    without_object: Mapping[str, float]
    """The same when the object is changed, and the background stays."""
    lowest_s: float
    """Time of the frame with the least heat inside, in seconds."""

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
        both = self.on_object + self.on_background
        return self.on_object / both if both > 0 else 0.5

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


@dataclasses.dataclass(frozen=True, slots=True)
class AuditResult:
    """The outcome of an audit."""

    input: str
    model: str
    method: str
    roi: str
    classes: tuple[ClassAudit, ...]
    """The class in most frames first."""

    @property
    def score(self) -> float:
        """The lowest of the classes' scores."""
        return min(each.score for each in self.classes)


@dataclasses.dataclass(slots=True)
class _Tally:
    """The findings about one class, a value for each frame."""

    label: str
    probabilities: list[float] = dataclasses.field(default_factory=list)
    insides: list[tuple[float, float]] = dataclasses.field(default_factory=list)
    """Share of the heat inside, and the frame's time."""
    areas: list[float] = dataclasses.field(default_factory=list)
    retained: dict[tuple[str, bool], list[float]] = dataclasses.field(default_factory=dict)
    """Name of the intervention, and whether the object stayed → shares of the probability that were left."""


def audit(
    source: Location | Source,
    explainer: Explainer,
    settings: AuditSettings,
    *,
    on_progress: Callable[[int, int], None] = lambda _done, _count: None,
) -> AuditResult:
    """Find out whether the classes of a video rest on the object or on the background.

    The heat says where to look, and interventions say what it is worth: the background is blurred, replaced,
    shuffled and inpainted while the object stays, then the other way round, and the class's probability is
    read again. Per class, the most harmful intervention of each kind counts.

    Args:
        source: The video or image.
        explainer: Its network has probabilities, and takes single images.
        settings: Where the object is, and how many frames are looked at.
        on_progress: Called after every frame with how many are done, and how many there are.

    Raises:
        StreamcamError: one of its children, if the input cannot be read, the region does not fit it, the
            network has no probabilities, or no frame has both the region and a class.
    """
    settings.check()
    if explainer.model.answers_values or explainer.model.clip_length > 1:
        kind = "numbers" if explainer.model.answers_values else "clips"
        raise InvalidArgumentError(
            f"{explainer.model.name} works on {kind}; an audit compares the probabilities of single images"
        )
    if not isinstance(source, Source):
        source = open_source(source, settings.source)
    with source:
        if source.is_live:
            raise InvalidArgumentError(f"{source.info.name!r} is live and has no end; record it first")
        region = read_region(settings.roi, source.info)
        frames = _spread(source, settings.frames)
    tallies: dict[int, _Tally] = {}
    for done, frame in enumerate(frames, 1):
        _look_at(frame, explainer, region, tallies)
        on_progress(done, len(frames))
    classes = [_conclude(index, tally) for index, tally in tallies.items() if tally.retained]
    if not classes:
        raise InvalidArgumentError(
            f"no frame of {source.info.name!r} has both the region {settings.roi} and a class with heat and "
            f"a probability of {_LEAST_PROBABILITY:.0%} or more"
        )
    classes.sort(key=lambda each: -each.frames)
    name, method = explainer.model.name, explainer.method
    return AuditResult(source.info.name, name, method, settings.roi, tuple(classes))


def _spread(source: Source, count: int) -> list[Frame]:
    """Return frames that lie evenly over a source, however many it turns out to have."""
    kept: list[Frame] = []
    step = 1
    for number, frame in enumerate(source):
        if number % step:
            continue
        kept.append(frame)
        if len(kept) >= 4 * count:
            kept, step = kept[::2], 2 * step
    if len(kept) <= count:
        return kept
    return [kept[round((place + 0.5) * len(kept) / count - 0.5)] for place in range(count)]


def _look_at(
    frame: Frame, explainer: Explainer, region: RegionOfInterest, tallies: dict[int, _Tally]
) -> None:
    explanation = explainer.explain_frames([frame])[0]
    stabilized = StabilizedFrame(
        frame, explanation.heatmaps, explanation.targets, (), explanation, explanation.instances
    )
    size = (frame.image.width, frame.image.height)
    mask = region.mask(stabilized, (size[1], size[0]))
    if mask is None or mask.all() or not mask.any():
        return
    image = Resampler().to_shown(frame.image)[..., :3]
    for target in explanation.targets:
        grid = place_on_frame(explanation.heatmaps[target.index], explanation.region, size)
        probability = _finite(target.probability)
        if target.index < 0 or probability < _LEAST_PROBABILITY or not grid.max() > 0:
            _log.debug("frame %d: %s has no probability or no heat", frame.index, target.label)
            continue
        cells = region.mask(stabilized, (grid.shape[0], grid.shape[1]))
        assert cells is not None, "the frame has a region"
        tally = tallies.setdefault(target.index, _Tally(target.label))
        tally.probabilities.append(probability)
        tally.insides.append((share_inside(grid, cells), frame.time_s))
        tally.areas.append(float(cells.mean()))
        one_class = explainer.with_targets([Target(class_index=target.index)])
        for key, changed in _change(image, mask):
            after = _probability_of(one_class.explain(changed)[0], target.index)
            tally.retained.setdefault(key, []).append(min(1.0, after / probability))


def _change(image: ByteArray, mask: NDArray[np.bool_]) -> Iterator[tuple[tuple[str, bool], ByteArray]]:
    """Yield an image with its background changed, then with its object changed, in every way."""
    for keeps_object, part in ((True, ~mask), (False, mask)):
        for name, intervene in INTERVENTIONS.items():
            yield (name, keeps_object), intervene(image, part)


def _probability_of(explanation: Explanation, index: int) -> float:
    """Return the probability of an explained class; 0 if it is not there."""
    found = [target.probability for target in explanation.targets if target.index == index]
    return _finite(found[0]) if found else 0.0


def _finite(probability: float) -> float:
    return probability if math.isfinite(probability) else 0.0


def _conclude(index: int, tally: _Tally) -> ClassAudit:
    def retained(keeps_object: bool) -> dict[str, float]:
        return {name: _mean(tally.retained[name, keeps_object]) for name in INTERVENTIONS}

    return ClassAudit(
        index,
        tally.label,
        frames=len(tally.probabilities),
        probability=_mean(tally.probabilities),
        inside=_mean([share for share, _ in tally.insides]),
        area=_mean(tally.areas),
        without_background=retained(True),
        without_object=retained(False),
        lowest_s=min(tally.insides)[1],
    )


def _mean(values: Sequence[float]) -> float:
    return statistics.fmean(values)
