"""Tokens before and behind the patches of a transformer shift no heat."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from streamcam import Explainer
from streamcam.models import Classifier, InputSpec, choose_target_layers, probe_model

SIDE, PATCH = 64, 16


class Transformer(nn.Module):
    """Averages over its patches; tokens that learn nothing stand before and behind them."""

    def __init__(self, before: int, behind: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patches = nn.Conv2d(3, 32, PATCH, PATCH)
        self.before, self.behind = torch.randn(1, before, 32), torch.randn(1, behind, 32)
        self.block = nn.TransformerEncoderLayer(32, 4, 64, 0.0, batch_first=True, norm_first=True)
        self.norm, self.head = nn.LayerNorm(32), nn.Linear(32, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        patches = self.patches(images).flatten(2).transpose(1, 2)
        extra = [tokens.expand(len(images), -1, -1) for tokens in (self.before, self.behind)]
        tokens = self.norm(self.block(torch.cat([extra[0], patches, extra[1]], dim=1)))
        first = self.before.shape[1]
        logits: torch.Tensor = self.head(tokens[:, first : first + patches.shape[1]].mean(dim=1))
        return logits


@pytest.mark.parametrize(("before", "behind"), [(0, 1), (0, 4), (1, 4), (4, 1), (5, 8), (0, 16), (1, 32)])
def test_heat_stays_where_it_is_without_them(before: int, behind: int) -> None:
    module = Transformer(before, behind).eval()
    model = Classifier("own", module, ("a", "b", "c"), InputSpec(SIDE, SIDE), "none")
    (layer,) = choose_target_layers(probe_model(model, "stretch").layers)
    assert layer.layout is not None
    assert (layer.layout.prefix_tokens, layer.layout.suffix_tokens) == (before, behind)
    image = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    explainer = Explainer(model, fit="stretch", classes=1, signed=True, backend="torch")
    (explanation,) = explainer.explain(image)
    # Behind the norm the network only averages over patches: a place counts by its own logit.
    kept: list[torch.Tensor] = []
    handle = module.norm.register_forward_hook(lambda *call: kept.append(call[2]))
    with torch.no_grad():
        module(explainer.preprocess(image))
    handle.remove()
    patches = kept[0][0, before : before + 16]
    expected = (patches @ module.head.weight[1]).detach().view(4, 4).numpy()
    assert np.corrcoef(explanation.heatmaps[1].ravel(), expected.ravel())[0, 1] > 0.99
