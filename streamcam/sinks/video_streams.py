"""The streams of a new video file: its images, with size, clock and colors, and copies of the input's."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from pathlib import Path

from av.container import OutputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from streamcam.errors import SinkError
from streamcam.frames import SourceInfo
from streamcam.media.codecs import encoder_row
from streamcam.media.encoders import Encoding
from streamcam.media.images import chroma_of
from streamcam.media.pixel_formats import fitting_size
from streamcam.media.thread_priorities import kept_priorities
from streamcam.sinks.copying.copier import StreamCopier

_FALLBACK_RATE = Fraction(25)

_TOP_FIRST, _BOTTOM_FIRST = 2, 3
"""AV_FIELD_TT and AV_FIELD_BB: the field order of an encoder's context."""


def start_streams(
    container: OutputContainer, path: Path, info: SourceInfo, encoding: Encoding, *, audio: bool
) -> tuple[VideoStream, StreamCopier | None]:
    """Add the streams of a video to a container, and write its header.

    Args:
        container: Open, with nothing in it.
        path: A name for messages.
        info: The source of the frames.
        encoding: How they are encoded; see `choose_encoding`.
        audio: Whether the input's audio is copied.

    Returns:
        The stream of the images, and what copies the others; None if there is nothing to copy from.

    Raises:
        SinkError: if the encoder or the container refuses.
    """
    copier: StreamCopier | None = None
    with contextlib.ExitStack() as undo:
        try:
            stream = _add_video(container, encoding, info)
            if info.path is not None:
                copier = StreamCopier(info, info.path, container, encoding.container, audio=audio)
                undo.callback(copier.close)
            with kept_priorities():
                container.start_encoding()
        except SinkError:  # says which input or stream is in the way
            raise
        except (FFmpegError, OSError) as error:
            size = f"{info.width}x{info.height}"
            raise SinkError(
                f"{str(path)!r} cannot be started with {encoding.encoder} at {size}: {error.strerror}"
            ) from error
        undo.pop_all()
    return stream, copier


def _add_video(container: OutputContainer, encoding: Encoding, info: SourceInfo) -> VideoStream:
    """Add the stream of the images to a container, with size, clock and color tags."""
    encoder, options = encoding.encoder, encoding.options
    if info.top_field_first is not None:
        options = {**options, **(encoder_row(encoder).interlaced_options or {})}
    if info.chroma_location is not None and chroma_of(encoding.pixel_format) == "420":
        options = {**options, "chroma_sample_location": info.chroma_location}
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
        context.field_order = _TOP_FIRST if info.top_field_first else _BOTTOM_FIRST
    if not encoding.container.is_animation:  # RGB has no such tags
        context.color_range = info.color.color_range
        context.colorspace = info.color.colorspace
        context.color_primaries = info.color.color_primaries
        context.color_trc = info.color.color_trc
    tag = encoding.container.codec_tags.get(context.codec.canonical_name)
    if tag is not None:
        context.codec_tag = tag
    return stream


def close_container(container: OutputContainer) -> None:
    """Close a container whose contents nobody needs."""
    # Closing writes the trailer, which cannot work when writing did not; the part goes in any case.
    with contextlib.suppress(FFmpegError, OSError, ValueError):
        container.close()
