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
from fractions import Fraction
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from figures import add_json_option, machine, write_figures
from roofline import memory_gb_s, network_gflop, peak_gflops

MODELS = ("efficientnet_lite0", "resnet50", "vgg16", "vit_b_16")
STAGES = ("read", "explain", "stabilize", "draw", "write")
CANDIDATES = ("streamcam", "stages", "transcode", "pytorch-grad-cam", "torch-cam")
INPUT_SIDE = 224
VIDEO_RATE = 25
WARM_UP = 10
STAGE_FRAMES = 64
WARM_UP_ON_GPUS = 64
"""There a batch is of up to sixteen frames, and recorded when it comes for the third time."""

# --- Candidates: each makes a video of another, or of its beginning, and returns the number of its frames --


def run_streamcam(
    video: Path, output: Path, explainer: Any, frames: int, settings: argparse.Namespace
) -> int:
    """Render, as ``streamcam render`` does."""
    import streamcam
    from streamcam.sources import SourceSettings

    result = streamcam.render(
        video,
        output,
        explainer,
        settings=streamcam.RenderSettings(
            source=SourceSettings(hwaccel=settings.hwaccel, end_s=float((frames - 0.5) / VIDEO_RATE)),
            encoder=encoder(settings),
            overwrite=True,
        ),
    )
    return int(result.frames)


def run_transcode(
    video: Path, output: Path, _explainer: Any, frames: int, settings: argparse.Namespace
) -> int:
    """Read and write, with the same encoder settings and nothing in between."""
    from streamcam.explanations import RenderedFrame
    from streamcam.media.images import blank_like, planes_of
    from streamcam.sinks import open_sink
    from streamcam.sources import SourceSettings, open_source

    count = 0
    with (
        open_source(video, SourceSettings(hwaccel=settings.hwaccel)) as source,
        open_sink(output, source.info, settings=encoder(settings), overwrite=True) as sink,
    ):
        for frame in itertools.islice(source, frames):
            fresh = blank_like(frame.image)
            for target, plane in zip(planes_of(fresh), planes_of(frame.image), strict=True):
                target[:] = plane
            sink.write(RenderedFrame(fresh, frame.pts, frame.time_base))
            count += 1
    return count


def encoder(settings: argparse.Namespace) -> Any:
    """Return the encoder settings."""
    from streamcam.media.encoders import EncoderSettings

    if settings.codec is None:
        return EncoderSettings(preset="veryfast")
    return EncoderSettings(settings.codec)


def run_pytorch_grad_cam(
    video: Path, output: Path, explainer: Any, frames: int, _settings: argparse.Namespace
) -> int:
    """Run the usual loop with pytorch-grad-cam."""
    from pytorch_grad_cam import GradCAM

    module = explainer.model.module
    layers = [module.get_submodule(explainer.target_layer)]
    with GradCAM(model=module, target_layers=layers, reshape_transform=reshape_of(explainer)) as peer:
        return usual_loop(video, output, explainer, frames, lambda inputs: peer(inputs, None)[0])


def run_torch_cam(
    video: Path, output: Path, explainer: Any, frames: int, _settings: argparse.Namespace
) -> int:
    """Run the usual loop with torch-cam."""
    from torchcam.methods import GradCAM

    module = explainer.model.module
    with GradCAM(module, explainer.target_layer, reshape_transform=reshape_of(explainer)) as peer:

        def explain(inputs: Any) -> Any:
            scores = module(inputs)
            return peer(int(scores.argmax()), scores)[0][0].cpu().numpy()

        return usual_loop(video, output, explainer, frames, explain)


def usual_loop(video: Path, output: Path, explainer: Any, frames: int, explain: Callable[[Any], Any]) -> int:
    """OpenCV reads, ``explain`` makes a map of every frame, OpenCV writes."""
    import cv2
    import numpy as np
    from pytorch_grad_cam.utils.image import show_cam_on_image

    reader = cv2.VideoCapture(str(video))
    size = (int(reader.get(cv2.CAP_PROP_FRAME_WIDTH)), int(reader.get(cv2.CAP_PROP_FRAME_HEIGHT)))
    rate = reader.get(cv2.CAP_PROP_FPS)
    writer = cv2.VideoWriter(str(output), cv2.VideoWriter.fourcc(*"mp4v"), rate, size)
    count = 0
    while count < frames:
        has_frame, bgr = reader.read()
        if not has_frame:
            break
        rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        inputs = explainer.preprocess(cv2.resize(rgb, (INPUT_SIDE, INPUT_SIDE)))
        heat = cv2.resize(explain(inputs), size)
        shown = show_cam_on_image(np.float32(rgb) / 255, heat, use_rgb=True)
        writer.write(cv2.cvtColor(shown, cv2.COLOR_RGB2BGR))
        count += 1
    writer.release()
    return count


