"""Measure how fast videos are rendered, compared with the usual loops.

For every case the candidates run in turn, each in its own process, several times: streamcam, a plain
transcode with the same encoder settings, the usual loop (OpenCV reads, a library explains every frame with a
full backward pass, OpenCV writes), and each of streamcam's stages, for the processor time that it takes
alone. Cores divided by the sum of these is the bound: no overlap of the stages can be faster. Prints medians
with their spread, and ratios within the run, because machines differ and shared ones drift. Beside the stages
stands the machine's roofline, measured in the same process, and the share of it that explaining reaches.

    python benchmarks/throughput.py VIDEO [--model resnet50 …] [--height 432 …] [--repeats 3] [--frames 200]
        [--json FILE]

The peers are installed by scripts/test (tests/support/peers.txt).
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from candidates import (
    PEERS,
    RUN,
    encoder,
    in_torch,
    make_explainer,
    scaled_video,
    use_best_format,
)
from figures import add_json_option, machine, write_figures
from roofline import memory_gb_s, network_gflop, peak_gflops

MODELS = ("efficientnet_lite0", "resnet50", "vgg16", "vit_b_16")
STAGES = ("read", "explain", "stabilize", "draw", "write")
CANDIDATES = (*RUN, "stages")
USUAL = ("streamcam", "stages", "transcode", *PEERS)
"""The candidates that are compared if none is named."""
WARM_UP = 10
STAGE_FRAMES = 64
WARM_UP_ON_GPUS = 64
"""There a batch is of up to sixteen frames, and recorded when it comes for the third time."""


def stages_apart(video: Path, output: Path, settings: argparse.Namespace) -> dict[str, float]:
    """Run each of streamcam's stages alone over the same frames; return their CPU milliseconds a frame."""
    from streamcam.explanations import RenderedFrame
    from streamcam.overlay import Overlay
    from streamcam.sinks import open_sink
    from streamcam.sources import SourceSettings, open_source
    from streamcam.temporal import Stabilizer, stabilize

    explainer, overlay = make_explainer(settings), Overlay()
    with open_source(video, SourceSettings(hwaccel=settings.hwaccel)) as source:
        info, every_frame = source.info, iter(source)
        warm_up = list(itertools.islice(every_frame, warm_up_frames(settings)))
        explanations = explainer.explain_frames(warm_up)
        for ready in stabilize(zip(warm_up, explanations, strict=True), Stabilizer()):
            overlay.draw(ready)
        clock = StageClock()
        frames = clock.measure("read", lambda: list(itertools.islice(every_frame, STAGE_FRAMES)))
    explanations = clock.measure("explain", lambda: explainer.explain_frames(frames))
    pairs = list(zip(frames, explanations, strict=True))
    stabilized = clock.measure("stabilize", lambda: list(stabilize(pairs, Stabilizer())))
    images = [overlay.draw(ready) for ready in stabilized]

    def draw() -> None:
        for ready in stabilized:  # images that are given up at once, as a render's are: memory is at hand
            overlay.draw(ready)

    clock.measure("draw", draw)
    rendered = [
        RenderedFrame(image, frame.pts, frame.time_base) for image, frame in zip(images, frames, strict=True)
    ]

    def write() -> None:
        with open_sink(output, info, settings=encoder(settings), overwrite=True) as sink:
            for frame in rendered:
                sink.write(frame)
            sink.finish()

    clock.measure("write", write)
    taken = {stage: 1000 * cpu_s / len(frames) for stage, cpu_s in clock.cpu_s.items()}
    if settings.device != "cpu":  # whose own time no processor's clock tells
        taken["explain, all"] = 1000 * clock.wall_s["explain"] / len(frames)
        return taken
    precision = explainer.precision
    roof = {
        "peak": peak_gflops(precision),
        "memory": memory_gb_s(),
        "gflop": network_gflop(in_torch(explainer)),
    }
    # Forward alone: gradients, and what is not the network's, come on top.
    reached = roof["gflop"] / (taken["explain"] / 1000 / cores())
    return {**taken, **roof, "share": 100 * reached / roof["peak"]}


class StageClock:
    """Adds up the processor time of this process, all its threads included, by stage; and time itself."""

    def __init__(self) -> None:
        self.cpu_s: dict[str, float] = {}
        self.wall_s: dict[str, float] = {}

    def measure(self, stage: str, work: Callable[[], Any]) -> Any:
        """Run one stage and keep its time."""
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        result = work()
        self.cpu_s[stage] = time.process_time() - began_cpu_s
        self.wall_s[stage] = time.perf_counter() - began_s
        return result


# --- Measuring ---------------------------------------------------------------------------------------------


