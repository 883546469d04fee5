"""Encoding of live images into a container: none waits in the encoder, and a keyframe comes every second."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.frame import PictureType
from av.video.stream import VideoStream

from streamcam.explanations import RenderedFrame
from streamcam.frames import AudioBlock
from streamcam.media.audio_feed import AudioFeed, set_up_audio
from streamcam.media.containers import FRAGMENT_S
from streamcam.media.encoders import EncoderSettings, Encoding, choose_encoding
from streamcam.media.images import Image, blank_like, planes_of, tags_of
from streamcam.media.scaling import Resampler
from streamcam.media.thread_priorities import kept_priorities
from streamcam.sinks.relay import Relay

_ENCODER = EncoderSettings(preset="superfast")
_FALLBACK_RATE = Fraction(30)


_AUDIO_RATE = 48_000
_GAP_S = 1.0
"""Gaps in the audio that are longer stay gaps; others are filled with silence."""

_UNEVEN_S = 0.01
"""Audio that begins so little before or after the end of what was written goes on there. What begins earlier
is left out."""

_SILENCE_S = 0.1

_INTERLEAVING = {"max_interleave_delta": "500000"}
"""How long images wait for audio that does not come, in microseconds."""


def choose_live_encoding(path: Path) -> Encoding:
    """Choose a quick encoder for a container, by the suffix of its files."""
    return choose_encoding(path, _ENCODER)


@dataclasses.dataclass(frozen=True, slots=True)
class LiveTarget:
    """Where encoded images go."""

    file: str | Relay
    """A file by its name, or one to write into."""
    muxer: str
    encoding: Encoding
    container_options: Mapping[str, str] = dataclasses.field(default_factory=dict)
    encoder_options: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Options besides those of the encoding."""
    audio: str | None = None
    """FFmpeg's name of the encoder of audio; None where it takes none."""


