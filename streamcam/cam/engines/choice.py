"""Choosing what runs the backbone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from streamcam.cam.engines.openvino import load_backbone
from streamcam.cam.engines.runtime import available
from streamcam.cam.engines.split import split_network
from streamcam.cam.engines.split_network import SplitNetwork
from streamcam.cam.methods import Method
from streamcam.errors import InvalidArgumentError, unknown_name
from streamcam.models import Classifier, Layer

ENGINES = ("auto", "openvino", "torch")
"""What ``--engine`` takes."""

_HEAD_ONLY = {"activations", "gradients", "curvature"}
"""What methods may look at when the backbone is not in torch."""

_PRECISIONS = {torch.float32: "f32", torch.bfloat16: "bf16", torch.float16: "f16"}


def choose_engine(
    engine: str,
    classifier: Classifier,
    layers: Sequence[Layer],
    method: Method,
    *,
    device: torch.device,
    engine_device: str,
    dtype: torch.dtype,
    size: Sequence[int],
    batch_size: int,
    cache: Path | None,
) -> tuple[SplitNetwork | None, str]:
    """Set up the engine asked for.

    Args:
        engine: A name in `ENGINES`.
        classifier: On its device.
        layers: The layers to explain.
        method: What the map is computed with.
        device: Where torch computes.
        engine_device: OpenVINO's name of its own device.
        dtype: What the backbone computes in.
        size: (H, W) of the input.
        batch_size: How many pictures go through at once.
        cache: Where converted networks are kept.

    Returns:
        The network with its backbone on an engine, or None to leave it whole in torch; and why.

    Raises:
        UnknownNameError: if there is no such engine.
        InvalidArgumentError: if OpenVINO is asked for by name and cannot be had for this.
    """
    if engine not in ENGINES:
        raise unknown_name("engine", engine, ENGINES)
    if engine == "torch":
        return None, "torch was asked for"
    network, reason = _try_openvino(
        classifier, layers, method, device, engine_device, dtype, size, batch_size, cache
    )
    if network is None and engine == "openvino":
        raise InvalidArgumentError(f"--engine openvino cannot be used here: {reason}; use --engine auto")
    return network, reason


def _try_openvino(
    classifier: Classifier,
    layers: Sequence[Layer],
    method: Method,
    device: torch.device,
    engine_device: str,
    dtype: torch.dtype,
    size: Sequence[int],
    batch_size: int,
    cache: Path | None,
) -> tuple[SplitNetwork | None, str]:
    if device.type != "cpu":
        return None, f"torch runs on {device.type}"
    if not available():
        return None, "openvino is not installed"
    deeper = set(method.needs) - _HEAD_ONLY
    if deeper:
        return None, f"the method needs the whole network in torch (its {', '.join(sorted(deeper))})"
    if len(layers) != 1:
        return None, "several layers are explained at once"
    halves = split_network(classifier.module, layers[0].name)
    if halves is None:
        return None, "the network cannot be cut at the target layer"
    backbone = load_backbone(
        halves.backbone,
        classifier.input,
        size=size,
        device=engine_device,
        precision=_PRECISIONS[dtype],
        cache=cache,
    )
    if backbone is None:
        return None, "OpenVINO cannot convert the network"
    return SplitNetwork(classifier, halves, backbone, batch_size), "the backbone runs on OpenVINO"
