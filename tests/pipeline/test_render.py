"""Whole renders of small videos with an explainer that needs no network."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from media_factory import frame_times_of, make_clip, truncate
from PIL import Image
from stage_fakes import FakeExplainer, expect
from video_runs import render_with

import streamcam
from streamcam.errors import InvalidArgumentError, OutputExistsError, SinkError, SourceError
from streamcam.explanations import Explanation, StabilizedFrame
from streamcam.frames import Frame
from streamcam.overlay import OverlaySettings
from streamcam.pipeline import render as rendering
from streamcam.pipeline.results import Progress, RenderResult
from streamcam.pipeline.stream import ExplainedStream
from streamcam.sinks import SidecarSink, VideoSink
from streamcam.sources import Source, SourceSettings, open_source
from streamcam.temporal import Stabilizer, TemporalSettings

FRAMES = 30


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "clip.mp4", frames=FRAMES)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def listing(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def at_frame(number: int, action: Callable[[], object]) -> Callable[[Progress], None]:
    def on_progress(progress: Progress) -> None:
        if progress.frames == number:
            action()

    return on_progress


def die() -> None:
    raise RuntimeError("died")


def test_every_frame_comes_out_at_its_own_time(clip: Path, out: Path) -> None:
    result = render_with(clip, out / "video.mp4", FakeExplainer())
    assert frame_times_of(out / "video.mp4") == frame_times_of(clip)
    assert len(frame_times_of(clip)) == FRAMES
    assert (result.output, result.frames, result.interrupted) == (out / "video.mp4", FRAMES, False)
    assert result.video_s == pytest.approx(FRAMES / 25)
    assert result.source.frames_read == FRAMES
    assert result.complete
    assert result.elapsed_s > 0
    assert result.fps == pytest.approx(FRAMES / result.elapsed_s)
    assert listing(out) == ["video.mp4"]


def test_variable_rates_keep_their_times(tmp_path: Path, out: Path) -> None:
    pts = [0, 40, 50, 51, 200, 1000, 1001, 1300]
    clip = make_clip(tmp_path / "vfr.mkv", pts=pts, time_base=Fraction(1, 1000))
    render_with(clip, out / "video.mp4", FakeExplainer())
    assert frame_times_of(out / "video.mp4") == [Fraction(time, 1000) for time in pts]


def test_a_span_of_a_video(clip: Path, out: Path) -> None:
    result = render_with(
        clip, out / "video.mp4", FakeExplainer(), source=SourceSettings(start_s=0.4, end_s=0.8)
    )
    assert result.frames == 10
    assert frame_times_of(out / "video.mp4") == [Fraction(index, 25) for index in range(10)]


def test_two_runs_write_the_same_sidecar(clip: Path, out: Path) -> None:
    for name in ("one", "two"):
        render_with(clip, out / f"{name}.mp4", FakeExplainer(), sidecar=out / f"{name}.jsonl")
    assert (out / "one.jsonl").read_bytes() == (out / "two.jsonl").read_bytes()
    header, *records = map(json.loads, (out / "one.jsonl").read_text().splitlines())
    assert header == {
        "streamcam": streamcam.__version__,
        "model": "fake",
        "weights": "none",
        "method": "fake",
        "target_layer": "nowhere",
        "fit": "stretch",
        "input": str(clip),
        "width": 64,
        "height": 48,
    }
    assert [record["frame"] for record in records] == list(range(FRAMES))


def test_the_sidecar_holds_raw_maps_whatever_the_overlay(clip: Path, out: Path) -> None:
    render_with(clip, out / "a.mp4", FakeExplainer(), sidecar=out / "a.jsonl")
    plain = OverlaySettings(colormap="jet", alpha=0.0, labels=False)
    raw = TemporalSettings(smoothing_s=0)
    render_with(clip, out / "b.mp4", FakeExplainer(), temporal=raw, overlay=plain, sidecar=out / "b.jsonl")
    assert (out / "a.jsonl").read_bytes() == (out / "b.jsonl").read_bytes()


def test_an_image_becomes_an_image(tmp_path: Path, out: Path) -> None:
    pixels = np.full((40, 60, 3), 128, np.uint8)
    Image.fromarray(pixels).save(tmp_path / "gray.png")
    result = render_with(tmp_path / "gray.png", out / "heat.png", FakeExplainer())
    assert result.frames == 1
    with Image.open(out / "heat.png") as heat:
        assert heat.size == (60, 40)
        assert (np.asarray(heat) != pixels).any()


def test_progress_is_told_after_every_frame_and_the_start_once(clip: Path, out: Path) -> None:
    told: list[Progress] = []
    started: list[ExplainedStream] = []
    render_with(clip, out / "video.mp4", FakeExplainer(), on_progress=told.append, on_start=started.append)
    assert [progress.frames for progress in told] == list(range(1, FRAMES + 1))
    assert [progress.video_s for progress in told] == pytest.approx([n / 25 for n in range(1, FRAMES + 1)])
    assert {progress.info.frame_count for progress in told} == {FRAMES}
    assert len(started) == 1


def test_notes_come_from_every_stage(tmp_path: Path, out: Path) -> None:
    clip = make_clip(tmp_path / "odd.mkv", frames=3, size=(65, 48), pixel_format="yuv444p")
    explainer = FakeExplainer()
    explainer.notes = ["made up"]
    notes = render_with(clip, out / "video.mp4", explainer).notes
    assert notes[0] == "made up"
    assert any("65x48 is written as 64x48" in note for note in notes)


# --- failures leave nothing behind ------------------------------------------------------------------------


CAUSAL = TemporalSettings(mode="causal")
"""No frame waits for those after it."""


def render_badly(clip: Path, out: Path, explainer: Any = None, **others: Any) -> RenderResult:
    others.setdefault("temporal", CAUSAL)
    return render_with(
        clip, out / "video.mp4", explainer or FakeExplainer(), sidecar=out / "maps.jsonl", **others
    )


@pytest.mark.parametrize("batch", [0, 5])
def test_explainer_dies(clip: Path, out: Path, batch: int) -> None:
    def die_in_turn(number: int) -> None:
        if number == batch:
            die()

    with pytest.raises(RuntimeError, match="died"):
        render_badly(clip, out, FakeExplainer(before=die_in_turn))
    assert listing(out) == []


def test_reader_dies(clip: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "open_source", lambda *_, **__: Wrapped(open_source(clip), 7, die))
    with pytest.raises(RuntimeError, match="died"):
        render_badly(clip, out)
    assert listing(out) == []


def dies_at(number: int, method: Callable[..., None], error: Exception) -> Callable[..., None]:
    """Wrap a method so that one of its calls raises."""
    calls = 0

    def call(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == number:
            raise error
        method(*arguments)

    return call


@pytest.mark.parametrize("number", [1, 10, FRAMES])
@pytest.mark.parametrize("writer", [VideoSink, SidecarSink])
def test_sink_dies(clip: Path, out: Path, monkeypatch: pytest.MonkeyPatch, writer: type, number: int) -> None:
    monkeypatch.setattr(writer, "write", dies_at(number, writer.write, SinkError("disk full")))
    with pytest.raises(SinkError, match="disk full"):
        render_badly(clip, out)
    assert listing(out) == []


def test_sink_dies_when_it_finishes(clip: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def finish(_sink: VideoSink, *, cut_short: bool = False) -> None:
        raise SinkError(f"disk full, {cut_short}")

    monkeypatch.setattr(VideoSink, "finish", finish)
    with pytest.raises(SinkError, match="disk full, False"):
        render_badly(clip, out)
    assert listing(out) == []


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, RuntimeError])
def test_caller_raises(clip: Path, out: Path, interrupt: type[BaseException]) -> None:
    def raise_it() -> None:
        raise interrupt

    with pytest.raises(interrupt):
        render_badly(clip, out, on_progress=at_frame(10, raise_it))
    assert listing(out) == []


def test_a_failure_leaves_the_file_that_was_to_be_replaced(clip: Path, out: Path) -> None:
    for name in ("video.mp4", "maps.jsonl"):
        (out / name).write_text("precious")
    with pytest.raises(RuntimeError, match="died"):
        render_badly(clip, out, overwrite=True, on_progress=at_frame(10, die))
    assert listing(out) == ["maps.jsonl", "video.mp4"]
    assert {path.read_text() for path in out.iterdir()} == {"precious"}


def test_outputs_are_checked_before_anything_is_read(clip: Path, out: Path) -> None:
    (out / "there.mp4").touch()
    before = clip.read_bytes()
    explainer = FakeExplainer()
    with pytest.raises(OutputExistsError, match="exists already"):
        render_with(clip, out / "there.mp4", explainer)
    with pytest.raises(OutputExistsError, match="exists already"):
        render_with(clip, out / "video.mp4", explainer, sidecar=out / "there.mp4")
    with pytest.raises(OutputExistsError, match="input itself"):
        render_with(clip, clip, explainer, overwrite=True)
    with pytest.raises(OutputExistsError, match="input itself"):
        render_with(clip, out / "video.mp4", explainer, sidecar=clip, overwrite=True)
    with pytest.raises(SinkError, match="no directory"):
        render_with(clip, out / "missing" / "video.mp4", explainer)
    with pytest.raises(InvalidArgumentError, match="is the output itself"):
        render_with(clip, out / "video.mp4", explainer, sidecar=out / "video.mp4")
    with pytest.raises(InvalidArgumentError, match="alpha"):
        render_with(clip, out / "video.mp4", explainer, overlay=OverlaySettings(alpha=2))
    assert explainer.batches == []
    assert listing(out) == ["there.mp4"]
    assert clip.read_bytes() == before


# --- stopping early ---------------------------------------------------------------------------------------


class Wrapped(Source):
    """Does something before one frame of another source."""

    def __init__(self, source: Source, number: int, action: Callable[[], object]) -> None:
        self._source = source
        self._number = number
        self._action = action

    @property
    def info(self) -> streamcam.frames.SourceInfo:
        return self._source.info

    def __iter__(self) -> Any:
        for frame in self._source:
            if frame.index == self._number:
                self._action()
            yield frame

    def report(self) -> streamcam.frames.SourceReport:
        return self._source.report()

    def close(self) -> None:
        self._source.close()


@dataclasses.dataclass
class Hold:
    """A handshake with a reader that waits before one frame."""

    reached: threading.Event = dataclasses.field(default_factory=threading.Event)
    released: threading.Event = dataclasses.field(default_factory=threading.Event)

    def wait(self) -> None:
        self.reached.set()
        expect(self.released)

    def stop(self, running: ExplainedStream) -> None:
        """Stop a stream just when its reader waits: all frames before have been passed on."""
        expect(self.reached)
        running.stop()
        self.released.set()


@pytest.fixture
def held_up(clip: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Hold]:
    """Let the reader wait before one frame."""

    def hold_up(number: int) -> Hold:
        hold = Hold()
        source = lambda *_, **__: Wrapped(open_source(clip), number, hold.wait)  # noqa: E731
        monkeypatch.setattr(rendering, "open_source", source)
        return hold

    return hold_up


def test_stopped_in_the_middle(clip: Path, out: Path, held_up: Callable[[int], Hold]) -> None:
    hold = held_up(12)
    running: list[ExplainedStream] = []
    result = render_badly(
        clip, out, on_start=running.append, on_progress=at_frame(9, lambda: hold.stop(running[0]))
    )
    assert result.interrupted
    assert not result.complete
    assert result.frames == 12
    assert frame_times_of(out / "video.mp4") == frame_times_of(clip)[:12]
    assert len((out / "maps.jsonl").read_text().splitlines()) == 13
    assert listing(out) == ["maps.jsonl", "video.mp4"]


def test_stopped_while_frames_wait_for_those_after_them(
    clip: Path, out: Path, held_up: Callable[[int], Hold]
) -> None:
    hold = held_up(16)
    running: list[ExplainedStream] = []
    ahead = TemporalSettings(smoothing_s=0.1, mode="zero-phase")  # 5 frames are looked ahead
    stop = at_frame(8, lambda: hold.stop(running[0]))
    result = render_badly(clip, out, temporal=ahead, on_start=running.append, on_progress=stop)
    assert (result.frames, result.interrupted) == (16, True)
    assert frame_times_of(out / "video.mp4") == frame_times_of(clip)[:16]


def test_stopped_before_the_first_frame(clip: Path, out: Path, held_up: Callable[[int], Hold]) -> None:
    result = render_badly(clip, out, on_start=held_up(0).stop)
    assert (result.frames, result.interrupted, result.complete) == (0, True, False)
    assert result.video_s == 0
    assert listing(out) == []


def test_closing_the_stream_counts_as_stopping(clip: Path, out: Path) -> None:
    running: list[ExplainedStream] = []
    result = render_badly(
        clip, out, on_start=running.append, on_progress=at_frame(5, lambda: running[0].close())
    )
    # Four images may have been drawn and wait, and one be in hand.
    assert 5 <= result.frames <= 10 < FRAMES
    assert result.interrupted


def test_stopped_too_late_to_matter(clip: Path, out: Path) -> None:
    running: list[ExplainedStream] = []
    result = render_badly(
        clip, out, on_start=running.append, on_progress=at_frame(FRAMES, lambda: running[0].stop())
    )
    assert (result.frames, result.interrupted, result.complete) == (FRAMES, False, True)


def test_a_source_that_gives_nothing_is_an_error(
    clip: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Empty(Wrapped):
        def __iter__(self) -> Any:
            return iter(())

    monkeypatch.setattr(rendering, "open_source", lambda *_, **__: Empty(open_source(clip), 0, die))
    with pytest.raises(SourceError, match="gave no frames"):
        render_badly(clip, out)
    assert listing(out) == []


def test_a_stage_that_loses_frames_is_found_out(
    clip: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push = Stabilizer.push

    def forget_one(stabilizer: Stabilizer, frame: Frame, explanation: Explanation) -> list[StabilizedFrame]:
        return [] if frame.index == 3 else push(stabilizer, frame, explanation)

    monkeypatch.setattr(Stabilizer, "push", forget_one)
    result = render_badly(clip, out)
    assert (result.frames_lost, result.complete) == (1, False)


def test_a_truncated_video_is_rendered_as_far_as_it_goes(tmp_path: Path, out: Path) -> None:
    clip = make_clip(tmp_path / "cut.mp4", frames=FRAMES, muxer_options={"movflags": "+faststart"}, gop=5)
    truncate(clip, 0.7)
    result = render_badly(clip, out)
    assert 0 < result.frames < FRAMES
    assert not result.complete
    assert not result.interrupted
    assert result.source.shortfall
    assert len(frame_times_of(out / "video.mp4")) == result.frames
