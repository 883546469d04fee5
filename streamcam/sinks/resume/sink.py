"""A video that is encoded in segments, which outlive whatever ends the render."""

from __future__ import annotations

from collections.abc import Callable

from av.packet import Packet
from av.video.stream import VideoStream

from streamcam.errors import InvalidArgumentError, SinkError
from streamcam.explanations import RenderedFrame
from streamcam.sinks.base import Sink
from streamcam.sinks.resume.durable import Arrays, sync_file
from streamcam.sinks.resume.segments import Segment, SegmentStore
from streamcam.sinks.video import VideoSink


def check_resumable(sink: Sink) -> None:
    """Check that an output can be made in segments.

    Raises:
        InvalidArgumentError: if it cannot.
    """
    _as_resumable(sink)


def make_resumable(sink: Sink, store: SegmentStore, companion: Callable[[range], Arrays]) -> ResumableSink:
    """Return a sink that writes a video in segments, or goes on with one.

    Args:
        sink: The video, open, with nothing written yet.
        store: The segments that are finished, encoded with the same settings.
        companion: Returns what is kept of the frames of a segment, by their numbers.

    Raises:
        InvalidArgumentError: if the output cannot be made in segments.
    """
    video = _as_resumable(sink)
    segment = store.folder / f"segment{video.path.suffix}"
    return ResumableSink(store, video, lambda: video.open_encoder(segment), companion)


def _as_resumable(sink: Sink) -> VideoSink:
    if not isinstance(sink, VideoSink) or sink.is_animation:
        raise InvalidArgumentError("images and animations are made in one go; leave out `resume=True`")
    return sink


class ResumableSink(Sink):
    """Encodes segments, keeps each as it is finished, and strings them together.

    Every segment is encoded by an encoder of its own, so that it comes out the same whether the render was
    interrupted before it or not. Images whose segment is there already are taken and not encoded again.

    Attributes:
        store: The segments.
        found: How many frames the segments hold that were there when the sink was opened.
    """

    def __init__(
        self,
        store: SegmentStore,
        video: VideoSink,
        open_encoder: Callable[[], VideoSink],
        companion: Callable[[range], Arrays],
    ) -> None:
        """Take over an open video and its segments; see `make_resumable`."""
        self.store = store
        self.found = store.frames
        self._video = video
        self._open_encoder = open_encoder
        self._companion = companion
        self._taken = 0
        self._encoder: VideoSink | None = None
        self._packets: list[Packet[VideoStream]] = []
        self._last_dts: int | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What was changed or left out."""
        return self._video.notes

    def write(self, frame: RenderedFrame) -> None:
        """Encode one frame, unless its segment is finished already.

        Raises:
            SinkError: as `VideoSink.write` does; or if a segment cannot be kept.
        """
        number, place = divmod(self._taken, self.store.frames_each)
        is_last = place == self.store.frames_each - 1
        if self._taken >= self.found:
            if self._encoder is None:
                self._encoder = self._open_encoder()
            self._packets += self._encoder.encode(frame)
        self._taken += 1
        if is_last:
            if self._taken > self.found:
                self.store.add(self._ended_segment(self.store.frames_each))
            self._append(self.store.load(number))

    def finish(self, *, cut_short: bool = False) -> None:
        """String the segments together, complete the video, and remove the segments.

        Raises:
            SinkError: as `VideoSink.finish` does; what segments there are stay.
        """
        if self._taken < self.found:
            raise SinkError(
                f"{str(self.store.folder)!r} holds more frames than the input gave; delete it to start anew"
            )
        if self._encoder is not None:
            self._append(self._ended_segment(self._taken % self.store.frames_each))
        self._video.finish(cut_short=cut_short)
        sync_file(self._video.path)
        self.store.remove()

    def abort(self) -> None:
        """Throw away the video and the segment under way; what is in the store stays."""
        if self._encoder is not None:
            self._encoder.abort()
            self._encoder = None
        self._video.abort()

    def _ended_segment(self, frames: int) -> Segment:
        """End the encoder under way, and gather what it gave."""
        assert self._encoder is not None
        packets = [*self._packets, *self._encoder.encode(None)]
        self._encoder.abort()
        self._encoder, self._packets = None, []
        return Segment.of(packets, frames, self._companion(range(self._taken - frames, self._taken)))

    def _append(self, segment: Segment) -> None:
        packets = segment.restored(self._last_dts)
        self._last_dts = packets[-1].dts
        self._video.write_encoded(packets, segment.frames)
