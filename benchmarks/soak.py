"""Measure memory, threads and handles of three live sessions over time: can `streamcam live` run for days?

    python benchmarks/soak.py [--minutes 60] [--case video …] [--video VIDEO] [--keys mkv,Mkv]

video: a video in a loop. failing: a fake camera that fails every two seconds, returns in another size and has
a clock that jumps, while a fake user resizes the window every second, presses r every five and others
(`--keys`) every thirty. stream: one that sends six seconds of frames at once and disconnects. Each runs in
its own process, one after the other, with the default model and without a display. Linux only.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

ROWS = 12
"""Lines of a table."""

SETTLED_S = 600
"""From when on memory may no longer grow."""

SIZES = ((640, 480), (320, 240), (1280, 720))
RATE = 25


def make_video(path: Path, frames: int, size: tuple[int, int] = SIZES[0]) -> Path:
    """Encode a pattern that drifts."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.gop_size, stream.codec_context.max_b_frames = RATE, 0
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(pattern(index, size), format="bgr24")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode(None))
    return path


def pattern(index: int, size: tuple[int, int]) -> np.ndarray:
    """One image of it, BGR uint8 (H, W, 3)."""
    rows, columns = np.indices(size[::-1])
    gray = (128 + 60 * np.sin((columns + 3 * index) / 37) + 60 * np.sin((rows + index) / 23)).astype(np.uint8)
    return np.repeat(gray[:, :, None], 3, axis=2)


# --- The previews, in processes of their own -------------------------------------------------------------


def show(location: str, stats: Path, seconds: float, folder: Path, keys: str) -> None:
    """Run one live session: of the failing camera, or of a stream."""
    from streamcam.session.live import live
    from streamcam.session.settings import LiveSettings
    from streamcam.sources import SourceSettings, open_source
    from streamcam.sources.capture import ReconnectingSource

    is_camera = location == "failing"
    source = (
        ReconnectingSource(failing_camera())
        if is_camera
        else open_source(location, SourceSettings(real_time=True))
    )
    settings = LiveSettings(display="none", duration_s=seconds, folder=folder, statistics=stats)
    live(
        source,
        "efficientnet_lite0",
        settings=settings,
        outputs=[restless_display(folder if is_camera else None, keys.split(","))],
    )


def failing_camera() -> Any:
    """Make a camera that is never well for long."""
    from streamcam.errors import SourceError
    from streamcam.sources.capture import Capture, CapturedImage

    images = {size: av.VideoFrame.from_ndarray(pattern(0, size), format="bgr24") for size in SIZES}

    class FailingCamera(Capture):
        name, rate = "failing camera", Fraction(RATE)
        attempts = given = 0

        def open(self) -> None:
            self.attempts += 1
            self.given = 0
            if self.attempts % 3 == 2:
                raise SourceError("it is busy")

        def read(self) -> CapturedImage | None:
            time.sleep(1 / RATE)
            self.given += 1
            if self.given > 2 * RATE:
                raise SourceError("it is gone")
            device_s = 1e9 if self.given % 20 == 0 else self.given / RATE
            return None if self.given % 10 == 0 else CapturedImage(images[SIZES[self.attempts % 3]], device_s)

        def close(self) -> None:
            pass

    return FailingCamera()


def restless_display(folder: Path | None, keys: list[str]) -> Any:
    """Make a display that composes images and shows them nowhere.

    With a folder it has another size every second; r is pressed every five, and every thirty the next keys.
    """
    from streamcam.session.command_sources import KeyPress
    from streamcam.session.window import Display

    class Composing(Display):
        def show(self, image: av.VideoFrame) -> None:
            pass

    class Restless(Composing):
        began, presses = time.monotonic(), 0

        @property
        def size(self) -> tuple[int, int]:
            second = int(time.monotonic() - self.began)
            return 640 + 2 * (second % 300), 360 + second % 200

        def poll(self) -> tuple[KeyPress, ...]:
            if time.monotonic() - self.began < 5 * (self.presses + 1):
                return ()
            self.presses += 1
            for recording in sorted((folder or Path()).glob("streamcam-*"))[:-2]:
                recording.unlink()
            turn, rest = divmod(self.presses, 6)
            others = "" if rest else keys[turn % len(keys)]
            return tuple(map(KeyPress, "r" + others))

    return Composing() if folder is None else Restless()


# --- Watching them -----------------------------------------------------------------------------------------


