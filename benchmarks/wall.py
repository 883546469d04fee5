"""Measure how evenly the streams of a wall are explained, and whether their heat stays as fresh as it is.

Videos of 360p are made and played at 15 frames per second, several in one session of the default network.
Every wall is composed as for a window and shown nowhere. Printed are, for each number of streams, how often
each stream was explained and shown, a row for each minute with the age of the heat and the memory, and how
much both change from the first minute to the last; and the ratio of all explanations to those of a single
stream within the run. With --failing there is one more stream in each session, from a server that breaks off
every 5 seconds; it is left out of the figures, except for how often it came again.

    python benchmarks/wall.py [--streams 1 4] [--minutes 2] [--fps 15] [--model NAME] [--failing]

Four and sixteen streams beside one that fails, each in eleven minutes:

    python benchmarks/wall.py --streams 4 --minutes 10 --failing
    python benchmarks/wall.py --streams 16 --minutes 10 --failing
"""

from __future__ import annotations

import argparse
import contextlib
import http.server
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
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
paced = streamcam.SourceSettings(real_time=True, loop=True)
streamcam.live(
    [streamcam.StreamSettings(video, reading=None if "://" in video else paced) for video in videos],
    model,
    settings=streamcam.LiveSettings(
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
        stream = video.add_stream(
            "libx264", rate=Fraction(fps), options={"preset": "ultrafast", "g": str(fps)}
        )
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for index in range(10 * fps):
            small = av.VideoFrame.from_ndarray(np.roll(cells, index // 4, axis=1), "rgb24")
            video.mux(stream.encode(small.reformat(*SIZE, "yuv420p")))
        video.mux(stream.encode(None))
    return path


@contextlib.contextmanager
def failing_server(path: Path) -> Iterator[str]:
    """Serve a transport stream at its own pace, and break off after 5 seconds each time; yield its URL."""
    data = path.read_bytes()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "video/mp2t")
            self.end_headers()
            with contextlib.suppress(OSError):
                for step in range(50):  # the first half of ten seconds
                    self.wfile.write(data[step * len(data) // 100 : (step + 1) * len(data) // 100])
                    time.sleep(0.1)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/broken.ts"
        server.shutdown()


def measure(
    videos: list[str], seconds: float, model: str, folder: Path
) -> tuple[list[dict[str, Any]], list[tuple[float, float]]]:
    """Run a session.

    Returns:
        Its lines of statistics, those of the whole run left out; and its memory in MB over the time.
    """
    stats = folder / "stats.jsonl"
    arguments = [model, str(stats), str(seconds + _LOADING_S), *videos]
    memory: list[tuple[float, float]] = []
    began_s = time.monotonic()
    with subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments]) as session:
        while session.poll() is None:
            with contextlib.suppress(OSError):  # it has ended
                pages = int(Path(f"/proc/{session.pid}/statm").read_text().split()[1])
                memory.append((time.monotonic() - began_s, pages * os.sysconf("SC_PAGE_SIZE") / 1e6))
            time.sleep(1)
    if session.returncode:
        raise SystemExit(f"the session ended with {session.returncode}")
    lines = [json.loads(line) for line in stats.read_text().splitlines()]
    lines = [line for line in lines if line["time_s"] > _LOADING_S and "whole_run" not in line]
    return lines, memory


def report(
    count: int, lines: list[dict[str, Any]], memory: list[tuple[float, float]], seconds: float
) -> float:
    """Print what was measured; return all explanations a second."""
    explained: dict[str, int] = defaultdict(int)
    shown: dict[str, int] = defaultdict(int)
    for line in lines:
        explained[line["stream"]] += line["explained"]
        shown[line["stream"]] += line["shown"]
    rates = [each / seconds for each in explained.values()]
    print(
        f"\n{count} streams: each explained {describe(rates)} times a second, the least {min(rates):.2f}, ",
        end="",
    )
    print(f"the most {max(rates):.2f}: {min(rates) / max(max(rates), 1e-9):.0%} of it; ", end="")
    print(f"shown {describe([each / seconds for each in shown.values()])} times\n")
    print("| minute | age of heat, ms: median (quartiles) | the stalest stream's median | memory, MB |")
    print("| ---: | ---: | ---: | ---: |")
    table = []
    for minute in range(max(1, math.ceil(seconds / 60))):
        begin, end = 60 * minute, min(60 * (minute + 1), seconds)
        ages: dict[str, list[float]] = defaultdict(list)
        for line in lines:
            age = line["heat_age_ms"]["median"]
            if begin <= line["time_s"] - _LOADING_S < end and age is not None:
                ages[line["stream"]].append(age)
        used = [mb for at_s, mb in memory if begin <= at_s - _LOADING_S < end]
        if not ages or not used:
            continue
        every = [age for each in ages.values() for age in each]
        table.append((statistics.median(every), statistics.median(used)))
        stalest = max(map(statistics.median, ages.values()))
        print(f"| {minute + 1} | {describe(every, 0)} | {stalest:.0f} | {table[-1][1]:.0f} |")
    if len(table) > 1:
        (age, mb), (last_age, last_mb) = table[0], table[-1]
        print(f"\nfirst minute to last: age {last_age / age - 1:+.0%}, memory {last_mb - mb:+.0f} MB")
    return sum(rates)


def describe(values: list[float], digits: int = 2) -> str:
    """Write median and quartiles."""
    if len(values) < 2:
        return f"{values[0]:.{digits}f}"
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--fps", type=int, default=15)
    parser.add_argument("--model", default="efficientnet_lite0")
    parser.add_argument("--failing", action="store_true")
    given = parser.parse_args()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"python {' '.join(sys.argv)}")
    print(f"{platform.processor() or platform.machine()}, {cores} cores, load {os.getloadavg()[0]:.1f}")
    totals: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        videos = [
            str(make_video(folder / f"{each}.mp4", each, given.fps)) for each in range(max(given.streams))
        ]
        seconds = 60 * given.minutes
        for count in given.streams:
            with contextlib.ExitStack() as stack:
                beside = []
                if given.failing:
                    broken = make_video(folder / "broken.ts", count, given.fps)
                    beside = [stack.enter_context(failing_server(broken))]
                lines, memory = measure([*videos[:count], *beside], seconds, given.model, folder)
            broken_lines = [line for line in lines if "broken" in line["stream"]]
            lines = [line for line in lines if "broken" not in line["stream"]]
            totals[count] = report(count, lines, memory, seconds)
            if broken_lines:
                again = broken_lines[-1]["reconnections"] - broken_lines[0]["reconnections"]
                print(f"the stream that fails came again {again} times")
    if totals.get(1):
        for count, total in totals.items():
            print(f"{count} streams: {total / totals[1]:.2f} times the explanations of one")
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
