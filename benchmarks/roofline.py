"""The roofline of this machine: how fast it multiplies and adds in OpenVINO, and moves memory.

Both are by processor time, as the figures of the stages are: other programs on the same cores do not count.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

PRODUCTS = (1024, 2048)
"""Sides of the square matrices that are multiplied."""
CONVOLUTIONS = ((256, 56), (512, 28))
"""Channels, the same in and out, and side of the images that 3x3 convolutions run on."""
IMAGES = 4
"""How many images a convolution has."""

_BYTES = 1 << 27
_RUNS = 5


def peak_gflops(precision: str) -> float:
    """Return 10^9 multiplications and additions a second of the fastest of some products and convolutions.

    Args:
        precision: A name in `streamcam.explain.devices.PRECISIONS`.
    """
    from streamcam.explain.cores import available_cores

    measured = list(works(precision))
    times_s = _least_cpu_s(*(work for work, _ in measured))
    rates = [flop / taken_s for (_, flop), taken_s in zip(measured, times_s, strict=True)]
    return available_cores() * max(rates) / 1e9


def memory_gb_s() -> float:
    """Return 10^9 bytes a second that are read and written by copying an array larger than the caches."""
    source, target = np.ones(_BYTES // 4, np.float32), np.empty(_BYTES // 4, np.float32)
    (taken_s,) = _least_cpu_s(lambda: np.copyto(target, source))
    return 2 * _BYTES / taken_s / 1e9


def network_gflop(explainer: Any) -> float:
    """Return 10^9 multiplications and additions of one image through a network, forward, as torch counts."""
    import torch

    from streamcam.models.probing import trial_size

    model = explainer.model
    images = torch.zeros(1, model.input.channels, *trial_size(model, explainer.fit))
    return forward_flop(model.module, images) / 1e9


def forward_flop(module: Any, inputs: Any) -> int:
    """Return the multiplications and additions of a network's forward pass.

    Torch counts products and convolutions. Of what does the work of several at once, as attention does in one
    operation, it sees nothing: it is taken apart here.

    Args:
        module: A `torch.nn.Module`.
        inputs: A tensor.
    """
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            module(inputs)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return int(counter.get_total_flops())


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Work:
    """A product or convolution that is measured."""

    request: Any
    """Of OpenVINO."""
    values: list[NDArray[np.float32]]
    """Its input."""

    def __call__(self) -> None:
        """Compute it."""
        self.request.infer(self.values)


def works(precision: str) -> Iterator[tuple[Work, int]]:
    """Yield what is measured, each with its multiplications and additions.

    Args:
        precision: As for `peak_gflops`.
    """
    from streamcam.explain.backends.compiled_network import CompiledNetwork
    from streamcam.explain.cores import available_cores
    from streamcam.models.openvino_runtime import load_openvino

    openvino = load_openvino()
    opset = openvino.opset13
    random = np.random.default_rng(0)
    shapes: list[tuple[tuple[int, ...], tuple[int, ...], int]] = [
        ((side, side), (side, side), 2 * side**3) for side in PRODUCTS
    ]
    for channels, side in CONVOLUTIONS:
        flop = 2 * IMAGES * side**2 * 3 * 3 * channels**2
        shapes.append(((IMAGES, channels, side, side), (channels, channels, 3, 3), flop))
    for given, weights, flop in shapes:
        images = opset.parameter(list(given), np.float32)
        factors = [images, opset.constant(random.uniform(-1, 1, weights).astype(np.float32))]
        if precision == "int8":
            factors = [_rounded(factors[0], 0, 256), _rounded(factors[1], -1, 255)]
        if len(given) == 2:
            result = opset.matmul(*factors, False, False)
        else:
            result = opset.convolution(*factors, [1, 1], [1, 1], [1, 1], [1, 1])
        model = openvino.Model([opset.result(result)], [images], "work")
        compiled = CompiledNetwork.compile(model, "CPU", precision=precision, threads=available_cores())
        request = compiled.network.create_infer_request()
        yield Work(request, [random.uniform(0, 1, given).astype(np.float32)]), flop


def _rounded(node: Any, least: int, levels: int) -> Any:
    """Round to so many levels up to 1, as a quantized network does: OpenVINO computes with these in int8."""
    from streamcam.models.openvino_runtime import load_openvino

    opset = load_openvino().opset13
    bounds = [opset.constant(np.float32(bound)) for bound in (least, 1)]
    return opset.fake_quantize(node, *bounds, *bounds, levels)


def _least_cpu_s(*works: Callable[[], object]) -> list[float]:
    """Return the least processor time of several runs of each, in turn, after one that is not counted."""
    taken: list[list[float]] = [[] for _ in works]
    for count in range(1 + _RUNS):
        for work, times in zip(works, taken, strict=True):
            began_s = time.process_time()
            work()
            if count:
                times.append(time.process_time() - began_s)
    return [min(times) for times in taken]
