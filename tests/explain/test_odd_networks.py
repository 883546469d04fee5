"""Habits of networks that change what they compute, or leave no gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from small_networks import Pooled
from torch import nn

from streamcam import Explainer
from streamcam.errors import ModelError
from streamcam.models import Classifier, InputSpec
from streamcam.models.labels import numbered_labels

IMAGE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)


class Detached(Pooled):
    def forward(self, x: torch.Tensor) -> Any:
        return super().forward(x).detach()


class Rounded(Pooled):
    def forward(self, x: torch.Tensor) -> Any:
        return (super().forward(x) * 1000).round().long()


def explainer(module: nn.Module, **settings: Any) -> Explainer:
    classifier = Classifier("net", module.eval(), numbered_labels(3), InputSpec(32, 32), "none")
    return Explainer(classifier, fit="stretch", precision="fp32", classes=1, **settings)


def test_hooks_of_a_network_are_part_of_it() -> None:
    class Halved(Pooled):
        """What the hooks below do, written down."""

        def forward(self, x: torch.Tensor) -> Any:
            return self.fc((self.features(x * 0.5 - 1) * 3).mean((2, 3)))

    hooked = Pooled()
    hooked.register_forward_pre_hook(lambda _module, inputs: (inputs[0] * 0.5 - 1,))
    hooked.features.register_forward_hook(lambda _module, _inputs, output: output * 3)
    (explanation,) = explainer(hooked, target_layer="features").explain([IMAGE])
    (written,) = explainer(Halved(), target_layer="features").explain([IMAGE])
    shown, expected = explanation.targets[0].probability, written.targets[0].probability
    assert shown == pytest.approx(expected, abs=1e-5)
    # Of one the output is multiplied, of the other its gradient.
    np.testing.assert_allclose(explanation.heatmaps[1], written.heatmaps[1], rtol=1e-4, atol=1e-7)
    (plain,) = explainer(Pooled(), target_layer="features").explain([IMAGE])
    assert not np.allclose(explanation.heatmaps[1], plain.heatmaps[1], rtol=0.01)


@pytest.mark.parametrize("kind", [Detached, Rounded])
@pytest.mark.parametrize("backend", ["auto", "torch"])
def test_scores_without_gradients_are_explained_by_occlusion(kind: type[Pooled], backend: str) -> None:
    with pytest.raises(ModelError, match=r"no gradient reaches layer 'features' .*`method='occlusion'`"):
        explainer(kind(), backend=backend).explain([IMAGE])
    (explanation,) = explainer(kind(), backend=backend, method="occlusion:patch=8,stride=8").explain([IMAGE])
    assert explanation.heatmaps[1].std() > 0


@pytest.mark.parametrize("backend", ["auto", "torch"])
def test_a_forward_that_was_replaced_is_the_one_explained(backend: str) -> None:
    class Halved(Pooled):
        """What the function below does, written down."""

        def forward(self, x: torch.Tensor) -> Any:
            return super().forward(x * 0.5 - 1) * 3

    patched = Pooled()
    own = patched.forward
    patched.forward = lambda x: own(x * 0.5 - 1) * 3  # type: ignore[method-assign]
    (explanation,) = explainer(patched, backend=backend).explain([IMAGE])
    (written,) = explainer(Halved(), backend="torch").explain([IMAGE])
    shown, expected = explanation.targets[0].probability, written.targets[0].probability
    assert shown == pytest.approx(expected, abs=1e-5)
    np.testing.assert_allclose(explanation.heatmaps[1], written.heatmaps[1], rtol=1e-4, atol=1e-7)
