"""The audit of a network on a video: its probabilities with the object or the background changed."""

from __future__ import annotations

import dataclasses
import logging
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from streamcam.audits.interventions import INTERVENTIONS
from streamcam.audits.pictures import draw_heat, encode_picture
from streamcam.audits.verdicts import (
    AuditResult,
    ClassAudit,
    HeatShare,
    Picture,
    SceneAudit,
    WorstFrame,
    score_of,
)
from streamcam.errors import InvalidArgumentError
from streamcam.explain.finite_answers import check_finite_answers
from streamcam.explain.targets import Target
from streamcam.explanations import Explanation, Prediction, StabilizedFrame
from streamcam.frames import FloatArray
from streamcam.localization.grid import place_on_frame
from streamcam.localization.motion import find_motion
from streamcam.localization.polygons import Mask
from streamcam.localization.regions import CENTER, CLASS, MOTION, FramesRegion, RegionOfInterest, read_region
from streamcam.localization.shares import share_inside
from streamcam.media.images import ByteArray
from streamcam.media.scaling import Resampler
from streamcam.models.kinds import check_takes_images
from streamcam.sources import Location, Source, SourceSettings, open_source
from streamcam.sources.given_images import frames_of
from streamcam.temporal.sampling import SampledFrame, Shot, sample_frames

if TYPE_CHECKING:
    from streamcam.explain import Explainer
    from streamcam.explain.compiled.explainer import CompiledExplainer
    from streamcam.explain.compiled.record import CompiledModel
    from streamcam.models import Model

_LEAST_PROBABILITY = 0.05
"""A class that is less probable than this has nothing to lose, and its frame is left out."""

_log = logging.getLogger("streamcam.audits")


@dataclasses.dataclass(frozen=True, slots=True)
class AuditSettings:
    """How an audit looks at a video."""

    roi: str = CENTER
    """Where the object is: a region as in `LocalizationSettings.roi`."""
    frames: int = 12
    """How many frames are looked at, evenly over the video, some of every shot where that is possible."""
    source: SourceSettings = dataclasses.field(default_factory=SourceSettings)
    """How the input is read."""

    def check(self) -> None:
        """Check the settings.

        Raises:
            InvalidArgumentError: naming the first that cannot be used.
        """
        if self.frames < 1:
            raise InvalidArgumentError(f"`frames` counts from 1, not {self.frames}")


@dataclasses.dataclass(slots=True)
class _Finding:
    """One frame's figures of one class."""

    target: Prediction
    shot: int
    time_s: float
    heat: HeatShare
    center: HeatShare
    motion: HeatShare | None
    retained: dict[tuple[str, bool], float]
    """Name of the intervention, and whether the object stayed → share of the probability that was left."""

    @property
    def score(self) -> float:
        least = {
            stays: min(left for (_, each), left in self.retained.items() if each is stays)
            for stays in (True, False)
        }
        return score_of(least[True], least[False])


