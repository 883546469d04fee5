"""Networks as OpenVINO compiled them: compiled here, or read from what was exported on this machine."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from streamcam.models.openvino_runtime import core, load_openvino

if TYPE_CHECKING:
    import openvino

_HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16", "int8": "f32"}
"""Number format of operations; a quantized network's graph says itself which are in int8."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class CompiledNetwork:
    """A network for inputs of fixed shapes, compiled for a device."""

    network: openvino.CompiledModel
    """The network."""
    content: NDArray[np.uint8] | None = None
    """The file that it was read from, mapped; the network needs it, and OpenVINO does not keep it."""

    @classmethod
    def compile(
        cls, model: openvino.Model, device: str, *, precision: str, threads: int, streams: int = 1
    ) -> Self:
        """Compile a network.

        Args:
            model: The network, with inputs of fixed shapes.
            device: OpenVINO's name of a device.
            precision: A name in `streamcam.explain.devices.PRECISIONS`.
            threads: Number of threads on a processor.
            streams: How many inputs run at once, each on its share of the threads.
        """
        properties = _properties(device, precision, threads, streams)
        return cls(core().compile_model(model, device, properties))

    @classmethod
    def read(cls, path: Path, device: str, *, precision: str, threads: int, streams: int = 1) -> Self:
        """Read what `export` returned on this machine. The file is mapped: its weights are not copied.

        Args:
            path: The file; whoever calls knows that it is whole, for OpenVINO takes half of one, too.
            device: As for `compile`, like the others.
            precision: The one that it was compiled with.
            threads: Number of threads on a processor.
            streams: How many inputs run at once.

        Raises:
            OSError: if the file cannot be read.
            ValueError: if it is empty.
            RuntimeError: if it is from another version or machine.
        """
        content = np.memmap(path, np.uint8, "c")  # OpenVINO takes no memory that must not be written
        tensor = load_openvino().Tensor(content, shared_memory=True)
        properties = _properties(device, precision, threads, streams)
        return cls(core().import_model(tensor, device, properties), content)

    def export(self) -> memoryview:
        """Return what `read` reads."""
        exported: memoryview = self.network.export_model().getbuffer()
        return exported


def _properties(device: str, precision: str, threads: int, streams: int) -> dict[str, Any]:
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