def work(settings: argparse.Namespace) -> None:
    """Run one candidate in this process and print what it took."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "out.mp4"
        if settings.worker == "stages":
            result = stages_apart(settings.video, output, settings)
        else:
            explainer = None if settings.worker == "transcode" else make_explainer(settings)

            def run(frames: int) -> int:
                return RUN[settings.worker](settings.video, output, explainer, frames, settings)

            result = timed(run, explainer, settings)
            if explainer is not None and "int8" in settings.worker and explainer.precision != "int8":
                raise SystemExit(f"int8 is not used: {explainer.notes}")
    result["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(result))


def warm_up_frames(settings: argparse.Namespace) -> int:
    """Return how many frames to skip: the first ones include compiling, allocating and graph capture."""
    return WARM_UP if settings.device == "cpu" else WARM_UP_ON_GPUS


def timed(run: Callable[[int], int], explainer: Any, settings: argparse.Namespace) -> dict[str, float]:
    """Measure a run over the whole video, from opening it to the finished one, after one over its beginning.

    Stages work ahead of each other: at its tenth frame a run has done a part of the rest already.
    """
    if settings.worker in PEERS:
        use_best_format(explainer, run)
    else:
        run(warm_up_frames(settings))
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    count = run(settings.frames)
    wall_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    return {"fps": count / wall_s, "cpu_ms": 1000 * cpu_s / count}


def measure(candidate: str, video: Path, model: str, settings: argparse.Namespace) -> dict[str, float]:
    """Run one candidate in a process of its own.

    Raises:
        SystemExit: if it fails.
    """
    command = [sys.executable, __file__, str(video), "--worker", candidate, "--model", model]
    command += ["--frames", str(settings.frames)]
    command += ["--device", settings.device, "--backend", settings.backend, "--precision", settings.precision]
    command += ["--hwaccel", settings.hwaccel, *(["--codec", settings.codec] if settings.codec else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{candidate} failed on {model}: {' '.join(done.stderr.strip().splitlines()[-1:])}")
    result: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def spread(values: list[float]) -> str:
    """Median, and the smallest and largest."""
    return f"{statistics.median(values):.1f} ({min(values):.1f}-{max(values):.1f})"


def bench(settings: argparse.Namespace) -> None:
    """Measure every case and print a table."""
    print(f"Machine: {machine()}, {platform.system()}")
    print(f"Command: python benchmarks/throughput.py {' '.join(sys.argv[1:])}\n")
    print("| model | video | candidate | fps | CPU ms a frame | peak MB | streamcam is |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    figures: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for height in settings.height:
            video = scaled_video(settings.video, height, settings.frames, Path(folder))
            for model in settings.model:
                runs: dict[str, list[dict[str, float]]] = {name: [] for name in settings.candidate}
                for _ in range(settings.repeats):
                    for name in settings.candidate:  # in turn, so that all meet the same weather
                        runs[name].append(measure(name, video, model, settings))
                report(model, f"{height}p", runs)
                for name, results in runs.items():
                    for key in results[0]:
                        figures[f"{model} {height}p {name} {key}"] = [run[key] for run in results]
    write_figures(settings.json, figures)


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def report(model: str, video: str, runs: dict[str, list[dict[str, float]]]) -> None:
    """Print the rows of one case."""
    ours = runs.get("streamcam")
    for name, results in runs.items():
        ratio = ""
        if name == "stages":
            for run in results:
                run["cpu_ms"] = sum(run[stage] for stage in STAGES)
                run["fps"] = min(1000 * cores() / run["cpu_ms"], 1000 / run.get("explain, all", 1e-9))
        if ours and name != "streamcam":
            pairs = [one["fps"] / other["fps"] for one, other in zip(ours, results, strict=True)]
            ratio = f"{statistics.median(pairs):.2f}x ({min(pairs):.2f}-{max(pairs):.2f})"
        figures = [spread([run[key] for run in results]) for key in ("fps", "cpu_ms", "peak_mb")]
        called = "bound" if name == "stages" else name
        print(f"| {model} | {video} | {called} | {' | '.join(figures)} | {ratio} |", flush=True)
    if "stages" in runs:
        parts = [f"{stage} {spread([run[stage] for run in runs['stages']])}" for stage in STAGES]
        print(f"| {model} | {video} | of it, CPU ms a frame | | {', '.join(parts)} | | |", flush=True)
        if "peak" in runs["stages"][0]:
            peak, memory, share = (
                spread([run[key] for run in runs["stages"]]) for key in ("peak", "memory", "share")
            )
            print(
                f"| {model} | {video} | roofline | | {peak} GFLOP/s of the fastest product or convolution, "
                f"{memory} GB/s of memory; explaining reaches {share} % of the first | | |",
                flush=True,
            )


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("video", type=Path, help="any video; it is scaled and cut for each case")
    parser.add_argument("--model", action="append", help=f"default: {', '.join(MODELS)}")
    parser.add_argument(
        "--height", action="append", type=int, help="lines of the video; default: 432 and 1080"
    )
    parser.add_argument(
        "--candidate", action="append", choices=CANDIDATES, help=f"default: {', '.join(USUAL)}"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--frames", type=int, default=200, help="as many as the video has, at most")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--codec", help="as of streamcam render; default: libx264, preset veryfast")
    parser.add_argument("--hwaccel", default="none", help="as of streamcam render")
    add_json_option(parser)
    parser.add_argument("--worker", choices=CANDIDATES, help=argparse.SUPPRESS)
    settings = parser.parse_args()
    if settings.worker:
        settings.model = settings.model[0]
        work(settings)
        return
    settings.model = settings.model or list(MODELS)
    settings.height = settings.height or [432, 1080]
    settings.candidate = settings.candidate or list(USUAL)
    bench(settings)


if __name__ == "__main__":
    main()
