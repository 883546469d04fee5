"""Explanations from an evidence file, in the place of a network."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from streamcam.errors import InvalidArgumentError, SourceError
from streamcam.explanations import Explanation
from streamcam.frames import Frame
from streamcam.temporal import Tracker

if TYPE_CHECKING:
    from streamcam.evidence import Evidence

_FRAMES_AT_ONCE = 4


@dataclasses.dataclass(frozen=True, slots=True)
class KeptModel:
    """The network that was explained."""

    name: str
    weights: str
    labels: tuple[str, ...]
    may_find_objects: bool
    """Whether it found any."""
    clip_length: int = 1
    """Of frames that it looks at now: one after the other."""


class EvidenceExplainer:
    """Repeats the explanations of a video, frame by frame, with their cuts and smoothed labels.

    No tracker is needed: what it found is in the evidence.

    Attributes:
        batch_size: How many frames it takes at once.
        clip_s: 0: it looks at no other frames.
        model: The network that was explained.
        notes: Nothing; what was noted then is in `Evidence.notes`.
    """

    batch_size = _FRAMES_AT_ONCE
    clip_s = 0.0
    notes: Sequence[str] = ()

    def __init__(
        self, evidence: Evidence, classes: Sequence[int | str] = (), top_k: int | None = None
    ) -> None:
        """Begin at the first frame.

        Args:
            evidence: Closed by whoever opened it, after the last frame.
            classes: Indices or names of the classes whose maps to show; all that were kept if there are none.
            top_k: How many predictions to list; all that were kept if None.

        Raises:
            UnknownNameError: if the maps of a class were not kept.
            InvalidArgumentError: if fewer predictions were kept.
        """
        run: dict[str, Any] = evidence.header.get("run", {})
        self.model = KeptModel(
            str(run.get("model")), str(run.get("weights")), evidence.labels, evidence.has_instances
        )
        self._classes = tuple(evidence.find_class(name).index for name in classes)
        kept = evidence.header.get("identity", {}).get("top-k")
        if top_k is not None and kept is not None and top_k > kept:
            raise InvalidArgumentError(
                f"{str(evidence.path)!r} keeps {kept} labels a frame, fewer than `top_k` {top_k}; render the "
                "video with more and `evidence`"
            )
        self._top_k = top_k
        self._evidence = evidence
        self._explanations: Iterator[Explanation] = evidence.explanations()
        self._row = 0

    def describe(self) -> dict[str, object]:
        """Return the network and method that explained the video, as plain values."""
        kept: dict[str, object] = self._evidence.header.get("run", {})
        return kept

    def identity(self) -> dict[str, object]:
        """Return all that the explanations depend on besides the images, as plain values."""
        kept: dict[str, object] = self._evidence.header.get("identity", {})
        return {
            **kept,
            "frames kept": len(self._evidence),
            "classes shown": self._classes,
            "labels shown": self._top_k,
        }

    def explain_frames(
        self,
        frames: list[Frame],
        tracker: Tracker | None = None,  # noqa: ARG002
        context: Sequence[Frame] = (),  # noqa: ARG002
    ) -> list[Explanation]:
        """Return the explanation of each frame, in order.

        Raises:
            SourceError: if the evidence is damaged, or is not of these frames.
        """
        return [self._find(frame) for frame in frames]

    def skip_frames(
        self, frames: list[Frame], tracker: Tracker | None = None, context: Sequence[Frame] = ()
    ) -> None:
        """Do nothing: frames are found by their times."""

    def _find(self, frame: Frame) -> Explanation:
        for explanation in self._explanations:
            row, self._row = self._row, self._row + 1
            pts = self._evidence.pts[row]
            if pts == frame.pts:
                return self._choose(dataclasses.replace(explanation, frame_index=frame.index))
            if pts > frame.pts:
                break
        raise SourceError(
            f"{str(self._evidence.path)!r} was made of another video: it has no frame {frame.index} at "
            f"{frame.time_s:.3f} s"
        )

    def _choose(self, explanation: Explanation) -> Explanation:
        """Leave the maps of the classes asked for, in that order, and as many predictions as asked for."""
        if self._top_k is not None:
            explanation = dataclasses.replace(
                explanation,
                predictions=explanation.predictions[: self._top_k],
                smoothed_predictions=explanation.smoothed_predictions[: self._top_k],
            )
        if not self._classes or not explanation.is_explained:
            return explanation
        named = {target.index: target for target in explanation.targets}
        chosen = [index for index in self._classes if index in named]
        return dataclasses.replace(
            explanation,
            heatmaps={index: explanation.heatmaps[index] for index in chosen},
            targets=tuple(named[index] for index in chosen),
            flags={index: why for index, why in explanation.flags.items() if index in chosen},
        )
