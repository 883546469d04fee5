"""Methods that need second derivatives, on networks whose attention is computed by fused kernels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.ops import roi_align

from streamcam.errors import ModelError
from streamcam.explain import Explainer
from streamcam.models import Classifier, InputSpec, load_model
from streamcam.models.labels import numbered_labels

IMAGE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)


class Attending(nn.Module):
    """Patches attend to each other, by torch's fused attention or by products written out."""

    def __init__(self, *, fused: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.fused = fused
        self.embed = nn.Conv2d(3, 8, 8, 8)
        self.query, self.key, self.value = (nn.Linear(8, 8) for _ in range(3))
        self.fc = nn.Linear(8, 3)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        tokens = self.embed(batch).flatten(2).transpose(1, 2).unsqueeze(1)
        query, key, value = self.query(tokens), self.key(tokens), self.value(tokens)
        if self.fused:
            attended = F.scaled_dot_product_attention(query, key, value)
        else:
            attended = (query @ key.transpose(-2, -1) / 8**0.5).softmax(dim=-1) @ value
        logits: torch.Tensor = self.fc(attended.squeeze(1).mean(dim=1))
        return logits


@pytest.mark.parametrize("backend", ["torch", "auto"])
def test_the_map_is_that_of_attention_written_out(backend: str) -> None:
    maps = []
    for fused in (False, True):
        module = Attending(fused=fused).eval()
        model = Classifier("own", module, numbered_labels(3), InputSpec(32, 32), "none")
        explainer = Explainer(
            model,
            method="shapleycam",
            classes=1,
            signed=True,
            backend=backend,
            precision="fp32",
            fit="stretch",
        )
        maps.append(explainer.explain(IMAGE)[0].heatmaps[1])
    assert np.ptp(maps[0]) > 0
    np.testing.assert_allclose(maps[1], maps[0], rtol=1e-3, atol=1e-6)
    assert torch.backends.cuda.flash_sdp_enabled(), "other work has its fast attention back"


def test_a_vision_transformer_of_torchvision() -> None:
    model = load_model("vit_b_32", weights="none")
    nn.init.normal_(model.module.get_parameter("heads.head.weight"), std=0.02)
    (explanation,) = Explainer(model, method="shapleycam", signed=True, backend="torch").explain(IMAGE)
    assert explanation.emptiness is None


class Region(nn.Module):
    """Looks at a region of its features as Faster R-CNN does, which can be differentiated once."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.fc = nn.Conv2d(3, 8, 4, 4), nn.Linear(8, 3)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        features = self.conv(batch)
        regions = [torch.tensor([[0.0, 0.0, 8.0, 8.0]])] * len(batch)
        sampled = roi_align(features, regions, (4, 4))
        logits: torch.Tensor = self.fc(sampled.square().mean((2, 3)))
        return logits


def test_a_network_without_second_derivatives_is_refused_with_a_way_out() -> None:
    model = Classifier("own", Region().eval(), numbered_labels(3), InputSpec(32, 32), "none")
    with pytest.raises(ModelError, match=r"own has no second derivative .*; set `method` to gradcam"):
        Explainer(model, method="shapleycam", target_layer="conv", backend="torch").explain(IMAGE)
    Explainer(model, method="hirescam", target_layer="conv", backend="torch").explain(IMAGE)
