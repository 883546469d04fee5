"""Resumed renders: the output is the same as without the interruption."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import streamcam
from streamcam.errors import SinkError
from streamcam.pipeline.identity import flatten, identify_file
from streamcam.pipeline.recorded_explainer import ResumingExplainer
from streamcam.sinks import ResumableSink, SegmentEncoder, Sink, locked_store, make_resumable, open_store

if TYPE_CHECKING:
    from streamcam.pipeline.explainers import LoneExplainer


@dataclasses.dataclass(frozen=True, slots=True)
class ResumeState:
    """The finished part of an interrupted render, kept beside its output."""

    frames: int
    """How many frames are explained."""
    encoded: int
    """How many of those are encoded too; the others are drawn and encoded again."""


class Resumption:
    """A render in segments: what is finished is kept beside the output, and not computed again.

    Stored explanations pass through the temporal stage and are drawn again, so that every stage is in the
    state that it would be in; only the network and the encoder, which cost the most, are spared.

    Leave it as a context manager when the threads have ended: it stores what was explained since the last
    segment, and removes an empty folder.

    Attributes:
        explainer: The explainer to use: it repeats stored explanations and computes the others.
    """

    def __init__(
        self,
        source: Path,
        output: Path,
        explainer: LoneExplainer,
        settings: Mapping[str, object],
    ) -> None:
        """Open the folder of finished segments, or make it.

        Args:
            source: The input.
            output: The video to make.
            explainer: Explains the frames that are not finished.
            settings: All else that decides how the video comes out: plain values, or dataclasses of them.

        Raises:
            OutputExistsError: if another render uses the folder.
            InvalidArgumentError: if the segments were made of another input or with other settings.
            SinkError: if it is damaged, or its folder cannot be made.
        """
        identity = {**identify_file(source), **flatten(explainer.identity()), **flatten(settings)}
        identity |= {"streamcam": streamcam.__version__, "font": os.environ.get("STREAMCAM_FONT")}
        with contextlib.ExitStack() as undo:
            undo.enter_context(locked_store(output))
            self._store = open_store(output, identity)
            self.explainer = ResumingExplainer(explainer, self._store)
            self._locked = undo.pop_all()

    @property
    def kept(self) -> ResumeState:
        """The work on the disk by now."""
        return ResumeState(max(self._store.frames, self._store.pending.frames), self._store.frames)

    def wrap(self, video: Sink, encoder: SegmentEncoder | None) -> ResumableSink:
        """Return a sink that writes a video in segments; see `make_resumable`."""
        return make_resumable(video, self._store, self.explainer.pop_explanations, encoder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._locked:
            if not self._store.is_open:  # all is done
                return
            try:
                self.explainer.save()
            except SinkError:
                if kind is None:
                    raise
            finally:
                self._store.remove_if_empty()
