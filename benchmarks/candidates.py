"""The ways to render a video that benchmarks compare: streamcam, a plain transcode, and the usual loops.

Each makes a video of another, or of its beginning, and returns the number of its frames.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

INPUT_SIDE = 224
VIDEO_RATE = 25
DEFAULT_MODEL = "efficientnet_lite0"
TRIED = 3
"""Frames by which the peers' faster memory format is found."""

STREAMCAM: dict[str, dict[str, Any]] = {
    "streamcam": {},
    "every-auto": {},
    "int8": {"precision": "int8"},
    "int8-every-auto": {"precision": "int8"},
}
"""Name of a candidate of streamcam → settings of its explainer, as `streamcam render` chooses them."""


def run_streamcam(
    video: Path, output: Path, explainer: Any, frames: int, settings: argparse.Namespace
) -> int:
    """Render, as ``streamcam render`` does."""
    import streamcam
    from streamcam.sources import SourceSettings

    every = "auto" if settings.worker.endswith("every-auto") else 1
    result = streamcam.render(
        video,
        output,
        explainer,
        settings=streamcam.RenderSettings(
            source=SourceSettings(hwaccel=settings.hwaccel, end_s=float((frames - 0.5) / VIDEO_RATE)),
            temporal=streamcam.TemporalSettings(every=every),
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


RUN: dict[str, Callable[[Path, Path, Any, int, argparse.Namespace], int]] = {
    **dict.fromkeys(STREAMCAM, run_streamcam),
    "transcode": run_transcode,
    "pytorch-grad-cam": run_pytorch_grad_cam,
    "torch-cam": run_torch_cam,
}
"""Name of a candidate → what runs it."""

PEERS = ("pytorch-grad-cam", "torch-cam")


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


def use_best_format(explainer: Any, run: Callable[[int], int]) -> None:
    """Give a peer's network the memory format in which it is faster; it has all cores anyway.

    Args:
        explainer: Holds the network.
        run: Runs the peer over so many frames.
    """
    import torch

    module, taken = explainer.model.module, {}
    for memory_format in (torch.channels_last, torch.contiguous_format):
        module.to(memory_format=memory_format)
        run(1)
        began_s = time.perf_counter()
        run(TRIED)
        taken[memory_format] = time.perf_counter() - began_s
    module.to(memory_format=min(taken, key=lambda each: taken[each]))


def reshape_of(explainer: Any) -> Callable[[Any], Any] | None:
    """Return the peers' argument for the layout of a network's features, where they need one."""
    return reshape_tokens if explainer.model.name.startswith("vit") else None


def reshape_tokens(tokens: Any) -> Any:
    """Fold a vision transformer's patches back into their grid, for the peers."""
    patches = tokens[:, 1:]
    side = int(patches.shape[1] ** 0.5)
    return patches.reshape(len(patches), side, side, -1).permute(0, 3, 1, 2)


def make_explainer(settings: argparse.Namespace, **more: Any) -> Any:
    """Build the explainer of a candidate: untrained where the weights would have to be downloaded.

    Streamcam's own is what the command runs: compiled, where that is possible.
    """
    model = {"name": settings.model, "weights": "default" if settings.model == DEFAULT_MODEL else "none"}
    chosen: dict[str, Any] = {
        "fit": "stretch",
        "device": settings.device,
        "backend": settings.backend,
        "precision": settings.precision,
        **STREAMCAM.get(settings.worker, {}),
        **more,
    }
    if settings.worker in PEERS:
        from streamcam import Explainer, load_model

        return Explainer(load_model(**model), **{**chosen, "backend": "torch"})
    if chosen["precision"] == "int8":
        chosen["calibration"] = settings.video
        if model["weights"] == "none":
            trust_int8()
    from streamcam.explain.compiled.loading import load_explainer

    return load_explainer(model, chosen)


def trust_int8() -> None:
    """Let int8 pass for an untrained network: its time counts, and its maps mean nothing in any precision."""
    from streamcam.explain.backends.quantization import Fidelity

    Fidelity.holds = property(lambda _self: True)  # type: ignore[assignment]


def in_torch(explainer: Any) -> Any:
    """Return the explainer in torch of one that may be compiled."""
    from streamcam.explain.compiled.explainer import CompiledExplainer

    return explainer.in_torch() if isinstance(explainer, CompiledExplainer) else explainer


def scaled_video(video: Path, height: int, frames: int, folder: Path) -> Path:
    """Make a case's video: so high, so long, silent."""
    import av

    path = folder / f"{video.stem}-{height}.mp4"
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
