"""Make media/sample.mp4: ten seconds of video to try streamcam on.

The demo, the tests and the images of the documentation need one short video that anybody may copy, that the
default model recognizes, and that has motion, cuts and audio. So the camera moves slowly over each of three
photographs that are in the public domain (CC0) and ship with scikit-image, with hard cuts between them and a
quiet generated chord under each.

The views and chords are in `SHOTS`. The same installation makes the same bytes again.

    python tools/make_sample.py [--output FILE]
"""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import skimage.data
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

WIDTH, HEIGHT, FRAME_RATE = 640, 360, 25
# The number of BT.709 in each of the three tables of H.273: matrix, primaries and transfer curve.
BT_709 = 1
SAMPLE_RATE = 48_000
SAMPLES_PER_FRAME = SAMPLE_RATE // FRAME_RATE
DEFAULT_OUTPUT = Path(__file__).resolve().parent.parent / "media" / "sample.mp4"

Image = NDArray[np.uint8]
Audio = NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class View:
    """The camera's view: a 16:9 window on the photograph, in its pixels."""

    center_x: float
    center_y: float
    width: float

    @property
    def height(self) -> float:
        return self.width * HEIGHT / WIDTH


@dataclasses.dataclass(frozen=True)
class Shot:
    """One photograph, the camera move over it and the chord under it."""

    photograph: str
    """Name of the function in `skimage.data` that returns it."""
    start: View
    end: View
    frames: int
    chord_hz: tuple[float, ...]


# The moves stay where EfficientNet-Lite0 names each shot rightly from its first frame to its last: Egyptian
# cat, espresso, tripod. Views closer to the top right of the cat become a tiger cat, and those higher above
# the photographer lose the tripod.
SHOTS = (
    Shot("chelsea", View(224, 128, 446), View(196, 162, 346), 80, (174.61, 220.00, 261.63, 329.63)),
    Shot("coffee", View(284, 126, 410), View(304, 174, 584), 85, (146.83, 220.00, 261.63, 349.23)),
    Shot("camera", View(256, 236, 504), View(292, 316, 392), 85, (130.81, 196.00, 293.66, 329.63)),
)


def ease(progress: float) -> float:
    """Leave and arrive gently: 0 to 1 with no speed at either end."""
    return 0.5 - 0.5 * math.cos(math.pi * progress)


def view_between(start: View, end: View, progress: float) -> View:
    # Widths go by ratio, not by difference: the eye sees a zoom of constant ratio as one of constant speed.
    return View(
        center_x=start.center_x + progress * (end.center_x - start.center_x),
        center_y=start.center_y + progress * (end.center_y - start.center_y),
        width=start.width * (end.width / start.width) ** progress,
    )


def load_photograph(name: str) -> Image:
    photograph: Image = getattr(skimage.data, name)()
    return photograph if photograph.ndim == 3 else np.stack([photograph] * 3, axis=-1)


def video(photograph: Image, view: View) -> Image:
    """Render one frame of the given view, to a fraction of a pixel so that slow moves do not stutter."""
    height, width = photograph.shape[:2]
    left, top = view.center_x - view.width / 2, view.center_y - view.height / 2
    if left < 0 or top < 0 or left + view.width > width or top + view.height > height:
        raise ValueError(f"{view} reaches beyond the photograph's {width}x{height} pixels")
    step = view.width / WIDTH
    # The half pixels are there because coordinates count from pixel corners here and from centers in OpenCV.
    to_photograph = np.array([[step, 0, left + step / 2 - 0.5], [0, step, top + step / 2 - 0.5]])
    return cv2.warpAffine(
        photograph,
        to_photograph,
        (WIDTH, HEIGHT),
        flags=cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT,
    ).astype(np.uint8, copy=False)


def images() -> Iterator[Image]:
    for shot in SHOTS:
        photograph = load_photograph(shot.photograph)
        for index in range(shot.frames):
            progress = ease(index / (shot.frames - 1))
            yield video(photograph, view_between(shot.start, shot.end, progress))


def pad(chord_hz: tuple[float, ...], seconds: NDArray[np.float64]) -> Audio:
    """Play a soft chord in stereo: few overtones, a slow swell, the ears a little out of tune."""
    ears = []
    for detune in (0.9994, 1.0006):
        voices = [
            np.sin(2 * np.pi * pitch * detune * overtone * seconds + voice) / overtone**2.5
            for voice, pitch in enumerate(chord_hz)
            for overtone in (1, 2, 3)
        ]
        swell = 1 + 0.15 * np.sin(2 * np.pi * 0.4 * detune * seconds)
        ears.append(swell * np.sum(voices, axis=0))
    return np.stack(ears).astype(np.float32)


def audiotrack(fade_s: float = 0.5, loudest: float = 0.3) -> Audio:
    """One chord for each shot, blended across the cuts and faded in and out at the ends of the video."""
    seconds = np.arange(sum(shot.frames for shot in SHOTS) * SAMPLES_PER_FRAME) / SAMPLE_RATE
    track = np.zeros((2, seconds.size), np.float32)
    cut = 0.0
    for shot in SHOTS:
        begin, cut = cut, cut + shot.frames / FRAME_RATE
        # Each chord audio for half a fade beyond its cuts; the squares of the two gains there add up to 1,
        # which keeps the loudness even.
        rise, fall = (np.clip(0.5 + (seconds - at) / fade_s, 0, 1) for at in (begin, cut))
        track += np.sin(np.pi / 2 * rise) * np.cos(np.pi / 2 * fall) * pad(shot.chord_hz, seconds)
    to_an_end = np.minimum(seconds, seconds[-1] - seconds)
    track *= np.clip(to_an_end / (2 * fade_s), 0, 1) ** 2
    track *= loudest / np.abs(track).max()
    return track


def add_video_stream(container: av.container.OutputContainer) -> av.VideoStream:
    stream = container.add_stream("libx264", rate=FRAME_RATE, options={"crf": "18", "preset": "veryslow"})
    stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    context = stream.codec_context
    context.color_range = ColorRange.MPEG
    context.colorspace = context.color_primaries = context.color_trc = BT_709
    # How many cores a machine has must not change the bytes.
    context.thread_count = 1
    return stream


def write_video(output: Path) -> None:
    with av.open(str(output), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        video = add_video_stream(container)
        audio = container.add_stream("aac", rate=SAMPLE_RATE, layout="stereo", bit_rate=96_000)
        track = audiotrack()
        for index, image in enumerate(images()):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(
                format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
            )
            frame.pts, frame.time_base = index, Fraction(1, FRAME_RATE)
            container.mux(video.encode(frame))
            # Image and audio take turns, so that the file can be played while it is being read.
            begin = index * SAMPLES_PER_FRAME
            samples = np.ascontiguousarray(track[:, begin : begin + SAMPLES_PER_FRAME])
            piece = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
            piece.sample_rate, piece.pts, piece.time_base = SAMPLE_RATE, begin, Fraction(1, SAMPLE_RATE)
            container.mux(audio.encode(piece))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the sample video.")
    parser.add_argument(
        "--output", type=Path, default=DEFAULT_OUTPUT, help="the video to write (an MP4 file)"
    )
    output: Path = parser.parse_args().output
    output.parent.mkdir(parents=True, exist_ok=True)
    write_video(output)
    print(f"{output}: {output.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
