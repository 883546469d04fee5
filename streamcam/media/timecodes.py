"""Timecodes: the numbers that cameras give frames, as hours, minutes, seconds and frames."""

from __future__ import annotations

import re
from fractions import Fraction

_PATTERN = re.compile(r"(\d\d):(\d\d):(\d\d)([:;.])(\d\d)")

_MINUTES_A_DAY = 24 * 60


def later_timecode(timecode: str, rate: Fraction, frames: int) -> str | None:
    """Return the timecode of a frame some frames after another.

    Where the last colon is a semicolon or a dot, numbers are dropped so that timecodes keep up with the
    clock at 29.97 frames a second: the first two of every minute that is no tenth one, and four at 59.94
    (SMPTE ST 12-1).

    Args:
        timecode: The other frame's, such as ``01:00:00:00`` or ``01:00:00;00``.
        rate: Frames per second.
        frames: How many frames after it.

    Returns:
        None if it is no timecode.
    """
    match = _PATTERN.fullmatch(timecode)
    base = round(rate)
    if match is None or base < 1:
        return None
    hours, minutes, seconds, number = (int(match[group]) for group in (1, 2, 3, 5))
    dropped = 0 if match[4] == ":" else round(base / 15)
    minutes += 60 * hours
    count = (60 * minutes + seconds) * base + number - dropped * (minutes - minutes // 10) + frames
    a_minute, ten_minutes = 60 * base - dropped, 600 * base - 9 * dropped
    tens, rest = divmod(count % (_MINUTES_A_DAY // 10 * ten_minutes), ten_minutes)
    # The first of ten minutes keeps all its numbers, and so is longer by those that the others drop.
    single = max(0, (rest - dropped) // a_minute)
    number = (10 * tens + single) * 60 * base + rest - single * a_minute
    seconds, number = divmod(number, base)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{match[4]}{number:02}"
