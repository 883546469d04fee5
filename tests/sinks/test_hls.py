"""HLS of whole videos: played back it is the video, and nothing half is ever in its folder."""

from __future__ import annotations

import itertools
import shutil
import threading
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from media_factory import (
    Audio,
    frame_times_of,
    images_of,
    info_of,
    make_clip,
    make_image,
    names_in,
    packets_of,
)
from stage_fakes import FakeExplainer
from video_runs import render_with, rendered

from streamcam.errors import InvalidArgumentError, NoDirectoryError, OutputExistsError, SinkError
from streamcam.media.encoders import EncoderSettings
from streamcam.overlay import OverlaySettings
from streamcam.pipeline.results import Progress
from streamcam.sinks import hls, open_sink, output_path, output_size
from streamcam.temporal import TemporalSettings

LOSSLESS = EncoderSettings(preset="ultrafast", crf=0)
FRAMES = 120
PLAIN = {
    "overlay": OverlaySettings(labels=False, alpha=0.0),
    "temporal": TemporalSettings(mode="causal"),
    "encoder": LOSSLESS,
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of 4.8 seconds with audio."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return make_clip(path, frames=FRAMES, audio=[Audio("aac", duration_s=4.8)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "out"


def lengths_in(folder: Path) -> list[float]:
    """Return how long each segment is, as the playlist has it."""
    lines = (folder / "index.m3u8").read_text().splitlines()
    return [float(line.removeprefix("#EXTINF:").rstrip(",")) for line in lines if line.startswith("#EXTINF")]


def times_from_the_first(path: Path) -> list[Fraction]:
    times = frame_times_of(path)
    return [time - times[0] for time in times]


def assert_is_the_video(playlist: Path, clip: Path) -> None:
    for shown, given in zip(images_of(playlist), images_of(clip), strict=True):
        np.testing.assert_array_equal(shown, given)
    assert times_from_the_first(playlist) == times_from_the_first(clip)
    audio, given_audio = packets_of(playlist, "audio"), packets_of(clip, "audio")
    assert len(audio) == len(given_audio)


def test_played_back_it_is_the_video_with_its_audio(clip: Path, folder: Path) -> None:
    result = render_with(clip, f"hls:{folder}", FakeExplainer(), **PLAIN)  # type: ignore[arg-type]
    assert (result.output, result.frames, result.complete) == (folder, FRAMES, True)
    assert names_in(folder) == ["index.m3u8", "index0.ts", "index1.ts", "index2.ts"]
    assert lengths_in(folder) == pytest.approx([2.0, 2.0, 0.8], abs=0.001)
    text = (folder / "index.m3u8").read_text()
    assert "#EXT-X-PLAYLIST-TYPE:VOD" in text
    assert text.endswith("#EXT-X-ENDLIST\n")
    assert str(folder) not in text  # it can be moved, and served from anywhere
    assert_is_the_video(folder / "index.m3u8", clip)
    assert names_in(folder.parent) == ["out"]
    assert output_size(folder) == sum(file.stat().st_size for file in folder.iterdir())


def test_a_resumed_one_is_the_uninterrupted_one(
    clip: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamcam.sinks.resume.segments.FRAMES_PER_SEGMENT", 16)

    def fail(progress: Progress) -> None:
        if progress.frames == 40:
            raise RuntimeError("died")

    target, kept = f"hls:{folder}", []
    with pytest.raises(RuntimeError, match="died"):
        render_with(clip, target, FakeExplainer(), resume=True, on_progress=fail, **PLAIN)  # type: ignore[arg-type]
    assert names_in(folder.parent) == ["out.parts"]
    result = render_with(
        clip,
        target,
        FakeExplainer(),
        resume=True,
        on_resume=kept.append,
        **PLAIN,  # type: ignore[arg-type]
    )
    assert kept[0].encoded == 32
    assert result.carried >= 32
    assert_is_the_video(folder / "index.m3u8", clip)
    assert names_in(folder.parent) == ["out"]


def write(target: str, count: int = 3, *, overwrite: bool = False) -> None:
    with open_sink(target, info_of(), settings=LOSSLESS, overwrite=overwrite) as sink:
        for index in range(count):
            image = make_image(64, 48, index)
            image.pts = index
            sink.write(rendered(image))


def test_hls_is_replaced_only_when_asked_to(folder: Path) -> None:
    folder.mkdir()
    write(f"hls:{folder}", 60)  # an empty folder is no obstacle
    with pytest.raises(OutputExistsError, match="out' exists already; give `overwrite=True`"):
        write(f"hls:{folder}")
    write(f"hls:{folder}", overwrite=True)
    assert names_in(folder) == ["index.m3u8", "index0.ts"]  # nothing is left of what was longer
    assert len(frame_times_of(folder / "index.m3u8")) == 3


@pytest.mark.parametrize("name", ["letter.txt", "index-old.ts", "index0"])
def test_a_folder_with_anything_else_is_never_touched(folder: Path, name: str) -> None:
    folder.mkdir()
    (folder / name).write_text("mine")
    with pytest.raises(OutputExistsError, match=f"holds '{name}', which is no part of HLS"):
        write(f"hls:{folder}", overwrite=True)
    assert names_in(folder) == [name]
    assert names_in(folder.parent) == ["out"]


def test_what_appears_meanwhile_is_not_replaced(folder: Path) -> None:
    sink = open_sink(f"hls:{folder}", info_of(), settings=LOSSLESS, overwrite=True)
    sink.write(rendered(make_image(64, 48, 0)))
    folder.mkdir()
    (folder / "letter.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match=r"holds 'letter\.txt'"):
        sink.finish()
    sink.abort()
    assert names_in(folder) == ["letter.txt"]
    assert names_in(folder.parent / "out.part") == ["index.m3u8", "index0.ts"]  # complete, and kept


def test_the_input_is_not_replaced(folder: Path) -> None:
    write(f"hls:{folder}")
    info = info_of(path=folder / "index.m3u8")
    with pytest.raises(OutputExistsError, match="holds the input"):
        open_sink(f"hls:{folder}", info, overwrite=True)


def test_what_a_killed_render_left_is_taken_over(folder: Path) -> None:
    part = folder.with_name("out.part")
    part.mkdir()
    (part / "video.ts.part").write_text("half")
    write(f"hls:{folder}")
    assert names_in(folder.parent) == ["out"]
    assert names_in(folder) == ["index.m3u8", "index0.ts"]


def test_two_renders_do_not_write_one_folder(folder: Path) -> None:
    first = open_sink(f"hls:{folder}", info_of(), settings=LOSSLESS)
    caught: list[Exception] = []

    def open_again() -> None:
        try:
            open_sink(f"hls:{folder}", info_of(), settings=LOSSLESS)
        except OutputExistsError as error:
            caught.append(error)

    thread = threading.Thread(target=open_again)
    thread.start()
    thread.join(10)
    first.write(rendered(make_image(64, 48, 0)))
    first.finish()
    assert "is being written by" in str(caught[0])
    assert names_in(folder) == ["index.m3u8", "index0.ts"]


def test_frames_that_are_missing_at_the_end_are_noticed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hls, "_with_durations", lambda packets: itertools.islice(packets, 2))
    with pytest.raises(SinkError, match="out' holds 2 of 3 frames when read back"):
        write(f"hls:{folder}")
    assert names_in(folder.parent) == []


def test_targets_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(NoDirectoryError, match="no directory 'gone' for the folder of 'hls:gone/out'"):
        open_sink("hls:gone/out", info_of())
    with pytest.raises(InvalidArgumentError, match="is of kind 'HLS', which cannot be made from an image"):
        open_sink(f"hls:{tmp_path / 'out'}", info_of(is_still=True))
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputExistsError, match="file' is a file; give the folder another name"):
        open_sink(f"hls:{tmp_path / 'file'}", info_of(), overwrite=True)
    assert output_path("HLS:out") == Path("out")
    assert output_path("hls.mp4") == Path("hls.mp4")
    shutil.rmtree(tmp_path)
