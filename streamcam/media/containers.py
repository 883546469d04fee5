"""The kinds of video files that are written: which muxer makes each, and what it holds."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import av
from av.error import FFmpegError
from av.stream import Stream

from streamcam.errors import InvalidArgumentError


@dataclasses.dataclass(frozen=True, slots=True)
class Container:
    """One kind of video file."""

    suffix: str
    """How its name ends."""
    muxer: str
    """FFmpeg's name of the container."""
    codec: str
    """What its images are encoded as unless something else is asked for: a name in `CODECS`."""
    audio: str | None = None
    """The encoder for audio that cannot be copied."""
    subtitles: str | None = None
    """The encoder for subtitle texts that cannot be copied."""
    data: frozenset[str] = frozenset()
    """Data that keeps its meaning in it, from a file of the same kind: FFmpeg's names."""
    holds_timecodes: bool = False
    holds_attachments: bool = False
    holds_covers: bool = False
    has_edit_lists: bool = False
    """Whether it can hide what comes before a video's beginning."""
    options: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """The muxer's own."""
    pixel_format: str | None = None
    """What its images are encoded from, where that is RGB."""
    time_base: Fraction | None = None
    """The only unit of time it knows, in seconds; None where it takes the video's own."""


# FFmpeg calls telemetry like GoPro's (gpmd) plain data, and writes no other tracks of data as what they were.
_TELEMETRY = frozenset({"bin_data"})
# Others, such as SCTE-35, become plain data there.
_TRANSPORT_DATA = frozenset({"bin_data", "klv", "smpte_2038", "timed_id3"})

_FOREVER = {"loop": "0"}
_MILLISECONDS = Fraction(1, 1000)

_MP4 = Container(
    ".mp4",
    "mp4",
    "h264",
    "aac",
    "mov_text",
    _TELEMETRY,
    holds_timecodes=True,
    holds_covers=True,
    has_edit_lists=True,
)

_ALL = (
    _MP4,
    dataclasses.replace(_MP4, suffix=".m4v"),
    Container(
        ".mov", "mov", "h264", "aac", "mov_text", _TELEMETRY, holds_timecodes=True, has_edit_lists=True
    ),
    Container(
        ".mkv",
        "matroska",
        "h264",
        "libopus",
        "srt",
        holds_timecodes=True,
        holds_attachments=True,
        holds_covers=True,
    ),
    Container(".webm", "webm", "vp9", "libopus", "webvtt", holds_timecodes=True),
    Container(".ts", "mpegts", "h264", "aac", data=_TRANSPORT_DATA),
    Container(".gif", "gif", "gif", options=_FOREVER, pixel_format="pal8", time_base=Fraction(1, 100)),
    Container(".webp", "webp", "webp", options=_FOREVER, pixel_format="bgra", time_base=_MILLISECONDS),
    Container(".png", "apng", "apng", options={"plays": "0"}, pixel_format="rgb24", time_base=_MILLISECONDS),
    Container(".apng", "apng", "apng", options={"plays": "0"}, pixel_format="rgb24", time_base=_MILLISECONDS),
)

CONTAINERS = {container.suffix: container for container in _ALL}
"""Suffix → the kind of file.

Only containers with timestamps: AVI, which counts frames, is not among them.
"""

CODECS: dict[str, tuple[str, tuple[str, ...]]] = {
    "h264": ("libx264", ("h264_nvenc", "h264_videotoolbox", "h264_qsv", "h264_amf", "h264_mf")),
    "hevc": ("libx265", ("hevc_nvenc", "hevc_videotoolbox", "hevc_qsv", "hevc_amf", "hevc_mf")),
    "av1": ("libsvtav1", ("av1_nvenc", "av1_qsv", "av1_amf")),
    "vp9": ("libvpx-vp9", ("vp9_qsv",)),
    "prores": ("prores_ks", ("prores_videotoolbox",)),
    "ffv1": ("ffv1", ()),
    "gif": ("gif", ()),
    "webp": ("libwebp_anim", ()),
    "apng": ("apng", ()),
}
"""Codec → the encoder in software, and those in hardware, the likeliest first."""

PLAYED_AS_420 = {"h264", "hevc", "av1", "vp9", "vp8"}
"""Codecs of which most players, browsers and hardware decoders show 4:2:0 only."""

