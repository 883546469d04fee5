"""The figures of a report: what was shown when, where it changed, and where the heat went."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamcam.errors import InvalidArgumentError
from streamcam.evidence import Evidence
from streamcam.explanations import RATHER_THAN, Explanation, Prediction
from streamcam.frames import FloatArray
from streamcam.report.moments import Moment, find_moments
from streamcam.report.shares import Share, measure_shares
from streamcam.report.tracks import Track, follow_boxes

Times = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a shot in which the same class was shown first."""

    begin: int
    """Its first row."""
    end: int
    """Its last row plus one."""
    label: str


@dataclasses.dataclass(frozen=True, slots=True)
class Shot:
    """Frames between two cuts."""

    begin: int
    end: int


@dataclasses.dataclass(frozen=True, eq=False)
class Summary:
    """The findings in a video. Arrays have a row for each explained frame, N in all."""

    evidence: Evidence
    explanations: tuple[Explanation, ...]
    """Of the explained frames."""
    times_s: Times
    """Times of the explained frames, from the video's beginning, float64 (N,)."""
    confidence: FloatArray
    """Probability of the class shown first, or a regressor's value; NaN if none was, float32 (N,)."""
    centers: FloatArray
    """Center of the heat, as fractions of the frame's width and height; NaN without heat, float32 (N, 2)."""
    duration_s: float
    frames: int

    @functools.cached_property
    def shown(self) -> tuple[str, ...]:
        """The class shown first in each explained frame; empty if none was."""
        return tuple("" if best is None else best.label for best in map(best_of, self.explanations))

    @functools.cached_property
    def shots(self) -> tuple[Shot, ...]:
        """The shots, in order."""
        begins = [row for row, one in enumerate(self.explanations) if one.starts_shot or row == 0]
        ends = [*begins[1:], len(self.explanations)]
        return tuple(Shot(begin, end) for begin, end in zip(begins, ends, strict=True))

    @functools.cached_property
    def segments(self) -> tuple[Segment, ...]:
        """Where the same class was shown first, in order."""
        found: list[Segment] = []
        for shot in self.shots:
            begin = shot.begin
            for row in range(shot.begin + 1, shot.end + 1):
                if row == shot.end or self.shown[row] != self.shown[begin]:
                    found.append(Segment(begin, row, self.shown[begin]))
                    begin = row
        return tuple(found)

    @functools.cached_property
    def moments(self) -> tuple[Moment, ...]:
        """The moments to look at first, the most striking ones first."""
        return find_moments(self.times_s, self.shown, self.confidence, self.centers, self.shots)

    @functools.cached_property
    def tracks(self) -> tuple[Track, ...]:
        """The paths of boxes, those in the most frames first; empty where none were looked for."""
        return follow_boxes(self.evidence, self.explanations)

    @functools.cached_property
    def shares(self) -> tuple[Share, ...]:
        """The share of the heat in the region of interest, in the center, and on what changes."""
        return tuple(measure_shares(self))

    @functools.cached_property
    def questions(self) -> tuple[str, ...]:
        """The classes that were explained against another, as in ``"espresso rather than cup"``."""
        labels = (target.label for one in self.explanations for target in one.targets)
        return tuple(dict.fromkeys(label for label in labels if RATHER_THAN in label))

    @functools.cached_property
    def label_changes(self) -> int:
        """How often another class was shown within a shot."""
        return len(self.segments) - len(self.shots)

    def classes(self) -> list[dict[str, Any]]:
        """Return for each class that was shown first its share of the frames, mean and least confidence."""
        counts = Counter(self.shown)
        rows = []
        for label, count in counts.most_common():
            values = self.confidence[[shown == label for shown in self.shown]]
            rows.append(
                {
                    "label": label or "nothing",
                    "share": count / len(self.shown),
                    "mean_confidence": plain(np.nanmean(values)) if np.isfinite(values).any() else None,
                    "least_confidence": plain(np.nanmin(values)) if np.isfinite(values).any() else None,
                }
            )
        return rows

    def drift(self, shot: Shot) -> float | None:
        """Return how far the heat's center is from where it began, at most, in a shot.

        Returns:
            A distance in which the frame's width and height are 1; None without heat.
        """
        centers = self.centers[shot.begin : shot.end]
        centers = centers[np.isfinite(centers).all(axis=1)]
        if not len(centers):
            return None
        return float(np.hypot(*(centers - centers[0]).T).max())

    def figures(self) -> dict[str, Any]:
        """Return the figures as plain values, as ``--json`` prints them."""
        evidence, header = self.evidence, self.evidence.header
        elapsed_s = evidence.outcome.get("elapsed_s")
        mean = np.nanmean(self.confidence) if np.isfinite(self.confidence).any() else math.nan
        return {
            "input": header.get("input", {}),
            "run": header.get("run", {}),
            "identity": header.get("identity", {}),
            "settings": header.get("settings", {}),
            "command": header.get("command"),
            "is_complete": evidence.is_complete,
            "frames": self.frames,
            "explained": len(self.explanations),
            "duration_s": round(self.duration_s, 6),
            "elapsed_s": elapsed_s,
            "fps": self.frames / elapsed_s if elapsed_s else None,
            "mean_confidence": plain(mean),
            "label_changes": self.label_changes,
            "classes": self.classes(),
            "shots": [
                {
                    "begin_s": plain(self.times_s[shot.begin]),
                    "end_s": plain(self.times_s[shot.end - 1]),
                    "drift": self.drift(shot),
                }
                for shot in self.shots
            ],
            "segments": [
                {
                    "begin_s": plain(self.times_s[one.begin]),
                    "end_s": plain(self.times_s[one.end - 1]),
                    "label": one.label,
                }
                for one in self.segments
            ],
            "questions": [f"What speaks for {label}?" for label in self.questions],
            "shares": [
                {
                    "name": one.name,
                    "inside": plain(one.inside),
                    "area": plain(one.area),
                    "least": plain(one.least),
                    "least_s": plain(self.times_s[one.least_row]),
                }
                for one in self.shares
            ],
            "tracks": [
                {
                    "number": one.number,
                    "label": one.label,
                    "frames": len(one.boxes),
                    "begin_s": plain(self.times_s[min(one.boxes)]),
                    "end_s": plain(self.times_s[max(one.boxes)]),
                    "moved": plain(one.moved),
                }
                for one in self.tracks
            ],
            "stage_s": {name: plain(s) for name, s in evidence.outcome.get("stage_s", {}).items()},
            "moments": [
                {"time_s": plain(self.times_s[one.row]), "kind": one.kind, "text": one.text}
                for one in self.moments
            ],
            "warnings": list(evidence.notes),
        }


