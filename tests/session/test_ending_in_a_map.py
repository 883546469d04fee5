"""Ending a live session while a method of many passes works on a frame."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence

from live_fakes import FakeExplainers, ScriptedLiveSource
from stage_fakes import LIMIT_S, expect

from streamcam.errors import CancelledError
from streamcam.explanations import Explanation
from streamcam.frames import Frame
from streamcam.session.state import ExplainerFacts, ExplainRequest
from streamcam.session.threads import LiveThreads
from streamcam.temporal import TemporalSettings, Tracker


class ManyPasses:
    """An explainer of which each map takes as long as nobody cancels it."""

    batch_size = 1
    clip_s = 0.0

    def __init__(self, facts: ExplainerFacts) -> None:
        self.facts = facts
        self.begun, self.go_on, self.cancelled = (threading.Event() for _ in range(3))
        self._is_cancelled: Callable[[], bool] | None = None

    @contextlib.contextmanager
    def cancelled_by(self, is_cancelled: Callable[[], bool]) -> Iterator[None]:
        self._is_cancelled = is_cancelled
        yield
        self._is_cancelled = None

    def explain_frames(
        self,
        frames: list[Frame],  # noqa: ARG002
        tracker: Tracker | None = None,  # noqa: ARG002
        context: Sequence[Frame] = (),  # noqa: ARG002
    ) -> list[Explanation]:
        self.begun.set()
        expect(self.go_on)
        assert self._is_cancelled is not None
        assert self._is_cancelled()
        self.cancelled.set()
        raise CancelledError("between two passes")


def test_the_map_that_nobody_waits_for_is_not_finished() -> None:
    request = ExplainRequest()
    explainer = ManyPasses(FakeExplainers()(request).facts)
    source = ScriptedLiveSource()
    threads = LiveThreads([source], lambda _request: explainer, request, TemporalSettings())
    threads.start()
    source.go()
    expect(explainer.begun)
    threads.stop()
    explainer.go_on.set()
    threads.join()
    expect(explainer.cancelled)
    assert threads._explainer.join(LIMIT_S), "nothing is left that the interpreter would wait for"
