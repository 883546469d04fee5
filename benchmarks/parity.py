"""Compare every method's maps with those of pytorch-grad-cam and torch-cam, network by network.

    python benchmarks/parity.py [--method gradcam …] [--network resnet18 …]

Prints the largest difference after the peer's own scaling to 0..1, and the correlation, over two images and
two classes. Networks are untrained, with the statistics of their normalization set from noise, so that deep
features are of order one; nothing is downloaded. The peers are installed by scripts/test
(tests/support/peers.txt). Where a peer departs from its paper, that part is replaced first, and a note says
so.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torchvision.models import get_model

from streamcam import METHODS, Explainer
from streamcam.explain.hooks import HookedNetwork
from streamcam.explain.method_inputs import MethodInputs
from streamcam.explain.methods import method_call
from streamcam.explain.objectives import Objective
from streamcam.models import Classifier, InputSpec, choose_target_layers, probe_layers
from streamcam.models.labels import numbered_labels

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))
from peers import scaled_as_pytorch_grad_cam

SIDE, CLASSES, EXPLAINED = 64, 10, (1, 7)

# Not DenseNet's last layer: an activation overwrites it in place, and the peer keeps what it was overwritten
# with.
NETWORKS = {
    "resnet18": ("layer3", "layer2+layer3"),
    "vgg11_bn": ("features.21", "features.13+features.21"),
    "mobilenet_v2": ("features.13", "features.7+features.13"),
    "densenet121": ("features.denseblock3", "features.denseblock2+features.denseblock3"),
}
"""Network → the layer explained, and the layers explained together by RefineCAM."""

Map = NDArray[np.float32]


@contextlib.contextmanager
def as_published() -> Iterator[None]:
    """Let pytorch-grad-cam's Score-CAM enlarge as its authors' code does, without aligning corners."""
    with mock.patch.object(
        nn, "UpsamplingBilinear2d", lambda size: nn.Upsample(size, mode="bilinear", align_corners=False)
    ):
        yield


class Peer:
    """One class of pytorch-grad-cam."""

    def __init__(
        self,
        name: str,
        note: str = "",
        around: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext,
        best_class_only: bool = False,
    ) -> None:
        self.name = name
        self.note = note
        self.best_class_only = best_class_only
        self._around = around

    def explain(self, module: nn.Module, layer: str, inputs: torch.Tensor, target: int) -> Map:
        """Return its map, scaled and enlarged to the input's size."""
        import pytorch_grad_cam
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        layers = [module.get_submodule(name) for name in layer.split("+")]
        with self._around():
            extractor = getattr(pytorch_grad_cam, self.name)(
                module, [] if self.name == "FullGrad" else layers
            )
            targets = None if self.best_class_only else [ClassifierOutputTarget(target)]
            result: Map = extractor(inputs, targets)[0]
        return result.reshape(inputs.shape[2:])


EITHER_SIGN = "its sign is chance; the nearer one is compared"
TURNED = "where activations are not negative; of maps turned round where the score is, the nearer one"
PEERS = {
    "gradcam": Peer("GradCAM"),
    "gradcam++": Peer("GradCAMPlusPlus"),
    "hirescam": Peer("HiResCAM"),
    "gradcam-elementwise": Peer("GradCAMElementWise"),
    "xgradcam": Peer("XGradCAM"),
    "layercam": Peer("LayerCAM"),
    "eigencam": Peer("EigenCAM", EITHER_SIGN),
    "eigengradcam": Peer("EigenGradCAM", EITHER_SIGN),
    "fem": Peer("FEM"),
    "kpcacam": Peer("KPCA_CAM"),
    "finercam": Peer("FinerCAM", "the most probable class only", best_class_only=True),
    "shapleycam": Peer("ShapleyCAM"),
    "refinecam": Peer("RefineCAM"),
    "scorecam": Peer("ScoreCAM", "enlarged without aligning corners, as published", as_published),
    "ablationcam": Peer("AblationCAM", TURNED),
    "fullgrad": Peer("FullGrad"),
}
"""Our method → theirs."""

SLOW = ("scorecam", "ablationcam")
"""Compared on one small layer only, because they run the network once per channel."""


def network(name: str) -> Classifier:
    """Build a network whose deep features are of order one."""
    torch.manual_seed(0)
    module = get_model(name, weights=None, num_classes=CLASSES)
    noise = torch.randn(8, 3, SIDE, SIDE)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = None  # a plain mean over what it sees
    with torch.no_grad():
        module(noise)
    return Classifier(name, module.eval(), numbered_labels(CLASSES), InputSpec(SIDE, SIDE), "none")


def compare(method: str, classifier: Classifier, layer: str) -> tuple[float, float]:
    """Return the largest difference and the smallest correlation over images and classes."""
    peer, differences, correlations = PEERS[method], [], []
    for seed in (0, 1):
        image = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        for target in (None,) if peer.best_class_only else EXPLAINED:
            explainer = Explainer(
                classifier,
                method=method,
                classes=target,
                target_layer=layer,
                fit="stretch",
                backend="torch",
            )
            explanation = explainer.explain([image])[0]
            ((index, own),) = explanation.heatmaps.items()
            inputs = explainer.preprocess(image)
            expected = peer.explain(classifier.module, explainer.target_layer, inputs, index)
            candidates = [own]
            if peer.note in (EITHER_SIGN, TURNED):
                uncut = uncut_map(method, classifier, explainer.target_layer, inputs, index)
                candidates = [uncut, -uncut]
            scaled = [scaled_as_pytorch_grad_cam(one, (SIDE, SIDE)) for one in candidates]
            best = min(scaled, key=lambda candidate: float(np.abs(candidate - expected).max()))
            differences.append(float(np.abs(best - expected).max()))
            correlations.append(correlation_of(best, expected))
    return max(differences), min(correlations)


def correlation_of(own: Map, expected: Map) -> float:
    """Return the correlation of two maps: 1 if both show nothing, 0 if only one of them does."""
    shown = own.std() > 0, expected.std() > 0
    if not all(shown):
        return 0.0 if any(shown) else 1.0
    return float(np.corrcoef(own.ravel(), expected.ravel())[0, 1])


def uncut_map(method: str, classifier: Classifier, layer: str, inputs: torch.Tensor, target: int) -> Map:
    """Compute a map with its negative values, which the backend cuts off."""
    network = HookedNetwork(classifier, choose_target_layers(probe_layers(classifier, inputs), layer))
    evidence = MethodInputs(network, inputs, network.run(inputs), 0, Objective(torch.tensor([target])))
    heatmap: Map = method_call(METHODS[method], evidence, {})[0].numpy()
    return heatmap


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--method", action="append", choices=PEERS)
    parser.add_argument("--network", action="append", choices=NETWORKS)
    chosen = parser.parse_args()
    print("| method | network | layer | largest difference | correlation | note |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in chosen.network or NETWORKS:
        classifier = network(name)
        for method in chosen.method or PEERS:
            if method in SLOW and name != "resnet18":
                continue
            layer, several = NETWORKS[name]
            if method == "refinecam":
                layer = several
            elif method in SLOW:
                layer = "layer1"
            difference, correlation = compare(method, classifier, layer)
            row = (method, name, layer, f"{difference:.1e}", f"{correlation:.7f}", PEERS[method].note)
            print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
