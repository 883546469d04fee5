"""Which encoder a video is written with, and whether it works here and in its container."""

from __future__ import annotations

import dataclasses
import functools
import io
import math
import os
from pathlib import Path

import av
from av.codec import Codec
from av.codec.codec import UnknownCodecError
from av.container import OutputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from streamcam.errors import InvalidArgumentError, unknown_name
from streamcam.frames import HdrMetadata
from streamcam.media.containers import (
    CODECS,
    ENCODERS,
    TRANSPORT_CODECS,
    Container,
    EncoderDefaults,
    container_of,
)
from streamcam.media.hdr_metadata import with_hdr_metadata
from streamcam.media.pixel_formats import pixel_format_for, reductions

AUTO = "auto"
"""Asks for a hardware encoder where one works."""

# libx264 and libx265 print their own complaint about a wrong preset before FFmpeg can say a word, and
# take a crf above 51 for 51.
_X26X = ("libx264", "libx265")
_X26X_HIGHEST_CRF = 51
_X26X_PRESETS = (
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
    "placebo",
)

_TRIAL_WIDTH, _TRIAL_HEIGHT = 320, 192


@dataclasses.dataclass(frozen=True, slots=True)
class EncoderSettings:
    """How a video is encoded. None stands for the encoder's own default here."""

    codec: str | None = None
    """FFmpeg's name of an encoder or codec; ``"auto"`` for a hardware encoder where one works."""
    crf: float | None = None
    """Constant rate factor: lower is better and larger."""
    preset: str | None = None
    """How much time to spend for size."""
    no_audio: bool = False
    """Whether the input's audio is left out."""
    depth: int | None = None
    """Bits of a sample, 8 or 10; the input's where the encoder takes them if None."""
    chroma: str | None = None
    """Chroma subsampling, one of `CHROMAS`; if None the input's where encoder and players
    take it, else the nearest that they take."""


@dataclasses.dataclass(frozen=True, slots=True)
class Encoding:
    """How a video is encoded, settled and tried."""

    container: Container
    encoder: str
    """FFmpeg's name of it."""
    pixel_format: str
    """What to feed it with."""
    options: dict[str, str]
    """The encoder's own."""
    notes: tuple[str, ...] = ()
    """What the user should know about the choice."""


def check_encoding(
    path: Path,
    settings: EncoderSettings,
    given: str = "yuv420p",
    light: HdrMetadata | None = None,
) -> Encoding:
    """Make sure, before any work, that container, codec and options go together.

    Args:
        path: The file to make.
        settings: What is asked for.
        given: The pixel format of the images to come.
        light: What they say of high dynamic range.

    Raises:
        UnknownNameError: if there is no such encoder or preset.
        InvalidArgumentError: if something does not go with something else, or the encoder does not start.
    """
    container = container_of(path)
    if settings.codec != AUTO:
        return _try(container, _encoder_named(settings.codec or container.codec), settings, given, light)
    software, hardware = CODECS[container.codec]
    for encoder in hardware:
        try:
            Codec(encoder, "w")
            found = _try(container, encoder, settings, given, light)
        except (UnknownCodecError, InvalidArgumentError):  # not in this build, or not on this machine
            continue
        return dataclasses.replace(found, notes=(*found.notes, f"encoded in hardware, by {encoder}"))
    found = _try(container, software, settings, given, light)
    told = f"no hardware encoder for {container.codec} works here; {software} is used"
    return dataclasses.replace(found, notes=(*found.notes, told))


