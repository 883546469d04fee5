"""Reading a finished video back: a full disk, or a fault of a muxer, may show nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import PIL.Image

from streamcam.media.containers import Container
from streamcam.media.demux import decoding_time_s, open_input, read_packets, video_streams
from streamcam.media.muxing import Span

_ADVICE = "; the input has unusual packets: try another kind of file"

_TOLERANCE_S = 1.0
"""How much shorter a stream may seem when it is read: containers round, and number packets of their own."""


def read_back(path: Path, container: Container, muxed: Mapping[int, Span]) -> tuple[int, tuple[str, ...]]:
    """Read the packets of every stream of a video.

    Args:
        path: The file.
        container: Its kind.
        muxed: What was written: index of the stream → its packets.

    Returns:
        The number of images, and a sentence for each stream that cannot be read as it was written.

    Raises:
        FFmpegError, OSError, ValueError: if the file cannot be read.
    """
    if container.merges_repeats:  # of which FFmpeg reads the first image only
        with PIL.Image.open(path) as written:
            count = getattr(written, "n_frames", 1)
            written.seek(count - 1)
            written.load()
            return count, ()
    found: dict[int, Span] = {}
    errors: list[None] = []
    notes: list[str] = []
    with open_input(path) as video:
        images = video_streams(video)
        if not images:
            raise ValueError("it holds no video")
        for packet in read_packets(video, lambda: errors.append(None)):
            span = found.setdefault(packet.stream.index, Span(packet.stream.type))
            span.add(decoding_time_s(packet))
        if errors:
            notes.append(f"{len(errors)} errors came up when the output was read back{_ADVICE}")
        for kind, there in (("video", len(images)), ("audio", len(video.streams.audio))):
            written_streams = sum(span.kind == kind for span in muxed.values())
            if there > max(1, written_streams):
                notes.append(f"{there} {kind} streams can be read instead of {written_streams}{_ADVICE}")
        count = found[images[0].index].packets if images[0].index in found else 0
    for index, span in muxed.items():
        read = found.get(index, Span(span.kind))
        if not read.packets:
            notes.append(f"{span.kind} stream {index} of the output cannot be read back{_ADVICE}")
        elif read.length_s < span.length_s - _TOLERANCE_S:
            notes.append(
                f"{span.kind} stream {index} of the output reads back as {read.length_s:.1f} "
                f"of {span.length_s:.1f} s{_ADVICE}"
            )
    return count, tuple(notes)
