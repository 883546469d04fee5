"""A camera, a display and explainers for tests: live sessions without devices and networks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction

import numpy as np
from media_factory import make_image
from stage_fakes import FakeExplainer

from streamcam.errors import InvalidArgumentError, SourceError
from streamcam.frames import FloatArray, Frame, SourceInfo, SourceReport
from streamcam.media.images import Image
from streamcam.session.command_sources import CommandCall, KeyPress
from streamcam.session.events import OutputEffect, ToggleFullScreen
from streamcam.session.outputs import LiveFrame
from streamcam.session.state import ExplainerFacts, ExplainRequest
from streamcam.session.window import Display
from streamcam.sources import Source
from streamcam.sources.base import StopFlag
from streamcam.sources.capture import TIME_BASE, Capture, CapturedImage, ReconnectingSource

Step = CapturedImage | SourceError | None | Callable[[], object]
"""What a fake capture does when it is read: deliver an image, fail, have none yet, or call something."""


class FakeCapture(Capture):
    """A camera that follows a script, and calls `on_end` when the script is over.

    Attributes:
        opened: How often it was opened.
        is_open: Whether it is.
        on_end: Called at every read after the last step.
    """

    def __init__(self, script: Iterable[Step], *, refusals: Sequence[SourceError | None] = ()) -> None:
        """Take a script.

        Args:
            script: What happens, step by step.
            refusals: What each attempt to open it raises; those beyond succeed.
        """
        self.name = "fake camera"
        self.on_end: Callable[[], object] = lambda: None
        self.opened = 0
        self.is_open = False
        self._script = iter(script)
        self._refusals = list(refusals)

    def open(self) -> None:
        assert not self.is_open
        refusal = self._refusals.pop(0) if self._refusals else None
        if refusal is not None:
            raise refusal
        self.opened += 1
        self.is_open = True

    def read(self) -> CapturedImage | None:
        assert self.is_open
        for step in self._script:
            if callable(step):
                step()
                continue
            if isinstance(step, SourceError):
                raise step
            return step
        self.on_end()
        return None

    def close(self) -> None:
        self.is_open = False


def captured(
    index: int = 0, time_s: float | None = None, *, size: tuple[int, int] = (64, 48), kind: str = "yuv420p"
) -> CapturedImage:
    """One gray image, as a camera delivers it."""
    return CapturedImage(make_image(*size, index, kind), time_s)


class NotedSource(ReconnectingSource):
    """A reconnecting source that remembers its notices, and ends with the script of a fake capture.

    Attributes:
        notices: Every notice that it showed, once each.
    """

    def __init__(
        self, capture: Capture, on_notice: Callable[[str | None], object] = lambda _notice: None
    ) -> None:
        self.notices: list[str | None] = []
        self._on_notice = on_notice
        super().__init__(capture)
        if isinstance(capture, FakeCapture):
            capture.on_end = self.stop

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name == "notice" and (not self.notices or self.notices[-1] != value):
            assert value is None or isinstance(value, str)
            self.notices.append(value)
            self._on_notice(value)


class HastyStop(StopFlag):
    """Waits for nothing."""

    def wait(self, timeout_s: float) -> bool:  # noqa: ARG002
        return self.is_set()


class ScriptedLiveSource(Source):
    """A live source that sends images when the test says so: after each one it waits for `go`.

    Attributes:
        idle: Set while all that were asked for have been taken.
        before: Called with the number of each image before it is waited for.
    """

    is_live = True

    def __init__(self, *, size: tuple[int, int] = (64, 48)) -> None:
        self.size = size
        self.ended = threading.Event()
        self.idle = threading.Event()
        self.before: Callable[[int], object] = lambda _index: None
        self.failure: SourceError | None = None
        self._go = threading.Semaphore(0)
        self._count = 0

    @property
    def info(self) -> SourceInfo:
        return SourceInfo("scripted", None, *self.size, time_base=TIME_BASE, rate=Fraction(25))

    def go(self, count: int = 1) -> None:
        """Let more images come."""
        self._go.release(count)

    def end(self, failure: SourceError | None = None) -> None:
        """Let the source end or fail in the place of its next image."""
        self.failure = failure
        self.ended.set()
        self.go()

    def __iter__(self) -> Iterator[Frame]:
        self.before(0)
        while not self.stop_flag.is_set():
            if not self._go.acquire(blocking=False):
                self.idle.set()
                if not self._go.acquire(timeout=0.02):
                    continue
            self.idle.clear()
            if self.ended.is_set():
                if self.failure is not None:
                    raise self.failure
                return
            yield live_frame(self._count, self.size)
            self._count += 1
            self.before(self._count)

    def report(self) -> SourceReport:
        return SourceReport(frames_read=self._count)


def live_frame(index: int, size: tuple[int, int] = (64, 48), received_at: float = 0.0) -> Frame:
    """One gray frame of a live source, 25 a second."""
    return Frame(make_image(*size, index), index, index * 3600, TIME_BASE, received_at)


class FakeLiveExplainer:
    """An explainer without a network, whose facts a test may change.

    Attributes:
        facts: What it says of itself.
    """

    batch_size = 1
    clip_s = 0.0

    def __init__(self, explainer: FakeExplainer, facts: ExplainerFacts) -> None:
        self.facts = facts
        self.explain_frames = explainer.explain_frames

    def probabilities_without(self, frame: Frame, heatmap: FloatArray) -> FloatArray:  # noqa: ARG002
        return np.full(8, 0.15, np.float32)


class FakeExplainers:
    """Returns explainers that need no network.

    Attributes:
        requests: Every request, in order.
        made: Every explainer that was returned.
    """

    def __init__(self, before: Callable[[int], None] = lambda _batch: None) -> None:
        """Set up.

        Args:
            before: Called before each explanation, as by `FakeExplainer`.
        """
        self.requests: list[ExplainRequest] = []
        self.made: list[FakeLiveExplainer] = []
        self._explainer = FakeExplainer(batch_size=1, before=before)

    def __call__(self, request: ExplainRequest) -> FakeLiveExplainer:
        self.requests.append(request)
        if request.method == "broken":
            raise InvalidArgumentError("this method goes with no network")
        self.made.append(FakeLiveExplainer(self._explainer, facts_of(request)))
        return self.made[-1]


def facts_of(request: ExplainRequest) -> ExplainerFacts:
    """Return the facts of the explainer that `FakeExplainers` returns for a request."""
    return ExplainerFacts(
        model="fake",
        method=request.method,
        layer="deep" if request.layer == "auto" else request.layer,
        backend="torch",
        precision="fp32",
        labels=request.prompts or ("goldfish", "tiger cat", "Egyptian cat", "catamaran", "tabby", "egret"),
        layers=("shallow", "middle", "deep"),
        methods=("fake", "other", "broken"),
        takes_prompts=request.method == "prompted",
    )


class FakeDisplay(Display):
    """Remembers what it showed, and presses keys.

    Attributes:
        shown: The images, in order.
        frames: What each of them shows.
        keys: The keys pressed next; a test appends to it to press one.
        full_screen: Whether it fills the screen.
        is_closed: Whether the session closed it.
        closed_by_user: Whether its close button was pressed.
        threads: The names of the threads that it was used in.
    """

    def __init__(
        self,
        *,
        size: tuple[int, int] | None = None,
        on_show: Callable[[LiveFrame], object] = lambda _live_frame: None,
    ) -> None:
        """Open it.

        Args:
            size: (width, height) in pixels.
            on_show: Called with each frame after it was shown.
        """
        super().__init__()
        self.shown: list[Image] = []
        self.frames: list[LiveFrame] = []
        self.keys: list[str] = []
        self.full_screen = False
        self.is_closed = False
        self.closed_by_user = False
        self.threads: set[str] = set()
        self.current_size = size
        self._on_show = on_show

    @property
    def size(self) -> tuple[int, int] | None:
        return self.current_size

    def write(self, live_frame: LiveFrame) -> None:
        super().write(live_frame)
        self.frames.append(live_frame)
        self._on_show(live_frame)

    def show(self, image: Image) -> None:
        self.threads.add(threading.current_thread().name)
        self.shown.append(image)

    def poll(self) -> Sequence[KeyPress | CommandCall]:
        if self.closed_by_user:
            return [CommandCall("quit")]
        self.redraw_if_resized()
        keys, self.keys = self.keys, []
        return [KeyPress(key) for key in keys]

    def handle(self, effect: OutputEffect, live_frame: LiveFrame | None) -> bool:  # noqa: ARG002
        if not isinstance(effect, ToggleFullScreen):
            return False
        self.full_screen = not self.full_screen
        return True

    def close(self) -> None:
        self.is_closed = True
