"""Setting a video up before its first image: container, encoder, tags."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

from av.container import OutputContainer
from av.video.stream import VideoStream

from streamcam.errors import InvalidArgumentError
from streamcam.frames import SourceInfo
from streamcam.media.encoders import EncoderSettings, Encoding, check_encoding
from streamcam.media.interlacing import BOTTOM_FIRST, INTERLACED, TOP_FIRST
from streamcam.media.pixel_formats import fitting_size

_FALLBACK_RATE = Fraction(25)


def check_video(path: Path, info: SourceInfo, settings: EncoderSettings) -> Encoding:
    """Settle how a video is encoded, before any work.

    Raises:
        InvalidArgumentError: if codec, options, container and video do not go together.
    """
    encoding = check_encoding(path, settings, info.pixel_format, info.hdr_metadata)
    clock = encoding.container.time_base
    # Players slow down what is shown for less than two units.
    if clock is not None and info.rate and info.rate * clock > Fraction(1, 2):
        raise InvalidArgumentError(
            f"a {path.suffix} file shows at most {1 / clock / 2} frames a second, and the video has "
            f"{float(info.rate):g}; give `rate=25`"
        )
    return encoding


def mov_flags(info: SourceInfo) -> dict[str, str]:
    """Keep the input's own ticks, so that every timestamp stays the same number."""
    ticks = info.time_base.denominator
    # Where a stream begins late is told in ticks of the whole video, at least the usual 1000 a second.
    video_ticks = ticks * math.ceil(1000 / ticks)
    return {
        "movflags": "+faststart",
        "video_track_timescale": str(ticks),
        "movie_timescale": str(video_ticks),
    }


def add_video(container: OutputContainer, encoding: Encoding, info: SourceInfo) -> VideoStream:
    """Add the stream of the video's own images to a container, with all that players are to know of it."""
    encoder, options = encoding.encoder, encoding.options
    if info.top_field_first is not None:
        options = {**options, **INTERLACED.get(encoder, {})}
    stream = container.add_stream(encoder, rate=info.rate or _FALLBACK_RATE, options=options)
    assert isinstance(stream, VideoStream)
    stream.width, stream.height = fitting_size(encoder, encoding.pixel_format, (info.width, info.height))
    stream.pix_fmt = encoding.pixel_format
    context = stream.codec_context
    context.thread_count = 0  # all cores, also for the encoders that would take one
    stream.time_base = context.time_base = encoding.container.time_base or info.time_base
    if info.sample_aspect_ratio is not None:
        context.sample_aspect_ratio = info.sample_aspect_ratio
    if info.top_field_first is not None:
        context.field_order = TOP_FIRST if info.top_field_first else BOTTOM_FIRST
    if encoding.container.pixel_format is None:  # RGB has no such tags
        context.color_range = info.colour.color_range
        context.colorspace = info.colour.colorspace
        context.color_primaries = info.colour.color_primaries
        context.color_trc = info.colour.color_trc
    if context.codec.canonical_name == "hevc" and encoding.container.muxer in ("mp4", "mov"):
        context.codec_tag = "hvc1"  # Apple's players know HEVC by no other
    return stream
