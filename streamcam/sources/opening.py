"""Opening a video file for its images."""

from __future__ import annotations

from pathlib import Path

from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream

from streamcam.errors import InvalidArgumentError, SourceError
from streamcam.media.demux import open_input

_PLAYLIST_MARKS = (b"#EXTM3U", b"ffconcat", b"<?xml", b"<MPD")


LARGEST_PIXELS = 1 << 26
"""Pixels in a frame, 8192x8192: a small file can claim images that no memory holds, and dozens travel."""


def open_container(path: Path, hwaccel: HWAccel | None = None) -> InputContainer:
    """Open a video file, and none that only points to others.

    Args:
        path: The file.
        hwaccel: What is to decode it, if not software.

    Raises:
        SourceError: if FFmpeg cannot read it, or it is a playlist.
    """
    try:
        return open_input(path, hwaccel)
    except FFmpegError as error:
        if _looks_like_playlist(path):
            raise SourceError(f"{str(path)!r} is a playlist, not a video; give the video itself") from error
        raise SourceError(
            f"{str(path)!r} is not a video that FFmpeg can read ({error.strerror}); "
            "is it complete, and really a video?"
        ) from error


def _looks_like_playlist(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(_PLAYLIST_MARKS)


def choose_video_stream(container: InputContainer, path: Path, index: int | None) -> VideoStream:
    """Choose the stream to decode: the one asked for, or the best one of moving images.

    Raises:
        SourceError: if there is none, or none that can be decoded, or its images are absurdly large.
        InvalidArgumentError: if there is none of the index asked for.
    """
    videos = video_streams(container)
    if not videos:
        audio = [stream.codec_context.name for stream in container.streams.audio if stream.codec_context]
        held = f", only audio ({', '.join(audio)})" if audio else ""
        raise SourceError(f"{str(path)!r} holds no video{held}; give a video or an image")
    best = container.streams.best("video") if index is None else _video_stream(videos, path, index)
    stream = best if isinstance(best, VideoStream) and best in videos else videos[0]
    if stream.codec_context is None:
        raise SourceError(f"{str(path)!r} is coded in a way that FFmpeg here cannot decode")
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > LARGEST_PIXELS:
        raise SourceError(
            f"{str(path)!r} has images of {width}x{height}, more than the {LARGEST_PIXELS} pixels that "
            "streamcam takes; make it smaller first (ffmpeg -i INPUT -vf scale=3840:-2 video.mp4)"
        )
    stream.codec_context.options = {"max_pixels": str(LARGEST_PIXELS)}  # for sizes that change on the way
    return stream


def _video_stream(videos: list[VideoStream], path: Path, index: int) -> VideoStream:
    for stream in videos:
        if stream.index == index:
            return stream
    there = ", ".join(str(stream.index) for stream in videos)
    raise InvalidArgumentError(f"{str(path)!r} has no video stream {index}; it has {there}")


def video_streams(container: InputContainer) -> list[VideoStream]:
    """List the streams of moving images: not cover art, which counts as video too."""
    still = Disposition.attached_pic | Disposition.timed_thumbnails
    return [stream for stream in container.streams.video if not stream.disposition & still]
