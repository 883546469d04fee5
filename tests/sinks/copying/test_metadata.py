"""Copies of what a file and its streams say of themselves."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from media_factory import Audio, make_clip
from video_runs import pass_through


def titles_of(path: Path) -> list[str]:
    """Read the titles of the tracks; MP4 calls them names."""
    with av.open(str(path)) as opened:
        return [stream.metadata.get("title") or stream.metadata.get("name", "") for stream in opened.streams]


def title(source: Path, target: Path, titles: list[str]) -> Path:
    """Copy a file, and give its tracks titles."""
    with av.open(str(source)) as given, av.open(str(target), "w") as written:
        streams = [written.add_stream_from_template(stream) for stream in given.streams]
        for stream, text in zip(streams, titles, strict=True):
            stream.metadata["title"] = text
        for packet in given.demux():
            if packet.size:
                packet.stream = streams[packet.stream.index]
                written.mux(packet)
    return target


@pytest.mark.parametrize("output", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("source", [".mp4", ".mov", ".mkv"])
def test_titles_of_tracks_are_kept(source: str, output: str, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", audio=[Audio(), Audio()])
    titles = ["Main camera", "Commentary", "Music"]
    titled = title(clip, tmp_path / f"titled{source}", titles)
    assert titles_of(titled) == titles
    pass_through(titled, tmp_path / f"out{output}")
    assert titles_of(tmp_path / f"out{output}") == titles
