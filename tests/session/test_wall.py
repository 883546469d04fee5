"""Sessions of several streams: turns, failures that harm no other, and the wall that is drawn."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from live_fakes import (
    FakeCapture,
    FakeDisplay,
    FakeExplainers,
    FakeLiveExplainer,
    NotedSource,
    ScriptedLiveSource,
    captured,
    facts_of,
    live_frame,
)
from media_factory import frame_times_of, gray_of
from stage_fakes import LIMIT_S, FakeExplainer, expect, explanation_of

from streamcam.errors import InvalidArgumentError, SourceError
from streamcam.media.images import planes_of
from streamcam.overlay import OverlaySettings
from streamcam.pipeline.channel import ChannelClosedError
from streamcam.session import measurements
from streamcam.session.batches import LiveBatches
from streamcam.session.captures import Recordings, Snapshots
from streamcam.session.command_sources import CommandCall, KeyPress
from streamcam.session.hud import hud_of
from streamcam.session.newest import NewestFrames
from streamcam.session.outputs import LiveFrame, Output, StatisticsFile, Tile
from streamcam.session.page.status import describe_state
from streamcam.session.session import LiveResult, LiveSession
from streamcam.session.settings import LiveSettings
from streamcam.session.state import ExplainRequest, LiveState, StreamState
from streamcam.session.streams import Stream, name_streams
from streamcam.session.wall import lay_out, tile_at, words_of
from streamcam.session.wall_painter import places_of
from streamcam.sources import capture
from streamcam.temporal import TemporalSettings, TogetherTracker, Tracker

PLAIN = LiveSettings(overlay=OverlaySettings(labels=False), heat_shown=False)
FAKE = ExplainRequest("fake")
STATE = LiveState(tuple(map(StreamState, ("door", "yard", "gate"))), FAKE, facts=facts_of(FAKE))


class WallScene:
    """A session of several sources that send frames when the script says so; see `test_session.Scene`."""

    def __init__(
        self,
        *script: Callable[[WallScene], bool | None],
        streams: Sequence[Stream],
        explainers: FakeExplainers | None = None,
        outputs: Sequence[Output] = (),
        settings: LiveSettings = PLAIN,
    ) -> None:
        self.streams = streams
        self.display = FakeDisplay()
        self.announced: list[str] = []
        self.commands: list[KeyPress | CommandCall] = []
        self.session = LiveSession(
            streams,
            explainers or FakeExplainers(),
            [self.display, *outputs],
            settings,
            request=FAKE,
            commands=[self],
            announce=self.announced.append,
        )
        self._script = list(script)

    def poll(self) -> Sequence[KeyPress | CommandCall]:
        if not self._script:
            self.session.stop()
        elif self._script[0](self) is not False:
            self._script.pop(0)
        commands, self.commands = self.commands, []
        return commands

    def run(self) -> LiveResult:
        return self.session.run()

    def go(self, *streams: int) -> None:
        for stream in streams:
            self.source(stream).go()

    def source(self, stream: int) -> ScriptedLiveSource:
        source = self.streams[stream].source
        assert isinstance(source, ScriptedLiveSource)
        return source

    @property
    def tiles(self) -> dict[int, int | None]:
        """The frame that each tile showed last."""
        shown = self.display.frames[-1].tiles if self.display.frames else ()
        return {tile.stream: None if tile.frame is None else tile.frame.index for tile in shown}


def scripted(*names: str, size: tuple[int, int] = (64, 48)) -> list[Stream]:
    return [Stream(ScriptedLiveSource(size=size), name) for name in names]


def shows(tiles: dict[int, int | None]) -> Callable[[WallScene], bool]:
    return lambda scene: scene.tiles == tiles


def press(key: str) -> Callable[[WallScene], None]:
    return lambda scene: scene.commands.append(KeyPress(key))


def test_every_stream_is_a_tile_and_shows_its_newest_frame() -> None:
    scene = WallScene(
        lambda scene: scene.go(0),
        shows({0: 0, 1: None, 2: None}),
        lambda scene: scene.go(1, 2, 0),
        shows({0: 1, 1: 0, 2: 0}),
        streams=scripted("door", "yard", "gate"),
    )
    scene.run()
    image = scene.display.shown[-1]
    assert (image.width, image.height) == (1280, 720)
    luma = planes_of(image)[0]
    places = places_of(scene.display.frames[-1])
    middles = [(place.left + place.width // 2, place.top + place.bar + place.height // 2) for place in places]
    assert [int(luma[y, x]) for x, y in middles] == [gray_of(1), gray_of(0), gray_of(0)]
    assert int(luma[-1, -1]) == 16  # black where no tile lies


class LentSource(ScriptedLiveSource):
    """A source whose camera somebody may take away."""

    @property
    def is_vacant(self) -> bool:
        return self.notice == "lend a camera"


def test_a_camera_that_was_taken_away_leaves_an_empty_tile() -> None:
    def leave(scene: WallScene) -> None:
        scene.source(0).notice = "lend a camera"

    def come(scene: WallScene) -> None:
        scene.source(0).notice = None
        scene.go(0)

    emptied: list[int] = []
    scene = WallScene(
        lambda scene: scene.go(0, 1),
        shows({0: 0, 1: 0}),
        leave,
        shows({0: None, 1: 0}),
        lambda scene: emptied.append(len(scene.display.frames) - 1),
        come,
        shows({0: 1, 1: 0}),
        streams=[Stream(LentSource(), "phone"), Stream(ScriptedLiveSource(), "door")],
    )
    scene.run()
    luma = planes_of(scene.display.shown[emptied[0]])[0]
    place = places_of(scene.display.frames[emptied[0]])[0]
    tile = luma[place.top + place.bar : place.top + place.bar + place.height, place.left :][:, : place.width]
    assert int(tile[-1, 0]) == int(tile[0, -1]) == 36  # gray, not the image that was there
    rows, columns = np.nonzero(tile > 100)
    assert abs(rows.mean() - place.height / 2) < 0.1 * place.height  # words in the middle
    assert abs(columns.mean() - place.width / 2) < 0.1 * place.width
    assert scene.announced == ["phone: lend a camera", "phone has a camera"]
    assert scene.session.state.streams[0].reconnections == 0


def test_times_of_a_wall_increase_whatever_those_of_the_streams_are() -> None:
    scene = WallScene(
        lambda scene: scene.go(0, 0, 0),
        lambda scene: scene.tiles.get(0) == 2,
        lambda scene: scene.go(1),
        shows({0: 2, 1: 0}),
        press("n"),
        shows({0: 2}),
        press("n"),
        shows({1: 0}),
        streams=scripted("door", "yard"),
    )
    scene.run()
    times = [shown.frame.pts for shown in scene.display.frames]
    assert times == sorted(set(times))


def test_keys_show_one_stream_alone_and_all_again() -> None:
    seen: list[int | None] = []
    keys = ["n", "n", "n", "N", "w", "n", "escape"]

    def note(scene: WallScene) -> None:
        seen.append(scene.session.state.large)

    steps: list[Callable[[WallScene], bool | None]] = []
    for key in keys:
        steps += [press(key), lambda _: None, note]
    WallScene(*steps, streams=scripted("door", "yard")).run()
    assert seen == [0, 1, None, 1, None, 0, None]


def test_one_stream_has_no_wall() -> None:
    scene = WallScene(press("n"), lambda _: None, streams=scripted("door"))
    scene.run()
    state = scene.session.state
    assert state.large is None
    assert state.message is not None
    assert state.message.text == "there is only door"
    assert not any("stream" in words for _, words in hud_of(state.with_view(help_shown=True)).help)


def test_a_stream_that_ends_or_fails_leaves_the_others_alone() -> None:
    scene = WallScene(
        lambda scene: scene.go(0, 1, 2),
        shows({0: 0, 1: 0, 2: 0}),
        lambda scene: scene.source(0).end(),
        lambda scene: scene.session.state.streams[0].has_ended,
        lambda scene: scene.source(1).end(SourceError("the file is damaged")),
        lambda scene: scene.session.state.streams[1].has_ended,
        lambda scene: scene.go(2),
        shows({0: 0, 1: 0, 2: 1}),
        streams=scripted("door", "yard", "gate"),
    )
    result = scene.run()
    state = scene.session.state
    assert [words_of(state, stream).status for stream in range(2)] == ["ended", "failed"]
    assert result.problems == ("yard: the file is damaged",)
    assert scene.announced == ["door has ended", "the file is damaged"]
    assert [counts.captured for _, counts in result.streams] == [1, 1, 2]
    assert result.statistics.captured == 4


def test_the_session_ends_with_its_last_stream() -> None:
    scene = WallScene(
        lambda scene: scene.go(0, 1),
        shows({0: 0, 1: 0}),
        lambda scene: (scene.source(0).end(), scene.source(1).end())[0],
        lambda _: False,
        streams=scripted("door", "yard"),
    )
    assert [counts.shown for _, counts in scene.run().streams] == [1, 1]


def test_streams_that_all_fail_are_an_error() -> None:
    streams = scripted("door", "yard")
    scene = WallScene(lambda _: False, streams=streams)
    for stream in range(2):
        scene.source(stream).end(SourceError(f"stream {stream} is broken"))
    with pytest.raises(SourceError, match="is broken"):
        scene.run()


def test_a_camera_that_is_away_at_first_is_waited_for() -> None:
    away = FakeCapture([captured()], refusals=[SourceError("there is no camera 0")])
    source = NotedSource(away)
    scene = WallScene(
        lambda scene: scene.go(0),
        lambda scene: scene.tiles.get(1) == 0,
        streams=[Stream(ScriptedLiveSource(), "door"), Stream(source, "yard")],
    )
    scene.run()
    assert source.notices == ["there is no camera 0; trying again", None]
    assert scene.session.state.streams[1].reconnections == 1


def test_streams_are_recorded_each_to_its_own_file(tmp_path: Path) -> None:
    paths = [tmp_path / "door.mp4", tmp_path / "yard.mp4"]
    streams = [
        Stream(ScriptedLiveSource(), path.stem, (Recordings(tmp_path, record=path, name=path.stem),))
        for path in paths
    ]
    scene = WallScene(
        lambda scene: scene.go(0, 1),
        shows({0: 0, 1: 0}),
        lambda scene: scene.go(0),
        shows({0: 1, 1: 0}),
        streams=streams,
    )
    result = scene.run()
    assert [(each.path, each.written) for each in result.recordings] == [(paths[0], 2), (paths[1], 1)]
    assert [len(frame_times_of(path)) for path in paths] == [2, 1]


def test_a_key_records_the_stream_that_is_shown_alone(tmp_path: Path) -> None:
    streams = [
        dataclasses.replace(stream, outputs=(Recordings(tmp_path, name=stream.name),))
        for stream in scripted("door", "back yard")
    ]
    scene = WallScene(
        lambda scene: scene.go(0, 1),
        shows({0: 0, 1: 0}),
        press("N"),
        shows({1: 0}),
        press("r"),
        lambda scene: scene.session.state.streams[1].recording is not None,
        streams=streams,
        outputs=[Snapshots(tmp_path)],
    )
    (recording,) = scene.run().recordings
    assert recording.path.name.endswith("-back-yard.mp4")
    assert recording.written == 1


def recorded(scene: WallScene) -> list[bool]:
    """Return which streams are recorded."""
    return [stream.recording is not None for stream in scene.session.state.streams]


def test_a_key_stops_all_recordings_although_not_all_streams_are_recorded(tmp_path: Path) -> None:
    streams = [
        dataclasses.replace(stream, outputs=(Recordings(tmp_path, name=stream.name),))
        for stream in scripted("door", "yard")
    ]

    scene = WallScene(
        lambda scene: scene.go(0, 1),
        shows({0: 0, 1: 0}),
        press("n"),
        press("r"),
        lambda scene: recorded(scene) == [True, False],
        press("w"),
        press("r"),
        lambda scene: recorded(scene) == [False, False],
        press("r"),
        lambda scene: recorded(scene) == [True, True],
        streams=streams,
    )
    assert [recording.written for recording in scene.run().recordings] == [1, 1, 1]


def test_recordings_of_all_streams_that_somebody_began_end_with_one_command(tmp_path: Path) -> None:
    named = tmp_path / "yard.mp4"
    streams = [
        Stream(ScriptedLiveSource(), "door", (Recordings(tmp_path, name="door"),)),
        Stream(ScriptedLiveSource(), "yard", (Recordings(tmp_path, record=named, name="yard"),)),
    ]

    scene = WallScene(
        lambda scene: scene.go(0, 1),
        shows({0: 0, 1: 0}),
        press("n"),
        press("r"),
        lambda scene: recorded(scene) == [True, True],
        press("N"),
        lambda scene: scene.commands.append(CommandCall("end_recordings")) or True,
        lambda scene: recorded(scene) == [False, True],
        streams=streams,
    )
    assert {recording.path.name == "yard.mp4" for recording in scene.run().recordings} == {False, True}


def test_statistics_have_a_line_for_each_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurements, "_WRITTEN_EVERY_S", 0.0)
    path = tmp_path / "stats.jsonl"
    scene = WallScene(
        lambda scene: scene.go(0, 1, 1),
        lambda scene: scene.tiles == {0: 0, 1: 1},
        streams=scripted("door", "yard"),
        outputs=[StatisticsFile(path)],
    )
    scene.run()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["stream"], line["captured"]) for line in lines[-2:]] == [("door", 1), ("yard", 2)]
    assert all(line["whole_run"] for line in lines[-2:])
    assert {line["stream"] for line in lines} == {"door", "yard"}


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("count", [4, 16])
def test_every_stream_is_explained_as_often_although_one_fails_again_and_again(
    count: int, batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "_FIRST_DELAY_S", 0.001)
    monkeypatch.setattr(FakeLiveExplainer, "batch_size", batch_size)
    rounds, gate = 20, threading.Semaphore(0)
    script = [
        lambda: gate.acquire(timeout=LIMIT_S),
        captured(),
        captured(),
        SourceError("the cable is loose"),
    ]
    broken = FakeCapture(itertools.chain.from_iterable([script] * rounds))
    streams = [*scripted(*map(str, range(count - 1))), Stream(NotedSource(broken), "loose")]
    steps: list[Callable[[WallScene], bool | None]] = []

    def begin(scene: WallScene) -> None:
        gate.release()
        scene.go(*range(count - 1))

    for turn in range(rounds):
        steps += [
            begin,
            lambda scene, turn=turn: all(  # type: ignore[misc]
                stream.meter.whole.explained > turn for stream in scene.session._streams[: count - 1]
            ),
        ]
    steps.append(lambda scene: scene.session.state.streams[-1].has_ended)
    result = WallScene(*steps, streams=streams).run()
    explained = [counts.explained for _, counts in result.streams]
    assert max(explained[:-1]) <= 1.1 * min(explained[:-1])
    assert explained[-1] > 0
    assert result.problems == ()


def test_frames_of_several_streams_are_explained_together_each_as_if_it_were_alone() -> None:
    explainer = FakeExplainer(batch_size=4)
    together = LiveBatches(explainer, TemporalSettings(mode="causal"), 3)
    for turn in range(3):
        frames = [(stream, live_frame(10 * stream + turn)) for stream in range(3)]
        explained = together.explain(frames)
        assert [(stream, frame) for stream, frame, _ in explained] == frames
        assert [each.frame_index for *_, each in explained] == [frame.index for _, frame in frames]
        assert [each.starts_shot for *_, each in explained] == [False] * 3
    assert explainer.batches == [[0, 10, 20], [1, 11, 21], [2, 12, 22]]


def test_labels_are_held_for_each_stream_by_itself() -> None:
    settings = TemporalSettings(mode="causal", label_hold_s=10.0)
    trackers = [Tracker(settings), Tracker(settings)]
    cat, dog = np.float32([0.6, 0.4]), np.float32([0.4, 0.6])

    def rank(rows: list[np.ndarray], index: int) -> list[int]:
        frames = [live_frame(index), live_frame(index)]
        for frame, tracker in zip(frames, trackers, strict=True):
            tracker.observe(frame)
        ranking = TogetherTracker(frames, trackers).rank(frames, np.stack(rows), ("cat", "dog"), 1)
        for frame, tracker in zip(frames, trackers, strict=True):
            tracker.complete(frame, explanation_of(index))
        return ranking[:, 0].tolist()

    assert rank([cat, dog], 0) == [0, 1]
    assert rank([dog, cat], 1) == [0, 1]  # each holds the label that it had


def test_networks_of_clips_explain_one_stream_only() -> None:
    explainers = FakeExplainers()

    def take_clips(request: ExplainRequest) -> FakeLiveExplainer:
        made = explainers(request)
        made.clip_s = 1.0
        return made

    scene = WallScene(lambda _: False, streams=scripted("door", "yard"), explainers=take_clips)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="fake takes clips, and can explain one source"):
        scene.run()


@pytest.mark.parametrize(
    ("streams", "batch_size"), [(4, 1), (4, 4), (16, 1), (16, 4), (3, 2), (3, 4), (5, 4)]
)
def test_streams_take_turns_however_fast_each_is(streams: int, batch_size: int) -> None:
    newest = NewestFrames(streams)
    explained: collections.Counter[int] = collections.Counter()
    for turn in range(50 * streams // batch_size):
        for stream in range(streams):  # those with higher numbers send more
            for _ in range(1 + stream % 3):
                newest.put(stream, live_frame(turn))
        explained.update(stream for stream, _ in newest.take(batch_size, rounds_down=True))
    assert len(explained) == streams
    assert max(explained.values()) <= 1.1 * min(explained.values())


def test_a_stream_that_sends_nothing_costs_nothing() -> None:
    newest = NewestFrames(3)
    taken = []
    for turn in range(10):
        newest.put(0, live_frame(turn))
        newest.put(2, live_frame(turn))
        taken += [stream for stream, _ in newest.take(1)]
    assert taken == [0, 2] * 5


def test_the_one_that_waited_longest_comes_first_when_it_is_back() -> None:
    newest = NewestFrames(3)
    for stream in (0, 1, 2, 0, 1):
        newest.put(stream, live_frame(0))
        newest.take(1)
    for stream in range(3):
        newest.put(stream, live_frame(1))
    assert [stream for stream, _ in newest.take(3)] == [2, 0, 1]


def test_batches_have_few_sizes() -> None:
    newest = NewestFrames(7)
    for stream in range(7):
        newest.put(stream, live_frame(0))
    sizes = [len(newest.take(4, rounds_down=True)) for _ in range(3)]
    assert sizes == [4, 2, 1]
    assert newest.take(4, 0, rounds_down=True) == []


def test_newer_frames_replace_those_that_wait_and_are_counted() -> None:
    newest = NewestFrames(2)
    for index in range(3):
        newest.put(1, live_frame(index))
    ((stream, frame),) = newest.take(2)
    assert (stream, frame.index, newest.dropped) == (1, 2, [0, 2])


def test_it_ends_when_all_streams_have() -> None:
    newest = NewestFrames(2)
    newest.put(1, live_frame(0))
    newest.close(0)
    newest.close(1)
    with pytest.raises(ChannelClosedError):
        newest.put(1, live_frame(1))
    assert len(newest.take(2)) == 1
    with pytest.raises(ChannelClosedError):
        newest.take(2)


def test_a_failure_wakes_whoever_waits() -> None:
    newest = NewestFrames(1)
    taking, problems = threading.Event(), []

    def take() -> None:
        taking.set()
        try:
            newest.take(1)
        except MemoryError as error:
            problems.append(error)

    thread = threading.Thread(target=take)
    thread.start()
    expect(taking)
    newest.fail(MemoryError("none left"))
    thread.join()
    assert len(problems) == 1


@pytest.mark.parametrize(
    ("shapes", "table"),
    [
        ([(16, 9)], [1]),
        ([(16, 9)] * 2, [2]),
        ([(9, 16)] * 3, [3]),
        ([(16, 9)] * 4, [2, 2]),
        ([(16, 9)] * 9, [3, 3, 3]),
        ([(16, 9), None, (4, 3)], [2, 1]),
    ],
)
def test_tiles_lie_inside_without_overlap_and_keep_their_shape(
    shapes: list[tuple[int, int] | None], table: list[int]
) -> None:
    places = lay_out(shapes, (1280, 720))
    rows = collections.Counter(place.top + place.bar + place.height // 2 for place in places)
    assert list(rows.values()) == table
    covered = np.zeros((720, 1280), int)
    for place, shape in zip(places, shapes, strict=True):
        assert min(place.left, place.top) >= 0
        covered[place.top : place.top + place.bar + place.height, place.left : place.left + place.width] += 1
        width, height = shape or (16, 9)
        assert place.width / place.height == pytest.approx(width / height, rel=0.03)
    assert covered.max() == 1
    assert covered.sum() == sum(place.width * (place.bar + place.height) for place in places)


def test_a_point_is_found_in_its_tile() -> None:
    places = lay_out([(16, 9)] * 2, (1280, 720))
    right = places[1]
    assert tile_at(places, right.left + 1, right.top + 1) == 1
    assert tile_at(places, 2, 2) is None


@pytest.mark.parametrize(
    ("changes", "status", "is_trouble"),
    [
        ({}, "waiting for the first frame", False),
        ({"notice": "there is no camera 3; trying again"}, "no signal", True),
        ({"has_begun": True, "frame_at_s": 99.5}, "0 fps", False),
        ({"has_begun": True, "frame_at_s": 88.0}, "no signal since 12 s", True),
        ({"notice": "lend a camera", "is_vacant": True}, "waiting for a camera", False),
        ({"has_begun": True, "frame_at_s": 88.0, "notice": "gone"}, "no signal since 12 s", True),
        ({"has_begun": True, "frame_at_s": 88.0, "has_ended": True}, "ended", False),
        ({"has_ended": True, "notice": "the file is damaged"}, "failed", True),
    ],
)
def test_a_tile_says_how_its_stream_is(changes: dict[str, object], status: str, is_trouble: bool) -> None:
    state = dataclasses.replace(STATE, now_s=100.0).with_stream(1, **changes)
    words = words_of(state, 1)
    assert (words.name, words.status, words.is_trouble) == ("yard", status, is_trouble)


def test_streams_have_different_names() -> None:
    streams = [
        Stream(ScriptedLiveSource()),
        Stream(ScriptedLiveSource()),
        Stream(ScriptedLiveSource(), "door"),
    ]
    assert name_streams(streams) == ("scripted", "scripted 2", "door")


def test_figures_of_a_wall_are_in_a_row_for_each_stream() -> None:
    rows = hud_of(STATE.with_view(statistics_shown=True)).statistics
    assert [name for name, _ in rows[:4]] == ["stream", "door", "yard", "gate"]
    alone = dataclasses.replace(STATE, large=1).with_view(statistics_shown=True)
    assert hud_of(alone).statistics[0][0] == "captured"


def test_a_click_shows_a_tile_alone_and_another_all_again() -> None:
    chosen: list[int | None] = []

    def click_on(number: int) -> Callable[[WallScene], None]:
        def click(scene: WallScene) -> None:
            place = places_of(scene.display.frames[-1])[number]
            command = scene.display.choose_at(place.left + 5, place.top + place.bar + 5)
            assert command is not None
            scene.commands.append(command)

        return click

    def note(scene: WallScene) -> None:
        chosen.append(scene.session.state.large)

    scene = WallScene(
        lambda scene: scene.go(0, 1),
        shows({0: 0, 1: 0}),
        click_on(1),
        shows({1: 0}),
        note,
        click_on(0),
        shows({0: 0, 1: 0}),
        note,
        lambda scene: chosen.append(0) if scene.display.choose_at(0, 0) else None,
        streams=scripted("door", "yard"),
    )
    scene.run()
    assert chosen == [1, None]


def test_the_page_knows_where_the_tiles_lie() -> None:
    frames = [live_frame(0), live_frame(1), None]
    tiles = tuple(Tile(stream, frame, None) for stream, frame in enumerate(frames))
    shown = LiveFrame(live_frame(0), None, STATE, tiles)
    described = describe_state(shown)
    assert (described["source"], described["is_wall"]) == ("3 streams", True)
    door, yard, gate = described["tiles"]
    assert [tile["name"] for tile in (door, yard, gate)] == ["door", "yard", "gate"]
    assert 0 <= door["left"] < door["right"] <= yard["left"] < yard["right"] <= 1
    assert 0 <= door["top"] < door["bottom"] <= gate["top"] < gate["bottom"] <= 1
    alone = describe_state(
        dataclasses.replace(shown, state=dataclasses.replace(STATE, large=1), tiles=tiles[1:2])
    )
    assert (alone["source"], alone["is_wall"], len(alone["tiles"])) == ("yard", False, 1)
