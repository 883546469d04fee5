"""Videos encoded in segments, which stay on the disk whatever ends the render."""

from __future__ import annotations

from collections.abc import Callable

from av.packet import Packet
from av.video.stream import VideoStream

from streamcam.errors import InvalidArgumentError, SinkError
from streamcam.explanations import RenderedFrame
from streamcam.media.containers import CONTAINERS
from streamcam.sinks.base import Sink
from streamcam.sinks.resume.durable import Arrays, sync_file
from streamcam.sinks.resume.segments import Segment, SegmentStore
from streamcam.sinks.standard_output import StandardOutputSink
from streamcam.sinks.video import VideoSink


def check_resumable(sink: Sink) -> None:
    """Check that an output can be made in segments.

    Raises:
        InvalidArgumentError: if it cannot.
    """
    _as_resumable(sink)


def make_resumable(
    sink: Sink, store: SegmentStore, pop_explanations: Callable[[range], Arrays]
) -> ResumableSink:
    """Return a sink that writes a video in segments, or goes on with one.

    Args:
        sink: The video, open, with nothing written yet.
        store: The segments that are finished, encoded with the same settings.
        pop_explanations: Returns the explanations of a segment's frames, by their numbers, as arrays.

    Raises:
        InvalidArgumentError: if the output cannot be made in segments.
    """
    video = _as_resumable(sink)
    segment = store.folder / f"segment{video.path.suffix}"
    return ResumableSink(store, video, lambda: video.open_encoder(segment), pop_explanations)


def _as_resumable(sink: Sink) -> VideoSink:
    if isinstance(sink, StandardOutputSink):
        raise InvalidArgumentError(
            "standard output cannot be resumed; name a file, or leave out `resume=True`"
        )
    if not isinstance(sink, VideoSink) or sink.is_animation:
        suffixes = ", ".join(kind.suffix for kind in CONTAINERS.values() if not kind.is_animation)
        raise InvalidArgumentError(f"only videos can be resumed ({suffixes}); leave out `resume=True`")
    if not sink.is_whole_in_packets:
        raise InvalidArgumentError(
            "a VP9 video with an alpha channel cannot be resumed; use .mov or .mkv, or leave out "
            "`resume=True`"
        )
    return sink


class ResumableSink(Sink):
    """Encodes segments, stores each as it is finished, and joins them.

    Each segment has a separate encoder, so that it comes out the same whether the render was interrupted
    before it or not. Frames whose segment is finished already are not encoded again.

    Attributes:
        store: The segments.
        encoded_before: How many frames the segments held when the sink was opened.
    """

    def __init__(
        self,
        store: SegmentStore,
        video: VideoSink,
        open_encoder: Callable[[], VideoSink],
        pop_explanations: Callable[[range], Arrays],
    ) -> None:
        """Take over an open video and its segments; see `make_resumable`."""
        self.store = store
        self.encoded_before = store.frames
        self._video = video
        self._open_encoder = open_encoder
        self._pop_explanations = pop_explanations
        self._received = 0
        self._encoder: VideoSink | None = None
        self._packets: list[Packet[VideoStream]] = []
        self._last_dts: int | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """Changes and losses that the user should know of, a sentence each."""
        return self._video.notes

    def write(self, frame: RenderedFrame) -> None:
        """Encode one frame, unless its segment is finished already.

        Raises:
            SinkError: as `VideoSink.write` does, or if a segment cannot be stored.
        """
        self._video.check()
        number, place = divmod(self._received, self.store.frames_each)
        is_last = place == self.store.frames_each - 1
        if self._received >= self.encoded_before:
            if self._encoder is None:
                self._encoder = self._open_encoder()
            self._packets += self._encoder.encode(frame)
        self._received += 1
        if is_last:
            if self._received > self.encoded_before:
                self.store.add(self._end_segment(self.store.frames_each))
            self._append(self.store.load(number))

    def finish(self, *, cut_short: bool = False) -> None:
        """Join the segments, complete the video, and remove the segments.

        Raises:
            SinkError: as `VideoSink.finish` does; the segments stay then.
        """
        if self._received < self.encoded_before:
            raise SinkError(
                f"{str(self.store.folder)!r} holds more frames than the input; delete it to start over"
            )
        if self._encoder is not None:
            self._append(self._end_segment(self._received % self.store.frames_each))
        self._video.finish(cut_short=cut_short)
        sync_file(self._video.path)
        self.store.remove()

    def abort(self) -> None:
        """Remove the video and the unfinished segment; what is in the store stays."""
        if self._encoder is not None:
            self._encoder.abort()
            self._encoder = None
        self._video.abort()

    def _end_segment(self, frames: int) -> Segment:
        """Flush the current encoder, and gather its packets."""
        assert self._encoder is not None
        packets = [*self._packets, *self._encoder.encode(None)]
        self._encoder.abort()
        self._encoder, self._packets = None, []
        return Segment.of(
            packets, frames, self._pop_explanations(range(self._received - frames, self._received))
        )

    def _append(self, segment: Segment) -> None:
        packets = segment.packets_after(self._last_dts)
        self._last_dts = packets[-1].dts
        self._video.write_encoded(packets, segment.frames)
