"""Opening video files: the container, its video stream, and a decoder in hardware or software."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from streamcam.errors import InvalidArgumentError, SourceError, map_errors
from streamcam.media.demux import LARGEST_PIXELS, open_input, video_streams
from streamcam.media.hwaccel import accelerator, devices_for
from streamcam.media.playlists import PlaylistFolder, is_playlist
from streamcam.sources.base import Source
from streamcam.sources.files import check_input_file
from streamcam.sources.paced import play
from streamcam.sources.settings import SourceSettings
from streamcam.sources.video import VideoSource

_log = logging.getLogger("streamcam.sources")

_PLAYLIST_MARKS = (b"#EXTM3U", b"ffconcat", b"<?xml", b"<MPD")


def open_video(location: str | int | Path, settings: SourceSettings) -> Source:
    """Open a video file, choose its video stream and decode the first frame.

    Args:
        location: Path of the file.
        settings: How it is read, and whether it is played at its own pace.

    Raises:
        SourceError: if the file holds no video that can be decoded.
        InvalidArgumentError: if it has no such video stream, or this build no such hardware decoder.
    """
    path = check_input_file(location)
    if not settings.real_time:
        return _open_file(path, settings)
    # What is shown live has 8 bits, and no more colors than a camera sends.
    settings = dataclasses.replace(settings, depth=settings.depth or 8, chroma=settings.chroma or "420")
    return play(lambda: _open_file(path, settings), loop=settings.loop, audio=path)


def _open_file(path: Path, settings: SourceSettings) -> VideoSource:
    """Open a video file for decoding in hardware, where that is asked for and works, or in software."""
    for device in devices_for(settings.hwaccel):
        try:
            source = _open_with(path, settings, device)
        except InvalidArgumentError:
            raise
        except (SourceError, FFmpegError, RuntimeError) as error:  # no such device, or not for this video
            _log.info("%s does not decode %r: %s", device, str(path), error)
        else:
            _log.info("%r is decoded by %s", str(path), device)
            return source
    return _open_with(path, settings)


def _open_with(path: Path, settings: SourceSettings, device: str | None = None) -> VideoSource:
    """Open a video file for decoding by one device, or in software."""
    folder = PlaylistFolder(path) if is_playlist(path) else None
    container = _open_container(path, None if device is None else accelerator(device), folder)
    try:
        stream = _choose_video_stream(container, path, settings.video_stream)
        if device is not None and not stream.codec_context.is_hwaccel:
            raise SourceError(f"{device} does not decode {stream.codec_context.name}")
        source = VideoSource(path, container, stream, settings, folder)
    except FFmpegError as error:
        container.close()
        raise SourceError(f"{str(path)!r} cannot be decoded ({error.strerror})") from error
    except BaseException:
        container.close()
        raise
    return source


def _open_container(path: Path, hwaccel: HWAccel | None, folder: PlaylistFolder | None) -> InputContainer:
    """Open a video file, or a playlist of segments in its own folder, and none that points elsewhere.

    Args:
        path: Path of the file.
        hwaccel: Hardware decoder; None for software.
        folder: Opens the segments of a playlist; None for other files.

    Raises:
        SourceError: if FFmpeg cannot read it, or it points to other files.
    """
    with map_errors(FFmpegError, to=lambda error: _unreadable(path, error)):
        return open_input(path, hwaccel, folder=folder)


def _unreadable(path: Path, error: Exception) -> SourceError:
    if _looks_like_playlist(path):
        return SourceError(f"{str(path)!r} is a playlist without a video; give the video itself")
    reason = getattr(error, "strerror", None) or error
    return SourceError(
        f"{str(path)!r} is not a video that FFmpeg can read ({reason}); is it complete, and really a video?"
    )


def _looks_like_playlist(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(_PLAYLIST_MARKS)


def _choose_video_stream(container: InputContainer, path: Path, index: int | None) -> VideoStream:
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
    best = container.streams.best("video") if index is None else _find_video_stream(videos, path, index)
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


def _find_video_stream(videos: list[VideoStream], path: Path, index: int) -> VideoStream:
    for stream in videos:
        if stream.index == index:
            return stream
    there = ", ".join(str(stream.index) for stream in videos)
    raise InvalidArgumentError(f"{str(path)!r} has no video stream {index}; it has {there}")
