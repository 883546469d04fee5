"""Videos encoded in segments, which stay on the disk whatever ends the render."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable

from streamcam.errors import InvalidArgumentError, SinkError
from streamcam.explanations import RenderedFrame
from streamcam.media.containers import CONTAINERS
from streamcam.sinks.base import Sink
from streamcam.sinks.resume.durable import Arrays, sync_file
from streamcam.sinks.resume.encoder import EncodedSegment, LocalSegmentEncoder, SegmentEncoder
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
    sink: Sink,
    store: SegmentStore,
    pop_explanations: Callable[[range], Arrays],
    encoder: SegmentEncoder | None = None,
) -> ResumableSink:
    """Return a sink that writes a video in segments, or goes on with one.

    Args:
        sink: The video, open, with nothing written yet.
        store: The segments that are finished, encoded with the same settings.
        pop_explanations: Returns the explanations of a segment's frames, by their numbers, as arrays.
        encoder: Encodes the segments; this process if None.

    Raises:
        InvalidArgumentError: if the output cannot be made in segments.
    """
    video = _as_resumable(sink)
    if encoder is None:
        segment = store.folder / f"segment{video.path.suffix}"
        encoder = LocalSegmentEncoder(lambda: video.encoder_opener(segment))
    return ResumableSink(store, video, encoder, pop_explanations)


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
    before it or not, and wherever it is encoded. Frames whose segment is finished already are not encoded
    again.

    Attributes:
        store: The segments.
        encoded_before: How many frames the segments held when the sink was opened.
    """

    def __init__(
        self,
        store: SegmentStore,
        video: VideoSink,
        encoder: SegmentEncoder,
        pop_explanations: Callable[[range], Arrays],
    ) -> None:
        """Take over an open video and its segments; see `make_resumable`."""
        self.store = store
        self.encoded_before = store.frames
        self._video = video
        self._encoder = encoder
        self._pop_explanations = pop_explanations
        self._received = 0
        self._ended: collections.deque[_Ended] = collections.deque()
        self._last_dts: int | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """Changes and losses that the user should know of, a sentence each."""
        return (*self._video.notes, *self._encoder.notes)

    def write(self, frame: RenderedFrame) -> None:
        """Encode one frame, unless its segment is finished already.

        Raises:
            SinkError: as `VideoSink.write` does, or if a segment cannot be stored.
        """
        self._video.check()
        is_new = self._received >= self.encoded_before
        if is_new:
            self._encoder.encode(frame)
        self._received += 1
        number, place = divmod(self._received, self.store.frames_each)
        if place:
            return
        if is_new:
            self._end_segment(self.store.frames_each)
            self._collect(self._encoder.most_waiting)
        else:
            self._append(self.store.load(number - 1))

    def finish(self, *, cut_short: bool = False) -> None:
        """Join the segments, complete the video, and remove the segments.

        Raises:
            SinkError: as `VideoSink.finish` does; the segments stay then.
        """
        if self._received < self.encoded_before:
            raise SinkError(
                f"{str(self.store.folder)!r} holds more frames than the input; delete it to start over"
            )
        rest = self._received % self.store.frames_each
        if rest and self._received > self.encoded_before:
            self._end_segment(rest)
        self._collect(0)
        self._video.finish(cut_short=cut_short)
        sync_file(self._video.path)
        self.store.remove()

    def abort(self) -> None:
        """Remove the video and the unfinished segment; what is in the store stays."""
        self._encoder.abort()
        self._video.abort()

    def _end_segment(self, frames: int) -> None:
        indices = range(self._received - frames, self._received)
        self._ended.append(_Ended(self._encoder.end(frames), indices))

    def _collect(self, most: int) -> None:
        """Store and append the segments that are encoded; wait for all but some of them."""
        while self._ended and (len(self._ended) > most or self._ended[0].encoded.is_ready):
            ended = self._ended.popleft()
            segment = ended.encoded.take()
            if len(ended.indices) < self.store.frames_each:
                self._append(segment)
                continue
            self.store.add(dataclasses.replace(segment, explanations=self._pop_explanations(ended.indices)))
            self._append(self.store.load(self.store.count - 1))

    def _append(self, segment: Segment) -> None:
        packets = segment.packets_after(self._last_dts)
        self._last_dts = packets[-1].dts
        self._video.write_encoded(packets, segment.frames)


@dataclasses.dataclass(frozen=True, slots=True)
class _Ended:
    """A segment whose frames have all come."""

    encoded: EncodedSegment
    indices: range
    """The numbers of its frames."""
