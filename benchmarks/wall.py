"""Measure how evenly the streams of a wall are explained, and whether their heat stays as fresh as it is.

Videos of 360p are made and played at 15 frames per second, several in one session of the default network.
Every wall is composed as for a window and shown nowhere. Printed are, for each number of streams,
explanations a second of each, the spread between streams, and the age of the heat in the first and the last
third of the time; and the ratio of all explanations to those of a single stream within the run.

    python benchmarks/wall.py [--streams 1 4] [--seconds 120] [--fps 15] [--model NAME]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

SIZE = (640, 360)
_LOADING_S = 15.0
"""What happens in the first seconds, until the network is loaded, is left out."""

PROGRAM = """
import sys
import streamcam
from streamcam.session.window import Display

class Composing(Display):  # draws everything, and shows it nowhere
    def show(self, image): pass

model, stats, duration, *videos = sys.argv[1:]
streamcam.live(
    videos,
    model,
    settings=streamcam.LiveSettings(
        streamcam.SourceSettings(real_time=True, loop=True),
        display="none",
        statistics=stats,
        duration_s=float(duration),
    ),
    outputs=[Composing()],
)
"""


def make_video(path: Path, number: int, fps: int) -> Path:
    """Make ten seconds of soft colors that move."""
    cells = np.random.default_rng(number).integers(0, 256, (9, 16, 3), np.uint8)
    with av.open(str(path), "w") as video:
        stream = video.add_stream("libx264", rate=Fraction(fps), options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for index in range(10 * fps):
            small = av.VideoFrame.from_ndarray(np.roll(cells, index // 4, axis=1), "rgb24")
            video.mux(stream.encode(small.reformat(*SIZE, "yuv420p")))
        video.mux(stream.encode(None))
    return path


def measure(videos: list[Path], seconds: float, model: str, folder: Path) -> list[dict[str, Any]]:
    """Run a session; return its lines of statistics, those of the whole run left out."""
    stats = folder / "stats.jsonl"
    arguments = [model, str(stats), str(seconds + _LOADING_S), *map(str, videos)]
    subprocess.run([sys.executable, "-c", PROGRAM, *arguments], check=True)
    lines = [json.loads(line) for line in stats.read_text().splitlines()]
    return [line for line in lines if line["time_s"] > _LOADING_S and "whole_run" not in line]


def report(count: int, lines: list[dict[str, Any]], seconds: float) -> float:
    """Print what was measured; return all explanations a second."""
    explained: dict[str, int] = defaultdict(int)
    for line in lines:
        explained[line["stream"]] += line["explained"]
    rates = [each / seconds for each in explained.values()]
    print(f"{count} streams: explained a second {', '.join(f'{rate:.2f}' for rate in rates)}", end="")
    print(f"; the least {min(rates) / max(max(rates), 1e-9):.0%} of the most")
    thirds = [
        [line["heat_age_ms"]["median"] for line in lines if begin <= line["time_s"] - _LOADING_S < end]
        for begin, end in ((0, seconds / 3), (2 * seconds / 3, seconds))
    ]
    first, last = ([age for age in ages if age is not None] for ages in thirds)
    if first and last:
        print(f"  age of heat: first third {describe(first)}, last third {describe(last)}")
    return sum(rates)


def describe(ages_ms: list[float]) -> str:
    """Write median and quartiles."""
    low, middle, high = statistics.quantiles(ages_ms, n=4)
    return f"{middle:.0f} ms ({low:.0f} to {high:.0f})"


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--fps", type=int, default=15)
    parser.add_argument("--model", default="efficientnet_lite0")
    given = parser.parse_args()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"python {' '.join(sys.argv)}")
    print(f"{platform.processor() or platform.machine()}, {cores} cores, load {os.getloadavg()[0]:.1f}")
    totals: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        videos = [make_video(folder / f"{each}.mp4", each, given.fps) for each in range(max(given.streams))]
        for count in given.streams:
            lines = measure(videos[:count], given.seconds, given.model, folder)
            totals[count] = report(count, lines, given.seconds)
    if totals.get(1):
        for count, total in totals.items():
            print(f"{count} streams: {total / totals[1]:.2f} times the explanations of one")
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
