"""Settings of an evaluation."""

from __future__ import annotations

import dataclasses

from streamcam.errors import InvalidArgumentError, unknown_name
from streamcam.evaluation.metrics import METRICS
from streamcam.localization.regions import MOTION
from streamcam.panes import COMPARED_METHODS
from streamcam.sources import Source, SourceSettings


@dataclasses.dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """Methods, metrics and frames of an evaluation."""

    methods: tuple[str, ...] = COMPARED_METHODS
    """Names in `METHODS`, with options."""
    metrics: tuple[str, ...] = ()
    """Names in `METRICS`; all that can be had if there are none, without those that ask methods of many
    passes for further maps."""
    frames: int = 20
    """How many frames are looked at, evenly over the shots of the video."""
    seed: int = 0
    """Of everything that is left to chance: which frames, noise, random weights, the bootstrap."""
    roi: str | None = None
    """Where the object is: a region as in `LocalizationSettings.roi`, for the metrics that need one."""
    source: SourceSettings = dataclasses.field(default_factory=SourceSettings)
    """How the input is read."""

    def check(self) -> None:
        """Check the settings.

        Raises:
            InvalidArgumentError: naming the first that cannot be used.
        """
        from streamcam.explain.methods import parse_method  # needs torch, which is slow to import

        check_metrics(self.metrics, self.roi)
        if self.frames < 1:
            raise InvalidArgumentError(f"`frames` counts from 1, not {self.frames}")
        if self.seed < 0:
            raise InvalidArgumentError(f"`seed` is 0 or more, not {self.seed}")
        if self.roi == MOTION:
            raise InvalidArgumentError(
                "`roi` motion compares all neighboring frames; an evaluation takes single ones"
            )
        if not self.methods:
            raise InvalidArgumentError("`methods` names none; give at least one")
        for number, method in enumerate(self.methods):
            parse_method(method)
            if method in self.methods[:number]:
                raise InvalidArgumentError(f"`methods` names {method!r} twice")


def check_metrics(metrics: tuple[str, ...], roi: str | None) -> None:
    """Check names of metrics.

    Raises:
        UnknownNameError: if there is no such metric.
        InvalidArgumentError: if one needs a region, and there is none.
    """
    for name in metrics:
        if name not in METRICS:
            raise unknown_name("metric", name, METRICS)
        if METRICS[name].needs_region and roi is None:
            raise InvalidArgumentError(f"metric {name!r} needs a region that holds the object: give `roi`")


def check_source(source: Source, settings: EvaluationSettings) -> None:
    """Refuse sources without an end, and metrics that need more than one frame of a still image.

    Raises:
        InvalidArgumentError: if it is one of these.
    """
    if source.is_live:
        raise InvalidArgumentError(f"{source.info.name!r} is live and has no end; record it first")
    moving = [name for name in settings.metrics if METRICS[name].needs_motion]
    if source.info.is_still and moving:
        raise InvalidArgumentError(
            f"metric {moving[0]!r} compares neighboring frames, and {source.info.name!r} is a single image"
        )
