"""A network whose backbone runs on an engine and whose head, with its gradients, runs in torch."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from streamcam.cam.engines.openvino import OpenVinoBackbone
from streamcam.cam.engines.split import Halves, run_head
from streamcam.cam.taps import Tapped
from streamcam.models import Classifier

# How far an engine's features may be from torch's, as a share of the largest: rounding stays far below in
# float32; a graph that was traced for another shape, or an operation converted wrongly, goes far beyond.
_TOLERANCE = {"f32": 1e-3, "bf16": 0.1, "f16": 0.05}


class EngineMismatchError(Exception):
    """The engine does not compute what torch computes: it is not to be used for this network."""


class SplitNetwork:
    """Runs batches of pixels; what it gives is what `streamcam.cam.taps.TappedNetwork.run` gives.

    The first batch of every shape is compared with torch: an engine is trusted only for what it has shown.
    The backbone's weights are those it was converted with; changing them later changes nothing here.
    """

    def __init__(
        self, classifier: Classifier, halves: Halves, backbone: OpenVinoBackbone, batch_size: int
    ) -> None:
        """Assign.

        Args:
            classifier: The whole network, on the CPU.
            halves: The network, cut in two.
            backbone: Its first half, converted.
            batch_size: The size that batches usually have.
        """
        self._classifier = classifier
        self._halves = halves
        self._batch_size = batch_size
        self._backbones: dict[tuple[int, ...], OpenVinoBackbone] = {}
        self._converted = backbone

    def run(self, pixels: NDArray[np.uint8]) -> Tapped:
        """Run the network.

        Args:
            pixels: RGB, uint8 (N, H, W, 3).

        Raises:
            EngineMismatchError: if the engine's features are not torch's.
        """
        shape = pixels.shape[1:3]
        if shape not in self._backbones:
            self._backbones[shape] = self._verified_backbone(pixels[:1])
        outputs = self._backbones[shape].run(pixels, self._batch_size)
        leaf, output = run_head(self._halves, [torch.from_numpy(values) for values in outputs])
        return Tapped(self._classifier.read_logits(output).float(), (leaf,))

    def _verified_backbone(self, picture: NDArray[np.uint8]) -> OpenVinoBackbone:
        """Return a backbone that is right for pictures of this shape, converted for it if it must be."""
        inputs = self._classifier.input.normalise(torch.from_numpy(picture).permute(0, 3, 1, 2))
        with torch.no_grad():
            expected = [output.float().numpy() for output in self._halves.backbone(inputs)]
        if self._agrees(self._converted, picture, expected):
            return self._converted
        # Some networks' Python looks at the size of their input, and tracing writes that size down.
        again = self._converted.converted_again(self._halves.backbone, inputs)
        if again is not None and self._agrees(again, picture, expected):
            return again
        raise EngineMismatchError

    def _agrees(
        self, backbone: OpenVinoBackbone, picture: NDArray[np.uint8], expected: list[NDArray[np.float32]]
    ) -> bool:
        try:
            found = backbone.run(picture, self._batch_size)
        except RuntimeError:  # OpenVINO's word for shapes that do not fit
            return False
        tolerance = _TOLERANCE[backbone.precision]
        return all(_close(one, other, tolerance) for one, other in zip(found, expected, strict=True))


def _close(found: NDArray[np.float32], expected: NDArray[np.float32], tolerance: float) -> bool:
    """Tell whether features agree wherever they are finite, to a share of the largest of them."""
    finite = np.isfinite(expected)
    if found.shape != expected.shape or not np.array_equal(finite, np.isfinite(found)):
        return False
    largest = float(np.abs(expected[finite]).max(initial=1e-6))
    return bool(np.abs(found[finite] - expected[finite]).max(initial=0.0) <= tolerance * largest)
