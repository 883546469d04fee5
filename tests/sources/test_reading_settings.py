"""What may be asked for when a film is read."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from film_runs import mean_lumas, read_film
from media_factory import Sound, grey_of, make_clip

from streamcam.errors import InvalidArgumentError
from streamcam.sources import ReadingSettings, open_source

# Which stream


def make_two_films(path: Path) -> Path:
    """Sound, a small film of 4 frames, sound, and a larger one of 6, which is the better."""
    parts = [
        make_clip(path.with_name(f"{name}.mkv"), frames=frames, size=size, sounds=[Sound("flac")])
        for name, frames, size in (("small", 4, (64, 48)), ("large", 6, (128, 96)))
    ]
    with av.open(str(path), "w") as output:
        opened = [av.open(str(part)) for part in parts]
        copies = [
            {
                stream.index: output.add_stream_from_template(stream)
                for stream in sorted(given.streams, key=lambda stream: stream.type)
            }
            for given in opened
        ]
        for given, copied in zip(opened, copies, strict=True):
            for packet in given.demux():
                if packet.size:
                    packet.stream = copied[packet.stream.index]
                    output.mux(packet)
            given.close()
    return path


@pytest.mark.parametrize(("wanted", "used", "frames"), [(None, 3, 6), (1, 1, 4), (3, 3, 6)])
def test_any_of_several_films_can_be_shown(
    wanted: int | None, used: int, frames: int, tmp_path: Path
) -> None:
    film = make_two_films(tmp_path / "film.mkv")
    found, info, report = read_film(film, reading=ReadingSettings(video_stream=wanted))
    assert (info.video_stream, info.width, report.frames_read) == (used, 64 if used == 1 else 128, frames)
    assert info.notes == (f"the file holds 2 video streams; number {used} is used",)
    assert mean_lumas(found) == pytest.approx([grey_of(index) for index in range(frames)], abs=3)


def test_a_stream_that_is_no_film_is_refused(tmp_path: Path) -> None:
    film = make_two_films(tmp_path / "film.mkv")
    for index in (0, 7):
        with pytest.raises(
            InvalidArgumentError, match=rf"film.mkv' has no video stream {index}; it has 1, 3"
        ):
            open_source(film, reading=ReadingSettings(video_stream=index))