def summarize(evidence: Evidence) -> Summary:
    """Compute the figures of a report.

    Args:
        evidence: Open evidence, which stays open as long as the summary is used.

    Raises:
        SourceError: if it is damaged.
        InvalidArgumentError: if no frame was explained.
    """
    rows = np.flatnonzero(evidence.is_explained)
    if not len(rows):
        raise InvalidArgumentError(f"{str(evidence.path)!r} has no explained frame to report on")
    explanations = tuple(one for one in evidence.explanations() if one.is_explained)
    origin_s = float(evidence.header.get("input", {}).get("origin_s", 0.0))
    times_s = evidence.times_s - origin_s
    step_s = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 0.0
    return Summary(
        evidence=evidence,
        explanations=explanations,
        times_s=times_s[rows],
        confidence=np.array([_confidence_of(one) for one in explanations], np.float32),
        centers=np.array([center_of(one) for one in explanations], np.float32).reshape(-1, 2),
        duration_s=float(times_s[-1] - times_s[0]) + step_s,
        frames=len(evidence),
    )


def best_of(explanation: Explanation) -> Prediction | None:
    """Return the class shown first in a frame, or else what is explained there; None if there is neither."""
    shown = explanation.smoothed_predictions or explanation.predictions or explanation.targets
    return next(iter(shown), None)


def _confidence_of(explanation: Explanation) -> float:
    best = best_of(explanation)
    if best is None:
        return math.nan
    return best.probability if best.value is None or math.isfinite(best.probability) else best.value


def center_of(explanation: Explanation) -> tuple[float, float]:
    """Return the center of a frame's heat, of all its maps, as fractions of the frame; NaN without heat."""
    heat = [np.maximum(heatmap, 0) for heatmap in explanation.heatmaps.values()]
    weights = np.sum(heat, axis=0) if heat else np.zeros((1, 1))
    total = float(weights.sum())
    if not total > 0:
        return math.nan, math.nan
    rows, columns = weights.shape
    region = explanation.region
    x = float(weights.sum(axis=0) @ (np.arange(columns) + 0.5)) / total / columns
    y = float(weights.sum(axis=1) @ (np.arange(rows) + 0.5)) / total / rows
    left, top = region.left, region.top
    return left + x * (region.right - left), top + y * (region.bottom - top)


def plain(value: float | np.floating[Any]) -> float | None:
    """Return a number for JSON; None for NaN and infinity."""
    return round(float(value), 6) if math.isfinite(value) else None
