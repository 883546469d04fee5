"""Which frames of a video are explained: every Nth, or those that show something new."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import cv2
import numpy as np

from streamcam.explanations import Explanation, object_number
from streamcam.frames import FloatArray
from streamcam.media.images import ByteArray
from streamcam.temporal.flow import (
    FlowEstimator,
    compute_displacement,
    upsample,
    upsampling_factor,
    warp,
)

LONGEST_GAP_S = 0.5
"""Where nothing changes, a frame is explained this often, in seconds."""

_SIDE = 48
"""Long side of the images that are compared, in pixels."""
_NEIGHBORHOOD = np.ones((5, 5), np.uint8)
"""Motion by up to two of these pixels, a twentieth of the image, is left to the optical flow."""
_BLOCK = 9
"""Side of the area in which change is averaged, in pixels: what appears may be small."""
_OF_CONTENT = 3.0
"""Weight of the change of content, which is in units of contrast; at 1 in all, heat is carried no further."""
_FLAT = 8.0
"""Gray levels that are added to contrast and brightness: noise in flat and dark images is no change."""
_USUAL_OCTAVES = 0.3
"""Change of brightness that does not count, in powers of two: networks hardly notice."""

_TOLERANCE_LOOKING_AHEAD = 0.03
"""How far carried heat may differ from the network's answer, as 1 minus their correlation. Where modes look
ahead, frames in between are shown with the heat of both sides, and differ several times less."""
_TOLERANCE = 0.01
"""The same for modes that show carried heat as it is."""
_FIRST_LIMIT, _LEAST_LIMIT, _MOST_LIMIT = 0.3, 0.05, 1.0
"""How much change lets a frame be explained: at the beginning of a shot, at least, and at most."""
_LEAST_FACTOR, _MOST_FACTOR = 0.2, 2.0
"""By how much one answer changes that."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class ExplainedFrame:
    """A frame with the network's answer, and what is known of it."""

    explanation: Explanation
    thumbnail: ByteArray
    """uint8 (h, w)."""
    change: float
    """As `OnChange.measure` returned it."""
    starts_shot: bool


class EveryNth:
    """Selects every Nth frame, counted from the beginning of each shot."""

    def __init__(self, every: int, skipped: int | None = None) -> None:
        """Start a video.

        Args:
            every: N, at least 1.
            skipped: In the middle of a video: how many frames were skipped since the last one that is
                explained; None at its beginning.
        """
        self._every = every
        self._skipped = skipped

    def count(self, *, starts_shot: bool) -> bool:
        """Count the next frame, and return whether to explain it."""
        is_due = self._skipped is None or starts_shot or self._skipped + 1 >= self._every
        self._skipped = 0 if is_due or self._skipped is None else self._skipped + 1
        return is_due


