"""Measure how fast a video is drawn again from its evidence, beside its render and a plain transcode.

The three run in turn, each in its own process, several times, with the same encoder settings; the transcode
reads and writes with nothing in between. Prints medians, with the spread, and ratios within the run, because
machines differ and shared ones drift; processor time counts where a machine is shared.

    python benchmarks/restyle.py VIDEO [--repeats 5] [--smoothing-mode causal]
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CANDIDATES = ("render", "restyle", "transcode")


def render(video: Path, folder: Path, mode: str) -> None:
    """Render, and keep evidence."""
    import streamcam

    settings = streamcam.RenderSettings(
        temporal=streamcam.TemporalSettings(mode=mode), evidence=folder / "kept.h5", overwrite=True
    )
    streamcam.render(video, folder / "out.mp4", streamcam.Explainer(), settings=settings)


def restyle(video: Path, folder: Path, mode: str) -> None:
    """Draw it again with another color map."""
    import streamcam

    settings = streamcam.RenderSettings(
        temporal=streamcam.TemporalSettings(mode=mode),
        overlay=streamcam.OverlaySettings(colormap="jet"),
        overwrite=True,
    )
    streamcam.restyle(video, folder / "kept.h5", folder / "out.mp4", settings=settings)


def transcode(video: Path, folder: Path, _mode: str) -> None:
    """Read and write."""
    from streamcam.explanations import RenderedFrame
    from streamcam.media.images import blank_like, planes_of
    from streamcam.sinks import open_sink
    from streamcam.sources import open_source

    with (
        open_source(video) as source,
        open_sink(folder / "out.mp4", source.info, overwrite=True) as sink,
    ):
        for frame in source:
            fresh = blank_like(frame.image)
            for target, plane in zip(planes_of(fresh), planes_of(frame.image), strict=True):
                target[:] = plane
            sink.write(RenderedFrame(fresh, frame.pts, frame.time_base, duration=frame.duration))


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--smoothing-mode", default="flow-zero-phase")
    parser.add_argument("--candidate", choices=CANDIDATES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.candidate:
        began_s = time.perf_counter()
        run = {"render": render, "restyle": restyle, "transcode": transcode}[given.candidate]
        run(given.video, given.folder, given.smoothing_mode)
        used = resource.getrusage(resource.RUSAGE_SELF)
        print(json.dumps([time.perf_counter() - began_s, used.ru_utime + used.ru_stime]))
        return
    seconds: dict[str, list[list[float]]] = {name: [] for name in CANDIDATES}
    with tempfile.TemporaryDirectory() as folder:
        for _, name in itertools.product(range(given.repeats), CANDIDATES):
            command = [sys.executable, __file__, str(given.video), "--candidate", name, "--folder", folder]
            command += ["--smoothing-mode", given.smoothing_mode]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            seconds[name].append(json.loads(done.stdout.splitlines()[-1]))
    print("| | wall, s | processor, s | wall against transcode | processor against transcode |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, runs in seconds.items():
        wall, processor = zip(*runs, strict=True)
        ratios = [
            [plain[column] / mine[column] for mine, plain in zip(runs, seconds["transcode"], strict=True)]
            for column in (0, 1)
        ]
        spread = f"{statistics.median(wall):.1f} ({min(wall):.1f} to {max(wall):.1f})"
        columns = [spread, f"{statistics.median(processor):.1f}"]
        columns += [f"{statistics.median(each):.2f}" for each in ratios]
        print(f"| {name} | {' | '.join(columns)} |")


if __name__ == "__main__":
    main()