ANY_SIDES = {"prores", "ffv1"}
"""Codecs whose images may have any sides. That of some others too, but players reckon with even ones."""


@dataclasses.dataclass(frozen=True, slots=True)
class EncoderDefaults:
    """How an encoder is set up unless asked otherwise."""

    options: Mapping[str, str] = dataclasses.field(default_factory=dict)
    quality: str = "crf"
    """What it calls its constant quality."""


_MEDIA_FOUNDATION = EncoderDefaults({"rate_control": "quality", "quality": "80"}, "quality")
_NVENC = EncoderDefaults({"preset": "p5", "rc": "vbr", "cq": "23"}, "cq")
_QUICK_SYNC = EncoderDefaults({"global_quality": "23"}, "global_quality")
_VIDEO_TOOLBOX = EncoderDefaults({"b": "8M"})

ENCODERS: dict[str, EncoderDefaults] = {
    "libx264": EncoderDefaults({"crf": "20", "preset": "veryfast"}),
    "libx265": EncoderDefaults({"crf": "23", "preset": "fast", "x265-params": "log-level=none"}),
    "libvpx-vp9": EncoderDefaults(
        {"crf": "31", "b": "0", "row-mt": "1", "cpu-used": "5", "deadline": "realtime"}
    ),
    "libsvtav1": EncoderDefaults({"crf": "32", "preset": "8"}),
    "prores_ks": EncoderDefaults({"vendor": "apl0"}),
    "libwebp_anim": EncoderDefaults({"quality": "85"}, "quality"),
    "h264_nvenc": _NVENC,
    "hevc_nvenc": _NVENC,
    "av1_nvenc": _NVENC,
    "h264_qsv": _QUICK_SYNC,
    "hevc_qsv": _QUICK_SYNC,
    "av1_qsv": _QUICK_SYNC,
    "vp9_qsv": _QUICK_SYNC,
    "h264_videotoolbox": _VIDEO_TOOLBOX,
    "hevc_videotoolbox": _VIDEO_TOOLBOX,
    "h264_mf": _MEDIA_FOUNDATION,
    "hevc_mf": _MEDIA_FOUNDATION,
}
"""Encoder → how it is set up; one that is not listed gets what FFmpeg gives it."""

# FFmpeg writes anything at all into a transport stream, but reads only these back as what they were.
TRANSPORT_CODECS = {
    *("h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4"),
    *("aac", "ac3", "dts", "eac3", "mp2", "mp3", "opus", "truehd"),
    *("dvb_subtitle", "dvb_teletext"),
}


def container_of(path: Path) -> Container:
    """Tell which kind of video a file's suffix asks for.

    Raises:
        InvalidArgumentError: if it asks for none that is known.
    """
    try:
        return CONTAINERS[path.suffix.lower()]
    except KeyError:
        raise InvalidArgumentError(
            f"cannot tell from {path.name!r} what kind of file to write; use {', '.join(CONTAINERS)} "
            "for a video, out/%05d.png for one image a frame, or .png, .jpg, .webp for an image"
        ) from None


def can_copy(container: Container, stream: Stream) -> bool:
    """Tell whether a container takes a copy of a stream, by trying: not all refusals can be looked up.

    Args:
        container: The kind of file.
        stream: A stream of audio, subtitles or data of an open input.
    """
    if not _is_known_in(container, stream):
        return False
    try:
        with av.open(io.BytesIO(), "w", format=container.muxer) as trial:
            trial.add_stream_from_template(stream)
            trial.start_encoding()
    except (ValueError, FFmpegError):
        return False
    return True


def _is_known_in(container: Container, stream: Stream) -> bool:
    """Tell whether a stream would be read back from a container as what it is, if it takes it."""
    if stream.type == "data":
        # FFmpeg reads MP4 and QuickTime as one, "mov,mp4,m4a".
        is_alike = container.muxer in stream.container.format.name.split(",")
        return is_alike and getattr(stream, "name", None) in container.data
    if not stream.codec_context:  # FFmpeg does not know the codec
        return False
    return container.muxer != "mpegts" or stream.codec_context.codec.canonical_name in TRANSPORT_CODECS
