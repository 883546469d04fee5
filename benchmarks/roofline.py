"""The roofline of this machine: how fast it multiplies matrices in OpenVINO, and moves memory.

Both are by processor time, as the figures of the stages are: other programs on the same cores do not count.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

_SIDE = 1024
_BYTES = 1 << 27
_RUNS = 5


def peak_gflops(precision: str) -> float:
    """Return 10^9 multiplications and additions a second of a product of two square matrices.

    Args:
        precision: A name in `streamcam.explain.devices.PRECISIONS` that needs no quantized graph.
    """
    from streamcam.explain.backends.compiled_network import CompiledNetwork
    from streamcam.explain.cores import available_cores
    from streamcam.models.openvino_runtime import load_openvino

    openvino = load_openvino()
    opset = openvino.opset13
    given = opset.parameter([_SIDE, _SIDE], np.float32)
    weights = np.random.default_rng(0).normal(size=(_SIDE, _SIDE)).astype(np.float32)
    product = opset.matmul(given, opset.constant(weights), False, False)
    model = openvino.Model([opset.result(product)], [given], "product")
    compiled = CompiledNetwork.compile(model, "CPU", precision=precision, threads=available_cores())
    request = compiled.network.create_infer_request()
    values = [np.ones((_SIDE, _SIDE), np.float32)]
    return available_cores() * 2 * _SIDE**3 / _least_cpu_s(lambda: request.infer(values)) / 1e9


def memory_gb_s() -> float:
    """Return 10^9 bytes a second that are read and written by copying an array larger than the caches."""
    source, target = np.ones(_BYTES // 4, np.float32), np.empty(_BYTES // 4, np.float32)
    return 2 * _BYTES / _least_cpu_s(lambda: np.copyto(target, source)) / 1e9


def network_gflop(explainer: object) -> float:
    """Return 10^9 multiplications and additions of one image through a network, forward, as torch counts."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from streamcam.models.probing import trial_size

    model, fit = explainer.model, explainer.fit  # type: ignore[attr-defined]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.module(torch.zeros(1, model.input.channels, *trial_size(model, fit)))
    return float(counter.get_total_flops()) / 1e9


def _least_cpu_s(work: Callable[[], object]) -> float:
    """Return the least processor time of several runs, after one that is not counted."""
    work()
    taken = []
    for _ in range(_RUNS):
        began_s = time.process_time()
        work()
        taken.append(time.process_time() - began_s)
    return min(taken)
