"""The samples that an encoder is fed: bit depth, chroma subsampling and size."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from av.codec import Codec
from av.video.format import VideoFormat

from streamcam.errors import InvalidArgumentError
from streamcam.media.codecs import codec_row
from streamcam.media.images import CHROMAS, DEEP, bits_of, chroma_of, has_alpha, planar_format

_HALF_PLANAR = {("420", 8): "nv12", ("420", 10): "p010le", ("422", 8): "nv16", ("422", 10): "p210le"}
"""Chroma subsampling and bits → the format for encoders that do not take planar images."""


def pixel_format_for(encoder: str, image_format: str, depth: int | None, chroma: str | None) -> str:
    """Choose the pixel format for an encoder: the one asked for, or the nearest that it takes.

    Args:
        encoder: FFmpeg's name of the encoder.
        image_format: The pixel format of the images to come.
        depth: Bits of a sample, 8 or 10; as many as the images have if None.
        chroma: One of `CHROMAS`; if None that of the images, or the one that players of the codec show.

    Raises:
        InvalidArgumentError: if the encoder takes none that was asked for.
    """
    alpha = has_alpha(image_format)
    offered = _offered(encoder, alpha=alpha)
    depths = (depth,) if depth else ((8, DEEP) if bits_of(image_format) == 8 else (DEEP, 8))
    chromas = (chroma,) if chroma else _by_preference(encoder, chroma_of(image_format))
    for bits, kind in itertools.product(depths, chromas):
        for candidate in _candidates(kind, bits, alpha=alpha):
            if not offered or candidate in offered:
                return candidate
    asked = {
        "`depth`": f"{depth}-bit " if depth else "",
        "`chroma`": f"{_in_words(chroma)} " if chroma else "",
    }
    options = " and ".join(option for option, words in asked.items() if words)
    raise InvalidArgumentError(
        f"codec {encoder!r} takes no {''.join(asked.values())}YUV images (only {', '.join(offered[:4])}); "
        f"{f'leave {options} out or ' if options else ''}try libx264"
    )


def reductions(
    encoder: str, image_format: str, encoder_format: str, depth: int | None, chroma: str | None
) -> Iterator[str]:
    """Yield a note for each loss of bits or chroma that was not asked for.

    Args:
        encoder: FFmpeg's name of the encoder.
        image_format: The pixel format of the images to come.
        encoder_format: The pixel format that the encoder is fed.
        depth: The depth asked for; see `pixel_format_for`.
        chroma: The chroma subsampling asked for.
    """
    bits, encoder_bits = bits_of(image_format), bits_of(encoder_format)
    if depth is None and bits > encoder_bits:
        yield f"samples of {bits} bits are written with {encoder_bits}: {encoder} takes no more"
    had, has = chroma_of(image_format), chroma_of(encoder_format)
    if chroma is None and CHROMAS.index(had) > CHROMAS.index(has):
        fuller = CHROMAS[CHROMAS.index(had) :]
        alpha = has_alpha(image_format)
        offered = set(_offered(encoder, alpha=alpha))
        keeping = [
            kind for kind in fuller if offered.intersection(_candidates(kind, encoder_bits, alpha=alpha))
        ]
        note = f"colors of {_in_words(had)} are written as {_in_words(has)}"
        if keeping:
            yield f"{note}, which all players show; `chroma` {keeping[0]} keeps them"
        else:
            yield f"{note}: {encoder} takes no more"


def fitting_size(encoder: str, pixel_format: str, size: tuple[int, int]) -> tuple[int, int]:
    """Leave out a last column or row that has colors for itself alone, where a codec needs full pairs.

    Args:
        encoder: FFmpeg's name of the encoder.
        pixel_format: The pixel format that it is fed.
        size: (width, height) in pixels.
    """
    if codec_row(encoder).takes_any_size:
        return size
    layout = VideoFormat(pixel_format, 2, 2)
    across, down = 2 // layout.chroma_width(), 2 // layout.chroma_height()
    return max(across, size[0] // across * across), max(down, size[1] // down * down)


def _offered(encoder: str, *, alpha: bool) -> list[str]:
    """Return the pixel formats that an encoder takes; none where it does not say."""
    if alpha:
        return list(codec_row(encoder).alpha_formats)
    return [video_format.name for video_format in Codec(encoder, "w").video_formats or []]


def _candidates(chroma: str, depth: int, *, alpha: bool) -> list[str]:
    """Return the pixel formats of a chroma subsampling and depth, the best first."""
    half_planar = None if alpha else _HALF_PLANAR.get((chroma, depth))
    planar = planar_format(chroma, depth, alpha=alpha)
    return [planar] if half_planar is None else [planar, half_planar]


def _by_preference(encoder: str, image_chroma: str) -> tuple[str, ...]:
    """Order chroma subsamplings: the one that players show, or the video's; then finer; then coarser."""
    first = CHROMAS.index(CHROMAS[0] if codec_row(encoder).players_show_420 else image_chroma)
    return (*CHROMAS[first:], *reversed(CHROMAS[:first]))


def _in_words(chroma: str) -> str:
    return ":".join(chroma)
