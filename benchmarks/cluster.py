"""Measure how much sooner two workers explain one video than one does, on a Ray cluster that is started here.

By default the network is a stand-in that waits for as long as a heavy one computes, so that the figure tells
what cutting, seams and scheduling cost, however few cores there are. With --model a real network runs, with
each worker bound to one core of its own; this machine reads, draws and encodes beside them.

Both counts of workers are measured in turn, as often as asked for; printed are the seconds of explaining
(from the first frames on), the ratio of each pair, and whether the sidecars are the same.

With --draw it is measured instead how much work is left for the machine that started the render, in time of
its processors, when one worker explains, and when one draws and encodes, too (as with --resume): more workers
make renders faster until that work takes all of the time.

    python benchmarks/cluster.py [--rounds 3] [--seconds 60] [--frame-ms 100] [--part-seconds 10]
    python benchmarks/cluster.py --model resnet50 --rounds 3
    python benchmarks/cluster.py --draw --size 1280x720 --seconds 20 --frame-ms 0
"""

from __future__ import annotations

import argparse
import fcntl
import functools
import os
import platform
import statistics
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

import streamcam

RATE = 25


def make_video(path: Path, seconds: float, size: tuple[int, int]) -> Path:
    """Make soft colors that move, with a cut every seven seconds."""
    with av.open(str(path), "w") as video:
        stream = video.add_stream("libx264", rate=Fraction(RATE), options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for index in range(round(seconds * RATE)):
            cells = np.random.default_rng(index // (7 * RATE)).integers(0, 256, (9, 16, 3), np.uint8)
            small = av.VideoFrame.from_ndarray(np.roll(cells, index // 8, axis=1), "rgb24")
            video.mux(stream.encode(small.reformat(*size, "yuv420p")))
        video.mux(stream.encode(None))
    return path


def make_explainer(model: str | None, frame_s: float, cores: str) -> Any:
    """Load a network on a core of its own, or the default one that takes as long as a heavy one would.

    Args:
        model: Name of the network; None for the stand-in.
        frame_s: How long the stand-in takes for a frame, in seconds.
        cores: A file that counts the workers.
    """
    explainer = streamcam.Explainer(streamcam.load_model(model or "efficientnet_lite0"), batch_size=8)
    if model is not None:
        with Path(cores).open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            number = int(file.read() or 0)
            file.seek(0)
            file.write(str(number + 1))
        available = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {available[number % len(available)]})
        return explainer
    explain = explainer.explain_frames

    def wait_and_explain(frames: Any, tracker: Any = None) -> Any:
        time.sleep(frame_s * len(frames))
        return explain(frames, tracker)

    explainer.explain_frames = wait_and_explain  # type: ignore[method-assign]
    return explainer


def measure(
    video: Path, folder: Path, workers: int, given: argparse.Namespace, *, draw: bool = False
) -> tuple[float, float, bytes]:
    """Render with some workers, which may draw, too.

    Returns:
        The seconds from the first frames on, those of this process on processors, and the sidecar.
    """
    cores = folder / "cores"
    cores.write_text("0")
    settings = streamcam.RenderSettings(
        sidecar=folder / "maps.jsonl",
        overwrite=True,
        resume=draw,
        temporal=streamcam.TemporalSettings(mode="none"),
    )
    make = functools.partial(make_explainer, given.model, given.frame_ms / 1000, str(cores))
    cluster = streamcam.RayCluster(part_s=given.part_seconds)
    with (
        streamcam.plan_render(video, folder / "heat.mp4", settings) as plan,
        cluster.open_parts(plan, make, workers) as explainer,
    ):
        began_s, worked_s = time.monotonic(), time.process_time()
        result = plan.run(explainer)
        taken_s, worked_s = time.monotonic() - began_s, time.process_time() - worked_s
    for note in result.notes:
        print(f"  note: {note}")
    return taken_s, worked_s, (folder / "maps.jsonl").read_bytes()


def compare_drawing(video: Path, folder: Path, given: argparse.Namespace) -> float:
    """Print how much this process works when it draws, and when a worker does; return the ratio."""
    frames = given.seconds * RATE
    _, here_s, alone = measure(video, folder, 1, given)
    _, left_s, shared = measure(video, folder, 1, given, draw=True)
    same = "the same" if alone == shared else "DIFFERENT"
    print(
        f"drawing here {1000 * here_s / frames:.1f} ms of processors a frame, drawing there "
        f"{1000 * left_s / frames:.1f} ms: {here_s / left_s:.2f} times less; sidecars are {same}"
    )
    return here_s / left_s


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--frame-ms", type=float, default=100)
    parser.add_argument("--part-seconds", type=float, default=10)
    parser.add_argument("--model")
    parser.add_argument("--size", default="320x180")
    parser.add_argument("--draw", action="store_true")
    given = parser.parse_args()
    print(f"python {' '.join(sys.argv)}")
    machine = platform.processor() or platform.machine()
    print(f"{machine}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    ratios = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        width, height = map(int, given.size.split("x"))
        video = make_video(folder / "video.mp4", given.seconds, (width, height))
        for _ in range(given.rounds):
            if given.draw:
                ratios.append(compare_drawing(video, folder, given))
                continue
            one_s, _, alone = measure(video, folder, 1, given)
            two_s, _, shared = measure(video, folder, 2, given)
            ratios.append(one_s / two_s)
            same = "the same" if alone == shared else "DIFFERENT"
            print(f"one worker {one_s:.1f} s, two {two_s:.1f} s: {ratios[-1]:.2f} times; sidecars are {same}")
    print(f"median {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
