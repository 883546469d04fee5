"""Choosing what runs the backbone."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch

from streamcam.errors import InvalidArgumentError, unknown_name
from streamcam.explain.backends.cache import ModelCache
from streamcam.explain.backends.openvino import load_backbone
from streamcam.explain.backends.runtime import available
from streamcam.explain.backends.split import split_network
from streamcam.explain.backends.split_network import SplitNetwork
from streamcam.explain.methods import HEAD_ONLY, Method
from streamcam.models import Classifier, Layer

BACKENDS = ("auto", "openvino", "torch")
"""What ``--backend`` takes."""


@dataclasses.dataclass(frozen=True, slots=True)
class BackendRequest:
    """What is to be run, where and how."""

    classifier: Classifier
    """On its device."""
    layers: Sequence[Layer]
    """The layers to explain."""
    method: Method
    """What the map is computed with."""
    device: torch.device
    """Where torch computes."""
    backend_device: str
    """OpenVINO's name of its own device."""
    precisions: Sequence[str]
    """What the backbone computes in, the preferred one first; all but the last must prove their worth."""
    size: tuple[int, int]
    """(H, W) of the input."""
    batch_size: int
    """How many images go through at once."""
    cache: Path | None
    """Where converted networks are kept."""


def choose_backend(backend: str, request: BackendRequest) -> tuple[SplitNetwork | None, str]:
    """Set up the backend asked for.

    Args:
        backend: A name in `BACKENDS`.
        request: What is to be run.

    Returns:
        The network with its backbone on an backend, or None to leave it whole in torch; and why.

    Raises:
        UnknownNameError: if there is no such backend.
        InvalidArgumentError: if OpenVINO is asked for by name and cannot be had for this.
    """
    if backend not in BACKENDS:
        raise unknown_name("backend", backend, BACKENDS)
    if backend == "torch":
        return None, "torch was asked for"
    network, reason = _try_openvino(request)
    if network is None and backend == "openvino":
        raise InvalidArgumentError(
            f"`backend='openvino'` cannot be used here: {reason}; use `backend='auto'`"
        )
    return network, reason


def _try_openvino(request: BackendRequest) -> tuple[SplitNetwork | None, str]:
    if request.device.type != "cpu":
        return None, f"torch runs on {request.device.type}"
    if not available():
        return None, "openvino is not installed"
    deeper = set(request.method.needs) - HEAD_ONLY
    if deeper:
        return None, f"the method needs the whole network in torch (its {', '.join(sorted(deeper))})"
    if len(request.layers) != 1:
        return None, "several layers are explained at once"
    halves = split_network(request.classifier.module, request.layers[0].name)
    if halves is None:
        return None, "the network cannot be cut at the target layer"
    store = None if request.cache is None else ModelCache(request.cache, halves.backbone)
    backbone = load_backbone(
        halves.backbone,
        request.classifier.input,
        size=request.size,
        device=request.backend_device,
        cache=store,
    )
    if backbone is None:
        return None, "OpenVINO cannot convert the network"
    network = SplitNetwork(
        request.classifier,
        request.layers[0],
        halves,
        [backbone.in_precision(name) for name in request.precisions],
        request.batch_size,
    )
    network.drop_imprecise(request.size, store)
    return network, f"the backbone runs on OpenVINO in {network.precision}"