def reshape_of(explainer: Any) -> Callable[[Any], Any] | None:
    """Return the peers' argument for the layout of a network's features, where they need one."""
    return reshape_tokens if explainer.model.name.startswith("vit") else None


def reshape_tokens(tokens: Any) -> Any:
    """Fold a vision transformer's patches back into their grid, for the peers."""
    patches = tokens[:, 1:]
    side = int(patches.shape[1] ** 0.5)
    return patches.reshape(len(patches), side, side, -1).permute(0, 3, 1, 2)


def make_explainer(settings: argparse.Namespace, **more: Any) -> Any:
    """Build the explainer of a case: untrained where the weights would have to be downloaded."""
    import torch

    from streamcam import Explainer, load_model

    torch.manual_seed(0)
    weights = "default" if settings.model == "efficientnet_lite0" else "none"
    return Explainer(
        load_model(settings.model, weights=weights),
        fit="stretch",
        device=settings.device,
        **{"backend": settings.backend, "precision": settings.precision, **more},
    )


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
    images = clock.measure("draw", lambda: [overlay.draw(ready) for ready in stabilized])
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
    roof = {"peak": peak_gflops(precision), "memory": memory_gb_s(), "gflop": network_gflop(explainer)}
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
            backend = {} if settings.worker == "streamcam" else {"backend": "torch"}
            explainer = None if settings.worker == "transcode" else make_explainer(settings, **backend)
            run = {
                "streamcam": run_streamcam,
                "transcode": run_transcode,
                "pytorch-grad-cam": run_pytorch_grad_cam,
                "torch-cam": run_torch_cam,
            }[settings.worker]
            result = timed(lambda frames: run(settings.video, output, explainer, frames, settings), settings)
    result["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(result))


def warm_up_frames(settings: argparse.Namespace) -> int:
    """Return how many frames to skip: the first ones include compiling, allocating and graph capture."""
    return WARM_UP if settings.device == "cpu" else WARM_UP_ON_GPUS


def timed(run: Callable[[int], int], settings: argparse.Namespace) -> dict[str, float]:
    """Measure a run over the whole video, from opening it to the finished one, after one over its beginning.

    Stages work ahead of each other: at its tenth frame a run has done a part of the rest already.
    """
    run(warm_up_frames(settings))
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    count = run(settings.frames)
    wall_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    return {"fps": count / wall_s, "cpu_ms": 1000 * cpu_s / count}


def measure(candidate: str, video: Path, model: str, settings: argparse.Namespace) -> dict[str, float]:
    """Run one candidate in a process of its own."""
    command = [sys.executable, __file__, str(video), "--worker", candidate, "--model", model]
    command += ["--frames", str(settings.frames)]
    command += ["--device", settings.device, "--backend", settings.backend, "--precision", settings.precision]
    command += ["--hwaccel", settings.hwaccel, *(["--codec", settings.codec] if settings.codec else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{candidate} failed on {model}: {done.stderr.strip().splitlines()[-1:]}")
    result: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def scaled_video(video: Path, height: int, frames: int, folder: Path) -> Path:
    """Make the case's video: so high, so long, silent."""
    import av

    path = folder / f"{height}.mp4"
    with av.open(str(video)) as source, av.open(str(path), "w") as target:
        stream = source.streams.best("video")
        width = round(stream.width * height / stream.height / 2) * 2
        written = target.add_stream("libx264", rate=VIDEO_RATE, options={"crf": "20"})
        written.width, written.height, written.pix_fmt = width, height, "yuv420p"
        for index, frame in enumerate(source.decode(stream)):
            if index == frames:
                break
            image = frame.reformat(width, height, "yuv420p")
            image.pts, image.time_base = index, Fraction(1, VIDEO_RATE)
            target.mux(written.encode(image))
        target.mux(written.encode(None))
    return path


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
                f"| {model} | {video} | roofline | | {peak} GFLOP/s of a matrix product, {memory} GB/s of "
                f"memory; explaining reaches {share} % of the first | | |",
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
    parser.add_argument("--candidate", action="append", choices=CANDIDATES, help="default: all")
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
    settings.candidate = settings.candidate or list(CANDIDATES)
    bench(settings)


if __name__ == "__main__":
    main()
