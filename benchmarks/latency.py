"""Measure the age of the frames that `streamcam live` shows, also under an overload.

python benchmarks/latency.py VIDEO [--seconds 60]

VIDEO is scaled to 720p and played at 30 frames per second, then at `--rate` frames per second, which should
be more than the machine can process. Nothing is displayed, but every image is composed as for a window.
First, each stage is timed alone, one frame at a time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from streamcam import Explainer, open_source
from streamcam.frames import Frame
from streamcam.overlay import OverlaySettings
from streamcam.session.compositor import Compositor
from streamcam.temporal import LIVE_MODE, Stabilizer, TemporalSettings

SIZE = (1280, 720)

PROGRAM = """
import sys
import streamcam
from streamcam.session.window import Display

class Composing(Display):  # draws everything, and shows it nowhere
    def show(self, image): pass

video, stats, duration = sys.argv[1:]
streamcam.live(
    video,
    settings=streamcam.LiveSettings(
        streamcam.SourceSettings(real_time=True, loop=True),
        display="none",
        statistics=stats,
        duration_s=float(duration),
    ),
    outputs=[Composing()],
)
"""


def make_video(source: Path, target: Path, rate: int, seconds: float) -> None:
    """Scale the beginning of a video to 720p at some rate; it is cheap to decode."""
    with open_source(source) as opened, av.open(str(target), "w") as video:
        stream = video.add_stream("libx264", rate=rate, options={"preset": "ultrafast", "crf": "23"})
        stream.width, stream.height = SIZE
        stream.time_base = stream.codec_context.time_base = Fraction(1, rate)
        for number, frame in enumerate(opened):
            if number >= rate * seconds:
                break
            image = frame.image.reformat(*SIZE, "yuv420p")
            image.pts, image.time_base = number, Fraction(1, rate)
            video.mux(stream.encode(image))
        video.mux(stream.encode(None))


def median_ms(action: Callable[[Frame], Any], frames: list[Frame]) -> float:
    """Time an action on one frame after another; the first ones warm it up."""
    times = []
    for frame in frames:
        began = time.perf_counter()
        action(frame)
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times[5:])


def stages_alone(video: Path) -> dict[str, float]:
    """Median milliseconds of each stage on single frames."""
    with open_source(video) as source:
        frames = [frame for frame, _ in zip(source, range(40), strict=False)]
    explainer = Explainer(batch_size=1)
    stabilizer = Stabilizer(TemporalSettings(mode=LIVE_MODE))
    compositor, settings = Compositor(), OverlaySettings()
    explanations = {}

    def explain(frame: Frame) -> None:
        explanations[frame.index] = explainer.explain_frames([frame])[0]

    times = {"explain": median_ms(explain, frames)}
    times["stabilize"] = median_ms(lambda frame: stabilizer.push(frame, explanations[frame.index]), frames)
    times["propagate"] = median_ms(stabilizer.propagate, frames)
    stabilized = stabilizer.propagate(frames[-1])
    times["draw"] = median_ms(lambda frame: compositor.compose(frame, stabilized, settings), frames)
    return times


def play(video: Path, seconds: float) -> dict[str, Any]:
    """Run a live session in its own process; return the figures of the time after the start."""
    with tempfile.TemporaryDirectory() as folder:
        stats = Path(folder) / "stats.jsonl"
        command = [sys.executable, "-c", PROGRAM, str(video), str(stats), str(seconds + 10)]
        subprocess.run(command, check=True)
        lines = [json.loads(line) for line in stats.read_text().splitlines()]
    settled = [line for line in lines if line["time_s"] > 10 and "whole_run" not in line]
    total = {
        name: sum(line[name] for line in settled) for name in ("captured", "shown", "explained", "dropped")
    }
    ages = {key: [line["frame_age_ms"][key] for line in settled] for key in ("median", "p99", "max")}
    third = max(1, len(settled) // 3)
    return {
        **total,
        "median age ms": statistics.median(ages["median"]),
        "first third ms": statistics.median(ages["median"][:third]),
        "last third ms": statistics.median(ages["median"][-third:]),
        "99th percentile ms, worst second": max(ages["p99"]),
        "99th percentile ms, median of seconds": statistics.median(ages["p99"]),
        "age of heat ms": statistics.median(line["heat_age_ms"]["median"] for line in settled),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video", type=Path)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=int, default=120, help="frames a second of the second run")
    arguments = parser.parse_args()
    print(f"load before: {os.getloadavg()[0]:.2f}, cores: {os.cpu_count()}")
    with tempfile.TemporaryDirectory() as folder:
        usual, fast = Path(folder) / "usual.mp4", Path(folder) / "fast.mp4"
        make_video(arguments.video, usual, 30, 10)
        make_video(arguments.video, fast, arguments.rate, 3)
        alone = stages_alone(usual)
        print("alone, ms:", {name: round(value, 1) for name, value in alone.items()})
        for name, video in (("30 fps", usual), (f"{arguments.rate} fps", fast)):
            print(name, json.dumps(play(video, arguments.seconds)))
    print(f"load after: {os.getloadavg()[0]:.2f}")


if __name__ == "__main__":
    main()
