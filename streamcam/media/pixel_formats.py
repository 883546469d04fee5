"""Choice of an encoder's pixel format: bits of a sample and chroma subsampling."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from av.codec import Codec
from av.video.format import VideoFormat

from streamcam.errors import InvalidArgumentError
from streamcam.media.codecs import codec_row
from streamcam.media.images import CHROMAS, DEEP, bits_of, chroma_of, planar_format

_HALF_PLANAR = {("420", 8): "nv12", ("420", 10): "p010le", ("422", 8): "nv16", ("422", 10): "p210le"}
"""Chroma subsampling and bits → what encoders that do not take planar images are fed with."""


def pixel_format_for(encoder: str, given: str, depth: int | None, chroma: str | None) -> str:
    """Name the pixel format to feed an encoder with: what is asked for, or the nearest that it takes.

    Args:
        encoder: FFmpeg's name of it.
        given: The pixel format of the images to come.
        depth: Bits of a sample, 8 or 10; as many as the images have if None.
        chroma: One of `CHROMAS`; if None that of the images, or what players of the codec show.

    Raises:
        InvalidArgumentError: if the encoder takes nothing of what is asked for.
    """
    offered = _offered(encoder)
    depths = (depth,) if depth else ((8, DEEP) if bits_of(given) == 8 else (DEEP, 8))
    chromas = (chroma,) if chroma else _by_preference(encoder, chroma_of(given))
    for bits, kind in itertools.product(depths, chromas):
        for candidate in (planar_format(kind, bits), _HALF_PLANAR.get((kind, bits))):
            if candidate is not None and (not offered or candidate in offered):
                return candidate
    asked = {"`depth`": f"{depth}-bit " if depth else "", "`chroma`": f"{_spoken(chroma)} " if chroma else ""}
    options = " and ".join(option for option, words in asked.items() if words)
    raise InvalidArgumentError(
        f"codec {encoder!r} takes no {''.join(asked.values())}YUV images (only {', '.join(offered[:4])}); "
        f"{f'leave {options} out or ' if options else ''}try libx264"
    )


def reductions(encoder: str, given: str, taken: str, depth: int | None, chroma: str | None) -> Iterator[str]:
    """Say what samples lose although nobody asked for it.

    Args:
        encoder: FFmpeg's name of it.
        given: The pixel format of the images to come.
        taken: What the encoder is fed with.
        depth: What was asked for; see `pixel_format_for`.
        chroma: Likewise.
    """
    if depth is None and bits_of(given) > bits_of(taken):
        yield f"samples of {bits_of(given)} bits are written with {bits_of(taken)}: {encoder} takes no more"
    had, has = chroma_of(given), chroma_of(taken)
    if chroma is None and CHROMAS.index(had) > CHROMAS.index(has):
        fuller = CHROMAS[CHROMAS.index(had) :]
        keeping = [kind for kind in fuller if _takes(encoder, kind, bits_of(taken))]
        change = f"colors of {_spoken(had)} are written as {_spoken(has)}"
        if keeping:
            yield f"{change}, which all players show; `chroma` {keeping[0]} keeps them"
        else:
            yield f"{change}: {encoder} takes no more"


def fitting_size(encoder: str, pixel_format: str, size: tuple[int, int]) -> tuple[int, int]:
    """Leave out a last column or row that has colors for itself alone, where a codec needs full pairs.

    Args:
        encoder: FFmpeg's name of it.
        pixel_format: What it is fed with.
        size: (width, height) in pixels.
    """
    if codec_row(encoder).takes_any_size:
        return size
    layout = VideoFormat(pixel_format, 2, 2)
    across, down = 2 // layout.chroma_width(), 2 // layout.chroma_height()
    return max(across, size[0] // across * across), max(down, size[1] // down * down)


def _offered(encoder: str) -> list[str]:
    """The pixel formats that an encoder takes; none where it does not say."""
    return [video_format.name for video_format in Codec(encoder, "w").video_formats or []]


def _takes(encoder: str, chroma: str, depth: int) -> bool:
    return not {planar_format(chroma, depth), _HALF_PLANAR.get((chroma, depth))}.isdisjoint(_offered(encoder))


def _by_preference(encoder: str, given: str) -> tuple[str, ...]:
    """Order chroma subsamplings: what players show, or else the video's own; then more; then less."""
    chroma = CHROMAS[0] if codec_row(encoder).players_show_420 else given
    place = CHROMAS.index(chroma)
    return (*CHROMAS[place:], *reversed(CHROMAS[:place]))


def _spoken(chroma: str) -> str:
    return ":".join(chroma)