class OnChange:
    """Selects frames that show something else than the last one that was explained.

    Time, content and brightness add up to one measure of change, and a frame is due when that reaches a
    limit. Each answer of the network corrects the limit, as solvers of differential equations choose their
    steps: the last map, carried to the frame, is compared with the new one, and where they differ more than
    tolerated, less change is let pass. Frames are due as well where another class may take the lead.
    """

    def __init__(self, *, follows_motion: bool, looks_ahead: bool) -> None:
        """Start a video.

        Args:
            follows_motion: Whether heat is carried along the optical flow, rather than left in place.
            looks_ahead: Whether frames in between are shown with the heat of both sides.
        """
        self._flow = FlowEstimator() if follows_motion else None
        self._tolerance = _TOLERANCE_LOOKING_AHEAD if looks_ahead else _TOLERANCE
        self._limit = _FIRST_LIMIT
        self._shown: _View | None = None
        self._shown_s = self._last_s = 0.0
        self._due_s = math.inf
        self._answered: ExplainedFrame | None = None

    def measure(
        self, thumbnail: ByteArray, time_s: float, *, starts_shot: bool, in_any_case: bool = False
    ) -> tuple[bool, float]:
        """Compare the next frame with the last one that is explained.

        Args:
            thumbnail: The frame's thumbnail, uint8 (h, w).
            time_s: Its presentation time in seconds.
            starts_shot: Whether a shot begins with it.
            in_any_case: Whether it is explained however little has changed.

        Returns:
            Whether to explain it, and how much has changed.
        """
        view = _View.of(thumbnail)
        step_s, self._last_s = time_s - self._last_s, time_s
        change = 0.0
        if self._shown is None or starts_shot:
            is_due, self._limit, self._due_s = True, _FIRST_LIMIT, math.inf
        else:
            change = (time_s - self._shown_s) / LONGEST_GAP_S + self._shown.measure_change(view)
            is_due = in_any_case or change >= self._limit - 1e-6 or time_s + step_s > self._due_s
        if is_due:
            self._shown, self._shown_s = view, time_s
        return is_due, change

    def learn(self, explained: ExplainedFrame, due_s: float | None) -> None:
        """Compare what the network answered with the carried heat, and correct the limit.

        Args:
            explained: The next of the frames that were to be explained.
            due_s: The presentation time in seconds by which the next frame has to be explained for ranks to
                be right; None if that was explained together with this one, and says more.
        """
        last, self._answered = self._answered, explained
        if due_s is None:
            return
        self._due_s = due_s
        if last is None or explained.starts_shot:
            return
        difference = self._compare(last, explained)
        factor = self._tolerance / max(difference, 1e-6)
        if factor >= 1:
            self._limit *= min(factor, _MOST_FACTOR)
        else:
            self._limit = min(self._limit, explained.change) * max(factor, _LEAST_FACTOR)
        self._limit = min(max(self._limit, _LEAST_LIMIT), _MOST_LIMIT)

    def _compare(self, before: ExplainedFrame, after: ExplainedFrame) -> float:
        """Return the largest difference of any map from the carried one: 1 minus their correlation."""
        flow = None if self._flow is None else self._flow.estimate(after.thumbnail, before.thumbnail)
        differences = [0.0]
        for old, new in zip(
            (before.explanation, *before.explanation.others),
            (after.explanation, *after.explanation.others),
            strict=True,
        ):
            old_maps, new_maps = _by_slot(old), _by_slot(new)
            if old_maps.keys() != new_maps.keys() or old.region != new.region:
                return 1.0
            for slot, heatmap in new_maps.items():
                if heatmap.shape != old_maps[slot].shape:
                    return 1.0
                carried = upsample(old_maps[slot])
                if flow is not None:
                    cell = upsampling_factor(heatmap.shape)
                    carried = warp(carried, compute_displacement(flow, carried, new.region, cell))
                differences.append(1 - _correlate(carried, upsample(heatmap)))
        return max(differences)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _View:
    """A small image of a frame, to be compared with others."""

    lowest: FloatArray
    """The smallest value around each pixel, float32 (h, w), in units of contrast."""
    values: FloatArray
    highest: FloatArray
    brightness: float
    """Mean gray level."""

    @classmethod
    def of(cls, thumbnail: ByteArray) -> _View:
        """Shrink a thumbnail, and normalize its contrast."""
        scale = _SIDE / max(thumbnail.shape)
        size = (
            max(_BLOCK, round(thumbnail.shape[1] * scale)),
            max(_BLOCK, round(thumbnail.shape[0] * scale)),
        )
        small = cv2.resize(thumbnail, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        mean, contrast = float(small.mean()), float(small.std())
        values = (small - mean) / np.float32(contrast + _FLAT)
        return cls(
            np.asarray(cv2.erode(values, _NEIGHBORHOOD), np.float32),
            values,
            np.asarray(cv2.dilate(values, _NEIGHBORHOOD), np.float32),
            mean,
        )

    def measure_change(self, other: _View) -> float:
        """Return how much of another frame of the video is not seen in this one, or the other way around."""
        if self.values.shape != other.values.shape:
            return _MOST_LIMIT
        excess = np.maximum(self._exceed(other), other._exceed(self)).clip(min=0)
        content = float(cv2.blur(excess, (_BLOCK, _BLOCK), borderType=cv2.BORDER_REFLECT).max())
        octaves = abs(math.log2((other.brightness + _FLAT) / (self.brightness + _FLAT)))
        return _OF_CONTENT * content + max(0.0, octaves - _USUAL_OCTAVES)

    def _exceed(self, other: _View) -> FloatArray:
        """Return how far pixels lie outside the range of the other frame's pixels around them."""
        return np.asarray(np.maximum(self.values - other.highest, other.lowest - self.values), np.float32)


def _by_slot(explanation: Explanation) -> Mapping[int | None, FloatArray]:
    """Return the maps by what is smoothed as one; a single class at a time is, whichever it is."""
    indices: list[int | None] = list(explanation.heatmaps)
    if len(indices) == 1 and object_number(next(iter(explanation.heatmaps))) is None:
        indices = [None]
    return dict(zip(indices, explanation.heatmaps.values(), strict=True))


def _correlate(first: FloatArray, second: FloatArray) -> float:
    """Return Pearson's correlation of two maps of one shape; two even ones are alike."""
    first, second = first - first.mean(), second - second.mean()
    scale = float(np.linalg.norm(first)) * float(np.linalg.norm(second))
    if scale > 1e-12:
        return float((first * second).sum()) / scale
    return 1.0 if not first.any() and not second.any() else 0.0
