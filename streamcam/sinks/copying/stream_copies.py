"""One stream of the input on its way to the output: copied, or encoded anew where it cannot be."""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, cast

from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.codec import Codec, CodecContext, codecs_available
from av.container import OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Stream
from av.subtitles.codeccontext import SubtitleCodecContext
from av.subtitles.stream import SubtitleStream

from streamcam.media.demux import Timeline

_BITS_PER_CHANNEL = 80_000
"""Bits a second and channel for audio that is encoded anew: 160 kbit/s for stereo."""

_TEXT_TIME_BASE = Fraction(1, 1000)


class Lane(abc.ABC):
    """Takes the packets of one stream of the input and gives those of one stream of the output.

    Attributes:
        stream: Of the output.
    """

    encodes = True
    """Whether what is given is encoded anew."""

    loss = ""
    """What is lost by that, in words to follow the codec's name."""

    def __init__(self, stream: Stream, begin_s: float) -> None:
        """Assign.

        Args:
            stream: Of the output.
            begin_s: The time of the input that is 0 in the output, in seconds.
        """
        self.stream = stream
        self._begin_s = begin_s
        self._timeline: Timeline | None = None

    def carry(self, packet: Packet[Any]) -> Iterator[tuple[float, Packet[Any]]]:
        """Yield what becomes of a packet, and when each is due in seconds of the input's timeline."""
        if self._timeline is None:
            self._timeline = Timeline(packet.time_base)
        given = packet.dts if packet.dts is not None else packet.pts
        packet.dts = self._timeline.place(given)
        if packet.pts is not None and given is not None:
            packet.pts += packet.dts - given
        due_s = float(packet.dts * packet.time_base)
        shift = round(self._begin_s / packet.time_base)
        packet.dts -= shift
        if packet.pts is not None:
            packet.pts -= shift
        for carried in self._converted(packet):
            carried.stream = self.stream
            yield due_s, carried

    def flush(self) -> list[Packet[Any]]:
        """Give what is still held back at the end."""
        return []

    @abc.abstractmethod
    def _converted(self, packet: Packet[Any]) -> list[Packet[Any]]:
        """Turn a packet with its time in the output into those to be written."""


class CopiedStream(Lane):
    """Every packet as it is."""

    encodes = False

    def _converted(self, packet: Packet[Any]) -> list[Packet[Any]]:
        return [packet]


class EncodedAudio(Lane):
    """Audio decoded and encoded anew, in time to the sample; gaps become silence."""

    def __init__(self, stream: AudioStream, begin_s: float) -> None:
        """Assign; see `add_audio`."""
        super().__init__(stream, begin_s)
        self._encoder = stream.codec_context
        self._resampler: AudioResampler | None = None
        self._kind: tuple[str, str, int] | None = None

    def flush(self) -> list[Packet[Any]]:
        """Give what resampler and encoder still hold."""
        packets = self._resampled(None)
        with contextlib.suppress(EOFError):  # an encoder that got nothing
            packets += self._encoder.encode(None)
        for packet in packets:
            packet.stream = self.stream
        return packets

    def _converted(self, packet: Packet[Any]) -> list[Packet[Any]]:
        try:
            frames = cast("list[AudioFrame]", packet.decode())
        except FFmpegError:  # the reader of the images meets damage too, and reports it
            return []
        return [encoded for frame in frames for encoded in self._encoded(frame)]

    def _encoded(self, frame: AudioFrame) -> list[Packet[Any]]:
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        packets: list[Packet[Any]] = []
        if kind != self._kind:  # at the beginning, and where a broadcast goes from stereo to surround
            packets = self._resampled(None)
            self._kind = kind
            encoder = self._encoder
            self._resampler = AudioResampler(
                encoder.format, encoder.layout, encoder.rate, encoder.frame_size, {"async": "1"}
            )
        return packets + self._resampled(frame)

    def _resampled(self, frame: AudioFrame | None) -> list[Packet[Any]]:
        if self._resampler is None:
            return []
        return [packet for ready in self._resampler.resample(frame) for packet in self._encoder.encode(ready)]


