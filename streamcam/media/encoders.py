"""The choice of an encoder for a video: settled, and tried before any work."""

from __future__ import annotations

import dataclasses
import io
import logging
import math
import os
from fractions import Fraction
from pathlib import Path

import av
from av.codec import Codec
from av.codec.codec import UnknownCodecError
from av.container import OutputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from streamcam.errors import InvalidArgumentError, map_errors, unknown_name
from streamcam.frames import HdrMetadata
from streamcam.media.codecs import CODECS, codec_row, encoder_row, has_avx512, is_available, is_hardware
from streamcam.media.containers import Container, container_of
from streamcam.media.images import has_alpha
from streamcam.media.pixel_formats import pixel_format_for, reductions
from streamcam.media.thread_priorities import kept_priorities

AUTO = "auto"
"""Asks for a hardware encoder where one works."""

_USE_AUTO = "; `codec='auto'` takes what works"
"""The advice for hardware encoders that do not start."""

_TRIAL_WIDTH, _TRIAL_HEIGHT = 320, 192

_log = logging.getLogger("streamcam.media")


@dataclasses.dataclass(frozen=True, slots=True)
class EncoderSettings:
    """How a video is encoded. None stands for the encoder's default in streamcam."""

    codec: str | None = None
    """FFmpeg's name of an encoder or codec; ``"auto"`` for a hardware encoder where one works."""
    crf: float | None = None
    """Constant rate factor: lower is better and larger."""
    preset: str | None = None
    """Encoding speed against size: a name of the encoder's."""
    no_audio: bool = False
    """Whether the input's audio is left out."""
    depth: int | None = None
    """Bits of a sample, 8 or 10; the input's where the encoder takes them if None."""
    chroma: str | None = None
    """Chroma subsampling, one of `CHROMAS`; if None the input's where encoder and players
    take it, else the nearest that they take."""
    container: str | None = None
    """The kind of video that is written to standard output, as the suffix of its files; ``".mkv"`` if None.
    A file's own suffix says it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Encoding:
    """How a video is encoded: settled and tried."""

    container: Container
    encoder: str
    """FFmpeg's name of the encoder."""
    pixel_format: str
    """The format of the images that it is fed."""
    options: dict[str, str]
    """The encoder's options."""
    notes: tuple[str, ...] = ()
    """Facts about the choice that the user should know, a sentence each."""


def choose_encoding(
    path: Path,
    settings: EncoderSettings,
    *,
    pixel_format: str = "yuv420p",
    hdr_metadata: HdrMetadata | None = None,
    rate: Fraction | None = None,
) -> Encoding:
    """Choose the encoder for a video, and start it once: only it knows what it takes.

    Args:
        path: The file to make.
        settings: The settings asked for.
        pixel_format: The pixel format of the images to come; one with alpha only for containers that hold it.
        hdr_metadata: Their HDR10 metadata.
        rate: Their nominal number per second.

    Raises:
        UnknownNameError: if there is no such encoder or preset.
        InvalidArgumentError: if container, codec, options and images do not go together, or the encoder does
            not start.
    """
    container = container_of(path)
    _check_rate(container, rate)
    default = container.alpha_codecs[0] if has_alpha(pixel_format) else container.codec
    if settings.codec != AUTO:
        encoder = _find_encoder(settings.codec or default)
        return _try(container, encoder, settings, pixel_format, hdr_metadata)
    codec = CODECS[default]
    for encoder in codec.hardware:
        if not is_available(encoder):
            _log.debug("%s is not in this build of FFmpeg", encoder)
            continue
        try:
            encoding = _try(container, encoder, settings, pixel_format, hdr_metadata)
        except InvalidArgumentError as error:  # not on this machine
            _log.info("%s is not used: %s", encoder, str(error).removesuffix(_USE_AUTO))
            continue
        return dataclasses.replace(encoding, notes=(*encoding.notes, f"encoded in hardware by {encoder}"))
    encoding = _try(container, codec.software, settings, pixel_format, hdr_metadata)
    note = f"encoded in software by {codec.software}: no hardware encoder for {default} works here"
    return dataclasses.replace(encoding, notes=(*encoding.notes, note))


def _check_rate(container: Container, rate: Fraction | None) -> None:
    clock = container.time_base
    # Players slow down what is shown for less than two units.
    if clock is not None and rate and rate * clock > Fraction(1, 2):
        raise InvalidArgumentError(
            f"a {container.suffix} file shows at most {1 / clock / 2} frames a second, and the video has "
            f"{float(rate):g}; give `rate=25`"
        )


