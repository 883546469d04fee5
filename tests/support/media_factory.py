"""Small videos made with PyAV itself, so that no test needs a binary fixture or the ffmpeg program.

Frame number i of a video is flat gray of the value `gray_of(i)` unless a painter says otherwise, so that a
test can tell from a decoded image which frame it was.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
from av.filter import Graph
from av.packet import Packet
from av.video.reformatter import Colorspace
from numpy.typing import NDArray

from streamcam.frames import ColorTags, SourceInfo
from streamcam.media.images import bits_of, planes_of, set_tags

BT601, BT709, BT2020 = Colorspace.ITU601, Colorspace.ITU709, Colorspace.BT2020
COLORS = {
    "white": (255, 255, 255),
    "black": (0, 0, 0),
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "olive": (120, 130, 40),
}

Painter = Callable[[int, Sequence[NDArray[np.uint8]]], None]

if TYPE_CHECKING:
    from av.container.core import Chapter

RATE = Fraction(25)
SIZE = (64, 48)

_SPEED = {"libx264": {"preset": "ultrafast", "crf": "12"}}


def gray_of(index: int) -> int:
    """The luma of frame `index`: steps of 16 that survive any encoder, repeating after 12 frames."""
    return 32 + 16 * (index % 12)


def paint_gray(index: int, planes: Sequence[NDArray[np.uint8]]) -> None:
    """Fill an image with its own gray."""
    for plane, value in zip(planes, (gray_of(index), 128, 128), strict=True):
        plane[:] = value


def paint_quadrants(_index: int, planes: Sequence[NDArray[np.uint8]]) -> None:
    """Give the quarters the luma 40, 80 (above), 120, 160 (below), left one first."""
    luma = planes[0]
    rows, columns = luma.shape[0] // 2, luma.shape[1] // 2
    luma[:rows, :columns], luma[:rows, columns:] = 40, 80
    luma[rows:, :columns], luma[rows:, columns:] = 120, 160
    for plane in planes[1:]:
        plane[:] = 128


def paint_noise(index: int, planes: Sequence[NDArray[np.uint8]]) -> None:
    """Fill an image with noise of its own: large packets that no encoder can skip."""
    random = np.random.default_rng(index)
    for plane in planes:
        plane[:] = random.integers(0, 256, plane.shape, np.uint8)


def make_image(
    width: int, height: int, index: int = 0, pixel_format: str = "yuv420p", paint: Painter = paint_gray
) -> av.VideoFrame:
    """Paint one fresh planar image."""
    image = av.VideoFrame(width, height, pixel_format)
    paint(index, planes_of(image))
    return image


@dataclasses.dataclass(frozen=True)
class Audio:
    """One audio track: a rising tone, so that no two packets of it are alike.

    It begins at `begin_s` and lasts `duration_s`, in seconds.
    """

    codec: str = "aac"
    duration_s: float = 0.5
    begin_s: float = 0.0
    rate: int = 48000
    language: str | None = None


@dataclasses.dataclass(frozen=True)
class Subtitles:
    """One subtitle track: lines of text, each at its time in milliseconds and a second long."""

    codec: str
    lines: Mapping[int, str]


def make_clip(
    path: Path,
    *,
    frames: int = 10,
    pts: Sequence[int] | None = None,
    rate: Fraction = RATE,
    time_base: Fraction | None = None,
    size: tuple[int, int] = SIZE,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    encoded_format: str | None = None,
    container_format: str | None = None,
    gop: int = 12,
    b_frames: int = 0,
    options: Mapping[str, str] | None = None,
    muxer_options: Mapping[str, str] | None = None,
    color: ColorTags | None = None,
    sample_aspect_ratio: Fraction | None = None,
    rotation: int | None = None,
    hflip: bool = False,
    vflip: bool = False,
    field_order: str | None = None,
    audio: Iterable[Audio] = (),
    subtitles: Iterable[Subtitles] = (),
    metadata: Mapping[str, str] | None = None,
    chapters: Sequence[tuple[int, int, str]] = (),
    paint: Painter = paint_gray,
) -> Path:
    """Make a video.

    Args:
        path: Where; its suffix chooses the container unless `container_format` does.
        frames: How many frames, one after another; `pts` overrules it.
        pts: The time of every frame in units of `time_base`.
        rate: Frames per second.
        time_base: Seconds per unit of pts; one over the rate if None.
        size: (width, height) in pixels.
        codec: The encoder.
        pixel_format: What is painted: planar YUV.
        encoded_format: What is encoded, where that is something else, as yuv420p10le.
        container_format: FFmpeg's name of the container.
        gop: Frames from one keyframe to the next.
        b_frames: How many B-frames between two others.
        options: The encoder's own options.
        muxer_options: The container's own options.
        color: Tags of the stream and of every frame.
        sample_aspect_ratio: Shape of a pixel.
        rotation: Counter-clockwise degrees for the display matrix.
        hflip: Mirror left and right after turning, in the display matrix.
        vflip: Mirror top and bottom after turning, in the display matrix.
        field_order: ``"tff"`` or ``"bff"`` makes the images interlaced.
        audio: Audio tracks.
        subtitles: Subtitle tracks.
        metadata: Of the container.
        chapters: (start, end, title), in milliseconds.
        paint: Fills the planes of every frame.
    """
    time_base = time_base or 1 / rate
    step = round(1 / (rate * time_base))
    times = [index * step for index in range(frames)] if pts is None else list(pts)
    muxer = dict(muxer_options or {})
    marker = None
    if field_order is not None:
        options = {"flags": "+ildct+ilme", **(options or {})}
        marker = _field_marker(size, encoded_format or pixel_format, time_base, field_order)
    if path.suffix in (".mp4", ".mov") or container_format in ("mp4", "mov"):
        muxer.setdefault("video_track_timescale", str(time_base.denominator))
    with av.open(f"file:{path}", "w", format=container_format, container_options=muxer) as output:
        output.metadata.update(metadata or {})
        stream = output.add_stream(codec, rate=rate, options={**_SPEED.get(codec, {}), **(options or {})})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = size
        stream.pix_fmt = encoded_format or pixel_format
        stream.time_base = time_base
        context = stream.codec_context
        context.time_base, context.thread_count = time_base, 1
        context.gop_size, context.max_b_frames = gop, b_frames
        if sample_aspect_ratio is not None:
            context.sample_aspect_ratio = sample_aspect_ratio
        if color is not None:
            context.color_range, context.colorspace = color.color_range, color.colorspace
            context.color_primaries, context.color_trc = color.color_primaries, color.color_trc
        if field_order is not None:
            context.field_order = {"tff": 2, "bff": 3}[field_order]
        if rotation is not None or hflip or vflip:
            stream.set_display_rotation(rotation or 0, hflip=hflip, vflip=vflip)
        tracks = [_audio_packets(output, audio) for audio in audio]
        tracks += [_subtitle_packets(output, track) for track in subtitles]
        output.set_chapters([_chapter(number, *chapter) for number, chapter in enumerate(chapters)])
        output.start_encoding()
        packets = [packet for make in tracks for packet in make()]
        for index, time in enumerate(times):
            image = make_image(*size, index, pixel_format, paint)
            if encoded_format is not None:
                image = image.reformat(format=encoded_format)
            if color is not None:
                set_tags(image, color)
            image.pts, image.time_base = time, time_base
            if marker is not None:
                marker.vpush(image)
                image = marker.vpull()
            packets += stream.encode(image)
        packets += stream.encode(None)
        for packet in sorted(packets, key=lambda packet: float((packet.dts or 0) * packet.time_base)):
            output.mux(packet)
    return path


def _field_marker(size: tuple[int, int], pixel_format: str, time_base: Fraction, mode: str) -> Graph:
    graph = Graph()
    shape = {"video_size": f"{size[0]}x{size[1]}", "pix_fmt": pixel_format, "pixel_aspect": "1/1"}
    source = graph.add("buffer", time_base=str(time_base), **shape)
    graph.link_nodes(source, graph.add("setfield", mode=mode), graph.add("buffersink")).configure()
    return graph


def _chapter(number: int, start_ms: int, end_ms: int, title: str) -> Chapter:
    return {
        "id": number,
        "start": start_ms,
        "end": end_ms,
        "time_base": Fraction(1, 1000),
        "metadata": {"title": title},
    }


def make_audio(path: Path, container_format: str | None = None) -> Path:
    """Make a file with a tone and no image."""
    with av.open(f"file:{path}", "w", format=container_format) as output:
        encode = _audio_packets(output, Audio("flac"))
        output.start_encoding()
        output.mux(encode())
    return path


def _audio_packets(output: av.container.OutputContainer, audio: Audio) -> Callable[[], list[Packet]]:
    stream = output.add_stream(audio.codec, rate=audio.rate)
    assert isinstance(stream, av.AudioStream)
    stream.codec_context.layout = "mono"
    stream.codec_context.time_base = Fraction(1, audio.rate)
    if audio.language is not None:
        stream.metadata["language"] = audio.language

    def encode() -> list[Packet]:
        context = stream.codec_context
        samples, packets = context.frame_size or 1024, []
        for start in range(0, round(audio.duration_s * audio.rate), samples):
            time_s = np.arange(start, start + samples) / audio.rate
            wave = 0.3 * np.sin(2 * np.pi * (200 + 150 * time_s) * time_s)
            is_float = context.format.name.startswith(("flt", "dbl"))
            values = wave.astype(np.float32) if is_float else (wave * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(values[None, :], context.format.name, "mono")
            frame.sample_rate, frame.time_base = audio.rate, Fraction(1, audio.rate)
            frame.pts = start + round(audio.begin_s * audio.rate)
            packets += stream.encode(frame)
        return [packet for packet in packets + stream.encode(None) if packet.size]

    return encode


def _subtitle_packets(output: av.container.OutputContainer, track: Subtitles) -> Callable[[], list[Packet]]:
    stream = output.add_mux_stream(track.codec)
    stream.time_base = Fraction(1, 1000)

    def encode() -> list[Packet]:
        packets = []
        for start_ms, text in track.lines.items():
            coded = text.encode()
            # A line of mov_text begins with its length in two bytes.
            packet = Packet(len(coded).to_bytes(2, "big") + coded if track.codec == "mov_text" else coded)
            packet.stream, packet.time_base = stream, Fraction(1, 1000)
            packet.pts = packet.dts = start_ms
            packet.duration = 1000
            packets.append(packet)
        return packets

    return encode


def info_of(
    *,
    size: tuple[int, int] = SIZE,
    time_base: Fraction = 1 / RATE,
    rate: Fraction | None = RATE,
    path: Path | None = None,
    **others: object,
) -> SourceInfo:
    """Describe a source that does not exist, for a sink to be opened with."""
    return SourceInfo(
        name="made up", path=path, width=size[0], height=size[1], time_base=time_base, rate=rate, **others
    )


def names_in(folder: Path) -> list[str]:
    """List what lies in a folder."""
    return sorted(entry.name for entry in folder.iterdir())


def packets_of(path: Path, kind: str, number: int = 0) -> list[tuple[Fraction, bytes]]:
    """Read the packets of one stream: when each is presented, in seconds, and its bytes."""
    with av.open(f"file:{path}") as container:
        stream = [stream for stream in container.streams if stream.type == kind][number]
        return [
            (packet.pts * packet.time_base, bytes(packet))
            for packet in container.demux(stream)
            if packet.size and packet.pts is not None
        ]


def frame_times_of(path: Path) -> list[Fraction]:
    """Decode a video: when each frame is shown, in seconds."""
    with av.open(f"file:{path}") as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0) if frame.pts is not None]


def images_of(path: Path) -> list[NDArray[np.uint8]]:
    """Decode a video: the planes of each frame, one after the other."""
    with av.open(str(path)) as container:
        return [plane.copy() for frame in container.decode(video=0) for plane in planes_of(frame)]


def grays_of(path: Path) -> list[float]:
    """Decode a video: the mean luma of each frame, on the scale of 8 bits."""
    with av.open(f"file:{path}") as container:
        return [
            float(planes_of(frame)[0].mean()) / 2 ** (bits_of(frame.format.name) - 8)
            for frame in container.decode(video=0)
        ]


def overwrite_bytes(path: Path, start: int, count: int) -> None:
    """DamageCounter a file: put bytes there that no codec expects."""
    with path.open("r+b") as file:
        file.seek(start)
        file.write(bytes(itertools.islice(itertools.cycle(b"\xa5\x00\x5a\xff"), count)))


def truncate(path: Path, share: float) -> None:
    """Cut a file off after a share of its bytes."""
    with path.open("r+b") as file:
        file.truncate(int(path.stat().st_size * share))
