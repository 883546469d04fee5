"""Networks that end in a sigmoid: it is not applied to their probabilities again."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from streamcam.explain import Explainer
from streamcam.models import load_model
from streamcam.models.last_operation import ends_in_sigmoid

IMAGE = np.full((32, 32, 3), 128, np.uint8)


class Ending(nn.Module):
    """Answers with the biases of a linear layer, through what it ends in."""

    def __init__(self, *logits: float, end: object) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 4, 4)
        self.head = nn.Linear(4, len(logits))
        nn.init.constant_(self.head.weight, 1e-3)
        self.head.bias = nn.Parameter(torch.tensor(logits))
        self.end = end

    @torch.no_grad()
    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.end(self.head(self.conv(batch).mean((2, 3))))  # type: ignore[operator]


def one_probability() -> nn.Module:
    return Ending(-0.2, end=torch.sigmoid)


def one_in_a_module() -> nn.Module:
    return Ending(-0.2, end=nn.Sequential(nn.Sigmoid(), nn.Flatten(0)))


def several() -> nn.Module:
    return Ending(-0.2, 2.0, 1.0, end=torch.sigmoid)


def one_logit() -> nn.Module:
    return Ending(0.45, end=nn.Identity())


def one_of_unknown_origin() -> nn.Module:
    return Ending(-0.2, end=lambda logits: 1 / (1 + (-logits).exp()))


def explained(factory: str, **settings: object) -> tuple[dict[str, float], list[str]]:
    model = load_model(f"{__name__}:{factory}", input_size=32, **settings)  # type: ignore[arg-type]
    explainer = Explainer(model, fit="stretch", backend="torch", precision="fp32")
    (explanation,) = explainer.explain(IMAGE)
    return {shown.label: shown.probability for shown in explanation.predictions}, explainer.notes


@pytest.mark.parametrize("factory", ["one_probability", "one_in_a_module"])
def test_a_probability_beside_two_labels_is_taken_as_it_is(factory: str) -> None:
    probabilities, notes = explained(factory, labels=["ok", "defect"])
    assert probabilities == {"ok": pytest.approx(0.55, abs=0.01), "defect": pytest.approx(0.45, abs=0.01)}
    assert any(
        "ends in a sigmoid: the probabilities it returns are taken as they are" in note for note in notes
    )


def test_several_probabilities_that_do_not_exclude_each_other_are_taken_as_they_are() -> None:
    probabilities, notes = explained("several")
    assert sorted(probabilities.values()) == pytest.approx([0.45, 0.731, 0.881], abs=0.01)
    assert any("ends in a sigmoid: the probabilities" in note for note in notes)


def test_a_logit_from_0_to_1_stays_one() -> None:
    probabilities, notes = explained("one_logit", labels=["ok", "defect"])
    assert probabilities["defect"] == pytest.approx(0.611, abs=0.01)
    assert not any("sigmoid" in note for note in notes)


def test_a_sigmoid_that_is_asked_for_is_applied_and_noted_where_it_is_the_second() -> None:
    probabilities, notes = explained("one_probability", activation="sigmoid")
    assert probabilities["class 1"] == pytest.approx(0.61, abs=0.01)
    assert any("is applied to its probabilities; use `activation='none'`" in note for note in notes)
    probabilities, notes = explained("one_probability", activation="none")
    assert probabilities["class 1"] == pytest.approx(0.45, abs=0.01)
    assert not any("sigmoid" in note for note in notes)


def test_numbers_that_may_be_probabilities_are_noted() -> None:
    _, notes = explained("one_of_unknown_origin", activation="sigmoid")
    assert any("if they are probabilities already, use `activation='none'`" in note for note in notes)


def test_what_a_graph_does_not_tell_is_not_known() -> None:
    assert ends_in_sigmoid(torch.tensor([0.5])) is None
