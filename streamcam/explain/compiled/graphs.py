"""Run a compiled explanation: pixels to scores and features, features and classes to maps."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from streamcam.explain.backends.backbone import fill_up
from streamcam.explain.backends.compiled_network import CompiledNetwork
from streamcam.explain.backends.requests import BatchRequest
from streamcam.frames import FloatArray

if TYPE_CHECKING:
    import openvino

    from streamcam.explain.compiled.record import Record

_PRECISION = "fp32"
"""Of all that follows the features, where rounding would show in maps."""


class CompiledGraph:
    """A graph for one shape of batch, in float32. Belongs to one thread."""

    def __init__(self, compiled: CompiledNetwork) -> None:
        """Take a compiled graph.

        Args:
            compiled: Inputs named ``0``, ``1`` … by their position, without those that it has no use for.
        """
        self._compiled = compiled
        self._positions = [int(port.get_any_name()) for port in compiled.network.inputs]
        self._request = compiled.network.create_infer_request()

    @classmethod
    def compile(cls, model: openvino.Model, device: str, *, threads: int) -> Self:
        """Compile a graph.

        Args:
            model: The graph, with inputs as above.
            device: OpenVINO's name of a device.
            threads: Number of threads on a processor.
        """
        return cls(CompiledNetwork.compile(model, device, precision=_PRECISION, threads=threads))

    @classmethod
    def read(cls, path: Path, device: str, *, threads: int) -> Self:
        """Read what `export` returned on this machine.

        Args:
            path: As for `CompiledNetwork.read`.
            device: As for `compile`.
            threads: As for `compile`.

        Raises:
            OSError: as for `CompiledNetwork.read`, like the others.
            ValueError: if the file is empty.
            RuntimeError: if it is from elsewhere.
        """
        return cls(CompiledNetwork.read(path, device, precision=_PRECISION, threads=threads))

    def export(self) -> memoryview:
        """Return the compiled graph, to be read again."""
        return self._compiled.export()

    def __call__(self, inputs: Sequence[FloatArray]) -> FloatArray:
        """Return the output for float32 arrays, to keep."""
        self._request.infer([np.ascontiguousarray(inputs[position]) for position in self._positions])
        return np.array(self._request.get_output_tensor(0).data, np.float32)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class CompiledRun:
    """A batch of N images that the network has been run on."""

    scores: FloatArray
    """float32 (N, classes)."""
    features: tuple[FloatArray, ...]
    """The target layer's output and whatever else the maps are made of, for the whole batch."""


class CompiledGraphs:
    """The graphs for images of one shape.

    Attributes:
        backend: The backend that runs them.
        precision: Precision of the network up to the features.
    """

    backend = "openvino"

    def __init__(
        self,
        backbone: BatchRequest,
        head: CompiledGraph,
        maps: CompiledGraph,
        *,
        precision: str,
        batch_size: int,
    ) -> None:
        """Put them together.

        Args:
            backbone: From pixels to features.
            head: From features to scores.
            maps: From weights of the classes, float32 (batch, classes), and features to maps.
            precision: Precision of the backbone.
            batch_size: The size of batches that they are made for.
        """
        self.precision = precision
        self._backbone = backbone
        self._batch_size = batch_size
        self._head = head
        self._maps = maps

    @classmethod
    def compile(
        cls,
        backbone: BatchRequest,
        head: openvino.Model,
        maps: openvino.Model,
        record: Record,
        precision: str,
    ) -> Self:
        """Compile what follows the features.

        Args:
            backbone: From pixels to features.
            head: From features to scores, with inputs as for `CompiledGraph`.
            maps: From weights of the classes and features to maps.
            record: Describes the explanation.
            precision: Precision of the backbone.
        """
        behind = (
            CompiledGraph.compile(model, record.device, threads=record.head_threads) for model in (head, maps)
        )
        return cls(backbone, *behind, precision=precision, batch_size=record.batch_size)

    def export(self) -> tuple[memoryview, memoryview, memoryview]:
        """Return the backbone, the head and the maps, to be read again on this machine."""
        return self._backbone.export(), self._head.export(), self._maps.export()

    def run(self, pixels: NDArray[np.uint8]) -> CompiledRun:
        """Run the network.

        Args:
            pixels: RGB, uint8 (N, H, W, 3), N at most the size of batches.
        """
        features = self._backbone.run(fill_up(pixels, self._batch_size), self._batch_size)
        return CompiledRun(self._head(features)[: len(pixels)], features)

    def maps(self, run: CompiledRun, weights: FloatArray) -> FloatArray:
        """Explain a weighted sum of the scores of each image.

        Args:
            run: The images.
            weights: float32 (N, classes).

        Returns:
            Raw maps, float32 (N, h, w).
        """
        padded = np.zeros((self._batch_size, weights.shape[1]), np.float32)
        padded[: len(weights)] = weights
        return self._maps([padded, *run.features])[: len(weights)]
