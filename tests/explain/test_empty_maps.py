"""Maps that show nothing: each says why, and explaining an image says it once."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from torch import nn

from streamcam.empty_maps import ALL_NEGATIVE, CONSTANT, EMPTY_MAPS, NO_EVIDENCE, NOT_FINITE
from streamcam.errors import ModelError
from streamcam.explain import Explainer
from streamcam.explain.assembly import sanitize_map
from streamcam.models import Classifier, InputSpec

IMAGE = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)


class Small(nn.Module):
    """The score of class 0 is the mean of the feature times a weight."""

    def __init__(self, weight: float, bias: float = 0.0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 8, 8, bias=False)
        self.fc = nn.Linear(1, 2)
        with torch.no_grad():
            self.conv.weight.fill_(0.01)
            self.fc.weight[:, 0] = torch.tensor([weight, 0.0])
            self.fc.bias.fill_(bias)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.fc(self.conv(batch).mean((2, 3)))
        return logits


class Blind(Small):
    """Sees the same at every place: the image only moves its answer as a whole."""

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return super().forward(batch.mean((1, 2, 3), keepdim=True).expand_as(batch))


def explainer_of(module: nn.Module, **settings: object) -> Explainer:
    spec = InputSpec(64, 64, (0.0,) * 3, (1.0,) * 3)
    model = Classifier("own", module.eval(), ("a", "b"), spec, "none")
    own: dict[str, object] = {"backend": "torch", "target_layer": "conv"}
    return Explainer(model, classes=0, **{**own, **settings})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "signed", "reason"),
    [
        ([[0, 1]], False, None),
        ([[-1, 1]], True, None),
        ([[-1, -2]], True, None),
        ([[-1, -2]], False, ALL_NEGATIVE),
        ([[-1, 0]], False, ALL_NEGATIVE),
        ([[0, 0]], False, NO_EVIDENCE),
        ([[0, 0]], True, NO_EVIDENCE),
        ([[2, 2]], False, CONSTANT),
        ([[-2, -2]], True, CONSTANT),
        ([[2, 2.0001]], False, CONSTANT),
        ([[2, 2.01]], False, None),
        ([[np.nan, 1]], False, NOT_FINITE),
        ([[np.inf, 1]], False, NOT_FINITE),
        ([[-np.inf, 1]], True, NOT_FINITE),
    ],
)
def test_a_map_says_why_it_shows_nothing(values: list[list[float]], signed: bool, reason: str | None) -> None:
    finished, why = sanitize_map(np.array(values, np.float32), signed=signed)
    assert why == reason
    assert np.isfinite(finished).all()
    assert signed or (finished >= 0).all()


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (Small(1.0), None),
        (Small(-1.0), ALL_NEGATIVE),
        (Small(0.0), NO_EVIDENCE),
        (Small(float("nan")), NOT_FINITE),
        (Small(1.0, float("nan")), NOT_FINITE),
        (Blind(1.0), CONSTANT),
    ],
    ids=["fine", "negative", "zero", "NaN weights", "NaN answers", "constant"],
)
def test_explaining_says_once_why_a_map_shows_nothing(
    module: nn.Module, reason: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    explainer = explainer_of(module)
    with caplog.at_level(logging.WARNING, "streamcam"):
        explanations = explainer.explain([IMAGE, IMAGE]) + explainer.explain(IMAGE)
    assert [explanation.emptiness for explanation in explanations] == [reason] * 3
    expected = [] if reason is None else [f"the map shows nothing: {EMPTY_MAPS[reason]}"]
    assert explainer.notes == expected
    assert [record.getMessage() for record in caplog.records] == expected


def test_signed_shows_evidence_that_is_all_negative() -> None:
    (explanation,) = explainer_of(Small(-1.0), signed=True).explain(IMAGE)
    assert explanation.emptiness is None
    assert explanation.heatmaps[0].max() < 0


def test_one_map_of_several_is_enough() -> None:
    spec = InputSpec(64, 64, (0.0,) * 3, (1.0,) * 3)
    explainer = Explainer(
        Classifier("own", Small(1.0).eval(), ("a", "b"), spec, "none"), classes=["a", "b"], backend="torch"
    )
    (explanation,) = explainer.explain(IMAGE)
    assert explanation.flags == {1: NO_EVIDENCE}
    assert explanation.emptiness is None
    assert explainer.notes == []


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_a_quantized_head_has_no_gradients_and_says_what_works() -> None:
    module = torch.ao.quantization.quantize_dynamic(Small(1.0).eval(), {nn.Linear}, dtype=torch.qint8)
    for precision in ("fp32", "bf16"):  # bf16 is checked by gradients, too
        with pytest.raises(ModelError, match=r"no gradient reaches .*`method='ablationcam'`"):
            explainer_of(module, backend="auto", precision=precision).explain(IMAGE)
    for method in ("ablationcam", "occlusion"):
        (explanation,) = explainer_of(module, method=method).explain(IMAGE)
        assert explanation.emptiness is None
