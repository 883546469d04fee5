"""Stages that do as they are told, so that tests of the pipeline and the command line need no network."""

from __future__ import annotations

import copy
import threading
import types
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np

import streamcam
from streamcam.explanations import Explanation, Prediction
from streamcam.frames import Frame, Region, SourceInfo, SourceReport
from streamcam.pipeline.stream import ExplainedStream
from streamcam.sources import Source
from streamcam.temporal import Tracker

LIMIT_S = 20.0
"""No handshake takes this long, in seconds; what does has hung."""

CAT, DOG = 3, 5


def expect(event: threading.Event) -> None:
    """Wait for the other side of a handshake."""
    assert event.wait(LIMIT_S), "the other side of the handshake never came"


def join_thread(name: str) -> None:
    """Wait until no thread of that name runs."""
    for thread in threading.enumerate():
        if thread.name == name:
            thread.join(LIMIT_S)
            assert not thread.is_alive(), f"{name} never ended"


def at(number: int, action: Callable[[], object]) -> Callable[[int], None]:
    """Return a hook that acts at one frame or batch."""

    def hook(index: int) -> None:
        if index == number:
            action()

    return hook


def in_turn(*actions: Callable[[], object]) -> Callable[[], None]:
    """Make one action of several."""

    def act() -> None:
        for action in actions:
            action()

    return act


def consume(running: ExplainedStream, hook: Callable[[int], object] = lambda _index: None) -> list[int]:
    """Take all frames, with something to be done at each; return their indices."""
    indices = []
    for frame, _ in running:
        indices.append(frame.index)
        hook(frame.index)
    return indices


def explanation_of(index: int, *, region: Region | None = None) -> Explanation:
    """Make up an explanation: a 2x3 map whose values follow from the frame's index."""
    heatmap = np.arange(6, dtype=np.float32).reshape(2, 3) + np.float32(index)
    cat, dog = Prediction(CAT, "cat", 0.75), Prediction(DOG, "dog", 0.25)
    return Explanation(
        frame_index=index,
        heatmaps={CAT: heatmap},
        targets=(cat,),
        predictions=(cat, dog),
        method="fake",
        target_layer="nowhere",
        region=region or Region(),
    )


class FakeModel:
    """What `load_model` was asked for."""

    def __init__(self, name: str, **settings: Any) -> None:
        self.name = name
        self.settings = settings


def fake_modules(make_explainer: Callable[..., Any]) -> dict[str, types.ModuleType]:
    """Make modules that take the places of those that load networks, by name, for `sys.modules`.

    Args:
        make_explainer: Takes a `FakeModel` and the explainer's settings.
    """
    explain, models = types.ModuleType("streamcam.explain"), types.ModuleType("streamcam.models")
    models.__path__ = [str(Path(streamcam.__file__).parent / "models")]
    models.load_model = FakeModel  # type: ignore[attr-defined]
    explain.Explainer = make_explainer  # type: ignore[attr-defined]
    loading = types.ModuleType("streamcam.explain.compiled.loading")
    loading.load_explainer = (  # type: ignore[attr-defined]
        lambda model, settings: make_explainer(
            FakeModel(**model, any_shape=settings["fit"] == "full"), **settings
        )
    )
    return {module.__name__: module for module in (explain, models, loading)}


class FakeExplainer:
    """Explains at once and remembers its batches.

    Attributes:
        batches: The indices of the frames of every batch so far.
        skipped: The same, of batches that needed no explanation.
        settings: What it was built with, as the command line builds its explainer.
    """

    method = "fake"
    target_layer = "nowhere"
    fit = "stretch"
    notes: Sequence[str] = ()
    model = types.SimpleNamespace(
        name="fake",
        weights="none",
        labels=[f"class {number}" for number in range(8)],
        may_find_objects=True,
        clip_length=1,
    )
    backend, precision, device = "torch", "fp32", "cpu"
    backend_reason = "there is nothing to compute"
    clip_s = 0.0

    def __init__(
        self,
        model: str | FakeModel = "fake",
        *,
        batch_size: int | Literal["auto"] = "auto",
        before: Callable[[int], None] = lambda _batch: None,
        **settings: Any,
    ) -> None:
        """Assign.

        Args:
            model: Remembered.
            batch_size: How many frames it wants at once; two if it may choose.
            before: Called with the number of each batch, from 0, before it is explained.
            settings: Remembered.
        """
        self.batch_size = 2 if batch_size == "auto" else batch_size
        self.batches: list[list[int]] = []
        self.skipped: list[list[int]] = []
        if isinstance(model, FakeModel):
            settings, model = {**model.settings, **settings}, model.name
        self.settings = {"model": model, "batch_size": batch_size, **settings}
        self._before = before

    def describe(self) -> dict[str, object]:
        return {
            "model": "fake",
            "weights": "none",
            "method": self.method,
            "target_layer": self.target_layer,
            "fit": self.fit,
        }

    def beside(self) -> FakeExplainer:
        return copy.copy(self)  # with the same list of batches

    def identity(self) -> dict[str, object]:
        return {"model": self.settings["model"], "batch": self.batch_size}

    def explain_frames(self, frames: list[Frame], tracker: Tracker | None = None) -> list[Explanation]:  # noqa: ARG002
        self.batches.append([frame.index for frame in frames])
        self._before(len(self.batches) - 1)
        return [explanation_of(frame.index) for frame in frames]

    def skip_frames(self, frames: list[Frame], tracker: Tracker | None = None) -> None:  # noqa: ARG002
        self.skipped.append([frame.index for frame in frames])


class Token:
    """Stands for an image where none is looked at; unlike a real one it can be referred to weakly."""


class ToldSource(Source):
    """Frames without images, as many as asked for.

    Attributes:
        closed_in: The name of the thread that closed it.
    """

    def __init__(
        self,
        frame_count: int = 20,
        *,
        before: Callable[[int], None] = lambda _index: None,
        image: Callable[[], Any] = Token,
    ) -> None:
        """Assign.

        Args:
            frame_count: How many frames there are.
            before: Called with the index of each frame before it is made, and with `frame_count` at the end.
            image: Makes the images.
        """
        self.closed_in: str | None = None
        self._before = before
        self._image = image
        self._read = 0
        self._info = SourceInfo(
            name="told",
            path=None,
            width=64,
            height=48,
            time_base=Fraction(1, 25),
            rate=Fraction(25),
            frame_count=frame_count,
        )

    @property
    def info(self) -> SourceInfo:
        return self._info

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self._info.frame_count or 0):
            self._before(index)
            self._read += 1
            yield Frame(self._image(), index, index, self._info.time_base, 0.0)
        self._before(self._info.frame_count or 0)

    def report(self) -> SourceReport:
        return SourceReport(frames_read=self._read)

    def close(self) -> None:
        self.closed_in = threading.current_thread().name
