"""Batches that run in two parts at once give what they give in one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from streamcam.explain.backends.backbone import OpenVinoBackbone
from streamcam.explain.backends.conversion import load_backbone
from streamcam.explain.backends.requests import parts_of
from streamcam.models import InputSpec


class Two(nn.Module):
    """Two outputs, of which one tells an image by its brightness."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 8, 3, padding=1)

    def forward(self, batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.first(batch), batch.mean(dim=(1, 2, 3))


@pytest.fixture
def backbone() -> OpenVinoBackbone:
    spec = InputSpec(16, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    loaded = load_backbone(Two().eval(), spec, size=(16, 16), device="CPU", cache=None)
    assert loaded is not None
    return loaded


def use_cores(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr("streamcam.explain.backends.requests.available_cores", lambda: count)


@pytest.mark.parametrize("count", [1, 3, 4])
def test_parts_give_what_the_whole_gives(
    backbone: OpenVinoBackbone, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    levels = np.array([10, 60, 130, 250], np.uint8)[:count]
    images = np.broadcast_to(levels[:, None, None, None], (count, 16, 16, 3)).copy()
    results = []
    for cores in (1, 2):
        use_cores(monkeypatch, cores)
        fresh = backbone.in_precision("fp32")
        results.append(fresh.run(images, 4))
        assert fresh.request_for((4, 16, 16, 3)).parts == cores
    for whole, parted in zip(*results, strict=True):
        np.testing.assert_allclose(parted, whole, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(results[1][1], levels / 255, rtol=1e-5)


def test_only_even_batches_on_several_cores_are_parted(monkeypatch: pytest.MonkeyPatch) -> None:
    use_cores(monkeypatch, 4)
    assert [parts_of(batch, "CPU") for batch in (1, 2, 3, 4)] == [1, 2, 1, 2]
    assert parts_of(4, "GPU") == 1
    use_cores(monkeypatch, 1)
    assert parts_of(4, "CPU") == 1