class LiveVideo:
    """A video of live images, begun with the first one. Belongs to one thread.

    Images keep the times that their pts say, counted from the first. One of another size than the first
    is scaled to it.
    """

    def __init__(
        self, target: LiveTarget, first: RenderedFrame, rate: Fraction | None, *, has_audio: bool = False
    ) -> None:
        """Open the container, and start the encoder.

        Args:
            target: Where it goes.
            first: The first frame, which decides about the size; it is not written yet.
            rate: Frames per second, as far as known; the timing does not depend on it.
            has_audio: Whether audio comes with the images.

        Raises:
            av.error.FFmpegError: if container or encoder refuse.
        """
        image, encoding = first.image, target.encoding
        self._first_pts, self._first_s = first.pts, first.time_s
        self._audio_end_s = 0.0
        self._is_audible = False
        self._next_keyframe = 0
        self._resampler = Resampler()
        self._container: OutputContainer = av.open(
            target.file,
            "w",
            format=target.muxer,
            container_options={**target.container_options, **_INTERLEAVING},
        )
        try:
            options = {**encoding.options, **target.encoder_options}
            stream = self._container.add_stream(
                encoding.encoder, rate=rate or _FALLBACK_RATE, options=options
            )
            assert isinstance(stream, VideoStream)
            stream.width, stream.height = max(2, image.width // 2 * 2), max(2, image.height // 2 * 2)
            stream.pix_fmt = encoding.pixel_format
            context = stream.codec_context
            stream.time_base = context.time_base = first.time_base
            context.max_b_frames = 0  # images come out as they go in, and none waits in the encoder
            tags = tags_of(image)
            context.color_range, context.colorspace = tags.color_range, tags.colorspace
            context.color_primaries, context.color_trc = tags.color_primaries, tags.color_trc
            self._audio = self._add_audio(target.audio) if has_audio and target.audio is not None else None
            with kept_priorities():
                self._container.start_encoding()
        except BaseException:
            self._container.close()
            raise
        self._stream = stream

    def write(self, frame: RenderedFrame) -> None:
        """Encode a frame, and hand it over.

        Raises:
            av.error.FFmpegError: if encoder, disk or network refuse.
        """
        self._container.mux(self._stream.encode(self._prepare(frame)))
        if self._audio is not None and not self._audio_end_s:
            self._encode_audio(_silence())  # the first image would wait in the muxer for some

    def write_audio(self, block: AudioBlock) -> None:
        """Encode audio, and hand it over; what is from before the first frame is left out.

        Raises:
            av.error.FFmpegError: if encoder, disk or network refuse.
        """
        audio, time_s = block.audio, block.time_s - self._first_s
        gap_s = time_s - self._audio_end_s
        uneven_s = _UNEVEN_S if self._is_audible else 0.0
        if self._audio is None or time_s < 0 or gap_s < -uneven_s:
            return
        if gap_s > _GAP_S:
            self._container.mux(self._audio.restart())
            self._audio_end_s = time_s
        elif gap_s > uneven_s:
            self._encode_audio(_silence_like(audio, gap_s))
        self._is_audible = True
        # A copy, which gets a time of its own: others publish the same block.
        copy = AudioFrame.from_ndarray(audio.to_ndarray(), audio.format.name, audio.layout.name)
        copy.sample_rate = audio.sample_rate
        self._encode_audio(copy)

    def finish(self) -> None:
        """Write what the encoders still hold, and close.

        Raises:
            av.error.FFmpegError: if encoder, disk or network refuse; it is closed then, too.
        """
        try:
            self._container.mux(self._stream.encode(None))
            if self._audio is not None:
                self._container.mux(self._audio.flush())
        finally:
            self._container.close()

    def close(self) -> None:
        """Close without what the encoder still holds."""
        self._container.close()

    def _encode_audio(self, audio: AudioFrame) -> None:
        """Encode audio that goes on where the last one ended."""
        assert self._audio is not None
        audio.time_base = Fraction(1, audio.sample_rate)
        audio.pts = round(self._audio_end_s * audio.sample_rate)
        self._audio_end_s += audio.samples / audio.sample_rate
        self._container.mux(self._audio.encode(audio))

    def _add_audio(self, encoder: str) -> AudioFeed:
        stream = self._container.add_stream(encoder, rate=_AUDIO_RATE)
        assert isinstance(stream, AudioStream)
        set_up_audio(stream.codec_context, "stereo", _AUDIO_RATE)
        return AudioFeed(stream)

    def _prepare(self, frame: RenderedFrame) -> Image:
        """Copy an image, timed from the first frame on, as a keyframe once a second."""
        image, stream = frame.image, self._stream
        if (image.width // 2 * 2, image.height // 2 * 2) != (stream.width, stream.height):
            prepared = self._resampler.to_size(image, stream.width, stream.height)
        else:
            prepared = blank_like(image, width=stream.width, height=stream.height)
            for target, source in zip(planes_of(prepared), planes_of(image), strict=True):
                target[:] = source[: target.shape[0], : target.shape[1]]
        pts = frame.pts - self._first_pts
        prepared.pts, prepared.time_base = pts, frame.time_base
        prepared.pict_type = PictureType.NONE
        if pts >= self._next_keyframe:
            prepared.pict_type = PictureType.I
            self._next_keyframe = pts + round(FRAGMENT_S / frame.time_base)
        return prepared


def _silence() -> AudioFrame:
    """Return a little silence."""
    template = AudioFrame("flt", "stereo", 1)
    template.sample_rate = _AUDIO_RATE
    return _silence_like(template, _SILENCE_S)


def _silence_like(audio: AudioFrame, length_s: float) -> AudioFrame:
    """Return silence in the format of other audio."""
    samples = max(1, round(length_s * audio.sample_rate))
    silence = AudioFrame(audio.format.name, audio.layout.name, samples)
    for plane in silence.planes:
        plane.update((b"\x80" if audio.format.name.startswith("u8") else b"\0") * plane.buffer_size)
    silence.sample_rate = audio.sample_rate
    return silence
