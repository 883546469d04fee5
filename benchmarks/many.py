"""Measure what many files in one command save, and whether files beside each other are quicker.

Short films are made, and rendered by the real command with the default network: each by a command of its own,
all by one command, and by one command with two jobs. The candidates take turns; printed are medians with the
spread, wall clock and processor time, and ratios within the run.

    python benchmarks/many.py [--files 12] [--frames 25] [--height 144] [--repeats 3]
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

WIDTH_BY_HEIGHT = 16 / 9


def make_film(path: Path, number: int, frames: int, height: int) -> Path:
    """Make a film of soft noise that moves."""
    random = np.random.default_rng(number)
    width = 2 * round(height * WIDTH_BY_HEIGHT / 2)
    cells = random.integers(0, 256, (9, 16, 3), np.uint8)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=Fraction(25), options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(frames):
            small = av.VideoFrame.from_ndarray(np.roll(cells, index // 4, axis=1), "rgb24")
            output.mux(stream.encode(small.reformat(width, height, "yuv420p")))
        output.mux(stream.encode(None))
    return path


def run(*arguments: str) -> None:
    """Run the command."""
    subprocess.run([sys.executable, "-m", "streamcam", "render", "--quiet", *arguments], check=True)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--files", type=int, default=12)
    parser.add_argument("--frames", type=int, default=25)
    parser.add_argument("--height", type=int, default=144)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        films = [
            str(make_film(folder / f"film{number}.mp4", number, given.frames, given.height))
            for number in range(given.files)
        ]
        made = iter(range(10**6))

        def single() -> None:
            for film in films:
                run(film, "-o", str(folder / f"{next(made)}.mp4"))

        candidates: dict[str, Callable[[], None]] = {
            "a command for each": single,
            "one command": lambda: run(*films, "-o", f"{folder}/{next(made)}/", "--jobs", "1"),
            "one command, two jobs": lambda: run(*films, "-o", f"{folder}/{next(made)}/", "--jobs", "2"),
        }
        seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in candidates}
        run(films[0], "-o", str(folder / "first.mp4"))  # the converted network is in the cache now
        for _ in range(given.repeats):
            for name, candidate in candidates.items():
                seconds[name].append(_time(candidate))
    print(f"{given.files} videos of {given.frames} frames, {given.height}p; {platform.machine()}")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}")
    print("| | wall, s | processor, s | wall against one command | processor against one command |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, runs in seconds.items():
        cells = []
        for column in (0, 1):
            values = [each[column] for each in runs]
            cells.append(f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})")
        for column in (0, 1):
            pairs = zip(runs, seconds["one command"], strict=True)
            ratios = [one[column] / other[column] for one, other in pairs]
            cells.append(f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
        print(f"| {name} | {' | '.join(cells)} |")


def _time(work: Callable[[], None]) -> tuple[float, float]:
    """Return the wall clock and processor time of work that subprocesses do, in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began_s = time.perf_counter()
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - began_s, used_s


if __name__ == "__main__":
    main()
