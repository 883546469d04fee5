"""Run a compiled explanation: pixels to scores and features, features and classes to maps."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from streamcam.explain.backends.backbone import fill_up
from streamcam.explain.backends.requests import BatchRequest, compile_request
from streamcam.explain.cores import available_cores
from streamcam.frames import FloatArray

if TYPE_CHECKING:
    import openvino


class CompiledGraph:
    """A graph for one shape of batch, in float32. Belongs to one thread."""

    def __init__(self, model: openvino.Model, device: str, *, threads: int) -> None:
        """Compile it.

        Args:
            model: Inputs named ``0``, ``1`` … by their position, without those that it has no use for.
            device: OpenVINO's name of a device.
            threads: Number of threads on a processor.
        """
        self._positions = [int(port.get_any_name()) for port in model.inputs]
        self._request = compile_request(model, device, precision="fp32", threads=threads)

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
        head: openvino.Model,
        maps: openvino.Model,
        *,
        precision: str,
        batch_size: int,
        device: str,
        has_large_head: bool,
    ) -> None:
        """Compile them.

        Args:
            backbone: From pixels to features.
            head: From features to scores.
            maps: From weights of the classes, float32 (batch, classes), and features to maps.
            precision: Precision of the backbone.
            batch_size: The size of batches that they are made for.
            device: OpenVINO's name of a device.
            has_large_head: Whether what comes after the features deserves all cores.
        """
        threads = available_cores() if has_large_head else 1
        self.precision = precision
        self._backbone = backbone
        self._batch_size = batch_size
        self._head = CompiledGraph(head, device, threads=threads)
        self._maps = CompiledGraph(maps, device, threads=threads)

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
