"""Compile networks with OpenVINO, and run them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from streamcam.explain.cores import available_cores
from streamcam.models.openvino_runtime import core

if TYPE_CHECKING:
    import openvino

_HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16", "int8": "f32"}
"""Number format of operations; a quantized network's graph says itself which are in int8."""


def compile_request(model: openvino.Model, device: str, *, precision: str, threads: int) -> Any:
    """Compile a network, and return its request for inference.

    Args:
        model: The network, with inputs of fixed shapes.
        device: OpenVINO's name of a device.
        precision: A name in `streamcam.explain.devices.PRECISIONS`.
        threads: Number of threads on a processor.
    """
    properties = _properties(device, precision=precision, threads=threads)
    return core().compile_model(model, device, properties).create_infer_request()


def parts_of(batch: int, device: str) -> int:
    """Return into how many parts a batch is divided that run at once, each on its share of the cores.

    With two parts, threads wait for each other once a batch instead of after every layer. The other stages
    of a render take cores away in between, and all others wait for the thread that lacks one.
    """
    return 2 if device == "CPU" and batch % 2 == 0 and available_cores() > 1 else 1


class BatchRequest:
    """A compiled backbone that runs batches of one size, in parts at once. Belongs to one thread."""

    def __init__(self, compiled: openvino.CompiledModel, parts: int) -> None:
        """Take a compiled network.

        Args:
            compiled: Compiled for a part of a batch, with as many streams.
            parts: Number of parts.
        """
        self._compiled = compiled
        self._requests = [compiled.create_infer_request() for _ in range(parts)]

    @classmethod
    def compile(cls, model: openvino.Model, device: str, *, precision: str, parts: int) -> Self:
        """Compile a network for all cores.

        Args:
            model: The network, with an input of fixed shape: a part of a batch.
            device: As for `compile_request`.
            precision: As for `compile_request`.
            parts: Number of parts, as `parts_of` returns it.
        """
        properties = _properties(device, precision=precision, threads=available_cores(), streams=parts)
        return cls(core().compile_model(model, device, properties), parts)

    @classmethod
    def read(cls, path: Path, device: str, *, precision: str, parts: int) -> Self:
        """Read what `export` returned on this machine, with the same settings and as many cores.

        Args:
            path: File of the compiled network.
            device: As for `compile`, like the others.
            precision: As for `compile_request`.
            parts: Number of parts.

        Raises:
            RuntimeError: if it is from elsewhere, or damaged.
        """
        properties = _properties(device, precision=precision, threads=available_cores(), streams=parts)
        return cls(core().import_model(path.read_bytes(), device, properties), parts)

    @property
    def parts(self) -> int:
        """Number of parts."""
        return len(self._requests)

    def export(self) -> memoryview:
        """Return the compiled network, to be read again."""
        exported: memoryview = self._compiled.export_model().getbuffer()
        return exported

    def run(self, images: NDArray[Any], count: int) -> tuple[NDArray[np.float32], ...]:
        """Run it.

        Args:
            images: A full batch.
            count: How many of its images count.

        Returns:
            The outputs for those, float32, to keep.
        """
        for request, part in zip(self._requests, np.split(images, self.parts), strict=True):
            request.start_async([np.ascontiguousarray(part)])
        for request in self._requests:
            request.wait()
        return tuple(
            np.concatenate(
                [np.asarray(each.get_output_tensor(index).data, np.float32) for each in self._requests]
            )[:count]
            for index in range(len(self._compiled.outputs))
        )


def _properties(device: str, *, precision: str, threads: int, streams: int = 1) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": _HINTS[precision],
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": streams,
    }
    if device == "CPU":
        # The other stages run on the same cores: threads bound to a core would wait for it while another
        # is free.
        properties |= {"INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False}
    return properties
