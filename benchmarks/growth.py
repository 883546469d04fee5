"""Measure the cost of rendering by the length of the video, its pixels, and its share of explained frames.

    python benchmarks/growth.py [--frames 20000] [--height 360 …]

Speed and resident memory should not depend on the length, processor time should grow no faster than the
pixels, and the cost of explaining should shrink with the frames explained. The videos are synthetic, so
nothing is needed but streamcam.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import resource
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

import streamcam
from streamcam.pipeline.results import Progress
from streamcam.temporal import TemporalSettings

CHECKPOINTS = (100, 1_000, 5_000, 10_000, 20_000)
HEIGHTS = (360, 720, 1080, 2160)
FRAMES_OF_A_HEIGHT = 60
EVERY = (1, 2, 5, 10)
FRAMES_OF_EVERY = 240
WARM_UP = 10


def make_video(path: Path, frames: int, height: int) -> Path:
    """Encode a video of a pattern that drifts: 16:9, 25 frames a second."""
    width = height * 16 // 9 // 2 * 2
    rows, columns = np.indices((height + height // 2, width))
    pattern = (96 + 64 * np.sin(columns / 37) + 64 * np.sin(rows / 23)).clip(16, 235).astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "crf": "30"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(frames):
            shift = index % (height // 2)
            rgb = np.repeat(pattern[shift : shift + height, :, None], 3, axis=2)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode(None))
    return path


def resident_mb() -> float:
    """Return the memory of this process in use, or its peak where only that is known."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Meter:
    """Notes time, processor time and memory at some frames of a render."""

    def __init__(self, marks: list[int]) -> None:
        self._marks = marks
        self.notes: list[tuple[int, float, float, float]] = []

    def __call__(self, progress: Progress) -> None:
        """Receive the progress after a finished frame."""
        if progress.frames in self._marks:
            self.notes.append((progress.frames, time.perf_counter(), time.process_time(), resident_mb()))


def bench_length(frames: int, folder: Path) -> None:
    """Render one long video; print speed and memory on the way."""
    video = make_video(folder / "long.mp4", frames, 180)
    marks = sorted({WARM_UP, *(mark for mark in CHECKPOINTS if mark <= frames), frames})
    meter = Meter(marks)
    streamcam.render(video, folder / "out.mp4", streamcam.Explainer(), on_progress=meter)
    print("| up to frame | fps since the row above | CPU ms a frame | resident MB |")
    print("| --- | --- | --- | --- |")
    for (before, began_s, began_cpu_s, _), (frame, at_s, at_cpu_s, memory_mb) in itertools.pairwise(
        meter.notes
    ):
        count = frame - before
        fps, cpu_ms = count / (at_s - began_s), 1000 * (at_cpu_s - began_cpu_s) / count
        print(f"| {frame} | {fps:.1f} | {cpu_ms:.1f} | {memory_mb:.0f} |", flush=True)


def bench_pixels(heights: list[int], folder: Path) -> None:
    """Render videos of several sizes; print what a frame and a million pixels cost."""
    print("\n| video | fps | CPU ms a frame | CPU ms a megapixel |")
    print("| --- | --- | --- | --- |")
    explainer = streamcam.Explainer()
    for height in heights:
        video = make_video(folder / f"{height}.mp4", WARM_UP + FRAMES_OF_A_HEIGHT, height)
        fps, cpu_ms = cost_of(video, explainer, FRAMES_OF_A_HEIGHT, TemporalSettings())
        megapixels = height * (height * 16 // 9) / 1e6
        print(f"| {height}p | {fps:.1f} | {cpu_ms:.1f} | {cpu_ms / megapixels:.1f} |", flush=True)


def bench_every(folder: Path) -> None:
    """Render one video, explaining every frame, every second one …; print the cost of a frame."""
    video = make_video(folder / "every.mp4", WARM_UP + FRAMES_OF_EVERY, 432)
    explainer = streamcam.Explainer()
    print("\n| explained | fps | CPU ms a frame |")
    print("| --- | --- | --- |")
    for every in EVERY:
        fps, cpu_ms = cost_of(video, explainer, FRAMES_OF_EVERY, TemporalSettings(every=every))
        print(f"| 1 in {every} | {fps:.1f} | {cpu_ms:.1f} |", flush=True)


def cost_of(
    video: Path, explainer: streamcam.Explainer, frames: int, temporal: TemporalSettings
) -> tuple[float, float]:
    """Render a video; return frames a second and CPU milliseconds a frame of all but the first ones."""
    meter = Meter([WARM_UP, WARM_UP + frames])
    output = video.with_name(f"{video.stem}-out.mp4")
    settings = streamcam.RenderSettings(temporal=temporal, overwrite=True)
    streamcam.render(video, output, explainer, settings=settings, on_progress=meter)
    (_, began_s, began_cpu_s, _), (_, at_s, at_cpu_s, _) = meter.notes
    return frames / (at_s - began_s), 1000 * (at_cpu_s - began_cpu_s) / frames


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--frames", type=int, default=CHECKPOINTS[-1], help="length of the long video; 0: none"
    )
    parser.add_argument("--height", action="append", type=int, help="default: 360, 720, 1080 and 2160")
    settings = parser.parse_args()
    print(
        f"Machine: {platform.processor() or platform.machine()}, {os.cpu_count()} cores, {platform.system()}"
    )
    print(f"Command: python benchmarks/growth.py {' '.join(sys.argv[1:])}\n")
    with tempfile.TemporaryDirectory() as folder:
        if settings.frames:
            bench_length(settings.frames, Path(folder))
        bench_pixels(settings.height or list(HEIGHTS), Path(folder))
        bench_every(Path(folder))


if __name__ == "__main__":
    main()
