"""Run compiled networks on batches, in parts at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from streamcam.explain.backends.compiled_network import CompiledNetwork
from streamcam.explain.cores import available_cores

if TYPE_CHECKING:
    import openvino


def parts_of(batch: int, device: str) -> int:
    """Return into how many parts a batch is divided that run at once, each on its share of the cores.

    With two parts, threads wait for each other once a batch instead of after every layer. The other stages
    of a render take cores away in between, and all others wait for the thread that lacks one.
    """
    return 2 if device == "CPU" and batch % 2 == 0 and available_cores() > 1 else 1


class BatchRequest:
    """A compiled backbone that runs batches of one size, in parts at once. Belongs to one thread."""

    def __init__(self, compiled: CompiledNetwork, parts: int) -> None:
        """Take a compiled network.

        Args:
            compiled: Compiled for a part of a batch, with as many streams.
            parts: Number of parts.
        """
        self._compiled = compiled
        self._requests = [compiled.network.create_infer_request() for _ in range(parts)]

    @classmethod
    def compile(cls, model: openvino.Model, device: str, *, precision: str, parts: int) -> Self:
        """Compile a network for all cores.

        Args:
            model: The network, with an input of fixed shape: a part of a batch.
            device: As for `CompiledNetwork.compile`.
            precision: As for `CompiledNetwork.compile`.
            parts: Number of parts, as `parts_of` returns it.
        """
        threads = available_cores()
        network = CompiledNetwork.compile(model, device, precision=precision, threads=threads, streams=parts)
        return cls(network, parts)

    @classmethod
    def read(cls, path: Path, device: str, *, precision: str, parts: int) -> Self:
        """Read what `export` returned on this machine, with the same settings and as many cores.

        Args:
            path: As for `CompiledNetwork.read`.
            device: As for `compile`, like the others.
            precision: As for `CompiledNetwork.compile`.
            parts: Number of parts.

        Raises:
            OSError: as for `CompiledNetwork.read`, like the others.
            ValueError: if the file is empty.
            RuntimeError: if it is from elsewhere.
        """
        threads = available_cores()
        network = CompiledNetwork.read(path, device, precision=precision, threads=threads, streams=parts)
        return cls(network, parts)

    @property
    def parts(self) -> int:
        """Number of parts."""
        return len(self._requests)

    def export(self) -> memoryview:
        """Return the compiled network, to be read again."""
        return self._compiled.export()

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
            for index in range(len(self._compiled.network.outputs))
        )