def audit(
    source: Location | Source,
    explainer: Explainer | CompiledExplainer,
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
        explainer: Its network has probabilities, and takes single images; exported ones from
            `streamcam.open_explainer`, too.
        settings: Where the object is, and how many frames are looked at.
        on_progress: Called after every frame with how many are done, and how many there are.

    Raises:
        StreamcamError: one of its children, if the input cannot be read, the region does not fit it, the
            network has no probabilities, or no frame has both the region and a class.
    """
    settings.check()
    _check_model(explainer.model, settings.roi)
    _check_method(explainer)
    if not isinstance(source, Source):
        source = open_source(source, settings.source)
    with source:
        if source.is_live:
            raise InvalidArgumentError(f"{source.info.name!r} is live and has no end; record it first")
        region = read_region(settings.roi, source.info)
        frames, shots = _sample(source, settings, region)
    findings: list[_Finding] = []
    worst: dict[tuple[int, int], WorstFrame] = {}
    left_out: Counter[str] = Counter()
    for done, sampled in enumerate(frames, 1):
        looks, reasons = _look_at(sampled, explainer, None if settings.roi == MOTION else region)
        if not looks:
            left_out[reasons[0] if reasons else "the network names no class in it"] += 1
        for finding, draw in looks:
            findings.append(finding)
            key = finding.shot, finding.target.index
            if key not in worst or finding.score < worst[key].score:
                label = finding.target.label
                worst[key] = WorstFrame(label, finding.time_s, finding.score, tuple(draw()))
        on_progress(done, len(frames))
    if not findings:
        raise InvalidArgumentError(
            f"no frame of {source.info.name!r} has both the region {settings.roi} and a class with heat and "
            f"a probability of {_LEAST_PROBABILITY:.0%} or more: {_in_words(left_out)}"
        )
    scenes = {
        shot: _conclude([each for each in findings if each.shot == shot])
        for shot in dict.fromkeys(each.shot for each in findings)
    }
    return AuditResult(
        source.info.name,
        explainer.model.name,
        explainer.method,
        settings.roi,
        classes=_conclude(findings),
        scenes=tuple(
            SceneAudit(shots[shot].begin_s, shots[shot].end_s, classes) for shot, classes in scenes.items()
        ),
        worst=tuple(sorted(worst.values(), key=lambda each: each.score)),
        notes=_note(left_out, len(frames)),
    )


def _sample(
    source: Source, settings: AuditSettings, region: RegionOfInterest
) -> tuple[list[SampledFrame], list[Shot]]:
    """Sample frames: those that a file has boxes for, or in which something moves, if that is the region."""
    if settings.roi != MOTION:
        with_boxes = region.polygons if isinstance(region, FramesRegion) else None
        return sample_frames(source, settings.frames, among=with_boxes)
    more, shots = sample_frames(source, 3 * settings.frames)
    moving = [each for each in more if _motion(each, each.thumbnail.shape) is not None] or more
    count = min(settings.frames, len(moving))
    return [moving[(2 * place + 1) * len(moving) // (2 * count)] for place in range(count)], shots


def _in_words(left_out: Counter[str]) -> str:
    return "; ".join(
        f"{reason} ({count} {'frame' if count == 1 else 'frames'})"
        for reason, count in left_out.most_common()
    )


def _note(left_out: Counter[str], frames: int) -> tuple[str, ...]:
    if not left_out:
        return ()
    return (f"{left_out.total()} of {frames} frames tell nothing: {_in_words(left_out)}",)


def _check_method(explainer: Explainer | CompiledExplainer) -> None:
    from streamcam.explain.compiled.explainer import CompiledExplainer

    if not isinstance(explainer, CompiledExplainer):  # only maps of classes are compiled
        from streamcam.explain.compatibility import check_explains_classes

        check_explains_classes(explainer.method, "an audit")


def _check_model(model: Model | CompiledModel, roi: str) -> None:
    check_takes_images(model.kind, model.name, "an audit")
    if model.answers_values:
        raise InvalidArgumentError(f"{model.name} works on numbers; an audit compares probabilities")
    if roi.startswith(CLASS) and not model.may_find_objects:
        raise InvalidArgumentError(
            f"`roi` {roi} needs objects, and {model.name} finds none; let a detector write boxes by frame "
            "with `annotations` boxes.json, and give that file"
        )


_Look = tuple[_Finding, Callable[[], Iterator[Picture]]]


def _look_at(
    sampled: SampledFrame, explainer: Explainer | CompiledExplainer, region: RegionOfInterest | None
) -> tuple[list[_Look], list[str]]:
    """Return a frame's figures of each class, with a function that draws it; and why others have none.

    Args:
        sampled: The frame.
        explainer: Explains it.
        region: Where the object is; on what moves if None.
    """
    frame = sampled.frame
    explanation = explainer.explain_frames([frame])[0]
    check_finite_answers(explanation, explainer.model.name)
    image = Resampler().to_shown(frame.image)[..., :3]
    size = (frame.image.width, frame.image.height)
    looks: list[_Look] = []
    reasons: list[str] = []
    for target in explanation.targets:
        heat = explanation.heatmaps[target.index]
        grid = place_on_frame(heat, explanation.region, size)
        probability = target.probability
        if target.index < 0 or probability < _LEAST_PROBABILITY or not grid.max() > 0:
            reasons.append(f"its class has no heat, or a probability below {_LEAST_PROBABILITY:.0%}")
            continue
        one = StabilizedFrame(frame, {target.index: heat}, (target,), (), explanation, explanation.instances)
        moving = _motion(sampled, grid.shape)
        cells = moving if region is None else region.mask(one, (grid.shape[0], grid.shape[1]))
        mask = _motion(sampled, image.shape) if region is None else region.mask(one, (size[1], size[0]))
        if mask is None or cells is None or mask.all() or not mask.any():
            reasons.append(_why_not(mask, moves=region is None))
            continue
        one_class = explainer.with_targets([Target(class_index=target.index)])
        changed = dict(_change(image, mask))
        # Not `explain`, which warns of maps that show nothing.
        answers = one_class.explain_frames(frames_of(list(changed.values())))
        for answer in answers:
            check_finite_answers(answer, explainer.model.name)
        after = {
            key: _probability_of(answer, target.index) for key, answer in zip(changed, answers, strict=True)
        }
        finding = _Finding(
            target,
            sampled.shot,
            frame.time_s,
            _share(grid, cells),
            _share(grid, _center(grid.shape)),
            None if moving is None else _share(grid, moving),
            {key: min(1.0, left / probability) for key, left in after.items()},
        )

        def draw(
            target: Prediction = target,
            mask: Mask = mask,
            changed: dict[tuple[str, bool], ByteArray] = changed,
            after: dict[tuple[str, bool], float] = after,
        ) -> Iterator[Picture]:
            shown = draw_heat(np.ascontiguousarray(image), explanation, target, mask)
            yield Picture("heat", target.probability, encode_picture(shown))
            for (name, object_stays), each in changed.items():
                part = "background" if object_stays else "object"
                yield Picture(f"{part} {name}", after[name, object_stays], encode_picture(each))

        looks.append((finding, draw))
    for reason in reasons:
        _log.debug("frame %d: %s", frame.index, reason)
    return looks, reasons


def _why_not(mask: Mask | None, *, moves: bool) -> str:
    """Say why a frame tells nothing of its region."""
    if mask is not None and mask.all():
        return "everything in it moves" if moves else "the region covers all of it, and leaves no background"
    return "nothing in it moves" if moves else "the region is not in it"


def _motion(sampled: SampledFrame, shape: Sequence[int]) -> Mask | None:
    if sampled.before is None:
        return None
    return find_motion(sampled.before, sampled.thumbnail, (shape[0], shape[1]))


def _center(shape: Sequence[int]) -> Mask:
    """Return the middle half of both sides of a grid."""
    rows, columns = shape[0], shape[1]
    mask = np.zeros((rows, columns), np.bool_)
    mask[rows // 4 : rows - rows // 4, columns // 4 : columns - columns // 4] = True
    return mask


def _share(grid: FloatArray, cells: Mask) -> HeatShare:
    return HeatShare(share_inside(grid, cells), float(cells.mean()))


def _change(image: ByteArray, mask: Mask) -> Iterator[tuple[tuple[str, bool], ByteArray]]:
    """Yield an image with its background changed, then with its object changed, in every way."""
    for object_stays, part in ((True, ~mask), (False, mask)):
        for name, intervene in INTERVENTIONS.items():
            yield (name, object_stays), intervene(image, part)


def _probability_of(explanation: Explanation, index: int) -> float:
    """Return the probability of an explained class; 0 if it is not there."""
    found = [target.probability for target in explanation.targets if target.index == index]
    return found[0] if found else 0.0


def _conclude(findings: Sequence[_Finding]) -> tuple[ClassAudit, ...]:
    """Return the figures of each class, the one in most frames first."""
    by_class: dict[int, list[_Finding]] = {}
    for finding in findings:
        by_class.setdefault(finding.target.index, []).append(finding)
    return tuple(sorted(map(_average, by_class.values()), key=lambda each: -each.frames))


def _average(findings: Sequence[_Finding]) -> ClassAudit:
    def retained(object_stays: bool) -> dict[str, float]:
        return {
            name: statistics.fmean(each.retained[name, object_stays] for each in findings)
            for name in INTERVENTIONS
        }

    moving = [each.motion for each in findings if each.motion is not None]
    first = findings[0].target
    return ClassAudit(
        first.index,
        first.label,
        frames=len(findings),
        probability=statistics.fmean(each.target.probability for each in findings),
        heat=_mean([each.heat for each in findings]),
        without_background=retained(True),
        without_object=retained(False),
        lowest_s=min(findings, key=lambda each: each.heat.inside).time_s,
        center=_mean([each.center for each in findings]),
        motion=_mean(moving) if moving else None,
    )


def _mean(shares: Sequence[HeatShare]) -> HeatShare:
    return HeatShare(
        *(statistics.fmean(values) for values in zip(*map(dataclasses.astuple, shares), strict=True))
    )
