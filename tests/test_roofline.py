"""benchmarks/roofline.py: what a network computes, counted, and what the machine could."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from streamcam.models.openvino_runtime import available
from tests.support.scripts import load_script

roofline = load_script("benchmarks/roofline.py")


def test_a_convolution_multiplies_and_adds_for_every_place() -> None:
    convolution = nn.Conv2d(3, 5, 3, padding=1, bias=False)
    assert roofline.forward_flop(convolution, torch.zeros(1, 3, 4, 6)) == 2 * (4 * 6) * 5 * (3 * 3 * 3)


def test_what_attention_does_in_one_operation_is_counted() -> None:
    tokens, width, hidden = 7, 8, 16
    block = nn.TransformerEncoderLayer(width, nhead=2, dim_feedforward=hidden, batch_first=True).eval()
    projections = tokens * (width * 3 * width + width * width)  # to queries, keys and values; and out
    attention = 2 * tokens * tokens * width  # queries by keys, and by values
    perceptron = 2 * tokens * width * hidden
    fast = torch.backends.mha.get_fastpath_enabled()
    counted = roofline.forward_flop(block, torch.zeros(1, tokens, width))
    assert counted == 2 * (projections + attention + perceptron)
    assert torch.backends.mha.get_fastpath_enabled() == fast


@pytest.mark.skipif(not available(), reason="OpenVINO is not installed")
@pytest.mark.parametrize(("precision", "executed"), [("fp32", "f32"), ("int8", "i8")])
def test_the_roofline_is_measured_in_the_precision_that_is_asked_for(
    precision: str, executed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roofline, "PRODUCTS", (64,))
    monkeypatch.setattr(roofline, "CONVOLUTIONS", ((32, 8),))
    works = list(roofline.works(precision))
    assert [flop for _, flop in works] == [2 * 64**3, 2 * roofline.IMAGES * 8 * 8 * 32 * 32 * 3 * 3]
    for work, _ in works:
        operations = work.request.get_compiled_model().get_runtime_model().get_ops()
        kinds = [each.get_rt_info()["primitiveType"].astype(str).lower() for each in operations]
        assert any(kind.endswith(executed) for kind in kinds), kinds
