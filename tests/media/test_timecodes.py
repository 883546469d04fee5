"""Timecodes, counted by hand."""

from __future__ import annotations

from fractions import Fraction

import pytest

from streamcam.media.timecodes import later_timecode

NTSC = Fraction(30000, 1001)


@pytest.mark.parametrize(
    ("timecode", "rate", "frames", "later"),
    [
        ("01:00:00:00", Fraction(25), 0, "01:00:00:00"),
        ("01:00:00:00", Fraction(25), 26, "01:00:01:01"),
        ("10:59:59:24", Fraction(25), 1, "11:00:00:00"),
        ("23:59:59:24", Fraction(25), 1, "00:00:00:00"),
        ("00:00:59:23", Fraction(24000, 1001), 1, "00:01:00:00"),
        # Without two numbers a minute, except every tenth one:
        ("00:00:59;29", NTSC, 0, "00:00:59;29"),
        ("00:00:59;29", NTSC, 1, "00:01:00;02"),
        ("00:01:00;02", NTSC, 1, "00:01:00;03"),
        ("00:01:59;29", NTSC, 1, "00:02:00;02"),
        ("00:09:59;29", NTSC, 1, "00:10:00;00"),
        ("00:10:00;00", NTSC, 1, "00:10:00;01"),
        ("00:00:00;00", NTSC, 17982, "00:10:00;00"),
        ("00:00:00;00", NTSC, 107892, "01:00:00;00"),
        ("23:59:59;29", NTSC, 1, "00:00:00;00"),
        ("00:00:59;59", Fraction(60000, 1001), 1, "00:01:00;04"),
        ("00:00:59:29", NTSC, 1, "00:01:00:00"),
        ("", Fraction(25), 1, None),
        ("1 hour", Fraction(25), 1, None),
        ("00:00:00:00", Fraction(1, 3), 1, None),
    ],
)
def test_frames_on(timecode: str, rate: Fraction, frames: int, later: str | None) -> None:
    assert later_timecode(timecode, rate, frames) == later
