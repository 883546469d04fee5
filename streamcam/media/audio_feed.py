"""Audio on its way into an encoder: in the encoder's format, and in time to the sample."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from typing import Any, cast

import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.packet import Packet
from numpy.typing import NDArray

_BITS_PER_CHANNEL = 80_000
"""Bits per second and channel: 160 kbit/s for stereo."""

_LOUDEST = 1000.0
"""No sample of audio is as large as this, by far; full scale is 1."""


def set_up_audio(context: AudioCodecContext, layout: str, rate: int) -> None:
    """Set the format of an encoder that is not open yet.

    Args:
        context: The encoder.
        layout: FFmpeg's name of the channels' layout.
        rate: Samples per second and channel.
    """
    context.layout = layout
    context.time_base = Fraction(1, rate)
    context.bit_rate = _BITS_PER_CHANNEL * context.channels


class AudioFeed:
    """Encodes audio of any format, also one that changes on the way; gaps become silence.

    Attributes:
        damaged: How many frames held samples that are no audio, which are silent now.
    """

    def __init__(self, stream: AudioStream) -> None:
        """Take over an encoder.

        Args:
            stream: The stream of the output; see `set_up_audio`.
        """
        self.damaged = 0
        self._stream = stream
        self._encoder = stream.codec_context
        self._resampler: AudioResampler | None = None
        self._format: tuple[str, str, int] | None = None

    def encode(self, frame: AudioFrame) -> list[Packet[Any]]:
        """Encode one frame, and return what is ready."""
        audio_format = (frame.format.name, frame.layout.name, frame.sample_rate)
        packets: list[Packet[Any]] = []
        if audio_format != self._format:  # first, and where a broadcast goes from stereo to surround
            packets = self.restart()
            self._format = audio_format
            encoder = self._encoder
            self._resampler = AudioResampler(
                encoder.format, encoder.layout, encoder.rate, encoder.frame_size, {"async": "1"}
            )
        return packets + self._resample(frame)

    def restart(self) -> list[Packet[Any]]:
        """Return what the resampler holds; before the next frame no gap is filled."""
        packets = self._resample(None)
        self._resampler, self._format = None, None
        return packets

    def flush(self) -> list[Packet[Any]]:
        """Return what resampler and encoder still hold."""
        packets = self._resample(None)
        with contextlib.suppress(EOFError):  # an encoder that got nothing
            packets += self._encoder.encode(None)
        return self._of_stream(packets)

    def _resample(self, frame: AudioFrame | None) -> list[Packet[Any]]:
        if self._resampler is None:
            return []
        ready = self._resampler.resample(frame)
        silenced = [None if each is None else self._silence_damage(each) for each in ready]
        return self._of_stream([packet for each in silenced for packet in self._encoder.encode(each)])

    def _of_stream(self, packets: list[Packet[Any]]) -> list[Packet[Any]]:
        for packet in packets:
            packet.stream = self._stream
        return packets

    def _silence_damage(self, frame: AudioFrame) -> AudioFrame:
        """Silence what is no audio, at which an encoder would give up: NaN, infinity and the like."""
        if not frame.format.name.startswith(("flt", "dbl")):
            return frame
        samples = cast("NDArray[np.float32]", frame.to_ndarray())
        is_audio = np.abs(samples) <= _LOUDEST
        if is_audio.all():
            return frame
        self.damaged += 1
        audible = np.where(is_audio, samples, np.float32(0))
        silenced = AudioFrame.from_ndarray(audible, frame.format.name, frame.layout.name)
        silenced.sample_rate, silenced.pts, silenced.time_base = frame.sample_rate, frame.pts, frame.time_base
        return silenced