class EncodedText(Lane):
    """Subtitle texts in another way of writing them."""

    def __init__(self, stream: SubtitleStream, source: SubtitleStream, begin_s: float) -> None:
        """Assign; see `add_text`."""
        super().__init__(stream, begin_s)
        self._encoder = stream.codec_context
        self._source = source

    def _converted(self, packet: Packet[Any]) -> list[Packet[Any]]:
        try:
            shown = self._source.codec_context.decode2(packet)
            if shown is None or not len(shown):
                return []
            encoded = self._encoder.encode_subtitle(shown)
        except FFmpegError:
            return []
        encoded.pts = encoded.dts = packet.pts if packet.pts is not None else packet.dts
        encoded.time_base, encoded.duration = packet.time_base, packet.duration
        return [encoded]


def add_copy(output: OutputContainer, source: Stream, begin_s: float) -> CopiedStream:
    """Give an output a stream for the packets of one of the input's."""
    return CopiedStream(output.add_stream_from_template(source), begin_s)


def add_audio(
    output: OutputContainer, source: AudioStream, encoder: str, begin_s: float
) -> EncodedAudio | None:
    """Give an output a stream for audio that is encoded anew.

    Args:
        output: Nothing is muxed yet.
        source: Of the input.
        encoder: FFmpeg's name of it.
        begin_s: The time of the input that is 0 in the output, in seconds.

    Returns:
        None if the audio cannot be decoded, or this build lacks the encoder.
    """
    if not source.codec_context or not source.codec_context.sample_rate:
        return None
    if encoder not in codecs_available:
        return None
    layout = source.layout.name
    takes_all = _takes_layout(encoder, layout)
    rate = _nearest_rate(encoder, source.sample_rate)
    stream = output.add_stream(encoder, rate=rate)
    assert isinstance(stream, AudioStream)
    _set_up(stream.codec_context, layout if takes_all else "stereo", rate)
    lane = EncodedAudio(stream, begin_s)
    if not takes_all:
        lane.loss = f" in stereo instead of {source.channels} channels"
    return lane


def add_text(
    output: OutputContainer, source: SubtitleStream, encoder: str, begin_s: float
) -> EncodedText | None:
    """Give an output a stream for subtitle texts that are written in another way.

    Returns:
        None if they are images, or cannot be read.
    """
    if not source.codec_context or not source.codec_context.codec.text_sub:
        return None
    try:
        source.codec_context.open(strict=False)  # which makes the header that encoders want
        header = source.codec_context.subtitle_header
        _set_up_text(cast(SubtitleCodecContext, CodecContext.create(encoder, "w")), header).open()
    except FFmpegError:
        return None
    stream = output.add_stream(encoder)
    assert isinstance(stream, SubtitleStream)
    stream.time_base = _set_up_text(stream.codec_context, header).time_base
    return EncodedText(stream, source, begin_s)


def _set_up_text(context: SubtitleCodecContext, header: bytes | None) -> SubtitleCodecContext:
    context.subtitle_header = header
    context.time_base = _TEXT_TIME_BASE
    return context


def _set_up(context: AudioCodecContext, layout: str, rate: int) -> None:
    context.layout = layout
    context.time_base = Fraction(1, rate)
    context.bit_rate = _BITS_PER_CHANNEL * context.channels


def _takes_layout(encoder: str, layout: str) -> bool:
    rate = _nearest_rate(encoder, 48000)
    try:
        trial = cast(AudioCodecContext, CodecContext.create(encoder, "w"))
        trial.rate = rate
        trial.format = (Codec(encoder, "w").audio_formats or [trial.format])[0]
        _set_up(trial, layout, rate)
        trial.open()
    except (FFmpegError, ValueError):
        return False
    return True


def _nearest_rate(encoder: str, rate: int) -> int:
    """The lowest sample rate an encoder takes that loses nothing, or its highest."""
    offered = Codec(encoder, "w").audio_rates
    if not offered or rate in offered:
        return rate
    return min((other for other in offered if other > rate), default=max(offered))
