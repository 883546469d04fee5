"""Measure ``--every auto``: how few frames are explained, and how close the result is to that of every frame.

    python benchmarks/every.py [VIDEO ...] [--media ../shared/media] [--mode flow-zero-phase]
    python benchmarks/every.py --time VIDEO ... [--model resnet50 --untrained] [--repeats 5]

Videos are those given, those of the media folder, the first of these as benchmarks/summary.py plays it, the
first of all as if it had been filmed by hand, and short ones whose truth is known
(benchmarks/temporal_clips.py). The first form prints a row for each; the second times whole renders, in pairs
that take turns. What is printed goes into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import statistics
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import cv2
import numpy as np
from candidates import scaled_video
from temporal import pointing
from temporal_clips import HEIGHT, WIDTH, Clip, Photographs, all_clips, write_video

from streamcam import Explainer, RenderSettings, load_model, render, stream
from streamcam.explanations import StabilizedFrame
from streamcam.frames import FloatArray
from streamcam.models import Model
from streamcam.temporal import Stabilizer, TemporalSettings, stabilize

REAL = ("car-detection.mp4", "nasa_13013.mp4", "av1_video.mkv", "bt709_full_range.mp4", "h264_10bits.mp4")
PROMISED = 0.98
"""The correlation with the heat of every frame, at the 5th percentile."""
HURRIED_LINES, HURRIED_FRAMES = 432, 300
"""Of the video that plays twice as fast as it was filmed, and is squeezed: nearly tied classes take turns."""
NEAR_S = 0.2
"""A label changes at the same time if it does so this near, in seconds."""


def by_hand(source: Path, target: Path, *, seed: int = 0) -> None:
    """Film a video again with a hand that shakes: it drifts, turns a little, and comes back."""
    chance = np.random.default_rng(seed)
    speed, place = np.zeros(3), np.zeros(3)
    images = []
    with av.open(str(source)) as container:
        video = container.streams.best("video")
        rate = Fraction(video.average_rate)
        for frame in container.decode(video):
            speed = 0.9 * speed + chance.normal(0, (1.2, 0.9, 0.0012))
            place = 0.97 * (place + speed)
            image = frame.to_ndarray(format="rgb24")
            height, width = image.shape[:2]
            matrix = cv2.getRotationMatrix2D((width / 2, height / 2), float(np.degrees(place[2])), 1.12)
            matrix[:, 2] += place[:2]
            moved = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
            images.append(np.asarray(cv2.resize(moved, (WIDTH, HEIGHT)), np.uint8))
    write_video(target, images, rate=rate)


def clips_of(media: Path, given: list[Path], folder: Path) -> Iterator[Clip]:
    real = [*given, *(media / name for name in REAL)]
    for path in real:
        yield Clip(path.stem, "real", path)
    hurried = scaled_video(media / REAL[0], HURRIED_LINES, HURRIED_FRAMES, folder)
    yield Clip(f"{REAL[0].partition('.')[0]} in a hurry", "real", hurried, fit="stretch")
    shaken = folder / "by-hand.mp4"
    by_hand(real[0], shaken)
    yield Clip(f"{real[0].stem} by hand", "real", shaken)
    yield from all_clips(Photographs(media), folder)


# --- closeness ----------------------------------------------------------------------------------------------


def shown(clip: Clip, model: str, temporal: TemporalSettings) -> list[StabilizedFrame]:
    classes = () if clip.class_index is None else (clip.class_index,)
    explainer = Explainer(model, classes=classes, fit=clip.fit)
    return list(stabilize(stream(clip.path, explainer, temporal=temporal), Stabilizer(temporal)))


def heats(frames: list[StabilizedFrame]) -> list[FloatArray]:
    return [next(iter(frame.heatmaps.values())) for frame in frames]


def correlate(first: FloatArray, second: FloatArray) -> float:
    first, second = first - first.mean(), second - second.mean()
    scale = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float((first * second).sum()) / scale if scale > 0 else float(not first.any() and not second.any())


def changes(frames: list[StabilizedFrame]) -> list[tuple[float, int]]:
    """When the first label changes, in seconds, and to which class."""
    return [
        (after.frame.time_s, after.labels[0].index)
        for before, after in itertools.pairwise(frames)
        if before.labels[0].index != after.labels[0].index
    ]


def count_near(expected: list[tuple[float, int]], found: list[tuple[float, int]]) -> int:
    return sum(any(abs(at - t) <= NEAR_S and index == i for t, i in found) for at, index in expected)


def measure(clip: Clip, model: str, temporal: TemporalSettings) -> tuple[str, float, float]:
    """Return a row of the table, the share that was explained, and the 5th percentile of the correlation."""
    every = shown(clip, model, dataclasses.replace(temporal, every=1))
    auto = shown(clip, model, dataclasses.replace(temporal, every="auto"))
    close = [correlate(a, b) for a, b in zip(heats(every), heats(auto), strict=True)]
    share = statistics.fmean(frame.explanation.is_explained for frame in auto)
    cuts = [frame.frame.index for frame in auto if frame.explanation.starts_shot]
    assert all(auto[cut].explanation.is_explained for cut in cuts)
    alike = statistics.fmean(a.labels[0].index == b.labels[0].index for a, b in zip(every, auto, strict=True))
    expected, found = changes(every), changes(auto)
    points = ""
    if clip.boxes is not None:
        points = " / ".join(f"{pointing(heats(each), clip.boxes):.3f}" for each in (every, auto))
    low = float(np.percentile(close, 5))
    row = (
        f"| {clip.kind}: {clip.name} | {len(every)} | {share:.2f} | {low:.3f} | {min(close):.3f} | {points} "
        f"| {alike:.3f} | {len(expected)} / {len(found)} | {count_near(expected, found)} |"
    )
    return row, share, low


def measure_all(clips: Iterator[Clip], model: str, temporal: TemporalSettings) -> None:
    print(
        "| video | frames | explained | correlation, 5th percentile | least | pointing, every / auto "
        f"| same label | label changes, every / auto | of these within {NEAR_S} s |"
    )
    print("| --- |" + " ---: |" * 8)
    shares, lows = [], []
    for clip in clips:
        row, share, low = measure(clip, model, temporal)
        print(row, flush=True)
        shares.append(share)
        lows.append(low)
    print(f"\nExplained on average {statistics.fmean(shares):.2f}, at most {max(shares):.2f}; ", end="")
    print(
        f"least 5th percentile {min(lows):.3f}; {sum(low < 0.98 for low in lows)} of {len(lows)} below 0.98."
    )


# --- time ---------------------------------------------------------------------------------------------------


def time_renders(videos: list[Path], model: Model, temporal: TemporalSettings, repeats: int) -> None:
    """Print how much less time whole renders take; the two take turns, so that both meet the same load."""
    explainer = Explainer(model)
    choices: tuple[int | Literal["auto"], ...] = (1, "auto")
    print("| video | explained | wall, every frame / auto | processor, every frame / auto |")
    print("| --- | ---: | ---: | ---: |")
    for video in videos:
        ratios = []
        with tempfile.TemporaryDirectory() as folder:
            for repeat in range(repeats + 1):
                pair, share = [], 1.0
                for setting in choices:
                    settings = RenderSettings(temporal=dataclasses.replace(temporal, every=setting))
                    began = time.perf_counter(), time.process_time()
                    output = Path(folder) / f"{setting}-{repeat}.mp4"
                    result = render(video, output, explainer, settings=settings)
                    pair.append((time.perf_counter() - began[0], time.process_time() - began[1]))
                    share = result.explained / result.frames
                if repeat:  # the first pair compiles
                    ratios.append(tuple(a / b for a, b in zip(*pair, strict=True)))
        wall, processor = (
            f"{statistics.median(each):.2f} ({min(each):.2f}-{max(each):.2f})"
            for each in zip(*ratios, strict=True)
        )
        print(f"| {video.stem} | {share:.2f} | {wall} | {processor} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    beside = Path(__file__).resolve().parent.parent.parent / "shared" / "media"
    parser.add_argument("videos", nargs="*", type=Path, help="videos to measure before those of the folder")
    parser.add_argument(
        "--media", type=Path, default=beside, help="the folder that holds videos and imagenet/"
    )
    parser.add_argument("--model", default="efficientnet_lite0")
    parser.add_argument("--untrained", action="store_true", help="time a network without its weights")
    parser.add_argument("--mode", default=TemporalSettings().mode, help="the smoothing mode")
    parser.add_argument("--time", action="store_true", help="time whole renders of the videos instead")
    parser.add_argument("--repeats", type=int, default=5)
    settings = parser.parse_args()
    cv2.setNumThreads(1)
    temporal = TemporalSettings(mode=settings.mode)
    if settings.time:
        model = load_model(settings.model, weights="none" if settings.untrained else "default")
        videos = settings.videos or [settings.media / REAL[0]]
        time_renders(videos, model, temporal, settings.repeats)
        return
    with tempfile.TemporaryDirectory() as folder:
        clips = clips_of(settings.media, settings.videos, Path(folder))
        measure_all(clips, settings.model, temporal)


if __name__ == "__main__":
    main()
