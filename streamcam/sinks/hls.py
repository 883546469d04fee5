"""HLS of whole videos: a folder with a playlist and segments, which any web server serves."""

from __future__ import annotations

import dataclasses
import functools
import re
import shutil
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Stream

from streamcam.errors import OutputExistsError, SinkError, map_errors
from streamcam.files import begin_directory, end_directory, leave_directory, sink_error
from streamcam.frames import SourceInfo
from streamcam.media.encoders import EncoderSettings, choose_encoding
from streamcam.sinks.publication import HLS_PLAYLIST, PROTOCOLS, SEGMENT_S, hls_folder
from streamcam.sinks.read_back import read_back
from streamcam.sinks.video import VideoSink, start_video

_USUAL_RATE = Fraction(25)


def open_hls_sink(
    location: str, info: SourceInfo, settings: EncoderSettings, *, overwrite: bool
) -> VideoSink:
    """Choose and try the encoder, and start a video beside its folder.

    Args:
        location: ``hls:`` and the folder to make.
        info: The source of the frames.
        settings: How they are encoded.
        overwrite: Whether HLS that is in the folder at the end is replaced.

    Raises:
        InvalidArgumentError: if codec, options, container and video do not go together.
        OutputExistsError: if the folder holds anything, or anything but HLS that may be replaced.
        SinkError: if the folder cannot be made.
    """
    folder, protocol = hls_folder(location), PROTOCOLS["hls"]
    check_folder(folder, info, overwrite=overwrite)
    encoding = choose_encoding(
        Path(f"video{protocol.files}"),
        settings,
        pixel_format=info.pixel_format,
        hdr_metadata=info.hdr_metadata,
        rate=info.rate,
    )
    keyframe_interval = round((info.rate or _USUAL_RATE) * SEGMENT_S)
    encoding = dataclasses.replace(
        encoding,
        container=dataclasses.replace(encoding.container, data=frozenset()),
        options={**encoding.options, "g": str(keyframe_interval)},
    )
    part = begin_directory(folder.with_name(f"{folder.name}.part"), folder)
    make = functools.partial(HlsSink, folder, replaces=overwrite)
    try:
        path = part / f"video{protocol.files}"
        return start_video(path, info, encoding, audio=not settings.no_audio, overwrite=True, make=make)
    except BaseException:
        end_directory(part)
        raise


def check_folder(folder: Path, info: SourceInfo, *, overwrite: bool) -> None:
    """Check that HLS can lie in a folder: there is none, or it is empty, or it holds HLS to replace.

    Raises:
        OutputExistsError: if it cannot.
        SinkError: if the folder cannot be read.
    """
    with map_errors(OSError, to=lambda error: sink_error(folder, "cannot be read", error)):
        if not folder.exists():
            return
        if not folder.is_dir():
            raise OutputExistsError(f"{str(folder)!r} is a file; give the folder another name")
        entries = sorted(folder.iterdir())
        inputs = [path.resolve() for path in (info.path, *info.files) if path is not None]
        if any(entry.resolve() in inputs for entry in entries):
            raise OutputExistsError(f"{str(folder)!r} holds the input; give the folder another name")
        others = [entry for entry in entries if not _is_of_hls(entry)]
        if others:
            raise OutputExistsError(
                f"{str(folder)!r} holds {others[0].name!r}, which is no part of HLS; name a new folder"
            )
        if entries and not overwrite:
            raise OutputExistsError(f"{str(folder)!r} exists already; give `overwrite=True` to replace it")


def _is_of_hls(path: Path) -> bool:
    """Return whether a file is as FFmpeg names the playlist and the segments."""
    stem, suffix = Path(HLS_PLAYLIST).stem, re.escape(PROTOCOLS["hls"].files)
    is_named = path.name == HLS_PLAYLIST or re.fullmatch(rf"{stem}\d+{suffix}", path.name) is not None
    return is_named and path.is_file()


class HlsSink(VideoSink):
    """A video that is cut into segments when it is complete; see `open_hls_sink`.

    It grows in ``FOLDER.part``, where it is verified and cut, and which then gets the folder's name.
    """

    def __init__(self, folder: Path, *video: Any, replaces: bool, **settings: Any) -> None:
        """Take over an open container.

        Args:
            folder: The final name. Its part is locked.
            video: As for `VideoSink`.
            replaces: Whether HLS that is in the folder at the end is replaced.
            settings: As for `VideoSink`.
        """
        super().__init__(*video, **settings)
        self._folder, self._part = folder, self.path.parent
        self._replaces = replaces
        self._is_begun, self._is_complete = True, False

    def finish(self, *, cut_short: bool = False) -> None:
        """Complete and verify the video, cut it, verify the segments, and rename the folder.

        Raises:
            SinkError: if what lies on the disk is not what was written, or nothing was.
        """
        if self._is_complete:
            return
        super().finish(cut_short=cut_short)
        try:
            self._cut()
        except BaseException:
            self.abort()
            raise
        self._is_begun = False
        self._move()
        self.path, self._is_complete = self._folder / HLS_PLAYLIST, True

    def abort(self) -> None:
        """Remove what was written, unless it is complete."""
        super().abort()
        if self._is_begun:
            self._is_begun = False
            end_directory(self._part)

    def _cut(self) -> None:
        """Cut the video into segments, and read them back.

        Raises:
            SinkError: if the disk refuses, or frames are missing.
        """
        protocol, playlist = PROTOCOLS["hls"], self._part / HLS_PLAYLIST
        options = dict(protocol.file_options or {})
        words = "cannot be written"
        with map_errors(FFmpegError, OSError, to=lambda error: sink_error(self._folder, words, error)):
            with (
                av.open(f"file:{self.path}") as whole,
                av.open(str(playlist), "w", format=protocol.muxer, container_options=options) as cut,
            ):
                streams: dict[int, Stream] = {
                    stream.index: cut.add_stream_from_template(stream) for stream in whole.streams
                }
                cut.start_encoding()
                for packet in _with_durations(whole.demux()):
                    packet.stream = streams[packet.stream.index]
                    cut.mux(packet)
            self.path.unlink()
            count, notes = read_back(playlist, self._encoding.container, {})
        self._read_back_notes += notes
        if count != self._written:
            raise SinkError(
                f"{str(self._folder)!r} holds {count} of {self._written} frames when read back; "
                "is the disk full?"
            )

    def _move(self) -> None:
        """Give the folder its name, in the place of what may be replaced.

        Raises:
            SinkError: if there is something that must not be replaced, or the file system refuses.
        """
        words = f"is complete in {str(self._part)!r} but cannot be renamed"
        try:
            with map_errors(OSError, to=lambda error: sink_error(self._folder, words, error)):
                check_folder(
                    self._folder, dataclasses.replace(self._info, path=None), overwrite=self._replaces
                )
                if self._folder.exists():
                    shutil.rmtree(self._folder)
                self._part.rename(self._folder)
        finally:
            leave_directory(self._part)


def _with_durations(packets: Iterable[Packet[Any]]) -> Iterator[Packet[Any]]:
    """Yield packets, those of images with durations up to the next: a transport stream has none.

    The playlist's last segment is as long as the packets in it say.
    """
    waiting: Packet[Any] | None = None
    duration = 0
    for packet in packets:
        if not packet.size:
            continue
        if packet.stream.type != "video":
            yield packet
            continue
        if waiting is not None:
            if packet.dts is not None and waiting.dts is not None:
                duration = packet.dts - waiting.dts
            waiting.duration = duration
            yield waiting
        waiting = packet
    if waiting is not None:
        waiting.duration = duration or waiting.duration
        yield waiting
