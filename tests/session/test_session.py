"""The live session, with a source, explainers and a display that follow a script."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from live_fakes import FakeDisplay, FakeExplainers, FakeLiveExplainer, ScriptedLiveSource, facts_of
from media_factory import frame_times_of, gray_of
from PIL import Image
from stage_fakes import CAT, expect

from streamcam.errors import InvalidArgumentError, SinkError, SourceError
from streamcam.media.images import planes_of
from streamcam.overlay import OverlaySettings
from streamcam.session import measurements, threads
from streamcam.session.captures import Recordings, Snapshots
from streamcam.session.command_sources import CommandCall, KeyPress
from streamcam.session.commands import COMMANDS
from streamcam.session.outputs import LiveFrame, Output, StatisticsFile
from streamcam.session.result import LiveResult
from streamcam.session.session import LiveSession
from streamcam.session.settings import LiveSettings
from streamcam.session.state import STALLED_S, ExplainRequest
from streamcam.session.threads import ExplainerFor

PLAIN = LiveSettings(overlay=OverlaySettings(labels=False), heat_shown=False)
"""Shows the bare frame, so that its gray tells which one it is."""

FAKE = ExplainRequest("fake")

Step = Callable[["Scene"], "bool | None"]
"""One step of a script. It is tried again and again until it returns something else than False."""


class Scene:
    """A session whose script is a command source: looked at after every turn of the session's loop.

    When the script is over, the source ends.
    """

    def __init__(
        self,
        *script: Step,
        settings: LiveSettings = PLAIN,
        explainer_for: ExplainerFor | None = None,
        outputs: Sequence[Output] = (),
        request: ExplainRequest = FAKE,
        wording: Callable[[str], str] = str,
    ) -> None:
        self.source = ScriptedLiveSource()
        self.display = FakeDisplay()
        self.explainers = FakeExplainers()
        self.announced: list[str] = []
        self.late_s = 0.0
        self.commands: list[KeyPress | CommandCall] = []
        self.session = LiveSession(
            self.source,
            explainer_for or self.explainers,
            [self.display, *outputs],
            settings,
            request=request,
            commands=[self],
            announce=self.announced.append,
            wording=wording,
            clock=lambda: time.monotonic() + self.late_s,
        )
        self._script = list(script)
        self.source.go()

    def poll(self) -> Sequence[KeyPress | CommandCall]:
        if self.shown:  # nothing happens before the first frame
            if not self._script:
                self.source.end()
            elif self._script[0](self) is not False:
                self._script.pop(0)
        commands, self.commands = self.commands, []
        return commands

    def run(self) -> LiveResult:
        return self.session.run()

    @property
    def shown(self) -> list[int]:
        """The indices of the frames shown, each once."""
        return list(dict.fromkeys(live_frame.frame.index for live_frame in self.display.frames))

    @property
    def grays(self) -> list[int]:
        """The luma of every image shown."""
        return [int(planes_of(image)[0][0, 0]) for image in self.display.shown]


def frames(count: int = 1) -> list[Step]:
    """Send frames one by one, each after the one before was shown."""

    def send(scene: Scene) -> None:
        scene.source.go()

    def one_more() -> list[Step]:
        before: list[int] = []

        def note_and_send(scene: Scene) -> None:
            before.append(len(scene.shown))
            send(scene)

        return [note_and_send, lambda scene: len(scene.shown) > before[0]]

    return [step for _ in range(count) for step in one_more()]


def press(*keys: str) -> Step:
    def step(scene: Scene) -> None:
        scene.commands += map(KeyPress, keys)

    return step


def call(name: str, argument: str | float | None = None) -> Step:
    def step(scene: Scene) -> None:
        scene.commands.append(CommandCall(name, argument))

    return step


def wait(condition: Callable[[Scene], object]) -> Step:
    return lambda scene: bool(condition(scene))


def until_heat(scene: Scene) -> bool:
    """Send frames until one was shown that has heat."""
    if scene.session.state.streams[0].target is not None:
        return True
    if scene.source.idle.is_set():
        scene.source.idle.clear()
        scene.source.go()
    return False


def until_method(method: str) -> Step:
    """Wait until heat of a method is shown; only a frozen or stalled session draws again by itself."""

    def step(scene: Scene) -> bool:
        facts = scene.session.state.facts
        return facts is not None and facts.method == method

    return step


def silence_of(scene: Scene) -> float:
    state = scene.session.state
    return state.silence_of(state.streams[0])


def message_of(scene: Scene) -> str:
    message = scene.session.state.message
    return "" if message is None else message.text


def test_every_frame_is_shown_as_it_comes() -> None:
    scene = Scene(*frames(3))
    result = scene.run()
    assert [gray_of(index) for index in range(4)] == list(dict.fromkeys(scene.grays))
    counts = result.statistics
    assert (counts.captured, counts.shown, counts.dropped) == (4, 4, 0)
    assert scene.display.threads == {"test"}  # windows are for the thread that runs the session
    assert scene.display.is_closed


def test_the_newest_frame_is_shown_and_the_others_are_counted() -> None:
    def hurry(scene: Scene) -> None:
        scene.source.idle.clear()
        scene.source.go(5)
        expect(scene.source.idle)  # the reader does not wait for the display

    scene = Scene(hurry, wait(lambda scene: len(scene.shown) == 2))
    result = scene.run()
    assert scene.shown == [0, 5]
    assert result.statistics.dropped == 4


def test_frames_go_on_while_a_map_is_computed() -> None:
    held, release = threading.Event(), threading.Event()

    def hold(batch: int) -> None:
        if batch == 0:
            held.set()
            expect(release)

    scene = Scene(
        lambda _: expect(held),
        *frames(3),
        lambda _: release.set(),
        *frames(1),
        explainer_for=FakeExplainers(hold),
    )
    assert scene.run().statistics.shown == 5


def test_heat_moves_on_to_frames_that_are_not_explained() -> None:
    gate, explained = threading.Event(), threading.Event()

    def hold(batch: int) -> None:
        if batch == 1:
            explained.set()
            expect(gate)

    scene = Scene(
        until_heat,
        lambda scene: scene.source.go(),
        lambda _: expect(explained),
        *frames(2),
        lambda _: gate.set(),
        settings=LiveSettings(overlay=OverlaySettings(labels=False, alpha=1.0, blend="even")),
        explainer_for=FakeExplainers(hold),
    )
    scene.run()
    # Only heat is shown, of one frame's map: later frames look alike, whatever their own gray.
    second, third = (image.to_ndarray() for image in scene.display.shown[-2:])
    assert (second == third).all()
    assert second.std() > 5


def test_a_key_changes_the_method_and_a_refusal_keeps_the_old_one() -> None:
    scene = Scene(
        until_heat,
        press("m"),
        until_method("other"),
        *frames(1),
        press("m"),
        wait(lambda scene: message_of(scene) == "this method goes with no network"),
    )
    scene.run()
    assert [request.method for request in scene.explainers.requests] == ["fake", "other", "broken"]
    facts = scene.session.state.facts
    assert facts is not None
    assert facts.method == "other"


def test_a_backend_that_gives_way_later_on_is_reported() -> None:
    def fall_back(batch: int) -> None:
        if batch == 1:
            made = explainers.made[0]
            made.facts = dataclasses.replace(made.facts, backend="other", notes=("fell back",))

    def until_seen(scene: Scene) -> bool:
        facts = scene.session.state.facts
        if facts is not None and facts.backend == "other":
            return True
        scene.source.go()
        return False

    explainers = FakeExplainers(fall_back)
    assert Scene(until_heat, until_seen, explainer_for=explainers).run().notes == ("fell back",)


def test_a_frozen_frame_stays_and_is_explained_by_itself() -> None:
    scene = Scene(
        until_heat,
        press(" "),
        wait(lambda scene: scene.session.state.frozen),
        lambda scene: scene.source.go(3),
        press("m"),
        until_method("other"),
    )
    result = scene.run()
    frozen = scene.shown[-1]
    assert scene.display.frames[-1].frame.index == frozen
    assert result.statistics.shown == frozen + 1
    assert result.statistics.captured == frozen + 4


def explained_frames(scene: Scene) -> list[str]:
    """The methods whose heat was drawn, in order."""
    heats = [live_frame.heat for live_frame in scene.display.frames if live_frame.heat is not None]
    return list(dict.fromkeys(heat.explanation.method for heat in heats))


SITUATIONS: dict[str, list[Step]] = {
    "running": [until_heat],
    "frozen": [until_heat, press(" "), wait(lambda scene: scene.session.state.frozen)],
    "stalled": [
        until_heat,
        lambda scene: setattr(scene, "late_s", 5.0),
        wait(lambda scene: silence_of(scene) > STALLED_S),
    ],
    "before the first heat": [],
    "recording": [until_heat, press("r"), wait(lambda scene: scene.session.state.streams[0].recording)],
    "frozen while recording": [
        until_heat,
        press("r", " "),
        wait(lambda scene: scene.session.state.streams[0].recording and scene.session.state.frozen),
    ],
    "stalled while recording": [
        until_heat,
        press("r"),
        wait(lambda scene: scene.session.state.streams[0].recording),
        lambda scene: setattr(scene, "late_s", 5.0),
        wait(lambda scene: silence_of(scene) > STALLED_S),
    ],
}

ACTIONS: dict[str, Step] = {
    **{key: press(key) for command in COMMANDS for key in command.keys if command.name != "quit"},
    **{command.name: call(command.name) for command in COMMANDS if not command.keys},
}
"""Every key, and every command that has none."""


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS.keys())
def test_every_key_works_in_every_situation(action: Step, situation: str, tmp_path: Path) -> None:
    scene = Scene(
        *SITUATIONS[situation],
        action,
        *[lambda _: None] * 3,  # its explanation and another drawing
        action,
        lambda scene: scene.source.go(2),
        *[lambda _: None] * 3,
        settings=LiveSettings(),  # with heat, whose arrays must never be compared
        outputs=[Recordings(tmp_path), Snapshots(tmp_path)],
    )
    assert scene.run().problems == ()
    assert scene.display.frames[-1].state.streams[0].name == "scripted"


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS.keys())
def test_every_key_works_while_the_network_loads(action: Step, tmp_path: Path) -> None:
    loaded = threading.Event()
    explainers = FakeExplainers()

    def load(request: ExplainRequest) -> FakeLiveExplainer:
        expect(loaded)
        return explainers(request)

    scene = Scene(
        action,
        lambda scene: scene.source.go(),
        *[lambda _: None] * 3,
        lambda _: loaded.set(),
        wait(lambda scene: scene.session.state.facts),
        settings=LiveSettings(),
        explainer_for=load,
        outputs=[Recordings(tmp_path), Snapshots(tmp_path)],
    )
    assert scene.run().problems == ()


@pytest.mark.parametrize("key", ["m", "l", "c", "2"])
@pytest.mark.parametrize("situation", ["frozen", "stalled"])
def test_heat_without_new_frames_is_drawn_again(key: str, situation: str) -> None:
    def is_redrawn(scene: Scene) -> bool:
        heat = scene.display.frames[-1].heat
        return heat is not None and heat is not seen[0]

    seen: list[object] = []
    scene = Scene(
        *SITUATIONS[situation],
        *[lambda _: None] * 20,  # until the frame itself is explained
        lambda scene: seen.append(scene.display.frames[-1].heat),
        press(key),
        is_redrawn,
        settings=LiveSettings(),
    )
    scene.run()
    assert scene.explainers.requests[-1] != FAKE


def test_the_class_shown_is_locked() -> None:
    scene = Scene(until_heat, press("c"), wait(lambda scene: scene.session.state.request != FAKE))
    scene.run()
    assert scene.session.state.request.class_index == CAT


def test_a_frozen_frame_can_be_recorded(tmp_path: Path) -> None:
    scene = Scene(press(" ", "r", "q"), outputs=[Recordings(tmp_path)])
    result = scene.run()
    assert result.problems == ()
    assert [recording.written for recording in result.recordings] == [1]


@pytest.mark.parametrize("key", ["q", "escape"])
def test_a_key_of_the_display_quits(key: str) -> None:
    scene = Scene(*frames(1), lambda scene: scene.display.keys.append(key), wait(lambda _: False))
    assert scene.run().statistics.shown == 2


def test_the_close_button_quits() -> None:
    scene = Scene(lambda scene: setattr(scene.display, "closed_by_user", True), wait(lambda _: False))
    assert scene.run().statistics.shown == 1


def test_full_screen_is_for_the_display() -> None:
    scene = Scene(press("f"), *frames(1))
    scene.run()
    assert scene.display.full_screen


@pytest.mark.parametrize("name", ["record", "save_image"])
def test_what_no_output_can_do_is_reported(name: str) -> None:
    scene = Scene(call(name), *frames(1))
    scene.run()
    assert message_of(scene) == "no output of this session can do that"


def test_messages_are_worded_for_those_who_see_them() -> None:
    scene = Scene(call("record"), *frames(1), wording=str.upper)
    scene.run()
    assert message_of(scene) == "NO OUTPUT OF THIS SESSION CAN DO THAT"


def test_a_command_that_does_not_exist_is_reported() -> None:
    scene = Scene(call("jump"), *frames(1))
    scene.run()
    assert message_of(scene).startswith("unknown command 'jump'")


def test_a_command_without_a_key_is_called_by_its_name() -> None:
    scene = Scene(until_heat, call("class", "tabby"), *frames(1))
    scene.run()
    assert scene.session.state.request.class_index == 4


def test_stop_ends_in_order() -> None:
    scene = Scene(lambda scene: scene.session.stop(), wait(lambda _: False))
    assert scene.run().statistics.shown == 1


def test_a_duration_ends_it() -> None:
    scene = Scene(settings=dataclasses.replace(PLAIN, duration_s=1e-9))
    assert scene.run().statistics.shown == 1


def test_a_source_that_does_not_open_is_an_error_and_no_window_opens() -> None:
    scene = Scene()
    scene.source.end(SourceError("there is no camera 0"))
    with pytest.raises(SourceError, match="there is no camera 0"):
        scene.run()
    assert scene.display.shown == []


def test_a_network_that_does_not_load_ends_it() -> None:
    scene = Scene(wait(lambda _: False), request=ExplainRequest("broken"))
    with pytest.raises(InvalidArgumentError, match="goes with no network"):
        scene.run()


def test_an_explainer_that_breaks_ends_it() -> None:
    def fail(batch: int) -> None:
        if batch == 1:
            raise MemoryError("no memory left")

    def send(scene: Scene) -> bool:
        scene.source.go()
        return False

    scene = Scene(until_heat, send, explainer_for=FakeExplainers(fail))
    with pytest.raises(MemoryError, match="no memory left"):
        scene.run()


def test_giving_up_is_an_error_and_finishes_the_recording(tmp_path: Path) -> None:
    record = tmp_path / "out.mp4"
    scene = Scene(
        *frames(1),
        wait(lambda _: False),
        settings=dataclasses.replace(PLAIN, give_up_s=0.3),
        outputs=[Recordings(record=record)],
    )
    with pytest.raises(SourceError, match=r"no frame from 'scripted' for 0.3 s; giving up"):
        scene.run()
    assert len(frame_times_of(record)) == 2


def test_trouble_is_shown_and_announced_until_it_has_passed() -> None:
    def lose(scene: Scene) -> None:
        scene.late_s = 7.0
        scene.source.notice = "camera 0 is gone; trying again"

    def come_back(scene: Scene) -> None:
        scene.source.notice = None
        scene.source.go()

    scene = Scene(
        lose,
        wait(lambda scene: scene.announced),
        lambda scene: setattr(scene, "late_s", 14.0),
        wait(lambda scene: silence_of(scene) > 13),
        come_back,
        wait(lambda scene: len(scene.announced) == 2),
    )
    scene.run()
    assert scene.announced == ["camera 0 is gone; trying again", "scripted is back after 14 s"]
    first, with_notice = (image.to_ndarray() for image in scene.display.shown[:2])
    assert first.shape == with_notice.shape


def test_trouble_before_the_first_frame_is_announced() -> None:
    announced = threading.Event()
    scene = Scene()
    scene.source.notice = "camera 0 sends no images any more; trying again"
    session = LiveSession(
        scene.source,
        scene.explainers,
        [scene.display],
        announce=lambda text: (scene.announced.append(text), announced.set()),  # type: ignore[arg-type, func-returns-value]
    )
    scene.source.before = lambda _index: (expect(announced), scene.source.end())
    with pytest.raises(SourceError, match="there are no frames in 'scripted'"):
        session.run()
    assert scene.announced == ["camera 0 sends no images any more; trying again"]
    assert scene.display.shown == []


def test_a_device_that_hangs_does_not_keep_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "PATIENCE_S", 0.05)
    wake = threading.Event()
    scene = Scene(*frames(1), press("q"), wait(lambda _: False))
    scene.source.before = lambda index: expect(wake) if index == 2 else None
    assert scene.run().statistics.shown == 2
    assert "streamcam-reader" in [thread.name for thread in threading.enumerate()]
    wake.set()


def test_a_network_that_is_loading_does_not_keep_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "PATIENCE_S", 0.05)
    loading, wake = threading.Event(), threading.Event()

    def load(request: ExplainRequest) -> FakeLiveExplainer:
        loading.set()
        expect(wake)
        return FakeExplainers()(request)

    scene = Scene(lambda _: expect(loading), press("q"), wait(lambda _: False), explainer_for=load)
    assert scene.run().statistics.shown == 1
    assert "streamcam-explainer" in [thread.name for thread in threading.enumerate()]
    wake.set()


class SlowOutput(Output):
    """An output that is stuck with its first frame until it is released."""

    def __init__(self) -> None:
        self.busy, self.release = threading.Event(), threading.Event()
        self.written: list[int] = []

    def write(self, live_frame: LiveFrame) -> None:
        self.written.append(live_frame.frame.index)
        self.busy.set()
        expect(self.release)


def test_a_slow_output_slows_nobody(tmp_path: Path) -> None:
    slow = SlowOutput()
    scene = Scene(
        lambda _: expect(slow.busy),
        *frames(5),
        lambda _: slow.release.set(),
        outputs=[slow, Recordings(record=tmp_path / "out.mp4")],
    )
    result = scene.run()
    assert result.statistics.shown == 6
    assert slow.written == [0, 5]
    assert [recording.written for recording in result.recordings] == [6]


def test_an_output_that_fails_ends_alone() -> None:
    class FailingOutput(Output):
        def write(self, live_frame: LiveFrame) -> None:  # noqa: ARG002
            raise ConnectionError("nobody listens")

    scene = Scene(
        wait(lambda scene: "nobody listens" in message_of(scene)), *frames(2), outputs=[FailingOutput()]
    )
    result = scene.run()
    assert result.statistics.shown == 3
    assert result.problems == ("FailingOutput has failed (nobody listens)",)


def test_statistics_are_written_each_second_and_for_the_whole_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measurements, "_WRITTEN_EVERY_S", 0.0)
    path = tmp_path / "stats.jsonl"
    scene = Scene(
        until_heat, *frames(2), outputs=[Recordings(record=tmp_path / "r.mkv"), StatisticsFile(path)]
    )
    result = scene.run()
    *seconds, whole = [json.loads(line) for line in path.read_text().splitlines()]
    assert whole["whole_run"] is True
    count = len(scene.shown)
    assert (whole["captured"], whole["shown"], whole["dropped"]) == (count, count, 0)
    assert (whole["recorded"], whole["recording_dropped"]) == (count, 0)
    assert whole["frame_age_ms"]["median"] > 0
    assert (whole["method"], whole["backend"], whole["precision"]) == ("fake", "torch", "fp32")
    assert sum(second["shown"] for second in seconds) <= count
    assert all("whole_run" not in second for second in seconds)
    assert result.elapsed_s > 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full, as Linux has it")
def test_statistics_that_cannot_be_written_do_not_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurements, "_WRITTEN_EVERY_S", 0.0)
    result = Scene(*frames(2), outputs=[StatisticsFile(Path("/dev/full"))]).run()
    assert result.statistics.shown == 3
    assert result.problems == ("cannot write '/dev/full': No space left on device",)


def test_a_display_that_breaks_at_the_end_costs_no_recording(tmp_path: Path) -> None:
    class BreakingDisplay(FakeDisplay):
        def close(self) -> None:
            raise SinkError("the window is gone")

    scene = Scene(*frames(1), outputs=[BreakingDisplay(), Recordings(record=tmp_path / "out.mp4")])
    with pytest.raises(SinkError, match="the window is gone"):
        scene.run()
    assert len(frame_times_of(tmp_path / "out.mp4")) == 2


def test_a_recording_that_cannot_begin_is_an_error_before_anything_is_shown(tmp_path: Path) -> None:
    scene = Scene(outputs=[Recordings(record=tmp_path / "nowhere" / "out.mp4")])
    with pytest.raises(SinkError, match="there is no directory"):
        scene.run()
    assert scene.display.shown == []


def test_frames_are_drawn_at_the_size_of_the_window() -> None:
    scene = Scene(*frames(1))
    scene.display.current_size = (321, 200)
    scene.run()
    sizes: set[tuple[int, int]] = {(image.width, image.height) for image in scene.display.shown}
    assert sizes == {(320, 200)}


def test_a_frozen_frame_is_drawn_again_when_the_window_changes_its_size() -> None:
    scene = Scene(
        press(" "),
        wait(lambda scene: scene.session.state.frozen),
        lambda scene: setattr(scene.display, "current_size", (200, 100)),
        wait(lambda scene: scene.display.shown[-1].width == 200),
    )
    scene.run()
    assert set(scene.shown) == {0}


def test_an_image_is_saved_without_what_is_written_over_it(tmp_path: Path) -> None:
    result = Scene(press("h", "p"), *frames(1), outputs=[Snapshots(tmp_path)]).run()
    (path,) = result.saved
    assert path.parent == tmp_path
    with Image.open(path) as saved:
        assert saved.size == (64, 48)
        assert np.ptp(np.asarray(saved.convert("L"))) == 0


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="handles are counted as Linux lists them")
def test_no_handle_is_left(tmp_path: Path) -> None:
    def run_once(number: int) -> int:
        outputs = [
            Recordings(tmp_path, record=tmp_path / f"{number}.mp4"),
            Snapshots(tmp_path),
            StatisticsFile(tmp_path / f"{number}.jsonl"),
        ]
        Scene(*frames(1), press("p"), *frames(1), outputs=outputs).run()
        return len(list(Path("/proc/self/fd").iterdir()))

    first, *others = [run_once(number) for number in range(4)]
    assert set(others) == {first}


def test_the_rate_of_the_source_is_known_from_its_first_frame_on() -> None:
    scene = Scene(*frames(1))
    assert scene.session.state.rate is None
    scene.run()
    assert scene.session.state.rate == Fraction(25)
    assert scene.session.state.facts in (None, facts_of(FAKE))
