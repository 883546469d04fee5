"""Renders that are interrupted and resumed: nobody can tell where, and nothing is done twice in vain."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import os
import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from media_factory import (
    Audio,
    frame_times_of,
    images_of,
    make_clip,
    names_in,
    overwrite_bytes,
    packets_of,
    paint_noise,
)
from PIL import Image
from stage_fakes import CAT, LIMIT_S, FakeExplainer
from video_runs import render_with

from streamcam.errors import InvalidArgumentError, SinkError
from streamcam.explanations import Explanation
from streamcam.frames import Frame
from streamcam.media.encoders import EncoderSettings
from streamcam.overlay import OverlaySettings
from streamcam.pipeline import recorded_explainer
from streamcam.pipeline.results import Progress, RenderResult
from streamcam.pipeline.resume import ResumeState
from streamcam.pipeline.stream import ExplainedStream
from streamcam.sinks.resume import durable, segments
from streamcam.sources import SourceSettings
from streamcam.temporal import TemporalSettings, Tracker

FRAMES = 30
EACH = 8


@pytest.fixture(autouse=True)
def _short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "FRAMES_PER_SEGMENT", EACH)
    # Explanations are saved at the end of a run only, so that no file depends on how fast the machine is.
    monkeypatch.setattr(recorded_explainer, "SECONDS_AT_RISK", math.inf)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "clip.mp4", frames=FRAMES, audio=[Audio(duration_s=1.2)], paint=paint_noise)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


CAUSAL = TemporalSettings(mode="causal")
"""No frame waits for those after it."""


def resumable(source: Path, output: Path, explainer: Any = None, /, **others: Any) -> RenderResult:
    explainer = explainer or FakeExplainer(batch_size=3)
    others.setdefault("temporal", CAUSAL)
    sidecar = output.with_suffix(".jsonl")
    return render_with(source, output, explainer, sidecar=sidecar, resume=True, **others)


def die() -> None:
    raise RuntimeError("died")


class Dying(FakeExplainer):
    """Fails at one batch, when every frame before that batch has been written."""

    def __init__(self, batch: int) -> None:
        super().__init__(batch_size=3)
        self._batch = batch
        self._written = 0
        self._changed = threading.Condition()

    def note(self, progress: Progress) -> None:
        with self._changed:
            self._written = progress.frames
            self._changed.notify_all()

    def explain_frames(self, frames: list[Frame], tracker: Tracker | None = None) -> list[Explanation]:
        if len(self.batches) == self._batch:
            with self._changed:
                assert self._changed.wait_for(lambda: self._written >= frames[0].index, LIMIT_S)
            die()
        return super().explain_frames(frames, tracker)


def interrupt(source: Path, output: Path, batch: int, /, **others: Any) -> None:
    dying = Dying(batch)
    with pytest.raises(RuntimeError, match="died"):
        resumable(source, output, dying, on_progress=dying.note, **others)


def audio_of(path: Path) -> list[tuple[Fraction, bytes]]:
    with av.open(str(path)) as container:
        return packets_of(path, "audio") if container.streams.audio else []


def assert_same_video(one: Path, other: Path) -> None:
    assert frame_times_of(one) == frame_times_of(other)
    for first, second in zip(images_of(one), images_of(other), strict=True):
        np.testing.assert_array_equal(first, second)
    assert audio_of(one) == audio_of(other)
    assert one.with_suffix(".jsonl").read_bytes() == other.with_suffix(".jsonl").read_bytes()


@pytest.mark.parametrize(
    ("suffix", "settings"),
    [
        (".mp4", EncoderSettings()),
        (".mkv", EncoderSettings("ffv1")),
        (".ts", EncoderSettings("libx265", preset="ultrafast")),
        (".webm", EncoderSettings()),
    ],
)
def test_a_resumed_video_is_the_uninterrupted_one(
    clip: Path, out: Path, suffix: str, settings: EncoderSettings
) -> None:
    whole, resumed = out / f"whole{suffix}", out / f"resumed{suffix}"
    assert resumable(clip, whole, encoder=settings).frames == FRAMES
    interrupt(clip, resumed, 7, encoder=settings)
    names = {f"whole{suffix}", "whole.jsonl", f"resumed{suffix}.parts"}
    assert set(names_in(out)) == names
    names = ["000000.npz", "000001.npz", "pending-000000015.npz", "settings.json"]
    assert names_in(out / f"resumed{suffix}.parts") == names
    explainer, told = FakeExplainer(batch_size=3), list[ResumeState]()
    result = resumable(clip, resumed, explainer, encoder=settings, on_resume=told.append)
    # Seven batches were explained and 16 frames encoded; the first batch is explained once more.
    assert told == [ResumeState(frames=21, encoded=16)]
    assert explainer.batches == [list(range(at, at + 3)) for at in (0, *range(21, FRAMES, 3))]
    assert (result.frames, result.interrupted, result.complete) == (FRAMES, False, True)
    assert (result.explained, result.carried, result.kept) == (FRAMES, 21, None)
    assert result.video_s == pytest.approx((FRAMES - 21) / 25)
    assert result.fps == pytest.approx((FRAMES - 21) / result.elapsed_s)
    assert_same_video(resumed, whole)
    assert set(names_in(out)) == {f"whole{suffix}", "whole.jsonl", f"resumed{suffix}", "resumed.jsonl"}


def test_where_only_segments_are_left(clip: Path, out: Path) -> None:
    """As after a power cut: the batch that the last finished frame lies in is explained whole once more."""
    resumable(clip, out / "whole.mp4")
    interrupt(clip, out / "video.mp4", 7)
    (out / "video.mp4.parts" / "pending-000000015.npz").unlink()
    explainer = FakeExplainer(batch_size=3)
    result = resumable(clip, out / "video.mp4", explainer)
    assert explainer.batches == [list(range(at, at + 3)) for at in (0, *range(15, FRAMES, 3))]
    assert result.carried == 16
    assert_same_video(out / "video.mp4", out / "whole.mp4")


def test_a_video_in_segments_is_the_same_video(clip: Path, out: Path) -> None:
    resumable(clip, out / "segments.mp4")
    render_with(clip, out / "straight.mp4", FakeExplainer(batch_size=3), sidecar=out / "straight.jsonl")
    assert frame_times_of(out / "segments.mp4") == frame_times_of(out / "straight.mp4")
    assert packets_of(out / "segments.mp4", "audio") == packets_of(out / "straight.mp4", "audio")
    assert (out / "segments.jsonl").read_bytes() == (out / "straight.jsonl").read_bytes()


def test_a_video_may_be_interrupted_as_often_as_one_likes(clip: Path, out: Path) -> None:
    resumable(clip, out / "whole.mp4")
    # Batches count from 0 in each run, from the first one that is explained again.
    for batch in (0, 2, 4, 6, 1, 1):
        interrupt(clip, out / "video.mp4", batch)
    resumable(clip, out / "video.mp4")
    assert_same_video(out / "video.mp4", out / "whole.mp4")


def test_every_place_to_be_interrupted_at(tmp_path: Path, out: Path) -> None:
    """Also a video that ends with a segment, or before the first is full."""
    for frames in (EACH - 1, 2 * EACH):
        clip = make_clip(tmp_path / f"{frames}.mp4", frames=frames)
        resumable(clip, out / f"{frames}.mp4")
        for batch in range(math.ceil(frames / 3)):
            interrupt(clip, out / "video.mp4", batch)
            resumable(clip, out / "video.mp4")
            assert_same_video(out / "video.mp4", out / f"{frames}.mp4")
            for name in ("video.mp4", "video.jsonl"):
                (out / name).unlink()
    assert "video.mp4.parts" not in names_in(out)


def test_gaps_and_reordered_images_where_segments_meet(tmp_path: Path, out: Path) -> None:
    pts = [*range(0, 8 * 40, 40), 900, 901, 902, 5000, *range(5001, 5013), 90000]
    clip = make_clip(
        tmp_path / "gaps.mkv", pts=pts, time_base=Fraction(1, 1000), b_frames=2, paint=paint_noise
    )
    resumable(clip, out / "video.mp4")
    assert frame_times_of(out / "video.mp4") == [Fraction(time, 1000) for time in pts]
    with av.open(str(out / "video.mp4")) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    dts = [packet.dts for packet in packets]
    assert all(earlier < later for earlier, later in itertools.pairwise(dts))
    assert all(packet.dts <= packet.pts for packet in packets)
    assert any(packet.dts < packet.pts for packet in packets), "no image was reordered"


def test_a_part_of_a_video(clip: Path, out: Path) -> None:
    resumable(clip, out / "whole.mkv", source=SourceSettings(start_s=0.2, end_s=1.0))
    interrupt(clip, out / "video.mkv", 4, source=SourceSettings(start_s=0.2, end_s=1.0))
    resumable(clip, out / "video.mkv", source=SourceSettings(start_s=0.2, end_s=1.0))
    assert_same_video(out / "video.mkv", out / "whole.mkv")
    assert len(frame_times_of(out / "video.mkv")) == 20


# --- stopped in order -------------------------------------------------------------------------------------


def stopping_at(frame: int) -> dict[str, Any]:
    """Stop a render in order when so many frames are written."""
    running: list[ExplainedStream] = []
    stop = lambda progress: running[0].stop() if progress.frames == frame else None  # noqa: E731
    return {"on_start": running.append, "on_progress": stop}


def test_a_stopped_render_keeps_all_that_is_explained_and_makes_no_file(clip: Path, out: Path) -> None:
    result = resumable(clip, out / "video.mp4", **stopping_at(10))
    assert (result.frames, result.interrupted, result.complete) == (0, True, False)
    assert result.kept is not None
    # Whole batches: what was read only, and not enough for one, would give other results by itself.
    assert result.kept.frames in range(12, FRAMES, 3)
    assert result.kept.encoded == EACH
    assert names_in(out) == ["video.mp4.parts"]
    explainer = FakeExplainer(batch_size=3)
    assert resumable(clip, out / "video.mp4", explainer).complete
    assert explainer.batches[1][0] == result.kept.frames
    assert names_in(out) == ["video.jsonl", "video.mp4"]


class Wandering(FakeExplainer):
    """Finds another place important every other frame."""

    def explain_frames(self, frames: list[Frame], tracker: Tracker | None = None) -> list[Explanation]:
        places = np.eye(6, dtype=np.float32).reshape(6, 2, 3)
        return [
            dataclasses.replace(one, heatmaps={CAT: places[one.frame_index // 2 % 6]})
            for one in super().explain_frames(frames, tracker)
        ]


@pytest.mark.parametrize("mode", ["causal", "flow-zero-phase"])
def test_a_video_that_was_stopped_again_and_again_is_the_uninterrupted_one(
    tmp_path: Path, out: Path, mode: str
) -> None:
    """Also where frames wait for those after them, which a stop must not release too early."""
    clip = make_clip(tmp_path / "long.mp4", frames=100, paint=paint_noise)
    settings = {"temporal": TemporalSettings(mode=mode), "encoder": EncoderSettings("ffv1")}
    resumable(clip, out / "whole.mkv", Wandering(batch_size=3), **settings)
    kept = 0
    for frame in (1, 20, 40):
        result = resumable(clip, out / "video.mkv", Wandering(batch_size=3), **settings, **stopping_at(frame))
        assert result.kept is not None
        assert result.kept.frames > max(kept, frame)
        kept = result.kept.frames
    assert resumable(clip, out / "video.mkv", Wandering(batch_size=3), **settings).complete
    assert_same_video(out / "video.mkv", out / "whole.mkv")


def test_dead_before_anything_is_worth_keeping(clip: Path, out: Path) -> None:
    interrupt(clip, out / "video.mp4", 0)
    assert names_in(out) == []


# --- what cannot be resumed -------------------------------------------------------------------------------


@pytest.fixture
def begun(clip: Path, out: Path) -> Path:
    """A video of which two segments are finished."""
    interrupt(clip, out / "video.mp4", 7)
    return out / "video.mp4"


def refuse(clip: Path, begun: Path, kind: type[Exception], told: str, **others: Any) -> None:
    parts = begun.with_name("video.mp4.parts")
    before = {path.name: path.read_bytes() for path in parts.iterdir()}
    explainer = others.pop("explainer", FakeExplainer(batch_size=3))
    with pytest.raises(kind, match=told):
        resumable(clip, begun, explainer, **others)
    assert explainer.batches == []
    assert {path.name: path.read_bytes() for path in parts.iterdir()} == before
    assert names_in(begun.parent) == ["video.mp4.parts"]


WAY_OUT = "use the same, or delete it to start over"


@pytest.mark.parametrize(
    ("others", "told"),
    [
        ({"overlay": OverlaySettings(alpha=0.7)}, r"overlay alpha: 0\.45 then, 0\.7 now\)"),
        ({"encoder": EncoderSettings(crf=30)}, r"encoder crf: None then, 30 now\)"),
        ({"source": SourceSettings(end_s=1.0)}, r"source end_s: None then, 1\.0 now\)"),
        (
            {"explainer": FakeExplainer("other", batch_size=4)},
            r"model: 'fake' then, 'other' now and 1 more\)",
        ),
    ],
)
def test_other_settings_are_refused(clip: Path, begun: Path, others: dict[str, Any], told: str) -> None:
    refuse(clip, begun, InvalidArgumentError, f"made with other settings .{told}; {WAY_OUT}", **others)


def test_another_input_is_refused(clip: Path, begun: Path) -> None:
    status = clip.stat()
    overwrite_bytes(clip, status.st_size - 50, 4)
    os.utime(clip, ns=(status.st_atime_ns, status.st_mtime_ns))
    refuse(clip, begun, InvalidArgumentError, "the input's ends: ")
    os.utime(clip, ns=(0, 0))
    refuse(clip, begun, InvalidArgumentError, "the input's date: .* now and 1 more")


def test_a_damaged_segment_is_named_and_the_rest_is_of_use(clip: Path, begun: Path) -> None:
    second = begun.with_name("video.mp4.parts") / "000001.npz"
    overwrite_bytes(second, 400, 8)
    refuse(clip, begun, SinkError, r"000001\.npz' is damaged \(.+\); delete it, and `resume=True` goes on")
    second.unlink()
    explainer = FakeExplainer(batch_size=3)
    resumable(clip, begun, explainer)
    assert [batch[0] for batch in explainer.batches[:2]] == [0, 6]
    resumable(clip, begun.with_name("whole.mp4"))
    assert_same_video(begun, begun.with_name("whole.mp4"))


@pytest.mark.parametrize("content", [None, "no JSON", "[1]"])
def test_a_folder_of_somebody_else_is_left_alone(clip: Path, begun: Path, content: str | None) -> None:
    settings = begun.with_name("video.mp4.parts") / "settings.json"
    settings.unlink()
    if content is not None:
        settings.write_text(content)
    refuse(clip, begun, SinkError, r"video\.mp4\.parts' cannot be resumed from.*; delete it")


def test_damaged_explanations_beside_the_segments_are_named_too(clip: Path, begun: Path) -> None:
    pending = begun.with_name("video.mp4.parts") / "pending-000000015.npz"
    overwrite_bytes(pending, 400, 8)
    refuse(
        clip,
        begun,
        SinkError,
        r"pending-000000015\.npz' is damaged \(.+\); delete it, and `resume=True` goes on",
    )


def test_a_folder_with_something_else_in_it_is_not_touched(clip: Path, begun: Path) -> None:
    (begun.with_name("video.mp4.parts") / "holiday.txt").write_text("mine")
    refuse(clip, begun, SinkError, r"video\.mp4\.parts' cannot be resumed from \(it holds 'holiday\.txt'\)")


def test_where_nothing_is_kept_other_settings_may_be_given(clip: Path, out: Path) -> None:
    (out / "video.mp4.parts").mkdir()
    (out / "video.mp4.parts" / "settings.json").write_text('{"overlay alpha": 0.3}')
    assert resumable(clip, out / "video.mp4").complete


def test_a_write_that_was_cut_off_counts_for_nothing(clip: Path, begun: Path) -> None:
    (begun.with_name("video.mp4.parts") / "000002.npz.part").write_bytes(b"half a segm")
    assert resumable(clip, begun).complete
    assert names_in(begun.parent) == ["video.jsonl", "video.mp4"]


def test_images_and_animations_take_no_resume(tmp_path: Path, out: Path) -> None:
    Image.fromarray(np.full((40, 60, 3), 128, np.uint8)).save(tmp_path / "gray.png")
    with pytest.raises(InvalidArgumentError, match="leave out `resume=True`"):
        resumable(tmp_path / "gray.png", out / "heat.png")
    clip = make_clip(tmp_path / "clip.mp4", frames=2)
    for name in ("heat.gif", "heat%d.png"):
        with pytest.raises(InvalidArgumentError, match="leave out `resume=True`"):
            resumable(clip, out / name)
    assert names_in(out) == []


def test_a_full_disk_keeps_what_is_finished(clip: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flush: Callable[[int], None] = durable._flush
    calls = []

    def full_at_the_end(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 4:  # of the settings, and of every segment
            raise OSError(28, "No space left on device")
        flush(descriptor)

    monkeypatch.setattr(durable, "_flush", full_at_the_end)
    with pytest.raises(SinkError, match=r"000002\.npz' cannot be written: No space left on device"):
        resumable(clip, out / "video.mp4")
    assert names_in(out) == ["video.mp4.parts"]
    names = names_in(out / "video.mp4.parts")
    assert [name for name in names if "pending" not in name] == ["000000.npz", "000001.npz", "settings.json"]
    assert resumable(clip, out / "video.mp4").complete


# --- what a video's own past decides -----------------------------------------------------------------------


class Undecided(FakeExplainer):
    """Ranks two classes, of which now the one and now the other leads."""

    def explain_frames(self, frames: list[Frame], tracker: Tracker | None = None) -> list[Explanation]:
        assert tracker is not None
        leads = [0.5 + 0.3 * math.sin(frame.index / 3) for frame in frames]
        rows = np.array([[lead, 1 - lead] for lead in leads], np.float32)
        ranking = tracker.rank(frames, rows, ("cat", "dog"), 2)
        return [
            dataclasses.replace(explanation, method=str(first))
            for explanation, first in zip(super().explain_frames(frames), ranking[:, 0].tolist(), strict=True)
        ]


@pytest.mark.parametrize(
    "settings",
    [
        TemporalSettings(cuts="off", label_hold_s=0.1),
        TemporalSettings(cuts="off", label_hold_s=0.1, every=2),
        TemporalSettings(cuts="off", label_hold_s=0.1, every=20, mode="flow"),
        TemporalSettings(cuts="off", label_hold_s=0.1, every="auto"),
        TemporalSettings(cuts="off", label_hold_s=0, every="auto", mode="causal"),
    ],
)
def test_labels_hold_and_heat_goes_on_over_an_interruption(
    clip: Path, out: Path, settings: TemporalSettings
) -> None:
    whole, resumed = out / "whole.mkv", out / "resumed.mkv"
    ffv1 = EncoderSettings("ffv1")
    resumable(clip, whole, Undecided(batch_size=1), encoder=ffv1, temporal=settings)
    records = [json.loads(line) for line in whole.with_suffix(".jsonl").read_text().splitlines()[1:]]
    explained = [record for record in records if "shown" in record]
    numbers = [record["frame"] for record in explained]
    if settings.every != "auto":
        assert numbers == list(range(0, FRAMES, settings.every))
    else:
        assert 5 < len(numbers) < FRAMES
    if settings.every != 20:
        assert {record["shown"][0]["label"] for record in explained} == {"cat", "dog"}

    def stop(progress: Progress) -> None:
        if progress.frames == 17:
            die()

    with pytest.raises(RuntimeError, match="died"):
        resumable(clip, resumed, Undecided(batch_size=1), encoder=ffv1, temporal=settings, on_progress=stop)
    for path in (out / "resumed.mkv.parts").glob(
        "pending-*"
    ):  # their frames depend on how far the network was
        path.unlink()
    explainer = Undecided(batch_size=1)
    result = resumable(clip, resumed, explainer, encoder=ffv1, temporal=settings)
    assert explainer.batches == [[number] for number in numbers if number == 0 or number >= 16]
    assert result.explained == len(explained)
    assert_same_video(whole, resumed)


def test_batches_that_are_gathered_as_needed_are_the_same_after_an_interruption(
    clip: Path, out: Path
) -> None:
    settings = TemporalSettings(cuts="off", label_hold_s=0.1, every="auto")
    first, second = Undecided(batch_size=2), Undecided(batch_size=2)
    resumable(clip, out / "whole.mkv", first, temporal=settings)
    assert {len(batch) for batch in first.batches} == {1, 2}

    def stop(progress: Progress) -> None:
        if progress.frames == 17:
            die()

    with pytest.raises(RuntimeError, match="died"):
        resumable(clip, out / "resumed.mkv", Undecided(), temporal=settings, on_progress=stop)
    resumable(clip, out / "resumed.mkv", second, temporal=settings)
    assert 0 < len(second.batches) < len(first.batches)
    assert [batch for batch in first.batches if batch in second.batches] == second.batches
    assert_same_video(out / "whole.mkv", out / "resumed.mkv")