def _try(
    container: Container,
    encoder: str,
    settings: EncoderSettings,
    image_format: str,
    hdr_metadata: HdrMetadata | None,
) -> Encoding:
    row = encoder_row(encoder)
    notes: tuple[str, ...] = ()
    if has_alpha(image_format):
        _check_alpha(container, encoder)
        if Codec(encoder, "w").canonical_name != container.codec:
            notes = (f"encoded by {encoder}, which keeps the alpha channel",)
    if container.pixel_format is None:
        pixel_format = pixel_format_for(encoder, image_format, settings.depth, settings.chroma)
        notes += tuple(reductions(encoder, image_format, pixel_format, settings.depth, settings.chroma))
    elif settings.chroma is None:
        alpha_formats = codec_row(encoder).alpha_formats
        pixel_format = alpha_formats[0] if has_alpha(image_format) else container.pixel_format
    else:
        raise InvalidArgumentError(f"a {container.suffix} file is made of RGB; leave `chroma` out")
    asked = _asked_options(settings)
    options = {**row.options, **{_option_name(encoder, name): value for name, value in asked.items()}}
    if has_avx512():
        options |= row.avx512_options
    if hdr_metadata is not None and not container.is_animation:
        if row.hdr is None:
            notes += (f"the video's HDR10 metadata is left out: {encoder} does not take it",)
        else:
            options = row.hdr.add_to(options, hdr_metadata)
    _check_options(encoder, settings, options)
    for name, value in row.environment.items():
        os.environ.setdefault(name, value)
    with av.open(io.BytesIO(), "w", format=container.muxer) as trial:
        _check_container(trial, container, encoder)
        _check_start(trial, encoder, pixel_format, options, asked)
    _log.info("%s encodes %s for %s, with %s", encoder, pixel_format, container.suffix, options)
    return Encoding(container, encoder, pixel_format, options, notes)


def _find_encoder(name: str) -> str:
    """Return the encoder for the name of a codec or an encoder."""
    if name in CODECS:
        return CODECS[name].software
    with map_errors(
        UnknownCodecError, to=lambda _: unknown_name("codec", name, [AUTO, *CODECS, *_video_encoders()])
    ):
        codec = Codec(name, "w")
    if codec.type != "video":
        raise InvalidArgumentError(f"codec {name!r} encodes {codec.type}, not video; try libx264")
    return codec.name


def _check_options(encoder: str, settings: EncoderSettings, options: dict[str, str]) -> None:
    """Refuse values that the encoder would not refuse by itself, but should."""
    row = encoder_row(encoder)
    if settings.crf is not None and not 0 <= settings.crf < math.inf:  # -1 stands for none
        raise InvalidArgumentError(f"`crf` {settings.crf:g} is no quality; it counts from 0, the best")
    if settings.crf is not None and row.worst_quality is not None and settings.crf > row.worst_quality:
        raise InvalidArgumentError(f"`crf` {settings.crf:g} is beyond the worst, {row.worst_quality:g}")
    if row.presets and options["preset"] not in row.presets:
        raise unknown_name("preset", options["preset"], row.presets)


def _check_alpha(container: Container, encoder: str) -> None:
    """Refuse an encoder that would leave alpha out, or whose alpha the container would."""
    if encoder not in [CODECS[codec].software for codec in container.alpha_codecs]:
        raise InvalidArgumentError(
            f"{encoder} keeps no alpha channel in a {container.suffix} file; use `codec` "
            f"{' or '.join(container.alpha_codecs)}, or leave `alpha_channel` out"
        )


def _check_container(trial: OutputContainer, container: Container, encoder: str) -> None:
    codec = Codec(encoder, "w").canonical_name
    if container.codecs is not None:
        is_held = codec in container.codecs
    elif container.is_animation:  # their muxers would take anything
        is_held = encoder == CODECS[container.codec].software
    else:
        is_held = codec in trial.supported_codecs
    if not is_held:
        raise InvalidArgumentError(
            f"a {container.suffix} file cannot hold {codec}; choose another `codec` or suffix "
            "(.mkv takes nearly all)"
        )


def _check_start(
    trial: OutputContainer, encoder: str, pixel_format: str, options: dict[str, str], asked: dict[str, str]
) -> None:
    """Start the encoder once: only it knows what it takes, and whether it works on this machine."""
    stream = trial.add_stream(encoder, rate=25, options=options)
    assert isinstance(stream, VideoStream)
    context = stream.codec_context
    stream.width, stream.height = _TRIAL_WIDTH, _TRIAL_HEIGHT
    stream.pix_fmt = pixel_format
    try:
        with kept_priorities():
            context.open()
    except FFmpegError as error:
        with_options = "".join(f" with `{name}={value}`" for name, value in asked.items())
        instead = _USE_AUTO if is_hardware(encoder) else ""
        raise InvalidArgumentError(
            f"codec {encoder!r} does not start here{with_options} ({error.strerror}){instead}"
        ) from error
    for name in asked:  # opening takes out what the encoder knows
        if _option_name(encoder, name) in context.options:
            raise InvalidArgumentError(f"codec {encoder!r} has no `{name}`; leave it out")


def _option_name(encoder: str, setting: str) -> str:
    """Return an encoder's own name for a setting."""
    return encoder_row(encoder).quality if setting == "crf" else setting


def _asked_options(settings: EncoderSettings) -> dict[str, str]:
    asked = {}
    if settings.crf is not None:
        asked["crf"] = f"{settings.crf:g}"
    if settings.preset is not None:
        asked["preset"] = settings.preset
    return asked


def _video_encoders() -> list[str]:
    return [name for name in av.codecs_available if is_available(name) and Codec(name, "w").type == "video"]
