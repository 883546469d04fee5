"""Which damage counts, packet by packet in the order of decoding."""

from __future__ import annotations

import pytest
from av.packet import Packet
from media_factory import make_image

from streamcam.sources.decoding import DamageCounter

START, END = 100, 200


def packet(pts: int | None, *, key: bool = False) -> Packet:  # type: ignore[type-arg]
    made = Packet(b"x")
    made.pts, made.is_keyframe = pts, key
    return made


@pytest.mark.parametrize(
    ("packets", "counts"),
    [
        # (time, whether a keyframe, whether lost)
        ([(80, True, False), (90, False, True), (100, False, False)], 1),
        ([(80, False, True), (90, True, False), (100, False, False)], 0),
        ([(90, True, True), (100, False, False)], 1),
        ([(90, False, True), (100, True, False)], 0),
        # Shown before the keyframe that they are decoded after: nothing from the start on is made of them.
        ([(90, True, False), (80, False, True), (100, False, False)], 0),
        ([(190, False, False), (200, False, True)], 0),
        # Shown after the end, but decoded for what is shown before it:
        ([(180, False, False), (200, False, True), (190, False, False)], 1),
        ([(200, False, True), (210, False, False)], 0),
        ([(150, False, True), (150, True, False)], 1),
        ([(150, False, False), (None, False, True)], 1),
    ],
)
def test_what_reaches_the_wanted_part(packets: list[tuple[int | None, bool, bool]], counts: int) -> None:
    damage = DamageCounter(START, END)
    for pts, key, lost in packets:
        damage.begin_packet(packet(pts, key=key))
        if lost:
            damage.lose(packet(pts))
    assert damage.packets == counts


def test_all_of_a_video_that_is_taken_whole() -> None:
    damage = DamageCounter(None, None)
    for pts in (0, None, -40):
        damage.begin_packet(packet(pts, key=True))
        damage.lose(packet(pts))
    damage.lose(None)
    assert damage.packets == 4


def test_a_clock_that_starts_anew_within_the_part_undoes_nothing() -> None:
    damage = DamageCounter(START, END)
    damage.begin_packet(packet(100, key=True))
    damage.lose(packet(110))
    image = make_image(16, 16, 0)
    image.pts = 100
    damage.see(image)
    damage.begin_packet(packet(0, key=True))
    assert damage.packets == 1