class Sample:
    """Resources of a process."""

    def __init__(self, process: subprocess.Popen[bytes], at_s: float) -> None:
        """Look."""
        folder = Path("/proc") / str(process.pid)
        self.at_s = at_s
        self.memory_mb = int((folder / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
        self.threads = len(list((folder / "task").iterdir()))
        self.handles = len(list((folder / "fd").iterdir()))


def watch(command: list[str], seconds: float) -> list[Sample]:
    """Run a preview and look at it every second."""
    began = time.monotonic()
    samples = []
    with subprocess.Popen(command) as process:
        while process.poll() is None:
            try:
                samples.append(Sample(process, time.monotonic() - began))
            except (OSError, IndexError):  # it ended just now
                break
            time.sleep(min(1.0, seconds / 100))
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    return samples


def report(name: str, samples: list[Sample], stats: Path) -> None:
    """Print what was seen: a line now and then, and how memory grew in the second half."""
    lines = [json.loads(line) for line in stats.read_text().splitlines()]
    *lines, whole = lines
    print(f"\n{name}\n\n| s | resident MB | threads | handles | shown | dropped | median age ms | worst |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    step = samples[-1].at_s / ROWS
    for row in range(ROWS):
        part = [sample for sample in samples if row * step <= sample.at_s < (row + 1) * step]
        figures = [line for line in lines if row * step <= line["time_s"] < (row + 1) * step]
        ages = [line["frame_age_ms"] for line in figures if line["shown"]]
        usual = statistics.median(age["median"] for age in ages) if ages else math.nan
        worst = max((age["max"] for age in ages), default=math.nan)
        print(
            f"| {(row + 1) * step:.0f} | {statistics.median(one.memory_mb for one in part):.1f} "
            f"| {spread(part, lambda one: one.threads)} | {spread(part, lambda one: one.handles)} "
            f"| {sum(line['shown'] for line in figures)} | {sum(line['dropped'] for line in figures)} "
            f"| {usual:.1f} | {worst:.1f} |"
        )
    ended_s = samples[-1].at_s
    if ended_s > 2 * SETTLED_S:
        settled, last = (
            statistics.median(one.memory_mb for one in samples if abs(one.at_s - at_s) <= 60)
            for at_s in (SETTLED_S, ended_s - 63)  # not while it ends
        )
        print(f"\nmemory after {SETTLED_S / 60:.0f} minutes {settled:.1f} MB, at the end {last:.1f} MB")
    later = [sample for sample in samples if ended_s / 2 < sample.at_s < ended_s - 3]  # not while it ends
    slope = np.polyfit([one.at_s for one in later], [one.memory_mb for one in later], 1)[0]
    print(
        f"\nmemory in the second half: {slope * 3600:+.1f} MB an hour; shown {whole['shown']} of "
        f"{whole['captured']}, dropped {whole['dropped']}, explained {whole['explained']}, "
        f"age ms {whole['frame_age_ms']}",
        flush=True,
    )


def spread(samples: list[Sample], what: Callable[[Sample], int]) -> str:
    """Format the range of a number."""
    values = [what(sample) for sample in samples]
    return str(min(values)) if min(values) == max(values) else f"{min(values)}-{max(values)}"


def serve(video: Path) -> int:
    """Send a video to everybody who connects, and hang up; return the port."""
    server = socket.create_server(("127.0.0.1", 0))
    content = video.read_bytes()

    def answer() -> None:
        while True:
            client, _ = server.accept()
            with client:
                client.sendall(content)

    threading.Thread(target=answer, daemon=True).start()
    return int(server.getsockname()[1])


CASES = ("video", "failing", "stream")


def main() -> None:
    """Watch one preview after another."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--case", action="append", choices=CASES, help="default: all")
    parser.add_argument("--video", type=Path, help="default: one that is made up")
    parser.add_argument(
        "--keys", default="mkv", help="pressed every thirty seconds; several, in turn: mkv,Mkv"
    )
    parser.add_argument("--show", nargs=5, help=argparse.SUPPRESS)
    settings = parser.parse_args()
    if settings.show:
        location, stats, seconds, folder, keys = settings.show
        show(location, Path(stats), float(seconds), Path(folder), keys)
        return
    machine = platform.processor() or platform.machine()
    print(f"Machine: {machine}, {os.cpu_count()} cores, load before {os.getloadavg()[0]:.1f}")
    print(f"Command: python benchmarks/soak.py {' '.join(sys.argv[1:])}")
    seconds = settings.minutes * 60
    for case in settings.case or CASES:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            stats = folder / "stats.jsonl"
            if case == "video":
                video = settings.video or make_video(folder / "video.mp4", 10 * RATE, SIZES[2])
                limits = ["--duration", str(seconds), "--stats", str(stats)]
                options = ["--loop", "--display", "none", "--quiet", *limits]
                command = [sys.executable, "-m", "streamcam", "live", str(video), *options]
            else:
                location = case
                if case == "stream":  # long enough: what FFmpeg finds out the format from is not shown
                    location = f"tcp://127.0.0.1:{serve(make_video(folder / 'video.ts', 6 * RATE))}"
                command = [
                    sys.executable,
                    __file__,
                    "--show",
                    location,
                    str(stats),
                    str(seconds),
                    str(folder),
                    settings.keys,
                ]
            report(case, watch(command, seconds), stats)


if __name__ == "__main__":
    main()
