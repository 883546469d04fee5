"""Clocks that are set back, on packets whose times can be worked out by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from fractions import Fraction
from types import SimpleNamespace
from typing import Any, cast

import pytest

from streamcam.media.discontinuities import ContinuousClock

KINDS = {"v": "video", "a": "audio", "s": "subtitle"}


@dataclasses.dataclass
class Piece:
    """A packet: its stream, its time and duration in milliseconds."""

    stream: Any
    pts: int | None
    dts: int | None
    duration: int
    time_base: Fraction = Fraction(1, 1000)


def place(packets: Sequence[tuple[str, int | None]], duration: int = 40) -> list[tuple[str, int | None]]:
    """Put packets, each the letter of a stream and a time in milliseconds, on one clock."""
    streams = {
        letter: SimpleNamespace(index=number, type=kind)
        for number, (letter, kind) in enumerate(KINDS.items())
    }
    pieces = [Piece(streams[letter], time, time, duration) for letter, time in packets]
    return [
        (KINDS_BACK[packet.stream.type], packet.dts)
        for packet in ContinuousClock().correct(cast(Any, pieces))
    ]


KINDS_BACK = {kind: letter for letter, kind in KINDS.items()}


def run(letters: str, begin: int, end: int) -> list[tuple[str, int | None]]:
    """Make packets of streams that go side by side, one each every 40 ms."""
    return [(letter, time) for time in range(begin, end, 40) for letter in letters]


@pytest.mark.parametrize("back", [200, 520, 3000])
def test_a_clock_that_is_set_back_goes_on(back: int) -> None:
    assert place(run("v", 0, 3000) + run("v", 3000 - back, 6000 - back)) == run("v", 0, 6000)
    assert place(run("va", 0, 3000) + run("va", 3000 - back, 6000 - back)) == run("va", 0, 6000)


def test_it_goes_on_as_often_as_it_is_set_back() -> None:
    assert place(run("va", 0, 1000) * 6) == run("va", 0, 6000)


def test_times_that_jitter_stay() -> None:
    for packets in (
        [*run("va", 0, 400), ("v", 320), ("a", 399), *run("va", 400, 800)],
        [*run("va", 0, 400), ("v", 100), *run("va", 400, 800)],  # one packet out of order
        [*run("v", 0, 400), ("v", None), *run("v", 440, 800)],
    ):
        assert place(packets) == packets


def test_gaps_stay() -> None:
    packets = run("va", 0, 400) + run("va", 90_000, 90_400)
    assert place(packets) == packets


def test_streams_that_ended_apart_begin_together() -> None:
    first = run("va", 0, 2240) + run("v", 2240, 3000)
    for back in (3000, 2000, 520):  # at the last, the audio does not even step back
        begin = 3000 - back
        assert place(first + run("va", begin, begin + 1000)) == first + run("va", 3000, 4000)


def test_a_pause_just_before_the_others_are_set_back_belongs_to_the_new_clock() -> None:
    first = run("va", 0, 1240) + run("v", 1240, 1920)
    late = [("a", 1480), ("v", 1920), ("a", 1520), ("v", 1960)]
    placed = place(first + late + [("v", 1480), ("v", 1520), *run("va", 1560, 2000)])
    assert placed[len(first) :] == [
        ("a", 2000),
        ("v", 1920),
        ("a", 2040),
        ("v", 1960),
        ("v", 2000),
        ("v", 2040),
        *run("va", 2080, 2520),
    ]


def test_a_pause_stays_where_another_stream_is_set_back_much_later() -> None:
    packets = run("va", 0, 1000) + run("v", 1000, 1400) + run("va", 1400, 3000)
    assert place(packets + run("va", 0, 1000)) == packets + run("va", 3000, 4000)


def test_audio_that_went_on_longer_is_not_overlapped() -> None:
    first = run("va", 0, 1000) + run("a", 1000, 1400)
    placed = place(first + run("va", 0, 1000))
    assert placed[: len(first)] == first
    begin = placed[len(first)][1]
    assert begin is not None
    assert 1360 <= begin <= 1400
    assert placed[len(first) :] == run("va", begin, begin + 1000)


def test_packets_from_before_that_come_late_stay_where_they_were() -> None:
    # A transport stream gives a packet when the next one of its stream begins.
    packets = [*run("va", 0, 960), ("v", 960), ("a", 0), ("a", 40), ("v", 0), ("s", 20), *run("va", 80, 1000)]
    placed = place(packets)
    assert placed[48:53] == [("v", 960), ("a", 1000), ("a", 1040), ("v", 1000), ("s", 1020)]
    packets = [*run("va", 0, 960), ("v", 0), ("v", 40), ("a", 960), ("a", 0), *run("va", 80, 1000)]
    assert place(packets)[48:52] == [("v", 960), ("v", 1000), ("a", 960), ("a", 960)]


def test_the_clock_of_one_stream_alone_is_its_own() -> None:
    packets = [
        *run("va", 0, 1000),
        *[pair for time in range(1000, 4000, 40) for pair in (("v", time - 1000), ("a", time))],
    ]
    assert place(packets) == run("va", 0, 4000)


def test_subtitles_move_along_and_may_come_in_any_order() -> None:
    packets = [*run("va", 0, 1000), ("s", 100), ("s", 50), *run("va", 0, 1000), ("s", 500), ("s", 100)]
    placed = [time for letter, time in place(packets) if letter == "s"]
    assert placed == [100, 50, 1500, 1100]


def test_it_counts_what_a_stream_has_passed() -> None:
    stream = SimpleNamespace(index=0, type="video")
    times = [*range(0, 400, 40), *range(0, 400, 40), *range(0, 400, 40)]
    clock = ContinuousClock()
    pieces = (Piece(stream, time, time, 40) for time in times)
    passed = [clock.passed(0) for _ in clock.correct(cast(Any, pieces))]
    assert passed == [0] * 10 + [1] * 10 + [2] * 10
