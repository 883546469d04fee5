from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import pytest
from media_factory import (
    Audio,
    grays_of,
    info_of,
    make_audio,
    make_clip,
    make_image,
    names_in,
    paint_noise,
)
from video_runs import FAST, limited_file_size, rendered, write_video

from streamcam.errors import InvalidArgumentError, OutputExistsError, SinkError
from streamcam.media.encoders import EncoderSettings
from streamcam.sinks import open_sink
from streamcam.sources import open_source

# Beginnings


def test_settings_that_do_not_go_together_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"a .webm file cannot hold h264"):
        open_sink(tmp_path / "out.webm", info_of(), settings=EncoderSettings("libx264"))
    assert names_in(tmp_path) == []


def test_what_an_encoder_refuses_leaves_nothing(tmp_path: Path) -> None:
    info = info_of(time_base=Fraction(1, 90000))  # MPEG-4 knows 65535 ticks a second
    with pytest.raises(SinkError, match=r"out.mkv' cannot be started with mpeg4 at 64x48"):
        open_sink(tmp_path / "out.mkv", info, settings=EncoderSettings("mpeg4"))
    assert names_in(tmp_path) == []


def test_a_rate_nobody_knows_is_no_obstacle(tmp_path: Path) -> None:
    write_video(tmp_path / "out.mp4", info_of(rate=None))
    assert len(grays_of(tmp_path / "out.mp4")) == 5


def test_an_input_that_went_away_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"gone.mp4' cannot be read for its audio"):
        open_sink(tmp_path / "out.mp4", info_of(path=tmp_path / "gone.mp4"))
    assert names_in(tmp_path) == []


def test_an_existing_output_is_only_replaced_when_the_new_one_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    path.write_bytes(b"old")
    with pytest.raises(OutputExistsError):
        open_sink(path, info_of())
    sink = open_sink(path, info_of(), settings=FAST, overwrite=True)
    sink.write(rendered(make_image(64, 48)))
    sink.abort()
    assert (path.read_bytes(), names_in(tmp_path)) == (b"old", ["out.mp4"])
    sink = open_sink(path, info_of(), settings=FAST, overwrite=True)
    sink.write(rendered(make_image(64, 48)))
    sink.finish()
    assert len(grays_of(path)) == 1


@pytest.mark.parametrize(
    "name", ["a:b.mp4", "%d.mp4", "http:x.mp4", "Ünï cödé 影.mp4", "caf\udce9.mp4", "-y.mp4"]
)
def test_odd_names_are_written(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_video(Path(name), info_of())
    assert names_in(Path()) == [name]
    assert len(grays_of(Path(name))) == 5


# Endings


def test_a_file_that_lost_frames_is_thrown_away(tmp_path: Path) -> None:
    sink = open_sink(tmp_path / "out.mkv", info_of(), settings=FAST)
    for index in range(8):
        image = make_image(64, 48, index)
        image.pts = index
        sink.write(rendered(image))
    # What the sink goes on writing to is not what it will find under the name.
    (tmp_path / "out.mkv.part").unlink()
    make_clip(tmp_path / "out.mkv.part", frames=5, container_format="matroska")
    with pytest.raises(SinkError, match=r"out.mkv' holds 5 of 8 frames when read back; is the disk full\?"):
        sink.finish()
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("found", [None, b"", b"no video", "only audio"])
def test_a_file_that_cannot_be_read_back_is_thrown_away(found: bytes | str | None, tmp_path: Path) -> None:
    part = tmp_path / "out.mkv.part"
    sink = open_sink(tmp_path / "out.mkv", info_of(), settings=FAST)
    sink.write(rendered(make_image(64, 48)))
    part.unlink()
    if found == "only audio":
        make_audio(part, "matroska")
    elif isinstance(found, bytes):
        part.write_bytes(found)
    with pytest.raises(SinkError, match=r"out.mkv' was written but cannot be read back"):
        sink.finish()
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_a_full_disk_is_noticed_and_leaves_nothing(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"out{suffix}"
    with (
        limited_file_size(20_000),
        pytest.raises(SinkError, match=r"cannot be written|cannot be completed|when read back"),
    ):
        write_video(path, info_of(), range(100), paint=paint_noise)
    assert names_in(tmp_path) == []


# Memory


def test_memory_does_not_grow_with_the_video(tmp_path: Path) -> None:
    clip = make_clip(
        tmp_path / "in.mp4", frames=300, size=(320, 180), audio=[Audio("flac", duration_s=12)], gop=50
    )
    resident = []
    with open_source(clip) as source, open_sink(tmp_path / "out.mp4", source.info, settings=FAST) as sink:
        for frame in source:
            sink.write(rendered(frame.image))
            if frame.index in (100, 299):
                resident.append(_resident_bytes())
    # 200 images of 86 kB would be 17 MB.
    assert resident[1] - resident[0] < 8_000_000


def _resident_bytes() -> int:
    statm = Path("/proc/self/statm")
    if not statm.exists():
        pytest.skip("only Linux tells how much memory is in use")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
