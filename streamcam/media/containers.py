"""Containers of video files: one row each, with everything known of it."""

from __future__ import annotations

import dataclasses
import io
import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Stream

from streamcam.errors import InvalidArgumentError
from streamcam.frames import SourceInfo
from streamcam.media.animation_files import (
    FOREVER,
    SetDuration,
    gif_repeats,
    png_repeats,
    set_gif_duration,
    set_png_duration,
    set_webp_duration,
    webp_repeats,
)


@dataclasses.dataclass(frozen=True, slots=True)
class Container:
    """One kind of video file."""

    suffix: str
    """The ending of its files' names."""
    muxer: str
    """FFmpeg's name of the container."""
    codec: str
    """The default codec of its images: a name in `streamcam.media.codecs.CODECS`."""
    audio: str | None = None
    """The encoder for audio that cannot be copied."""
    subtitles: str | None = None
    """The encoder for subtitle texts that cannot be copied."""
    data: frozenset[str] = frozenset()
    """Data that keeps its meaning when copied from a file of the same kind: FFmpeg's names."""
    codecs: frozenset[str] | None = None
    """The codecs that are read back as what they were, where the muxer takes others too; None: trust it."""
    alpha_codecs: tuple[str, ...] = ()
    """The codecs whose alpha channel is read back from it, the default first; none where there is none."""
    codec_tags: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Codec → its four-character code, where FFmpeg's own is not the one that players know."""
    holds_timecodes: bool = False
    holds_attachments: bool = False
    holds_covers: bool = False
    holds_changes: bool = True
    """Whether FFmpeg's muxer takes a change of a stream's codec data; some spoil the file."""
    has_edit_lists: bool = False
    """Whether it can hide what comes before a video's beginning."""
    has_set_clock: bool = False
    """Whether its clock is an option of the muxer's, so that it can be the input's."""
    options: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """The muxer's options."""
    recording_options: Mapping[str, str] | None = None
    """The muxer's options for a file that can be played however suddenly its writing ends: its data is
    complete once in `FRAGMENT_S`. None where there is no such file of this kind."""
    pipe_options: Mapping[str, str] | None = None
    """The muxer's options for writing without ever going back, as to a pipe; None where that cannot be."""
    repeat_options: Callable[[int], Mapping[str, str]] | None = None
    """The muxer's options for a number of plays, where it holds an animation."""
    set_duration: SetDuration | None = None
    """Sets how long a finished animation lasts."""
    pixel_format: str | None = None
    """The format its images are encoded from, where that is RGB: it holds an animation."""
    time_base: Fraction | None = None
    """Its unit of time in seconds, where there is only one; None where it takes the input's."""
    merges_repeats: bool = False
    """Whether equal images after each other become one, and only Pillow reads all of them back."""

    @property
    def is_animation(self) -> bool:
        """Whether it holds an animated image rather than a video."""
        return self.pixel_format is not None

    def options_for(self, info: SourceInfo, *, is_pipe: bool = False) -> dict[str, str]:
        """Return the muxer's options for the video of a source, in a file or a pipe."""
        options = dict((self.pipe_options or {}) if is_pipe else self.options)
        if self.repeat_options is not None:
            return {**options, **self.repeat_options(info.plays or FOREVER)}
        if not self.has_set_clock:
            return options
        # Every timestamp stays the same number in the ticks of the input. A late start of a stream is written
        # in ticks of the whole video, at least the usual 1000 a second.
        ticks = info.time_base.denominator
        video_ticks = ticks * math.ceil(1000 / ticks)
        return {
            **options,
            "video_track_timescale": str(ticks),
            "movie_timescale": str(video_ticks),
        }


FRAGMENT_S = 1
"""How much of a recording a sudden end may cost, in seconds."""

# FFmpeg calls telemetry like GoPro's (gpmd) plain data, and writes no other tracks of data as what they were.
_TELEMETRY = frozenset({"bin_data"})
# Others, such as SCTE-35, become plain data there.
_TRANSPORT_DATA = frozenset({"bin_data", "klv", "smpte_2038", "timed_id3"})

# FFmpeg writes anything at all into a transport stream, but reads only these back as what they were.
_TRANSPORT_CODECS = frozenset(
    {
        *("h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4"),
        *("aac", "ac3", "dts", "eac3", "mp2", "mp3", "opus", "truehd"),
        *("dvb_subtitle", "dvb_teletext"),
    }
)

_APPLE_TAGS = {"hevc": "hvc1"}  # Apple's players know HEVC by no other
_INDEX_FIRST = {"movflags": "+faststart"}
_FRAGMENTS = {"movflags": "+frag_keyframe+empty_moov+default_base_moof"}
_MILLISECONDS = Fraction(1, 1000)

