"""The state kept while explaining a video: shots, which frames to explain, label ranking, objects."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from streamcam.explanations import Explanation, Instance, Prediction, is_value_alone
from streamcam.frames import FloatArray, Frame
from streamcam.media.images import ByteArray
from streamcam.temporal.label_hold import LabelHold, NumberSmoothing
from streamcam.temporal.objects import ObjectTracker
from streamcam.temporal.selection import EveryNth, ExplainedFrame, OnChange
from streamcam.temporal.settings import TemporalSettings
from streamcam.temporal.shots import CutDetector
from streamcam.temporal.thumbnails import make_thumbnail

Labels = Sequence[str] | Mapping[int, str]
"""Class index → name."""


@dataclasses.dataclass(slots=True, eq=False)
class _PendingFrame:
    """A frame whose explanation is not complete yet."""

    thumbnail: ByteArray
    starts_shot: bool
    is_due: bool = True
    """Whether the frame is explained."""
    change: float = 0.0
    """How much has changed since the last one to be explained."""
    between_s: tuple[float, ...] = ()
    """Of one to be explained: the times of those since the last such frame."""
    probabilities: FloatArray | None = None
    """The input of the ranking, float32 (classes,)."""
    ranking: NDArray[np.int64] | None = None
    smoothed_predictions: tuple[Prediction, ...] = ()
    """Of all ranks."""
    listed: int | None = None
    """How many of them are listed; None for all."""
    objects: list[tuple[int, Instance]] | None = None
    """The objects found, with their numbers; None before they are known."""


class Tracker:
    """Tracks one video while it is explained. Belongs to the thread that explains.

    Each frame goes through `observe`, then, if it is to be explained, through `rank` and, if the network
    finds objects, `follow`, and last through `complete`; several frames may be pending, in order.
    """

    def __init__(self, settings: TemporalSettings, skipped: int | None = None) -> None:
        """Start a video.

        Args:
            settings: Which frames to explain, and how labels and cuts are handled.
            skipped: In the middle of a video: how many frames were skipped since the last one that was
                explained; None at its beginning.

        Raises:
            InvalidArgumentError: if a setting cannot be used.
        """
        settings.check()
        self._settings = settings
        self._beside: dict[int, Tracker] = {}
        self._cuts = CutDetector() if settings.cuts == "auto" else None
        self._labels = LabelHold(settings.label_hold_s)
        self._values = NumberSmoothing(settings.label_hold_s)
        self._objects = ObjectTracker()
        self._selector: EveryNth | OnChange
        if settings.every == "auto":
            mode = settings.smoothing_mode
            looks_ahead = mode.looks_ahead and settings.smoothing_s > 0
            self._selector = OnChange(follows_motion=mode.follows_motion, looks_ahead=looks_ahead)
        else:
            self._selector = EveryNth(settings.every, skipped)
        self._skipped_s: list[float] = []
        self._in_a_row = 0
        self._pending: dict[int, _PendingFrame] = {}
        self._last: Explanation | None = None

    @property
    def due_in_a_row(self) -> int:
        """How many frames, up to the last one observed, were to be explained one right after the other."""
        return self._in_a_row

    def observe(self, frame: Frame, *, in_any_case: bool = False) -> bool:
        """Look at the next frame and decide whether to explain it.

        Args:
            frame: The frame.
            in_any_case: Whether to explain it however little has changed; for ``every="auto"``.

        Returns:
            Whether to explain it: every Nth frame or those that show something new, and each that starts a
            shot. A frame that is pending already changes nothing.
        """
        if frame.index in self._pending:
            return self._pending[frame.index].is_due
        thumbnail = make_thumbnail(frame.image)
        starts_shot = self._cuts is not None and self._cuts.update(thumbnail, frame.time_s)
        if isinstance(self._selector, OnChange):
            is_due, change = self._selector.measure(
                thumbnail, frame.time_s, starts_shot=starts_shot, in_any_case=in_any_case
            )
        else:
            is_due, change = self._selector.count(starts_shot=starts_shot), 0.0
        between_s = tuple(self._skipped_s) if is_due else ()
        self._pending[frame.index] = _PendingFrame(thumbnail, starts_shot, is_due, change, between_s)
        if is_due:
            self._skipped_s = []
            self._in_a_row += 1
        else:
            self._skipped_s.append(frame.time_s)
            self._in_a_row = 0
        return is_due

    def is_cut(self, frame: Frame) -> bool:
        """Return whether a shot begins with a frame that was observed and is not complete yet."""
        pending = self._pending.get(frame.index)
        return pending is not None and pending.starts_shot

    def rank(
        self,
        frames: Sequence[Frame],
        probabilities: FloatArray,
        labels: Labels,
        count: int,
        *,
        listed: int | None = None,
        values: FloatArray | None = None,
        are_values: bool = False,
    ) -> NDArray[np.int64]:
        """Rank the classes of observed frames, smoothed and held in time.

        Args:
            frames: N frames, in order.
            probabilities: Probability of every class, float32 (N, classes).
            labels: Name of each class.
            count: Number of classes to return.
            listed: How many of them become smoothed predictions; None for all.
            values: Numbers to show beside the probabilities, float32 (N, classes); None if there are none.
            are_values: Whether these are a regressor's values instead of probabilities.

        Returns:
            Class indices, int64 (N, count), best first.
        """
        for frame in frames:
            self._pending[frame.index].listed = listed
        rows = [
            self._rank(frame, row, labels, count, beside, are_values=are_values)
            for frame, row, beside in zip(
                frames, probabilities, values if values is not None else [None] * len(frames), strict=True
            )
        ]
        return np.stack(rows)

    def _rank(
        self,
        frame: Frame,
        probabilities: FloatArray,
        labels: Labels,
        count: int,
        values: FloatArray | None,
        *,
        are_values: bool,
    ) -> NDArray[np.int64]:
        pending = self._pending[frame.index]
        if pending.ranking is None:  # a batch that was too large for the memory is tried again in parts
            if pending.starts_shot:
                self._labels.restart()
                self._values.restart()
            pending.probabilities = probabilities
            pending.ranking, smoothed = self._labels.update(
                probabilities, frame.time_s, count, pending.between_s
            )
            beside = None if values is None else self._values.update(values, frame.time_s)
            pending.smoothed_predictions = tuple(
                Prediction.of(
                    index,
                    labels[index],
                    float(smoothed[index]),
                    is_value=are_values,
                    value=None if beside is None else float(beside[index]),
                )
                for index in pending.ranking.tolist()
            )
        return pending.ranking

    def follow(
        self, frames: Sequence[Frame], instances: Sequence[Sequence[Instance]], certain_score: float
    ) -> list[list[tuple[int, Instance]]]:
        """Number the objects of observed frames, the same object alike in every frame of a shot.

        Args:
            frames: N frames, in order.
            instances: What was found in each, boxes as fractions of the frame.
            certain_score: Score from which an object is reported; others only continue one that was.

        Returns:
            For each frame the objects to report, numbered, and the index of each among those found.
        """
        return [
            self._follow(frame, found, certain_score) for frame, found in zip(frames, instances, strict=True)
        ]

    def _follow(
        self, frame: Frame, instances: Sequence[Instance], certain_score: float
    ) -> list[tuple[int, Instance]]:
        pending = self._pending[frame.index]
        if pending.objects is None:  # a batch that was too large for the memory is tried again in parts
            if pending.starts_shot:
                self._objects.restart()
            pending.objects = self._objects.update(instances, frame.time_s, certain_score)
        return pending.objects

    def restore_objects(self, frame: Frame, instances: Sequence[Instance]) -> None:
        """Number the objects of an observed frame as in an earlier, interrupted run over the same video."""
        if self._pending[frame.index].starts_shot:
            self._objects.restart()
        self._objects.restore(instances, frame.time_s)

    def export_ranking(self, frame: Frame) -> tuple[FloatArray | None, tuple[Prediction, ...]]:
        """Return the input and the result of a frame's ranking, for `restore_ranking`.

        Returns:
            The probabilities, float32 (classes,), or None if the frame was not ranked; and the smoothed
            predictions.
        """
        pending = self._pending[frame.index]
        return pending.probabilities, pending.smoothed_predictions

    def restore_ranking(
        self,
        frame: Frame,
        probabilities: FloatArray,
        predictions: tuple[Prediction, ...],
        *,
        listed: int | None = None,
    ) -> None:
        """Rank an observed frame as in an earlier, interrupted run over the same video.

        Args:
            frame: The frame.
            probabilities: Probabilities that `export_ranking` returned for it.
            predictions: Smoothed predictions that it returned.
            listed: As for `rank`.
        """
        self._pending[frame.index].listed = listed
        labels = {prediction.index: prediction.label for prediction in predictions}
        values = {one.index: one.value for one in predictions if one.value is not None}
        are_values = any(is_value_alone(one) for one in predictions)
        self._rank(frame, probabilities, labels, len(predictions), None, are_values=are_values)
        if values and not are_values:
            beside = np.full_like(probabilities, np.nan)
            beside[list(values)] = list(values.values())
            self._values.restore(beside, frame.time_s)
            pending = self._pending[frame.index]
            pending.smoothed_predictions = tuple(
                dataclasses.replace(one, value=values[one.index]) for one in pending.smoothed_predictions
            )

    def complete(self, frame: Frame, explanation: Explanation | None, *, is_last: bool = True) -> Explanation:
        """Add the cut, the smoothed predictions and the thumbnail to a frame's explanation.

        Args:
            frame: An observed frame.
            explanation: The explainer's result; None if the frame was skipped.
            is_last: Whether none behind it was explained together with it: what comes next follows from that.

        Returns:
            The complete explanation; one without maps if the frame was skipped.
        """
        pending = self._pending.pop(frame.index)
        if explanation is not None:
            self._last = explanation
            if isinstance(self._selector, OnChange):
                explained = ExplainedFrame(
                    explanation, pending.thumbnail, pending.change, pending.starts_shot
                )
                self._selector.learn(explained, self._find_due_s(explanation, pending) if is_last else None)
        else:
            assert self._last is not None, "the first frame is always explained"
            explanation = _skipped(self._last, frame)
        return _completed(explanation, pending)

    def _find_due_s(self, explanation: Explanation, pending: _PendingFrame) -> float:
        """Find when the next frame has to be explained, so that it is of the right classes."""
        ranked = {prediction.index for prediction in pending.smoothed_predictions}
        targets = [target.index for target in explanation.targets]
        ranks = max(1, len(targets)) if ranked.issuperset(targets) else 1
        holds = [self._labels, *(other._labels for other in self._beside.values())]
        return min(hold.find_due_s(ranks) for hold in holds)

    def adopt(self, other: Tracker) -> None:
        """Go on from the state of another tracker of the same video, which stays as it is."""
        vars(self).update(copy.deepcopy(vars(other)))

    @property
    def first_pending(self) -> int | None:
        """The index of the first frame that is not complete; None if all are."""
        return min(self._pending, default=None)

    def for_network(self, number: int, frames: Sequence[Frame]) -> Tracker:
        """Return a tracker of the same video for another network that explains the same frames.

        It ranks classes and follows objects by itself, in the shots of this one.

        Args:
            number: Tells apart several networks.
            frames: Frames that were observed and are to be explained now, and completed by that tracker too.
        """
        if number not in self._beside:
            self._beside[number] = Tracker(dataclasses.replace(self._settings, every=1))
        other = self._beside[number]
        for frame in frames:
            pending = self._pending[frame.index]
            other._pending[frame.index] = _PendingFrame(
                pending.thumbnail,
                pending.starts_shot,
                change=pending.change,
                between_s=pending.between_s,
            )
        return other


def _skipped(last: Explanation, frame: Frame) -> Explanation:
    """Return the explanation of a frame that was skipped, like the last one but without maps."""
    return dataclasses.replace(
        last,
        frame_index=frame.index,
        heatmaps={},
        targets=(),
        predictions=(),
        smoothed_predictions=(),
        flags={},
        instances=(),
        probabilities=None,
        others=tuple(_skipped(other, frame) for other in last.others),
    )


def _completed(explanation: Explanation, pending: _PendingFrame) -> Explanation:
    """Add what is known of a frame; explanations that another network's tracker has completed stay."""
    others = (
        other if other.smoothed_predictions else _completed(other, pending) for other in explanation.others
    )
    return dataclasses.replace(
        explanation,
        starts_shot=pending.starts_shot,
        smoothed_predictions=pending.smoothed_predictions[: pending.listed],
        thumbnail=pending.thumbnail,
        others=tuple(others),
    )
