"""Choose what runs the backbone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from streamcam.errors import InvalidArgumentError, unknown_name
from streamcam.explain.backends.conversion import load_backbone
from streamcam.explain.backends.model_cache import ModelCache
from streamcam.explain.backends.split import split_network
from streamcam.explain.backends.split_network import SplitNetwork
from streamcam.explain.calibration import Calibration
from streamcam.explain.methods import HEAD_ONLY, Method
from streamcam.models import Layer, Model
from streamcam.models.comparison import PairModel
from streamcam.models.openvino_runtime import available

BACKENDS = ("auto", "openvino", "torch")
"""Values of the parameter ``backend``."""


@dataclasses.dataclass(frozen=True, slots=True)
class BackendRequest:
    """The task that a backend is chosen for."""

    model: Model
    """The model, on its device."""
    layers: Sequence[Layer]
    """The target layers."""
    method: Method
    device: torch.device
    """Torch's device."""
    backend_device: str
    """OpenVINO's name of its device."""
    precisions: Sequence[str]
    """Precisions of the backbone, the preferred one first; all but the last are checked."""
    size: tuple[int, int]
    """(H, W) of the input."""
    batch_size: int
    """Number of images that go through what OpenVINO runs at once."""
    cache: Path | None
    """Directory of converted networks; None to keep none."""
    calibrate: Callable[[], Calibration] | None = None
    """Returns the images that int8 is calibrated by."""


def choose_backend(backend: str, request: BackendRequest) -> tuple[SplitNetwork | None, str]:
    """Set up a backend.

    Args:
        backend: A name in `BACKENDS`.
        request: What it is for.

    Returns:
        The network with its backbone on OpenVINO, or None to run all of it in torch; and why.

    Raises:
        UnknownNameError: if there is no such backend.
        InvalidArgumentError: if OpenVINO is required and cannot run this.
        StreamcamError: one of its subclasses, if the network cannot be quantized as asked for.
    """
    if backend not in BACKENDS:
        raise unknown_name("backend", backend, BACKENDS)
    if request.model.no_gradients is not None:
        if backend == "torch":
            raise InvalidArgumentError(
                f"`backend='torch'` cannot run {request.model.name}: {request.model.no_gradients}; "
                "use `backend='auto'`"
            )
        return None, "OpenVINO runs the whole network"
    if backend == "torch":
        return None, "torch was requested"
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
    if request.model.clip_length > 1:
        return None, "networks that take clips run in torch"
    if type(request.model).prepare is not Model.prepare:
        return None, "the model prepares its input in its own way"
    if isinstance(request.model, PairModel):
        return None, "the network takes two images"
    if request.model.input.dtype != torch.float32:
        return None, "the network takes whole numbers"
    deeper = set(request.method.needs) - HEAD_ONLY - {"image_scorer"}
    if deeper:
        return None, f"the method needs the whole network in torch ({', '.join(sorted(deeper))})"
    if len(request.layers) != 1:
        return None, "there are several target layers"
    (layer,) = request.layers
    halves = split_network(request.model.module, *layer.call, layer.calls)
    if halves is None:
        return None, "the network cannot be cut at the target layer"
    store = None if request.cache is None else ModelCache(request.cache, halves.backbone)
    backbone = load_backbone(
        halves.backbone,
        request.model.input,
        size=request.size,
        device=request.backend_device,
        cache=store,
    )
    if backbone is None:
        return None, "OpenVINO cannot convert the network"
    network = SplitNetwork(
        request.model,
        layer,
        halves,
        [backbone.in_precision(name) for name in request.precisions if name != "int8"],
        request.batch_size,
        entry=None if store is None else store.name,
    )
    network.drop_imprecise(request.size, store)
    if "int8" in request.precisions and request.calibrate is not None:
        network.quantize(request.calibrate(), request.cache)
    return network, f"the backbone runs on OpenVINO in {network.precision}"