_MP4 = Container(
    ".mp4",
    "mp4",
    "h264",
    "aac",
    "mov_text",
    _TELEMETRY,
    codec_tags=_APPLE_TAGS,
    holds_timecodes=True,
    holds_covers=True,
    has_edit_lists=True,
    has_set_clock=True,
    options=_INDEX_FIRST,
    recording_options={
        # The head is delayed until it is known by how much an encoder of audio begins before the images.
        "movflags": f"{_FRAGMENTS['movflags']}+delay_moov",
        "frag_duration": str(FRAGMENT_S * 1_000_000),
        "flush_packets": "1",
    },
    pipe_options=_FRAGMENTS,
)
_MOV = Container(
    ".mov",
    "mov",
    "h264",
    "aac",
    "mov_text",
    _TELEMETRY,
    alpha_codecs=("prores",),
    codec_tags=_APPLE_TAGS,
    holds_timecodes=True,
    has_edit_lists=True,
    has_set_clock=True,
    options=_INDEX_FIRST,
    pipe_options=_FRAGMENTS,
)
_MKV = Container(
    ".mkv",
    "matroska",
    "h264",
    "libopus",
    "srt",
    alpha_codecs=("ffv1", "vp9", "prores"),
    holds_timecodes=True,
    holds_attachments=True,
    holds_covers=True,
    holds_changes=False,
    recording_options={"cluster_time_limit": str(FRAGMENT_S * 1000), "flush_packets": "1"},
    pipe_options={},
)
_APNG = Container(
    ".png",
    "apng",
    "apng",
    alpha_codecs=("apng",),
    repeat_options=png_repeats,
    set_duration=set_png_duration,
    pixel_format="rgb24",
    time_base=_MILLISECONDS,
)

_ALL = (
    _MP4,
    dataclasses.replace(_MP4, suffix=".m4v", recording_options=None),
    _MOV,
    _MKV,
    Container(
        ".webm",
        "webm",
        "vp9",
        "libopus",
        "webvtt",
        alpha_codecs=("vp9",),
        holds_timecodes=True,
        holds_changes=False,
        pipe_options={},
    ),
    Container(
        ".ts",
        "mpegts",
        "h264",
        "aac",
        data=_TRANSPORT_DATA,
        codecs=_TRANSPORT_CODECS,
        pipe_options={},
    ),
    Container(
        ".gif",
        "gif",
        "gif",
        repeat_options=gif_repeats,
        set_duration=set_gif_duration,
        pixel_format="pal8",
        time_base=Fraction(1, 100),
    ),
    Container(
        ".webp",
        "webp",
        "webp",
        alpha_codecs=("webp",),
        repeat_options=webp_repeats,
        set_duration=set_webp_duration,
        pixel_format="bgra",
        time_base=_MILLISECONDS,
        merges_repeats=True,
    ),
    _APNG,
    dataclasses.replace(_APNG, suffix=".apng"),
)

CONTAINERS: dict[str, Container] = {container.suffix: container for container in _ALL}
"""Suffix → the kind of file.

Only containers with timestamps: AVI, which counts frames, is not among them.
"""


# As FFmpeg chooses.
_USUAL_LAYOUTS = {
    **{1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"},
    **{10: "5.1.4", 12: "7.1.4", 16: "hexadecagonal", 24: "22.2"},
}


def container_of(path: Path) -> Container:
    """Return the kind of video file that a suffix stands for.

    Raises:
        InvalidArgumentError: if it stands for none.
    """
    try:
        return CONTAINERS[path.suffix.lower()]
    except KeyError:
        raise InvalidArgumentError(
            f"{path.name!r} does not name a kind of video; use {', '.join(CONTAINERS)}"
        ) from None


def can_copy(container: Container, stream: Stream, packet: Packet[Any] | None) -> bool:
    """Return whether a container takes a copy of a stream, by trying: not all refusals can be looked up.

    Args:
        container: The kind of file.
        stream: A stream of audio, subtitles or data of an open input.
        packet: One of its packets, which is spent: some muxers refuse a stream only at the end. None if there
            is none at the beginning of the file.
    """
    if not _is_known_in(container, stream):
        return False
    try:
        with av.open(io.BytesIO(), "w", format=container.muxer) as trial:
            copy = add_template(trial, stream)
            trial.start_encoding()
            if packet is not None:
                packet.stream, packet.pts, packet.dts = copy, 0, 0
                trial.mux(packet)
    except (ValueError, FFmpegError):
        return False
    return True


def add_template(output: OutputContainer, stream: Stream) -> Stream:
    """Add a stream for copies of another one's packets; audio without a channel layout gets the usual one.

    MP4 refuses audio whose channels have no names, and only in the trailer.
    """
    copy = output.add_stream_from_template(stream)
    if isinstance(stream, AudioStream) and isinstance(copy, AudioStream):
        layout = usual_layout(stream)
        if layout != stream.layout.name:
            copy.codec_context.layout = layout
    return copy


def usual_layout(stream: AudioStream) -> str:
    """Return the channel layout of an audio stream, or the usual one where its file names none."""
    name = stream.layout.name
    return _USUAL_LAYOUTS.get(stream.channels, name) if name.endswith(" channels") else name


def _is_known_in(container: Container, stream: Stream) -> bool:
    """Return whether a stream would be read back from a container as what it is, if it takes it."""
    if stream.type == "data":
        # FFmpeg reads MP4 and QuickTime as one, "mov,mp4,m4a".
        is_alike = container.muxer in stream.container.format.name.split(",")
        return is_alike and getattr(stream, "name", None) in container.data
    if not stream.codec_context:  # FFmpeg does not know the codec
        return False
    return container.codecs is None or stream.codec_context.codec.canonical_name in container.codecs
