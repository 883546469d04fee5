"""Measure the cost of an explanation relative to the network's forward pass, on a GPU or, to compare, a CPU.

Three numbers, each with its goal: the time from pixels in memory to maps in memory relative to the bare
forward pass at the same batch size and precision; the time of one 224x224 image with its map through
ResNet-50; and the speed of rendering a video relative to transcoding it with the same decoder and encoder.

    python benchmarks/gpu.py VIDEO [--device cuda] [--model resnet50] [--batch 16] [--codec auto]

Networks are untrained. The bare forward pass has its input on the device; the explanation transfers it.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from candidates import make_explainer, scaled_video
from throughput import measure, spread

from streamcam import Explainer

SIDE = 224
ROUNDS = 5
"""Measured in turn, so that all meet the same weather."""


def settle(device: torch.device) -> None:
    """Wait for what a device has been given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def milliseconds(work: Callable[[], object], device: torch.device, times: int) -> list[float]:
    """Do work so often, one after the other, each until the device is done."""
    taken = []
    for _ in range(times):
        settle(device)
        began_s = time.perf_counter()
        work()
        settle(device)
        taken.append(1000 * (time.perf_counter() - began_s))
    return taken


def images(count: int) -> np.ndarray:
    """Make noise, uint8 (count, SIDE, SIDE, 3)."""
    return np.random.default_rng(0).integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)


def stage_of(explainer: Explainer, pixels: np.ndarray) -> Callable[[], object]:
    """Make the CAM stage for the most probable class of each image of a batch."""

    def stage() -> object:
        with torch.inference_mode(False):
            run = explainer._run(pixels)
            best = run.scores.cpu().argsort(dim=1, descending=True)
            return run.maps([target.objective(best) for target in explainer.targets])

    return stage


def forward_of(explainer: Explainer, pixels: np.ndarray) -> Callable[[], object]:
    """Make the bare forward pass of the same network in the same precision."""
    network, inputs = explainer.runner.map_maker.network, explainer._preprocessor.prepare(pixels)

    def forward() -> object:
        with torch.inference_mode():
            return network.forward(inputs)

    return forward


def recorded(work: Callable[[], object], device: torch.device) -> Callable[[], object]:
    """Have a forward pass repeated as a CUDA graph, the strictest thing to compare with."""
    beside = torch.cuda.Stream(device)
    beside.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(beside):
        for _ in range(3):
            work()
    torch.cuda.current_stream(device).wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        kept = work()
    return lambda: (graph.replay(), kept)


def bench_stage(settings: argparse.Namespace) -> None:
    """Print the CAM stage beside the forward pass."""
    explainer = make_explainer(settings, backend="torch", batch_size=settings.batch)
    device, pixels = explainer.device, images(settings.batch)
    works = {"forward pass": forward_of(explainer, pixels), "CAM stage": stage_of(explainer, pixels)}
    if device.type == "cuda":
        works["forward pass, recorded"] = recorded(works["forward pass"], device)
    for work in works.values():
        milliseconds(work, device, 5)  # until the batch has been recorded
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            taken[name].append(statistics.median(milliseconds(work, device, settings.times)))
    print(f"CAM stage: {settings.model} in {explainer.precision}, batches of {settings.batch}, {SIDE}x{SIDE}")
    print(f"  {explainer.backend_reason}")
    for name, values in taken.items():
        pairs = zip(taken["CAM stage"], values, strict=True)
        ratio = "" if name == "CAM stage" else f"; the CAM stage takes {spread_2([a / b for a, b in pairs])}x"
        print(f"  {name}: {spread_2(values)} ms{ratio}")
    print("  goal on an NVIDIA GPU: at most 1.05x the forward pass\n")


def bench_image(settings: argparse.Namespace) -> None:
    """Print how long a single image takes, all included."""
    explainer = make_explainer(argparse.Namespace(**{**vars(settings), "model": "resnet50"}), batch_size=1)
    image = images(1)[0]

    def explain() -> object:
        return explainer.explain([image])

    milliseconds(explain, explainer.device, 10)
    taken = milliseconds(explain, explainer.device, 5 * settings.times)
    worst = sorted(taken)[int(0.99 * len(taken))]
    print(f"One {SIDE}x{SIDE} image: resnet50 on {explainer.backend} in {explainer.precision}")
    print(f"  {explainer.backend_reason}")
    print(f"  with its map: {statistics.median(taken):.2f} ms, 99th percentile {worst:.2f} ms")
    print("  goal on an NVIDIA GPU: at most 2 ms\n")


def bench_render(settings: argparse.Namespace) -> None:
    """Print rendering beside a plain transcode."""
    with tempfile.TemporaryDirectory() as folder:
        video = scaled_video(settings.video, settings.height, settings.frames, Path(folder))
        runs: dict[str, list[float]] = {"streamcam": [], "transcode": []}
        for _ in range(settings.repeats):
            for name, speeds in runs.items():
                speeds.append(measure(name, video, settings.model, settings)["fps"])
    ratios = [ours / plain for ours, plain in zip(*runs.values(), strict=True)]
    print(f"Rendering: {settings.model}, {settings.height}p, --codec {settings.codec or 'libx264'}")
    print(f"  {spread(runs['streamcam'])} fps, a transcode {spread(runs['transcode'])}: {spread_2(ratios)}x")
    print("  goal on an NVIDIA GPU: at least 0.95x")


def spread_2(values: list[float]) -> str:
    """Median, and the smallest and largest, to two places."""
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.set_defaults(worker="streamcam")
    parser.add_argument("video", type=Path, nargs="?", help="any video; without one nothing is rendered")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--model", default="resnet50")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--times", type=int, default=20, help="runs of a batch in each of five rounds")
    parser.add_argument("--height", type=int, default=1080)
    parser.add_argument("--frames", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--codec", help="as of streamcam render, for both")
    parser.add_argument("--hwaccel", default="none", help="likewise")
    settings = parser.parse_args()
    print(f"Command: python benchmarks/gpu.py {' '.join(sys.argv[1:])}")
    explainer_device = make_explainer(settings, backend="torch", batch_size=1).device
    if explainer_device.type == "cuda":
        print(f"Device: {torch.cuda.get_device_name(explainer_device)}, torch {torch.__version__}\n")
    else:
        print(f"Device: {explainer_device}, torch {torch.__version__}: no NVIDIA GPU, so no target applies\n")
    bench_stage(settings)
    bench_image(settings)
    if settings.video is not None:
        bench_render(settings)


if __name__ == "__main__":
    main()
