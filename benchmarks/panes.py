"""Measure what comparing four methods costs, in renders of one of them.

    python benchmarks/panes.py [--media ../shared/media] [--runs 7]

Render and comparison take turns, each as a whole: decoding, network, drawing and encoding, without loading
the network. Processor time counts all threads. What is printed goes into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import streamcam
from streamcam import Comparison, Explainer, RenderResult, RenderSettings, SourceSettings
from streamcam.panes import COMPARED_METHODS


def main() -> None:
    """Print a row for each video."""
    parser = argparse.ArgumentParser(description="Measure what comparing four methods costs.")
    parser.add_argument("--media", type=Path, default=Path("../shared/media"))
    parser.add_argument("--runs", type=int, default=7)
    arguments = parser.parse_args()
    explainer = Explainer()
    print("| video | size | four methods, of one render's time | of its processor time |")
    print("| --- | --- | --- | --- |")
    videos = [
        (Path("media/sample.mp4"), (640, 360)),
        (arguments.media / "car-detection.mp4", (768, 432)),
        (arguments.media / "car-detection.mp4", (1920, 1080)),
    ]
    for video, size in videos:
        print(row(explainer, video, size, arguments.runs), flush=True)


def row(explainer: Explainer, video: Path, size: tuple[int, int], runs: int) -> str:
    """Measure one video at one size, in turns."""
    settings = RenderSettings(source=SourceSettings(end_s=4.0, size=size), overwrite=True)
    methods = Comparison(methods=COMPARED_METHODS)
    pairs: list[tuple[list[float], list[float]]] = []
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "out.mp4"
        for _ in range(runs + 1):
            one = measure(lambda: streamcam.render(video, output, explainer, settings=settings))
            four = measure(lambda: streamcam.compare(video, output, explainer, methods, settings=settings))
            pairs.append((one, four))
    ratios = [[many / single for single, many in zip(*pair, strict=True)] for pair in pairs[1:]]
    elapsed, processor = (spread(values) for values in zip(*ratios, strict=True))
    return f"| {video.name} | {size[0]}x{size[1]} | {elapsed} | {processor} |"


def measure(work: Callable[[], RenderResult]) -> list[float]:
    """Return the seconds that work takes, and its processor time in seconds."""
    elapsed_s, processor_s = time.monotonic(), time.process_time()
    work()
    return [time.monotonic() - elapsed_s, time.process_time() - processor_s]


def spread(values: Sequence[float]) -> str:
    """Return the median, and the least and the largest value."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    main()
