"""Measure the start: the time and memory of a short render, with and without what was compiled before.

    python benchmarks/start.py [--video VIDEO] [--frames 5] [--runs 5] [--against CHECKOUT]

Both render the first frames of a video with the default model. "compiled" is the command, whose explanation
is in the cache; "torch" does the same through `streamcam.Explainer`, whose network is in the cache too;
"before" is the command of another checkout. The runs alternate, each in a process of its own. Linux and macOS
only.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

IN_TORCH = """
import sys
import streamcam
settings = streamcam.RenderSettings(overwrite=True)
streamcam.render(sys.argv[1], sys.argv[2], streamcam.Explainer(), settings=settings)
"""


def environment(folder: Path, checkout: Path | None = None) -> dict[str, str]:
    """Return the environment of a command, with bytecode that is kept, as that of what is installed is.

    Args:
        folder: Where bytecode is kept.
        checkout: Another checkout of this project to run; None for this one.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    root = Path(__file__).resolve().parents[1] if checkout is None else checkout.resolve()
    return {**kept, "PYTHONPYCACHEPREFIX": str(folder / "bytecode"), "PYTHONPATH": str(root)}


def measure(command: list[str], environment: dict[str, str], folder: Path) -> tuple[float, float, float]:
    """Run a command: seconds, seconds of processor time, and megabytes at most."""
    began_s = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment, cwd=folder)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    kilobyte = 1 if sys.platform == "darwin" else 1024
    return time.monotonic() - began_s, used.ru_utime + used.ru_stime, used.ru_maxrss * kilobyte / 1e6


def cut(video: Path, frames: int, folder: Path) -> Path:
    """Write the first frames of a video."""
    import av

    path = folder / "short.mp4"
    with av.open(str(video)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream("libx264", rate=25)
        for index, frame in enumerate(source.decode(video=0)):
            if index == frames:
                break
            if not index:
                stream.width, stream.height = frame.width, frame.height
            frame.pts = None
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return path


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--video", type=Path, default=Path(__file__).parents[1] / "media" / "sample.mp4")
    parser.add_argument("--frames", type=int, default=5)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="another checkout of this project")
    settings = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        video, output = cut(settings.video, settings.frames, Path(folder)), str(Path(folder) / "out.mp4")
        commands = {
            "compiled": [
                sys.executable,
                "-m",
                "streamcam",
                "render",
                str(video),
                "-o",
                output,
                "--overwrite",
            ],
            "torch": [sys.executable, "-c", IN_TORCH, str(video), output],
        }
        if settings.against is not None:
            commands["before"] = commands["compiled"]
        where = {name: environment(Path(folder)) for name in commands}
        where["before"] = environment(Path(folder), settings.against)

        def run(name: str) -> tuple[float, float, float]:
            return measure(commands[name], where[name], Path(folder))

        for name in commands:
            run(name)  # fills the caches
        load = os.getloadavg()[0]
        runs: dict[str, list[tuple[float, float, float]]] = {name: [] for name in commands}
        for _ in range(settings.runs):
            for name in commands:
                runs[name].append(run(name))
    print(f"Machine: {platform.machine()}, {os.cpu_count()} cores, load before {load:.1f}")
    print(f"Command: python benchmarks/start.py --frames {settings.frames} --runs {settings.runs}\n")
    print("| | seconds | processor seconds | MB |\n| --- | --- | --- | --- |")
    for name, measured in runs.items():
        cells = [spread(values) for values in zip(*measured, strict=True)]
        print(f"| {name} | {' | '.join(cells)} |")
    for other in [name for name in runs if name != "compiled"]:
        for label, column in (("seconds", 0), ("processor seconds", 1), ("MB", 2)):
            pairs = zip(runs[other], runs["compiled"], strict=True)
            ratios = [one[column] / ours[column] for one, ours in pairs]
            print(f"\n{label}, {other} over compiled: {spread(ratios)}")


def spread(values: Sequence[float]) -> str:
    """Describe values by their median, least and greatest."""
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


if __name__ == "__main__":
    main()
