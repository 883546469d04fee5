"""Restyling: a video drawn again from its evidence, without the network."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

from streamcam.errors import InvalidArgumentError, SourceError, map_errors
from streamcam.evidence import Evidence, describe_input, open_evidence, tell_apart
from streamcam.evidence.inputs import file_contents
from streamcam.localization import LocalizationSettings
from streamcam.overlay import OverlaySettings
from streamcam.pipeline.evidence_explainer import EvidenceExplainer
from streamcam.pipeline.render import RenderPlan, plan_render
from streamcam.pipeline.results import Progress, RenderResult
from streamcam.pipeline.resume import ResumeState
from streamcam.pipeline.settings import RenderSettings
from streamcam.pipeline.stream import ExplainedStream
from streamcam.sources import Location, SourceSettings
from streamcam.temporal import TemporalSettings

Settings = TypeVar("Settings", OverlaySettings, LocalizationSettings, TemporalSettings, SourceSettings)

_OF_EXPLANATIONS = ("cuts", "label_hold_s", "every")
"""Temporal settings that decide what was explained, and cannot be changed afterward."""


def restyle(
    source: Location,
    evidence: str | Path,
    output: str | Path,
    *,
    settings: RenderSettings | None = None,
    classes: Sequence[int | str] = (),
    top_k: int | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_start: Callable[[ExplainedStream], None] | None = None,
    on_resume: Callable[[ResumeState], None] | None = None,
) -> RenderResult:
    """Draw a video again, as a render with other settings would, from what the network answered then.

    Args:
        source: The input of that render.
        evidence: The evidence file that it kept.
        output: The file to make; its suffix chooses the kind.
        settings: How it is drawn and written; those of that render, without its files, if None. How the
            video is read, apart from a shorter part, and what decided which frames and classes were
            explained, stays as it was.
        classes: Indices or names of the classes whose maps to show; all that were kept if there are none.
        top_k: How many predictions to list; all that were kept if None.
        on_progress: As for `streamcam.render`.
        on_start: As for `streamcam.render`.
        on_resume: As for `streamcam.render`.

    Raises:
        StreamcamError: one of its children, if the evidence is damaged, of another video, or lacks a class;
            else as for `streamcam.render`.
    """
    with open_evidence(evidence) as kept:
        settings = settings or settings_of(kept)
        plan, explainer = plan_restyle(source, kept, output, settings, classes, top_k)
        with plan:
            return plan.run(explainer, on_progress=on_progress, on_start=on_start, on_resume=on_resume)


def plan_restyle(
    source: Location,
    evidence: Evidence,
    output: str | Path,
    settings: RenderSettings,
    classes: Sequence[int | str] = (),
    top_k: int | None = None,
) -> tuple[RenderPlan, EvidenceExplainer]:
    """Open input and outputs, and check everything, before the first frame is read.

    Args:
        source: As for `restyle`.
        evidence: Open evidence; it stays open until the plan has run.
        output: As for `restyle`.
        settings: As for `restyle`.
        classes: As for `restyle`.
        top_k: As for `restyle`.

    Returns:
        The plan, and what to run it with.

    Raises:
        StreamcamError: as `restyle` does.
    """
    path = None if isinstance(source, int) else Path(source)
    if path is not None and path.is_file():  # at once: another kind of file takes other settings
        with map_errors(OSError, to=lambda error: SourceError(f"cannot read {str(source)!r}: {error}")):
            contents = file_contents(path)
        _check_input(contents, str(source), evidence)
    if evidence.header.get("run", {}).get("is_live"):
        raise InvalidArgumentError(
            f"{str(evidence.path)!r} was kept live, where only some frames are explained; to draw a video "
            "again, keep `evidence` in a render of it"
        )
    evidence.check()
    explainer = EvidenceExplainer(evidence, classes, top_k)
    kept = settings_of(evidence)
    fixed = {name: getattr(kept.temporal, name) for name in _OF_EXPLANATIONS}
    start_s, end_s = _part(settings.source, kept.source, evidence)
    reading = dataclasses.replace(
        kept.source,
        hwaccel=settings.source.hwaccel,
        depth=settings.source.depth or kept.source.depth,
        chroma=settings.source.chroma or kept.source.chroma,
        start_s=start_s,
        end_s=end_s,
    )
    plan = plan_render(
        source,
        output,
        dataclasses.replace(
            settings, source=reading, temporal=dataclasses.replace(settings.temporal, **fixed)
        ),
    )
    try:
        _check_input(describe_input(plan.info), plan.info.name, evidence)
    except BaseException:
        plan.close()
        raise
    return plan, explainer


def settings_of(evidence: Evidence) -> RenderSettings:
    """Return the settings of the render that kept evidence; without its files and encoder.

    Raises:
        SourceError: if they cannot be used.
    """
    kept: Mapping[str, Any] = evidence.header.get("settings", {})
    try:
        return RenderSettings(
            source=_read(SourceSettings, kept.get("source", {})),
            temporal=_read(TemporalSettings, kept.get("temporal", {})),
            overlay=_read(OverlaySettings, kept.get("overlay", {})),
            localization=_read(LocalizationSettings, kept.get("localization", {})),
        )
    except (TypeError, ValueError) as error:
        raise SourceError(f"{str(evidence.path)!r} has settings that cannot be used: {error}") from error


def _read(kind: type[Settings], plain: Mapping[str, Any]) -> Settings:
    """Read settings from JSON; what is not there has its default, as in older files."""
    names = {field.name for field in dataclasses.fields(kind)}
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in plain.items()
        if name in names
    }
    if values.get("rate") is not None:
        values["rate"] = Fraction(values["rate"])
    return kind(**values)


def _part(
    given: SourceSettings, kept: SourceSettings, evidence: Evidence
) -> tuple[float | None, float | None]:
    """Return start and end of the part to draw: the one that was kept, or a shorter one.

    Raises:
        InvalidArgumentError: if there is no evidence of some of it.
    """
    start_s, end_s = kept.start_s, kept.end_s if evidence.is_complete else _end_of(evidence)
    if given.start_s is not None:
        if given.start_s < (start_s or 0):
            raise InvalidArgumentError(
                f"`start_s` {given.start_s:g} is before {start_s:g} s, where {str(evidence.path)!r} begins"
            )
        start_s = given.start_s
    if given.end_s is not None:
        if end_s is not None and given.end_s > end_s:
            raise InvalidArgumentError(
                f"`end_s` {given.end_s:g} is behind {end_s:g} s, where {str(evidence.path)!r} ends"
            )
        end_s = given.end_s
    return start_s, end_s


def _end_of(evidence: Evidence) -> float:
    """Return where the frames of a render that was cut short end, in seconds from the video's beginning."""
    if not len(evidence):
        raise SourceError(f"{str(evidence.path)!r} has no frames; render the video again with `evidence`")
    times_s = evidence.times_s - float(evidence.header["input"].get("origin_s", 0.0))
    step_s = float(times_s[-1] - times_s[-2]) if len(times_s) > 1 else 0.001
    return float(times_s[-1]) + step_s / 2


def _check_input(now: Mapping[str, Any], name_now: str, evidence: Evidence) -> None:
    then = evidence.header.get("input", {})
    difference = tell_apart(then, now)
    if difference is not None:
        raise InvalidArgumentError(
            f"{str(evidence.path)!r} was made of another video, {str(then.get('name'))!r}, not of "
            f"{name_now!r}: {difference}"
        )
