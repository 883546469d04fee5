"""Which container and which encoder a film is written with."""

from __future__ import annotations

import dataclasses
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
from streamcam.sinks.formats import TRANSPORT_CODECS, container_of

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
_DEFAULT_OPTIONS = {
    "libx264": {"crf": "20", "preset": "veryfast"},
    "libx265": {"crf": "23", "preset": "fast", "x265-params": "log-level=none"},
    "libvpx-vp9": {"crf": "31", "b": "0", "row-mt": "1", "cpu-used": "5", "deadline": "realtime"},
    "libsvtav1": {"crf": "32", "preset": "8"},
}

_TRIAL_WIDTH, _TRIAL_HEIGHT = 320, 192


@dataclasses.dataclass(frozen=True, slots=True)
class EncoderSettings:
    """How a film is encoded. None stands for the encoder's own default here."""

    codec: str | None = None
    """FFmpeg's name of an encoder or codec."""
    crf: float | None = None
    """Constant rate factor: lower is better and larger."""
    preset: str | None = None
    """How much time to spend for size."""
    no_audio: bool = False
    """Whether the input's sound is left out."""


def choose_encoder(path: Path, settings: EncoderSettings) -> str:
    """Name the encoder that a film is written with.

    Raises:
        UnknownNameError: if there is no encoder of the name asked for.
        InvalidArgumentError: if it encodes something other than pictures.
    """
    if settings.codec is None:
        return container_of(path).video
    try:
        codec = Codec(settings.codec, "w")
    except UnknownCodecError:
        raise unknown_name("codec", settings.codec, _video_encoders()) from None
    if codec.type != "video":
        raise InvalidArgumentError(f"codec {settings.codec!r} encodes {codec.type}, not video; try libx264")
    return codec.name


def choose_pixel_format(encoder: str) -> str:
    """Name the pixel format to feed an encoder with: 4:2:0 where it can.

    Raises:
        InvalidArgumentError: if it takes no planar 8-bit YUV.
    """
    offered = [video_format.name for video_format in Codec(encoder, "w").video_formats or []]
    for wanted in ("yuv420p", "yuv422p", "yuv444p"):
        if not offered or wanted in offered:
            return wanted
    raise InvalidArgumentError(
        f"codec {encoder!r} takes no 8-bit YUV pictures (only {', '.join(offered[:4])}); try libx264"
    )


def encoder_options(encoder: str, settings: EncoderSettings) -> dict[str, str]:
    """Put together the encoder's own options.

    Raises:
        InvalidArgumentError: if a value is one that the encoder would not refuse by itself, but should.
    """
    options = {**_DEFAULT_OPTIONS.get(encoder, {}), **_asked_options(settings)}
    if settings.crf is not None and not 0 <= settings.crf < math.inf:  # -1 stands for none
        raise InvalidArgumentError(f"--crf {settings.crf:g} is no quality; it counts from 0, the best")
    if encoder in _X26X:
        if settings.crf is not None and settings.crf > _X26X_HIGHEST_CRF:
            raise InvalidArgumentError(f"--crf {settings.crf:g} is beyond the worst, {_X26X_HIGHEST_CRF}")
        if options["preset"] not in _X26X_PRESETS:
            raise unknown_name("preset", options["preset"], _X26X_PRESETS)
    return options


def check_encoding(path: Path, settings: EncoderSettings) -> tuple[str, str, dict[str, str]]:
    """Make sure, before any work, that container, codec and options go together.

    Returns:
        The encoder's name, the pixel format to feed it with, and its options.

    Raises:
        InvalidArgumentError: if they do not.
    """
    muxer = container_of(path).muxer
    encoder = choose_encoder(path, settings)
    pixel_format = choose_pixel_format(encoder)
    options = encoder_options(encoder, settings)
    if encoder == "libsvtav1":
        os.environ.setdefault("SVT_LOG", "1")  # it prints its settings otherwise, and has no option for that
    with av.open(io.BytesIO(), "w", format=muxer) as trial:
        _check_container(trial, path, encoder)
        _check_start(trial, encoder, pixel_format, options, _asked_options(settings))
    return encoder, pixel_format, options


def _check_container(container: OutputContainer, path: Path, encoder: str) -> None:
    codec = Codec(encoder, "w").canonical_name
    if container.format.name == "mpegts":
        is_held = codec in TRANSPORT_CODECS
    else:
        is_held = codec in container.supported_codecs
    if not is_held:
        raise InvalidArgumentError(
            f"a {path.suffix} file cannot hold {codec}; choose another --codec or suffix "
            "(.mkv takes nearly all)"
        )


def _check_start(
    container: OutputContainer,
    encoder: str,
    pixel_format: str,
    options: dict[str, str],
    asked: dict[str, str],
) -> None:
    """Start the encoder once: only it knows what it takes, and whether it works on this machine."""
    stream = container.add_stream(encoder, rate=25, options=options)
    assert isinstance(stream, VideoStream)
    context = stream.codec_context
    stream.width, stream.height = _TRIAL_WIDTH, _TRIAL_HEIGHT
    stream.pix_fmt = pixel_format
    try:
        context.open()
    except FFmpegError as error:
        with_options = "".join(f" with --{name} {value}" for name, value in asked.items())
        raise InvalidArgumentError(
            f"codec {encoder!r} does not start here{with_options} ({error.strerror})"
        ) from error
    for name in asked.keys() & context.options.keys():  # opening takes out what the encoder knows
        raise InvalidArgumentError(f"codec {encoder!r} has no --{name}; leave it out")


def _asked_options(settings: EncoderSettings) -> dict[str, str]:
    asked = {}
    if settings.crf is not None:
        asked["crf"] = f"{settings.crf:g}"
    if settings.preset is not None:
        asked["preset"] = settings.preset
    return asked


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
