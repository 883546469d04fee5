"""Containers, streams and packets of video files, as reading frames and copying audio both need them."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
from av.audio.stream import AudioStream
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from streamcam.media.playlists import PlaylistFolder, is_playlist

PLAYLISTS = ("hls", "concat", "dash", "imf", "webm_dash_manifest")
"""FFmpeg's names for files that only point to others; some of them are waited for."""

_MAX_ERRORS_IN_A_ROW = 100
"""Reading is given up after this many: the rest of the file is noise."""

_MOST_REORDERED = 16
"""As many images as any codec holds back to bring them in order."""

LARGEST_PIXELS = 1 << 26
"""Most pixels in a frame, 8192x8192: a small file can claim images that no memory holds, and dozens of frames
are in memory at a time."""


def open_input(
    path: Path, hwaccel: HWAccel | None = None, *, folder: PlaylistFolder | None = None
) -> InputContainer:
    """Open a local video for reading, whatever its name looks like, and no file outside its folder.

    Args:
        path: Path of the file; of an HLS or DASH playlist its segments are read.
        hwaccel: Hardware decoder; None for software.
        folder: Opens the segments of a playlist; needed only by who asks it later what was missing.

    Raises:
        FFmpegError: if FFmpeg cannot read it.
        SourceError: if it is a playlist of segments elsewhere.
        OSError: if a playlist cannot be read.
    """
    if folder is None and is_playlist(path):
        folder = PlaylistFolder(path)
    formats = av.formats_available - (set(PLAYLISTS) if folder is None else set(PLAYLISTS) - {"hls"})
    options = {"protocol_whitelist": "file", "format_whitelist": ",".join(sorted(formats))}
    if folder is not None:  # which sees to what may be read
        options |= {"allowed_segment_extensions": "ALL", "extension_picky": "0"}
    # "file:" keeps names with a colon from being taken for protocols.
    return av.open(
        f"file:{path.absolute()}",
        format=None if folder is None else "hls",
        options=options,
        metadata_errors="replace",
        hwaccel=hwaccel,
        io_open=None if folder is None else folder.open,
    )


def video_streams(container: InputContainer) -> list[VideoStream]:
    """List the streams of moving images: not cover art, which counts as video too."""
    still = Disposition.attached_pic | Disposition.timed_thumbnails
    return [stream for stream in container.streams.video if not stream.disposition & still]


def audio_stream(container: InputContainer) -> AudioStream | None:
    """Return the best stream of audio that can be decoded; None if there is none."""
    best = container.streams.best("audio")
    return best if isinstance(best, AudioStream) and best.codec_context is not None else None


def read_packets(container: InputContainer, on_error: Callable[[], None]) -> Iterator[Packet[Any]]:
    """Yield the packets of all streams that carry something, from where the container stands to its end.

    Args:
        container: The open file.
        on_error: Called for an error, after which reading goes on; once for all that follow each other.
    """
    errors = 0
    while errors < _MAX_ERRORS_IN_A_ROW:
        try:
            for packet in container.demux():
                errors = 0
                if packet.size:
                    yield packet
            return
        except FFmpegError:
            errors += 1
            if errors == 1:
                on_error()


def decoding_time_s(packet: Packet[Any]) -> float | None:
    """Return the decoding time of a packet in seconds; None if it has no timestamp."""
    ticks = packet.dts if packet.dts is not None else packet.pts
    return None if ticks is None or packet.time_base is None else float(ticks * packet.time_base)


class PacketPlaces:
    """Times of images in files that count frames, as AVI: each image takes the place of a packet.

    Such a file has no presentation times: images that are decoded in another order are shown in the order in
    which the decoder returns them, in the places of the packets, as many before as it holds back.
    """

    def __init__(self) -> None:
        """Begin at the first packet."""
        self._places: collections.deque[int] = collections.deque(maxlen=_MOST_REORDERED + 1)
        self._flushed = 0

    def feed(self, dts: int | None) -> None:
        """Take note of the decoding time of a packet that the decoder gets next."""
        if dts is not None:
            self._places.append(dts)

    def place(self, held_back: int, *, at_end: bool) -> int | None:
        """Return the time of the image that the decoder returns now, in ticks.

        Args:
            held_back: How many images the decoder holds back to bring them in order.
            at_end: Whether there are no more packets.
        """
        self._flushed += at_end
        behind = max(0, held_back - self._flushed)
        return self._places[max(0, len(self._places) - 1 - behind)] if self._places else None


class Timeline:
    """Timestamps of the images of one stream, corrected where they do not increase strictly."""

    def __init__(self, step: int, first: int = 0) -> None:
        """Start a timeline.

        Args:
            step: Ticks from one timestamp to the next where the file has none.
            first: The first timestamp, where the file has none.
        """
        self._step = step
        self._first = first
        self._last: int | None = None

    def place(self, ticks: int | None) -> int:
        """Return the corrected timestamp of the next image, in ticks.

        Args:
            ticks: Timestamp in the file; None if it has none.
        """
        if self._last is None:
            self._last = self._first if ticks is None else ticks
        elif ticks is None:
            self._last += self._step
        else:
            self._last = max(ticks, self._last + 1)
        return self._last
