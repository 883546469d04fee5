"""Conversion of one non-video stream of the input: copied packet by packet, or re-encoded."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, cast

from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.codec import Codec, CodecContext, codecs_available
from av.container import OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Stream
from av.subtitles.codeccontext import SubtitleCodecContext
from av.subtitles.stream import SubtitleStream

from streamcam.media.audio_feed import AudioFeed, set_up_audio
from streamcam.media.containers import add_template, usual_layout

_SAME_CHANNELS = {"5.1(side)": "5.1", "5.0(side)": "5.0"}
"""Channel layout → the one with other names for the same channels, which encoders and players know better."""

_TEXT_TIME_BASE = Fraction(1, 1000)


class StreamConverter(abc.ABC):
    """Turns the packets of one stream of the input into those of one stream of the output.

    Attributes:
        stream: The stream of the output.
    """

    reencodes = True
    """Whether the packets are decoded and encoded again."""

    loss = ""
    """The quality lost by that, in words to follow the codec's name."""

    damaged = 0
    """How many packets or frames could not be decoded or encoded, and are missing."""

    def __init__(self, stream: Stream, begin_s: float) -> None:
        """Prepare for packets in the order of the file.

        Args:
            stream: The stream of the output.
            begin_s: The time of the input that is 0 in the output, in seconds.
        """
        self.stream = stream
        self._begin_s = begin_s
        self._last_dts = -1

    def convert(self, packet: Packet[Any]) -> Iterator[tuple[float, Packet[Any]]]:
        """Yield the output's packets for one of the input's, each after its time in the input, in seconds."""
        if packet.dts is None:
            packet.dts = packet.pts if packet.pts is not None else self._last_dts + 1
        self._last_dts = packet.dts
        due_s = float(packet.dts * packet.time_base)
        shift = round(self._begin_s / packet.time_base)
        packet.dts -= shift
        if packet.pts is not None:
            packet.pts -= shift
        for converted in self._convert(packet):
            converted.stream = self.stream
            yield due_s, converted

    def flush(self) -> list[Packet[Any]]:
        """Return the packets that are still held back at the end."""
        return []

    @abc.abstractmethod
    def _convert(self, packet: Packet[Any]) -> list[Packet[Any]]:
        """Convert one packet, whose time is the output's already."""


class PacketCopy(StreamConverter):
    """Passes every packet on as it is."""

    reencodes = False

    def _convert(self, packet: Packet[Any]) -> list[Packet[Any]]:
        return [packet]


class AudioEncoder(StreamConverter):
    """Re-encodes audio, in time to the sample; gaps become silence."""

    def __init__(self, stream: AudioStream, begin_s: float) -> None:
        """Prepare an encoder; see `add_audio`."""
        super().__init__(stream, begin_s)
        self._feed = AudioFeed(stream)
        self._undecoded = 0

    def flush(self) -> list[Packet[Any]]:
        """Return the packets that resampler and encoder still hold."""
        return self._feed.flush()

    def _convert(self, packet: Packet[Any]) -> list[Packet[Any]]:
        try:
            frames = cast("list[AudioFrame]", packet.decode())
        except FFmpegError:
            self._undecoded += 1
            frames = []
        packets = [encoded for frame in frames for encoded in self._feed.encode(frame)]
        self.damaged = self._undecoded + self._feed.damaged
        return packets


class SubtitleEncoder(StreamConverter):
    """Re-encodes subtitle texts."""

    def __init__(self, stream: SubtitleStream, source: SubtitleStream, begin_s: float) -> None:
        """Prepare an encoder; see `add_subtitles`."""
        super().__init__(stream, begin_s)
        self._encoder = stream.codec_context
        self._source = source

    def _convert(self, packet: Packet[Any]) -> list[Packet[Any]]:
        try:
            subtitles = self._source.codec_context.decode2(packet)
            if subtitles is None or not len(subtitles):
                return []
            encoded = self._encoder.encode_subtitle(subtitles)
        except FFmpegError:
            self.damaged += 1
            return []
        encoded.pts = encoded.dts = packet.pts if packet.pts is not None else packet.dts
        encoded.time_base, encoded.duration = packet.time_base, packet.duration
        return [encoded]


def add_copy(output: OutputContainer, source: Stream, begin_s: float) -> PacketCopy:
    """Add a stream to an output for copies of the packets of one of the input's."""
    return PacketCopy(add_template(output, source), begin_s)


def add_audio(
    output: OutputContainer, source: AudioStream, encoder: str, begin_s: float
) -> AudioEncoder | None:
    """Add a stream to an output for audio that is re-encoded.

    Args:
        output: The output, with nothing muxed yet.
        source: The stream of the input.
        encoder: FFmpeg's name of the encoder.
        begin_s: The time of the input that is 0 in the output, in seconds.

    Returns:
        None if the audio cannot be decoded or its channels cannot be mixed, or this build lacks the encoder.
    """
    if not source.codec_context or not source.codec_context.sample_rate:
        return None
    if encoder not in codecs_available:
        return None
    layout = usual_layout(source)
    layout = _SAME_CHANNELS.get(layout, layout)
    takes_all = _takes_layout(encoder, layout)
    if not takes_all and layout.endswith(" channels"):  # without names there is no mixing them
        return None
    rate = _nearest_rate(encoder, source.sample_rate)
    stream = output.add_stream(encoder, rate=rate)
    assert isinstance(stream, AudioStream)
    set_up_audio(stream.codec_context, layout if takes_all else "stereo", rate)
    converter = AudioEncoder(stream, begin_s)
    if not takes_all and source.channels != 2:
        converter.loss = f" in stereo instead of {source.channels} channels"
    return converter


def add_subtitles(
    output: OutputContainer, source: SubtitleStream, encoder: str, begin_s: float
) -> SubtitleEncoder | None:
    """Add a stream to an output for subtitle texts that are re-encoded.

    Returns:
        None if they are images, or cannot be read.
    """
    if not source.codec_context or not source.codec_context.codec.text_sub:
        return None
    try:
        source.codec_context.open(strict=False)  # which makes the header that encoders need
        header = source.codec_context.subtitle_header
        _set_up_text(cast(SubtitleCodecContext, CodecContext.create(encoder, "w")), header).open()
    except FFmpegError:
        return None
    stream = output.add_stream(encoder)
    assert isinstance(stream, SubtitleStream)
    stream.time_base = _set_up_text(stream.codec_context, header).time_base
    return SubtitleEncoder(stream, source, begin_s)


def _set_up_text(context: SubtitleCodecContext, header: bytes | None) -> SubtitleCodecContext:
    context.subtitle_header = header
    context.time_base = _TEXT_TIME_BASE
    return context


def _takes_layout(encoder: str, layout: str) -> bool:
    rate = _nearest_rate(encoder, 48000)
    try:
        trial = cast(AudioCodecContext, CodecContext.create(encoder, "w"))
        trial.rate = rate
        trial.format = (Codec(encoder, "w").audio_formats or [trial.format])[0]
        set_up_audio(trial, layout, rate)
        trial.open()
    except (FFmpegError, ValueError):
        return False
    return True


def _nearest_rate(encoder: str, rate: int) -> int:
    """Return the lowest sample rate of an encoder that loses nothing, or its highest."""
    offered = Codec(encoder, "w").audio_rates
    if not offered or rate in offered:
        return rate
    return min((other for other in offered if other > rate), default=max(offered))
