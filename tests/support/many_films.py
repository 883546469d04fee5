"""Short films of many kinds, some of them broken, each in another way."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from media_factory import (
    Audio,
    Subtitles,
    make_audio,
    make_clip,
    overwrite_bytes,
    paint_noise,
    paint_quadrants,
    truncate,
)
from PIL import Image

Maker = Callable[[Path, int], object]
"""Makes a film: its path without a suffix, and its number."""


def _frames(number: int) -> int:
    return 2 + number % 4


def _size(number: int) -> tuple[int, int]:
    return (48 + 8 * (number % 3), 32 + 8 * (number % 2))


def _video(suffix: str, **settings: object) -> Maker:
    def make(path: Path, number: int) -> None:
        make_clip(
            path.with_suffix(suffix),
            **{"frames": _frames(number), "size": _size(number), **settings},  # type: ignore[arg-type]
        )

    return make


def _pictures(number: int, count: int, mode: str = "RGB") -> list[Image.Image]:
    random = np.random.default_rng(number)
    width, height = _size(number)
    pixels = random.integers(0, 256, (count, height // 8, width // 8, 3), np.uint8)
    return [
        Image.fromarray(each).resize((width, height), Image.Resampling.NEAREST).convert(mode)
        for each in pixels
    ]


def _image(suffix: str, mode: str = "RGB") -> Maker:
    def make(path: Path, number: int) -> None:
        _pictures(number, 1, mode)[0].save(path.with_suffix(suffix))

    return make


def _pages(suffix: str) -> Maker:
    def make(path: Path, number: int) -> None:
        first, *rest = _pictures(number, _frames(number))
        first.save(path.with_suffix(suffix), save_all=True, append_images=rest, duration=80, loop=0)

    return make


KINDS: tuple[Maker, ...] = (
    _video(".mp4", audio=[Audio(duration_s=0.1)]),
    _video(".mkv", subtitles=[Subtitles("srt", {0: "Hello"})]),
    _video(".mov", rotation=90),
    _video(".avi", codec="mpeg4"),
    _video(".ts", frames=7, gop=2, b_frames=1),
    _video(".mkv", codec="ffv1", pixel_format="yuv444p"),
    _video(".mp4", pts=(0, 1, 4, 5), time_base=Fraction(1, 25)),
    _video(".mkv", encoded_format="yuv420p10le"),
    _video(".mp4", size=(63, 49), codec="mpeg4"),
    _video(".mov", codec="mjpeg", pixel_format="yuvj422p"),
    _video(".mp4", paint=paint_quadrants, sample_aspect_ratio=Fraction(4, 3)),
    _video(".mp4", field_order="tff", paint=paint_noise),
    _video(".webm", codec="libvpx", metadata={"title": "A film"}),
    _image(".png"),
    _image(".jpg"),
    _image(".bmp"),
    _image(".tiff", "L"),
    _image(".avif"),
    _pages(".gif"),
    _pages(".webp"),
)


def _nothing(path: Path, _number: int) -> None:
    path.with_suffix(".mp4").touch()


def _noise(path: Path, number: int) -> None:
    path.with_suffix(".mkv").write_bytes(np.random.default_rng(number).bytes(3000))


def _no_index(path: Path, _number: int) -> None:
    truncate(make_clip(path.with_suffix(".mp4"), frames=5), 0.6)


def _cut_off(path: Path, _number: int) -> None:
    truncate(make_clip(path.with_suffix(".mkv"), frames=60, paint=paint_noise), 0.3)


def _spoiled(path: Path, _number: int) -> None:
    film = make_clip(path.with_suffix(".mkv"), frames=12, paint=paint_noise)
    overwrite_bytes(film, film.stat().st_size // 2, 4000)


def _text(path: Path, _number: int) -> None:
    path.with_suffix(".mov").write_text("This is no film.\n" * 30)


def _sound(path: Path, _number: int) -> None:
    make_audio(path.with_suffix(".mp4"))


def _half_picture(path: Path, number: int) -> None:
    _noisy_png(path.with_suffix(".png"), number)
    truncate(path.with_suffix(".png"), 0.1)


def _noisy_png(path: Path, number: int) -> None:
    Image.fromarray(np.random.default_rng(number).integers(0, 256, (40, 40, 3), np.uint8)).save(path)


def _header_alone(path: Path, _number: int) -> None:
    path.with_suffix(".jpg").write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF\x00")


def _link_to_nothing(path: Path, _number: int) -> None:
    path.with_suffix(".mp4").symlink_to("gone.mp4")


BROKEN: tuple[Maker, ...] = (
    _nothing,
    _noise,
    _no_index,
    _cut_off,
    _spoiled,
    _text,
    _sound,
    _half_picture,
    _header_alone,
    _link_to_nothing,
)
"""Ten ways to be broken."""


def make_films(folder: Path, count: int) -> tuple[list[Path], list[Path]]:
    """Make films of every kind in turn, with the broken ones spread among them.

    Args:
        folder: Is made.
        count: How many there are, the broken ones included.

    Returns:
        All in the order of their names, and the broken ones.
    """
    folder.mkdir()
    step = count // len(BROKEN)
    kinds = itertools.cycle(KINDS)
    broken = []
    for number in range(count):
        path = folder / f"film{number:03}"
        place, is_whole = divmod(number, step)
        if not is_whole and place < len(BROKEN):
            BROKEN[place](path, number)
            broken += list(folder.glob(f"{path.name}.*"))
        else:
            next(kinds)(path, number)
    return sorted(folder.iterdir()), broken


def contents_of(path: Path) -> object:
    """Return all that a file holds; Matroska's also have a number drawn by chance, which is left out."""
    if path.suffix not in (".mkv", ".webm"):
        return path.read_bytes()
    with av.open(str(path)) as container:
        packets = [
            (packet.stream_index, packet.pts, packet.dts, packet.duration, bytes(packet))
            for packet in container.demux()
        ]
        streams = [(stream.type, stream.codec_context.name, stream.metadata) for stream in container.streams]
        return packets, streams, container.metadata


def frames_in(path: Path) -> int:
    """Count the images that a file holds."""
    if path.suffix in (".gif", ".webp", ".png", ".jpg"):
        with Image.open(path) as opened:
            return int(getattr(opened, "n_frames", 1))
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))
