from __future__ import annotations

import os
from pathlib import Path

import pytest
from media_factory import (
    make_audio,
    make_clip,
    paint_noise,
    truncate,
)
from video_runs import read_video

from streamcam.errors import SourceError, SourceNotFoundError
from streamcam.sources import open_source

# What is no video


def test_missing_files_are_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match=r"no file '.*gone.mp4'; check the path"):
        open_source(tmp_path / "gone.mp4")
    (tmp_path / "file").write_text("x")
    with pytest.raises(SourceNotFoundError, match=r"no file"):
        open_source(tmp_path / "file" / "gone.mp4")


def test_directories_are_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match=r"is a directory"):
        open_source(tmp_path)


def test_pipes_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(SourceNotFoundError, match=r"is not a file"):
        open_source(tmp_path / "pipe.mp4")


def test_names_no_system_can_have_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"cannot be read"):
        open_source(tmp_path / ("x" * 5000))
    with pytest.raises(SourceError, match=r"cannot be read"):
        open_source("video\0.mp4")


def test_empty_files_are_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(SourceError, match=r"empty.mp4' is empty"):
        open_source(tmp_path / "empty.mp4")


def test_text_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("This is a text that somebody has named after a video.\n" * 100)
    with pytest.raises(SourceError, match=r"text.mp4' is not a video that FFmpeg can read"):
        open_source(tmp_path / "text.mp4")


def test_a_video_that_lost_its_index_is_no_video(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", paint=paint_noise)
    truncate(clip, 0.5)
    with pytest.raises(SourceError, match=r"is it complete, and really a video?"):
        open_source(clip)


def test_audio_alone_is_no_video(tmp_path: Path) -> None:
    make_audio(tmp_path / "song.mkv")
    with pytest.raises(SourceError, match=r"song.mkv' holds no video, only audio \(flac\); give a video"):
        open_source(tmp_path / "song.mkv")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("music.m3u8", "#EXTM3U\nvideo.mp4\n"),
        ("list.mp4", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nvideo.mp4\n#EXT-X-ENDLIST\n"),
        ("list.ffconcat", "ffconcat version 1.0\nfile video.mp4\n"),
        ("away.mp4", "ffconcat version 1.0\nfile '/etc/passwd'\n"),
    ],
)
def test_playlists_are_refused(name: str, text: str, tmp_path: Path) -> None:
    make_clip(tmp_path / "video.mp4")
    (tmp_path / name).write_text(text)
    with pytest.raises(SourceError, match=r"is a playlist|is not a video that FFmpeg can read"):
        open_source(tmp_path / name)


# What is a video in spite of its name


@pytest.mark.parametrize(
    "name",
    ["a:b.mp4", "http:x.mp4", "%d.mp4", "Ünï cödé 影.mp4", "-y.mp4", "a'b\"c.mp4", "*?[x].mp4", "video"],
)
def test_odd_names_are_read(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_clip(tmp_path / "video.mp4", frames=2).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    frames, info, _ = read_video(Path(name))
    assert len(frames) == 2
    assert info.name == name


def test_names_that_are_no_unicode_are_read(tmp_path: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4"))
    make_clip(tmp_path / "video.mp4", frames=2).rename(odd)
    assert len(read_video(odd)[0]) == 2
