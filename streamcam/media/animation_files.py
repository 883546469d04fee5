"""Files of animated images (GIF, PNG, WebP): how often they are played, and how long the last image stays.

FFmpeg's muxers learn how long an image is shown from the time of the next one, so the last one's time has to
be written into the finished file.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import PIL.Image

FOREVER = 0
"""How often an animation is played that never ends."""

_LONGEST = 65535
"""The largest number of 16 bits, in which GIF and PNG hold times."""

_GIF_TRAILER, _GIF_IMAGE, _GIF_CONTROL = 0x3B, 0x2C, 0xF9


def plays_of(path: Path) -> int | None:
    """Read how often an animation is played, or `FOREVER`; None if its file does not say."""
    try:
        with PIL.Image.open(path) as image:
            loop = image.info.get("loop")
            if image.format == "GIF":  # which counts repetitions
                return 1 if loop is None else FOREVER if loop == 0 else loop + 1
            return loop
    except Exception:  # what Pillow's decoders raise
        return None


def gif_repeats(plays: int) -> dict[str, str]:
    """Return the options of FFmpeg's GIF muxer for a number of plays."""
    return {"loop": str(0 if plays == FOREVER else -1 if plays == 1 else min(plays - 1, _LONGEST))}


def webp_repeats(plays: int) -> dict[str, str]:
    """Return the options of FFmpeg's WebP muxer for a number of plays."""
    return {"loop": str(min(plays, _LONGEST))}


def png_repeats(plays: int) -> dict[str, str]:
    """Return the options of FFmpeg's PNG muxer for a number of plays."""
    return {"plays": str(min(plays, _LONGEST))}


def set_gif_duration(path: Path, duration_s: Fraction) -> None:
    """Make an animated GIF last as long as given, by its last image."""
    with path.open("r+b") as file:
        shown = [(place, struct.unpack("<H", _read_at(file, place, 2))[0]) for place in _gif_delays(file)]
        if shown:
            before = sum(delay for _, delay in shown[:-1])
            _write_at(file, shown[-1][0], struct.pack("<H", _clip(duration_s * 100 - before)))


def set_png_duration(path: Path, duration_s: Fraction) -> None:
    """Make an animated PNG last as long as given, by its last image."""
    with path.open("r+b") as file:
        controls = [place for kind, place, _ in _png_chunks(file) if kind == b"fcTL"]
        before = Fraction(0)
        for place in controls[:-1]:
            numerator, denominator = struct.unpack(">HH", _read_at(file, place + 20, 4))
            before += Fraction(numerator, denominator or 100)
        for place in controls[-1:]:
            rest_s = duration_s - before
            unit = 1000 if rest_s * 1000 <= _LONGEST else 10
            data = bytearray(_read_at(file, place, 26))
            data[20:24] = struct.pack(">HH", _clip(rest_s * unit), unit)
            checksum = zlib.crc32(b"fcTL" + data)
            _write_at(file, place, bytes(data) + struct.pack(">I", checksum))


def set_webp_duration(path: Path, duration_s: Fraction) -> None:
    """Make an animated WebP file last as long as given, by its last image."""
    with path.open("r+b") as file:
        places = [place + 12 for kind, place, _ in _riff_chunks(file) if kind == b"ANMF"]
        before = sum(int.from_bytes(_read_at(file, place, 3), "little") for place in places[:-1])
        for place in places[-1:]:
            rest_ms = min(max(round(duration_s * 1000) - before, 1), (1 << 24) - 1)
            _write_at(file, place, rest_ms.to_bytes(3, "little"))


SetDuration = Callable[[Path, Fraction], None]
"""Sets how long the animation in a file lasts, in seconds."""


def _clip(ticks: Fraction) -> int:
    return min(max(round(ticks), 1), _LONGEST)


def _read_at(file: BinaryIO, place: int, count: int) -> bytes:
    file.seek(place)
    return file.read(count)


def _write_at(file: BinaryIO, place: int, data: bytes) -> None:
    file.seek(place)
    file.write(data)


def _gif_delays(file: BinaryIO) -> list[int]:
    """Find the delays of a GIF's images, which are 16 bits in hundredths of a second."""
    places = []
    flags = _read_at(file, 10, 3)[0]
    file.seek(13 + _table_size(flags))
    while (kind := _byte(file)) not in (None, _GIF_TRAILER):
        if kind == _GIF_IMAGE:
            file.seek(_table_size(file.read(9)[8]) + 1, 1)  # its colors, and how many bits they take
        elif _byte(file) == _GIF_CONTROL:
            places.append(file.tell() + 2)
        while size := _byte(file):
            file.seek(size, 1)
    return places


def _byte(file: BinaryIO) -> int | None:
    data = file.read(1)
    return data[0] if data else None


def _table_size(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _png_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, place and size of the data of a PNG's chunks."""
    place = 8
    while len(head := _read_at(file, place, 8)) == 8:
        (size,), kind = struct.unpack(">I", head[:4]), head[4:]
        yield kind, place + 8, size
        place += size + 12


def _riff_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, place and size of the data of a WebP file's chunks."""
    place = 12
    while len(head := _read_at(file, place, 8)) == 8:
        kind, (size,) = head[:4], struct.unpack("<I", head[4:])
        yield kind, place + 8, size
        place += 8 + size + size % 2
