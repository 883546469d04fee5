from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from av.container import InputContainer
from av.error import FFmpegError, InvalidDataError
from av.packet import Packet
from media_factory import Audio, make_clip

from streamcam.media.demux import Timeline, decoding_time_s, open_input, read_packets


@pytest.mark.parametrize(
    ("given", "placed"),
    [
        ([], []),
        ([5, 6, 9, 100000], [5, 6, 9, 100000]),  # what increases stays
        ([-3, -2, 0], [-3, -2, 0]),
        ([None, None, None], [0, 40, 80]),  # what is not said follows the rate
        ([200, None, 280], [200, 240, 280]),
        ([0, 40, 40, 40, 80], [0, 40, 41, 42, 80]),  # what is repeated is told apart
        ([0, 80, 40, 120], [0, 80, 81, 120]),  # what jitters is put in order
    ],
)
def test_times_increase_strictly(given: list[int | None], placed: list[int]) -> None:
    timeline = Timeline(step=40)
    assert [timeline.place(ticks) for ticks in given] == placed


def test_times_that_a_file_does_not_tell_lead_up_to_the_first_that_it_tells() -> None:
    timeline = Timeline(step=40, first=-80)
    assert [timeline.place(ticks) for ticks in (None, None, 0, 40)] == [-80, -40, 0, 40]


class _Stumbling:
    """A container that fails now and then, or always."""

    def __init__(self, errors_before_packets: list[int]) -> None:
        self._errors_before_packets = errors_before_packets

    def demux(self) -> object:
        while self._errors_before_packets:
            if self._errors_before_packets[0]:
                self._errors_before_packets[0] -= 1
                raise InvalidDataError(1, "Invalid data")
            del self._errors_before_packets[0]
            yield Packet(b"data")


def packets_read(container: object) -> tuple[int, int]:
    """Count the packets and the errors."""
    errors: list[None] = []
    assert isinstance(container, InputContainer | _Stumbling)
    count = sum(1 for _ in read_packets(container, lambda: errors.append(None)))  # type: ignore[arg-type]
    return count, len(errors)


def test_reading_goes_on_after_an_error() -> None:
    assert packets_read(_Stumbling([0, 3, 0, 99])) == (4, 2)


def test_reading_is_given_up_where_there_is_nothing_but_errors() -> None:
    assert packets_read(_Stumbling([0, 1_000_000])) == (1, 1)


def test_the_packets_of_all_streams_are_read_but_none_without_content(tmp_path: Path) -> None:
    with open_input(make_clip(tmp_path / "clip.mkv", audio=[Audio("flac")])) as container:
        assert packets_read(container) == (16, 0)


def test_packets_know_their_time() -> None:
    packet = Packet(b"data")
    packet.time_base = Fraction(1, 1000)
    assert decoding_time_s(packet) is None
    packet.pts = 500
    assert decoding_time_s(packet) == 0.5
    packet.dts = 250
    assert decoding_time_s(packet) == 0.25


@pytest.mark.parametrize("text", ["#EXTM3U\n#EXTINF:1,\nclip.mp4\n", "ffconcat version 1.0\nfile clip.mp4\n"])
def test_playlists_are_not_opened(text: str, tmp_path: Path) -> None:
    make_clip(tmp_path / "clip.mp4")
    (tmp_path / "list.mp4").write_text(text)
    with pytest.raises(FFmpegError):
        open_input(tmp_path / "list.mp4")
