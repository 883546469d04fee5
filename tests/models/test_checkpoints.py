"""Weights are found in what training scripts save; of several it is told which are used."""

from __future__ import annotations

import argparse
import sys
import types
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from streamcam import load_model
from streamcam.cli import run
from streamcam.errors import InvalidArgumentError, ModelError, UnknownNameError
from streamcam.models.weights import read_state_dict


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 4, 8, 8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    )


LAST, AVERAGED = network(1).state_dict(), network(2).state_dict()


def wrapped(prefix: str, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {prefix + name: value for name, value in state.items()}


@pytest.fixture(autouse=True)
def _factory(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("checkpoint_factory")
    module.make = network  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "checkpoint_factory", module)


def saved(folder: Path, content: object) -> Path:
    torch.save(content, folder / "weights.pth")
    return folder / "weights.pth"


def load(folder: Path, content: object, **settings: Any) -> Any:
    return load_model("checkpoint_factory:make", weights=saved(folder, content), input_size=32, **settings)


def assert_holds(model: Any, state: dict[str, torch.Tensor]) -> None:
    for name, value in model.module.state_dict().items():
        torch.testing.assert_close(value, state[name], rtol=0, atol=0)


def averaged_model() -> dict[str, torch.Tensor]:
    """Return what torchvision's script saves as ``model_ema``."""
    averaged = torch.optim.swa_utils.AveragedModel(network(2), use_buffers=True)
    state: dict[str, torch.Tensor] = averaged.state_dict()
    return state


SCRIPTS = {
    "torchvision": (
        {"model": LAST, "model_ema": averaged_model(), "args": argparse.Namespace(lr=0.1)},
        "model",
    ),
    "timm": ({"state_dict": LAST, "state_dict_ema": AVERAGED, "epoch": 3}, "state_dict"),
    "YOLO": ({"model": LAST, "ema": AVERAGED, "updates": 12}, "model"),
    "RT-DETR": ({"model": LAST, "ema": {"module": AVERAGED, "updates": 12}}, "model"),
    "BasicSR": ({"params": LAST, "params_ema": AVERAGED}, "params"),
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_averaged_weights_are_preferred_and_following_the_note_gives_the_others(
    script: str, tmp_path: Path
) -> None:
    content, other = SCRIPTS[script]
    model = load(tmp_path, content)
    assert_holds(model, AVERAGED)
    (note,) = model.notes
    (averaged,) = [key for key in content if "ema" in key]
    assert note.startswith(f"'weights.pth' holds weights at {averaged} and {other}: those at {averaged}, ")
    assert note.endswith(f"averaged over training, are used; `weights_key={other!r}` takes the others")
    model = load(tmp_path, content, weights_key=other)
    assert_holds(model, LAST)
    assert model.notes == ()


def test_an_average_of_another_kind_is_told(tmp_path: Path) -> None:
    # MMEngine saves averaged weights as state_dict, and the last ones as ema_state_dict.
    content = {"state_dict": AVERAGED, "ema_state_dict": wrapped("module.", LAST)}
    model = load(tmp_path, content)
    assert_holds(model, AVERAGED)
    assert "those at state_dict are used; `weights_key='ema_state_dict'` takes" in model.notes[0]
    assert_holds(load(tmp_path, content, weights_key="ema_state_dict"), LAST)


ONE = {
    "none averaged yet": {"model": LAST, "ema": None},
    "an average without names": {"model": LAST, "ema": {"shadow_params": list(AVERAGED.values())}},
    "an unusual name": {"my_network": LAST, "optimizer": {"state": {0: {"step": torch.ones(1)}}}},
    "DeepSpeed": {"module": wrapped("module.", LAST), "ds_version": "0.1"},
}


@pytest.mark.parametrize("kind", ONE)
def test_a_single_set_of_weights_is_found_without_a_note(kind: str, tmp_path: Path) -> None:
    model = load(tmp_path, ONE[kind])
    assert_holds(model, LAST)
    assert model.notes == ()


@pytest.mark.parametrize(
    "content",
    [
        {"student": LAST, "teacher": AVERAGED},
        {"state_dict": wrapped("student.", LAST) | wrapped("teacher.", AVERAGED)},
        wrapped("module.student.", LAST) | wrapped("module.teacher.", AVERAGED),
    ],
)
def test_one_of_several_networks_is_chosen(tmp_path: Path, content: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"student, teacher\)?; choose one with `weights_key`"):
        load(tmp_path, content)
    assert_holds(load(tmp_path, content, weights_key="teacher"), AVERAGED)
    with pytest.raises(UnknownNameError, match=r"unknown `weights_key` .*; choose one of: student, teacher"):
        load(tmp_path, content, weights_key="pupil")


def test_a_key_without_a_file_is_refused() -> None:
    for name, settings in (("checkpoint_factory:make", {}), ("resnet18", {"weights": "none"})):
        with pytest.raises(
            InvalidArgumentError, match=r"`weights_key` .* reads none; give one with `weights`"
        ):
            load_model(name, weights_key="model", **settings)


def test_pickled_networks_are_chosen_likewise(tmp_path: Path) -> None:
    content = {"model": network(1), "ema": network(2), "names": ["no", "yes"]}
    path = saved(tmp_path, content)
    model = load_model(str(path), trust_pickle=True)
    assert_holds(model, AVERAGED)
    assert "those at ema, averaged over training, are used; `weights_key='model'`" in " ".join(model.notes)
    assert_holds(load_model(str(path), trust_pickle=True, weights_key="model"), LAST)
    with pytest.raises(UnknownNameError, match="choose one of: ema, model"):
        load_model(str(path), trust_pickle=True, weights_key="modle")
    tensors = read_state_dict(path, trust_pickle=True)
    assert torch.equal(tensors["0.weight"], AVERAGED["0.weight"])


def test_the_command_line_says_which_are_used_and_takes_the_others(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cv2.imwrite(str(tmp_path / "in.png"), np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8))
    path = saved(tmp_path, {"model": LAST, "ema": AVERAGED})
    words = ["render", str(tmp_path / "in.png"), "-o", str(tmp_path / "out.png"), "--overwrite"]
    words += ["--model", "checkpoint_factory:make", "--weights", str(path), "--signed"]
    assert run(words) == 0
    assert (
        "those at ema, averaged over training, are used; --weights-key model takes" in capfd.readouterr().err
    )
    assert run([*words, "--weights-key", "model"]) == 0
    assert "averaged" not in capfd.readouterr().err
    assert run([*words, "--weights-key", "modle"]) == 2
