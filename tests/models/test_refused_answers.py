"""Networks that return more than logits: what to name is told, and naming it works."""

from __future__ import annotations

import collections
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from streamcam import Explainer, load_model
from streamcam.cli import run
from streamcam.errors import ModelError

IMAGE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)

Named = collections.namedtuple("Named", ["features", "scores"])
Heads = collections.namedtuple("Heads", ["main", "other"])

Answers = Callable[[torch.Tensor, torch.Tensor], Any]
"""What a network returns of its features, (N, 8, 8, 8), and logits, (N, 3)."""


class Net(nn.Module):
    """Three classes."""

    def __init__(self, answers: Answers) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1), nn.ReLU())
        self.fc = nn.Linear(8, 3)
        self.answers = answers

    def forward(self, x: torch.Tensor) -> Any:
        features = self.features(x)
        return self.answers(features, self.fc(features.mean((2, 3))))


PLANES = r"returns planes \(1, 8, 8, 8\) and more.*; of a classifier, say where the logits are with "
KINDS: dict[str, tuple[Answers, str, str]] = {
    "planes first": (lambda planes, logits: (planes, logits), PLANES + r"`logits_key`: 1; of a segm", "1"),
    "planes first, by name": (Named, PLANES + "`logits_key`: scores; of a segmenter", "scores"),
    "planes in a dict": (
        lambda planes, logits: {"features": planes, "cls": logits},
        PLANES + "`logits_key`: cls;",
        "cls",
    ),
    "tokens first": (
        lambda planes, logits: [planes.flatten(2).transpose(1, 2), logits],
        r"returns a tensor \(1, 64, 8\); say where the logits are with `logits_key`: 1",
        "1",
    ),
    "no loss first": (lambda _, logits: (None, logits), "returns nothing; say where .*: 1", "1"),
    "a loss first": (
        lambda _, logits: (logits.sum(), logits),
        r"returns a tensor \(\); say where .*: 1",
        "1",
    ),
}
"""What is returned, what that says, and the key that it names."""


@pytest.fixture
def factory(monkeypatch: pytest.MonkeyPatch) -> Callable[[Answers], str]:
    module = types.ModuleType("answer_factory")
    monkeypatch.setitem(sys.modules, "answer_factory", module)

    def name(answers: Answers) -> str:
        module.make = lambda: Net(answers)  # type: ignore[attr-defined]
        return "answer_factory:make"

    return name


def heatmap_of(model: Any) -> Any:
    explainer = Explainer(model, fit="stretch", classes=1, signed=True, backend="torch")
    return explainer.explain(IMAGE)[0].heatmaps[1]


@pytest.mark.parametrize("kind", KINDS)
def test_the_key_that_is_named_leads_to_the_logits(kind: str, factory: Callable[[Answers], str]) -> None:
    answers, says, key = KINDS[kind]
    with pytest.raises(ModelError, match=says) as told:
        load_model(factory(answers), input_size=32)
    assert "\n" not in str(told.value)
    expected = heatmap_of(load_model(factory(lambda _, logits: logits), input_size=32))
    assert np.ptp(expected) > 0
    given = load_model(factory(answers), input_size=32, logits_key=key)
    np.testing.assert_allclose(heatmap_of(given), expected, rtol=1e-5, atol=1e-8)


def test_the_command_line_takes_a_field_or_a_number(
    tmp_path: Path, factory: Callable[[Answers], str], capfd: pytest.CaptureFixture[str]
) -> None:
    cv2.imwrite(str(tmp_path / "in.png"), IMAGE)
    words = ["render", str(tmp_path / "in.png"), "-o", str(tmp_path / "out.png"), "--overwrite", "--signed"]
    words += ["--model", factory(Named)]
    assert run(words) == 1
    assert "say where the logits are with --logits-key: scores" in capfd.readouterr().err
    for key in ("scores", "1"):
        assert run([*words, "--logits-key", key]) == 0
    assert run([*words, "--logits-key", "logits"]) == 1
    assert "has no entry 'logits'; check --logits-key" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("answers", "other"),
    [
        (lambda planes, logits: (planes.mean((2, 3)), logits), "1"),
        (lambda _, logits: Heads(logits, -logits), "other"),
    ],
)
def test_features_that_look_like_logits_are_told(
    answers: Answers, other: str, factory: Callable[[Answers], str]
) -> None:
    name = factory(answers)
    explainer = Explainer(load_model(name, input_size=32), backend="torch")
    (note,) = explainer.notes
    assert note == (
        f"{name} returns several tensors (N, classes), and the first one is explained; "
        f"`logits_key={other!r}` names another"
    )
    explainer = Explainer(load_model(name, input_size=32, logits_key=other), backend="torch")
    assert explainer.notes == []
    assert len(explainer.model.labels) == 3
