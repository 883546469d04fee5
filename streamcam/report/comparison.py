"""Two explanations of one video, compared: two networks, methods or layers."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamcam.errors import InvalidArgumentError
from streamcam.evidence import tell_apart
from streamcam.explanations import Explanation
from streamcam.frames import FloatArray
from streamcam.report.pictures import heat_of, place_heat
from streamcam.report.summary import Summary, plain

_GRID = (48, 27)
"""Columns and rows on which heat is compared."""
_MOST = 8
_APART_S = 1.0


@dataclasses.dataclass(frozen=True, slots=True)
class Difference:
    """A frame that two networks or methods explain differently."""

    pair: int
    """Its place among the frames that both explained."""
    text: str
    """A sentence."""


@dataclasses.dataclass(frozen=True, eq=False)
class Comparison:
    """Two explanations of one video. Arrays have a row for each frame that both explained, N in all."""

    first: Summary
    second: Summary
    rows: NDArray[np.int64]
    """Rows of the frames in each summary, int64 (N, 2)."""
    similarity: FloatArray
    """Correlation of the heat, from -1 to 1; NaN where one has none, float32 (N,)."""

    @property
    def agrees(self) -> NDArray[np.bool_]:
        """Whether the same class was shown first, bool (N,)."""
        return np.array(
            [self.first.shown[one] == self.second.shown[other] for one, other in self.rows.tolist()]
        )

    @property
    def confidence(self) -> FloatArray:
        """Confidence of each in the class that it showed first, float32 (N, 2)."""
        columns = self.first.confidence[self.rows[:, 0]], self.second.confidence[self.rows[:, 1]]
        return np.stack(columns, axis=1)

    @property
    def times_s(self) -> NDArray[np.float64]:
        """Times of the frames, float64 (N,)."""
        return self.first.times_s[self.rows[:, 0]]

    def differences(self) -> tuple[Difference, ...]:
        """Return the frames that differ most, the most different first, and none twice in a second."""
        apart = np.nan_to_num(1 - self.similarity, nan=1.0) / 2
        confidence = self.confidence
        weights = apart + 0.5 * ~self.agrees + np.nan_to_num(np.abs(confidence[:, 0] - confidence[:, 1]))
        chosen: list[int] = []
        for pair in np.argsort(-weights, kind="stable").tolist():
            if all(abs(self.times_s[pair] - self.times_s[other]) >= _APART_S for other in chosen):
                chosen.append(pair)
            if len(chosen) == _MOST:
                break
        return tuple(Difference(pair, self._describe(pair)) for pair in chosen)

    def figures(self) -> dict[str, Any]:
        """Return the figures as plain values, as ``--json`` prints them."""
        similarity, confidence = self.similarity, self.confidence
        difference = np.abs(confidence[:, 0] - confidence[:, 1])
        return {
            "frames": len(self.rows),
            "agreement": float(self.agrees.mean()),
            "mean_similarity": _mean(similarity),
            "mean_confidence_difference": _mean(difference),
            "differences": [
                {
                    "time_s": plain(self.times_s[one.pair]),
                    "similarity": plain(similarity[one.pair]),
                    "text": one.text,
                }
                for one in self.differences()
            ],
            "first": self.first.figures(),
            "second": self.second.figures(),
        }

    def explanations(self, pair: int) -> tuple[Explanation, Explanation]:
        """Return both explanations of a frame."""
        one, other = self.rows[pair].tolist()
        return self.first.explanations[one], self.second.explanations[other]

    def _describe(self, pair: int) -> str:
        one, other = self.rows[pair].tolist()
        labels = self.first.shown[one] or "nothing", self.second.shown[other] or "nothing"
        alike = self.similarity[pair]
        heat = "one has no heat" if math.isnan(alike) else f"heat correlates by {float(alike):.2f}"
        if labels[0] == labels[1]:
            return f"Both see {labels[0]}; {heat}."
        return f"{labels[0]} against {labels[1]}; {heat}."


def compare(first: Summary, second: Summary) -> Comparison:
    """Compare two explanations of one video, frame by frame.

    Raises:
        InvalidArgumentError: if they are of two videos, or have no frame in common.
    """
    inputs = [summary.evidence.header.get("input", {}) for summary in (first, second)]
    paths = [str(summary.evidence.path) for summary in (first, second)]
    check_one_video(paths, inputs)
    places = {one.frame_index: row for row, one in enumerate(second.explanations)}
    rows = [
        (row, places[one.frame_index])
        for row, one in enumerate(first.explanations)
        if one.frame_index in places
    ]
    if not rows:
        raise InvalidArgumentError(f"{paths[0]!r} and {paths[1]!r} explain no frame in common")
    similarity = [correlate(first.explanations[one], second.explanations[other]) for one, other in rows]
    return Comparison(first, second, np.array(rows, np.int64), np.array(similarity, np.float32))


def check_one_video(names: Sequence[str], inputs: Sequence[Mapping[str, Any]]) -> None:
    """Check that two explanations are of one video.

    Args:
        names: What to call either.
        inputs: What either explains, as `streamcam.evidence.describe_input` describes it.

    Raises:
        InvalidArgumentError: if they are of two.
    """
    difference = tell_apart(*inputs)
    if difference is not None:
        both = " and ".join(repr(str(each.get("name"))) for each in inputs)
        raise InvalidArgumentError(
            f"{names[0]!r} and {names[1]!r} are of two videos ({both}: {difference}); compare two "
            "explanations of one"
        )


def correlate(one: Explanation, other: Explanation) -> float:
    """Return the correlation of two frames' heat, placed where it lies on the frame; NaN without heat."""
    placed = [place_heat(heat_of(each), each.region, *_GRID) for each in (one, other)]
    if min(float(heat.std()) for heat in placed) == 0:
        return math.nan
    return float(np.corrcoef(placed[0].ravel(), placed[1].ravel())[0, 1])


def _mean(values: FloatArray) -> float | None:
    finite = values[np.isfinite(values)]
    return plain(finite.mean()) if len(finite) else None
