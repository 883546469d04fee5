"""Networks that turn gradients off themselves are explained as if they did not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from streamcam.errors import ModelError
from streamcam.explain import Explainer
from streamcam.models import Classifier, InputSpec
from streamcam.models.labels import numbered_labels


class Plain(nn.Module):
    """Two convolutions with a product of both, so that what comes before a layer is needed for gradients."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 8, 4, 4)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.fc = nn.Linear(8, 5)

    def features(self, batch: torch.Tensor) -> torch.Tensor:
        first = self.first(batch).sigmoid()
        return first * self.second(first).relu()

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.fc(self.features(batch).mean((2, 3)))
        return logits


class FrozenBackbone(Plain):
    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            features = self.features(batch)
        logits: torch.Tensor = self.fc(features.mean((2, 3)))
        return logits


class InferenceBackbone(Plain):
    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            features = self.features(batch)
        logits: torch.Tensor = self.fc(features.mean((2, 3)))
        return logits


class NoGradForward(Plain):
    @torch.no_grad()
    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return super().forward(batch)


class InferenceForward(Plain):
    @torch.inference_mode()
    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return super().forward(batch)


@pytest.mark.parametrize(
    "settings",
    [
        {"method": "gradcam"},
        {"method": "gradcam", "target_layer": "first+second"},
        {"method": "shapleycam"},
        {"method": "refinecam"},
        {"method": "fullgrad"},
        {"method": "guided-backprop"},
        {"method": "smoothgradcam++"},
    ],
    ids=lambda settings: "-".join(settings.values()).partition(":")[0],
)
@pytest.mark.parametrize("network", [FrozenBackbone, InferenceBackbone, NoGradForward, InferenceForward])
def test_gradients_reach_through_no_grad_and_inference_mode(
    network: type[Plain], settings: dict[str, str]
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    maps = []
    for module in (Plain(), network()):
        model = Classifier("own", module.eval(), numbered_labels(5), InputSpec(64, 64), "none")
        torch.manual_seed(1)
        explainer = Explainer(model, classes=2, backend="torch", **settings)  # type: ignore[arg-type]
        maps.append(explainer.explain(image)[0].heatmaps[2])
    assert maps[0].any()
    np.testing.assert_allclose(maps[1], maps[0], rtol=1e-4, atol=1e-7)
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


class Detached(Plain):
    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.fc(self.features(batch).mean((2, 3)).detach())
        return logits


def test_a_layer_that_no_gradient_reaches_is_refused() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    model = Classifier("own", Detached().eval(), numbered_labels(5), InputSpec(64, 64), "none")
    explainer = Explainer(model, target_layer="second", backend="torch")
    with pytest.raises(
        ModelError, match=r"no gradient reaches layer 'second' .*'occlusion'`, or a `target_layer`"
    ):
        explainer.explain(image)
    # Methods without gradients need none.
    for method in ("eigencam", "ablationcam", "occlusion"):
        Explainer(model, target_layer="second", backend="torch", method=method).explain(image)