def _try(
    container: Container, encoder: str, settings: EncoderSettings, given: str, light: HdrMetadata | None
) -> Encoding:
    wanted = (settings.depth, settings.chroma)
    if container.pixel_format is None:
        pixel_format = pixel_format_for(encoder, given, *wanted)
        notes = tuple(reductions(encoder, given, pixel_format, *wanted))
    elif settings.chroma is None:
        pixel_format, notes = container.pixel_format, ()
    else:
        raise InvalidArgumentError(f"a {container.suffix} file is made of RGB; leave `chroma` out")
    asked = _asked_options(encoder, settings)
    options = {**_defaults(encoder).options, **asked}
    if encoder == "libx264" and _has_avx512():
        # Its AVX-512 code for macroblock trees reads what nobody wrote: the same images become other videos.
        options["x264-params"] = "asm=AVX2"
    if light is not None and container.pixel_format is None:
        told = with_hdr_metadata(options, encoder, light)
        options = told or options
        if told is None:
            notes += (f"what the video says of its brightness (HDR10) is left out: {encoder} cannot be told",)
    _check_options(encoder, settings, options)
    if encoder == "libsvtav1":
        os.environ.setdefault("SVT_LOG", "1")  # it prints its settings otherwise, and has no option for that
    with av.open(io.BytesIO(), "w", format=container.muxer) as trial:
        _check_container(trial, container, encoder)
        _check_start(trial, encoder, pixel_format, options, _as_given(settings))
    return Encoding(container, encoder, pixel_format, options, notes)


def _encoder_named(name: str) -> str:
    """Find the encoder of a codec or encoder's name."""
    if name in CODECS:
        return CODECS[name][0]
    try:
        codec = Codec(name, "w")
    except UnknownCodecError:
        raise unknown_name("codec", name, [AUTO, *CODECS, *_video_encoders()]) from None
    if codec.type != "video":
        raise InvalidArgumentError(f"codec {name!r} encodes {codec.type}, not video; try libx264")
    return codec.name


def _check_options(encoder: str, settings: EncoderSettings, options: dict[str, str]) -> None:
    """Refuse values that the encoder would not refuse by itself, but should."""
    if settings.crf is not None and not 0 <= settings.crf < math.inf:  # -1 stands for none
        raise InvalidArgumentError(f"`crf` {settings.crf:g} is no quality; it counts from 0, the best")
    if encoder in _X26X:
        if settings.crf is not None and settings.crf > _X26X_HIGHEST_CRF:
            raise InvalidArgumentError(f"`crf` {settings.crf:g} is beyond the worst, {_X26X_HIGHEST_CRF}")
        if options["preset"] not in _X26X_PRESETS:
            raise unknown_name("preset", options["preset"], _X26X_PRESETS)


@functools.cache
def _has_avx512() -> bool:
    """Tell whether the processor has AVX-512, where the system says so."""
    try:
        return " avx512f " in Path("/proc/cpuinfo").read_text("ascii", "replace")
    except OSError:
        return False


def _check_container(trial: OutputContainer, container: Container, encoder: str) -> None:
    codec = Codec(encoder, "w").canonical_name
    if container.muxer == "mpegts":
        is_held = codec in TRANSPORT_CODECS
    elif container.pixel_format is not None:  # muxers of animations would take anything
        is_held = encoder == CODECS[container.codec][0]
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
        context.open()
    except FFmpegError as error:
        with_options = "".join(f" with `{name}={value}`" for name, value in asked.items())
        instead = "; `codec='auto'` takes what works" if _is_hardware(encoder) else ""
        raise InvalidArgumentError(
            f"codec {encoder!r} does not start here{with_options} ({error.strerror}){instead}"
        ) from error
    quality = _defaults(encoder).quality
    for name in asked:  # opening takes out what the encoder knows
        if {"crf": quality}.get(name, name) in context.options:
            raise InvalidArgumentError(f"codec {encoder!r} has no `{name}`; leave it out")


def _defaults(encoder: str) -> EncoderDefaults:
    return ENCODERS.get(encoder, EncoderDefaults())


def _asked_options(encoder: str, settings: EncoderSettings) -> dict[str, str]:
    """What is asked for, in the encoder's own words."""
    quality = _defaults(encoder).quality
    return {{"crf": quality}.get(name, name): value for name, value in _as_given(settings).items()}


def _as_given(settings: EncoderSettings) -> dict[str, str]:
    given = {}
    if settings.crf is not None:
        given["crf"] = f"{settings.crf:g}"
    if settings.preset is not None:
        given["preset"] = settings.preset
    return given


def _is_hardware(encoder: str) -> bool:
    return any(encoder in hardware for _, hardware in CODECS.values())


def _video_encoders() -> list[str]:
    names = []
    for name in av.codecs_available:
        try:
            codec = Codec(name, "w")
        except UnknownCodecError:  # a decoder only
            continue
        if codec.type == "video":
            names.append(name)
    return names
