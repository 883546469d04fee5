"""``streamcam models``, ``layers`` and ``methods``: what they print, for people and for programs."""

from __future__ import annotations

import dataclasses
import io
import re
import sys
from pathlib import Path

import pytest
from stage_fakes import FakeExplainer

from streamcam.cli import run
from streamcam.cli.tables import print_table


def lines_of(capfd: pytest.CaptureFixture[str], *arguments: str) -> list[list[str]]:
    """Run a command; return its table, cell by cell."""
    assert run(arguments) == 0
    return [re.split(r" {2,}", line) for line in capfd.readouterr().out.splitlines()]


def test_models_are_listed_with_what_their_weights_say(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    table = lines_of(capfd, "models", "ResNet18")
    assert table == [
        ["model", "parameters", "top-1", "input", "weights", "on disk"],
        ["resnet18", "11.7 M", "69.8 %", "224x224", "IMAGENET1K_V1"],
    ]
    checkpoint = tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    assert lines_of(capfd, "models", "resnet18")[1][-1] == "yes"


def test_all_models_are_listed_the_default_first(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["models"]) == 0
    said = capfd.readouterr()
    names = [line.split()[0] for line in said.out.splitlines()]
    assert (len(names), names[:3], names[-1]) == (
        83,
        ["model", "efficientnet_lite0", "efficientnet_lite2"],
        "wide_resnet50_2",
    )
    assert "timm:NAME" in said.err


def test_timm_s_models_are_listed_by_their_prefix(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("timm")
    table = lines_of(capfd, "models", "timm:resnet10t")
    assert table[1] == ["timm:resnet10t", "176x176", "c3_in1k"]


def test_no_model_of_that_name_is_misuse(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "resnet-fifty"]) == 2
    said = capfd.readouterr()
    assert said.out == ""
    assert re.fullmatch(r"streamcam: error: unknown model 'resnet-fifty'; the nearest are: .*\n", said.err)


def test_layers_are_listed_in_the_order_in_which_they_run(capfd: pytest.CaptureFixture[str]) -> None:
    table = lines_of(capfd, "layers", "squeezenet1_1")
    assert table[0] == ["layer", "kind", "output", "grid", "channels", "auto"]
    assert table[1] == ["features.0", "Conv2d", "64x111x191", "191x111", "64"]
    assert table[-1] == ["features", "Sequential", "512x13x23", "23x13", "512", "auto"]
    assert not any(row[0] == "classifier.1" for row in table)  # the scores themselves


def test_layers_that_auto_never_takes_are_listed_too(capfd: pytest.CaptureFixture[str]) -> None:
    table = lines_of(capfd, "layers", "squeezenet1_1", "--all", "--fit", "stretch")
    assert ["classifier.1", "Conv2d", "1000x13x13", "13x13", "1000"] in table
    assert ["classifier", "Sequential", "1000x1x1"] in table
    assert ["features", "Sequential", "512x13x13", "13x13", "512", "auto"] in table


def test_layers_of_tokens_have_the_grid_that_they_fold_into(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("timm")
    assert run(["layers", "timm:deit_tiny_patch16_224"]) == 0
    said = capfd.readouterr()
    chosen = next(line for line in said.out.splitlines() if line.endswith("auto") and "grid" not in line)
    assert chosen.split() == ["blocks.11.norm1", "LayerNorm", "197x192", "14x14", "192", "auto"]
    assert said.err == (
        "note: timm:deit_tiny_patch16_224 takes only 224x224 images: frames are stretched to that\n"
    )


OWN = """
from torch import nn

def make():
    return nn.Sequential(nn.Conv2d(1, 4, 4, 4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))

def flat():
    return nn.Sequential(nn.Flatten(), nn.Linear(32 * 32, 2))
"""


@pytest.fixture
def own(work: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module in the current directory."""
    (work / "cli_nets.py").write_text(OWN, encoding="utf-8")
    monkeypatch.delitem(sys.modules, "cli_nets", raising=False)
    return "cli_nets"


GREY = ["--mean", "0.5", "--std", "0.5", "--input-size", "32"]


def test_layers_of_an_own_network_are_listed(capfd: pytest.CaptureFixture[str], own: str) -> None:
    table = lines_of(capfd, "layers", f"{own}:make", *GREY)
    assert table[1:] == [["0", "Conv2d", "4x8x16", "16x8", "4", "auto"]]


def test_layers_without_a_grid_are_listed_when_all_are_asked_for(
    capfd: pytest.CaptureFixture[str], own: str
) -> None:
    assert lines_of(capfd, "layers", f"{own}:flat", "--all", *GREY)[1:] == [
        ["0", "Flatten", "1024"],
        ["1", "Linear", "2"],
    ]
    assert run(["layers", f"{own}:flat", *GREY]) == 1
    assert "no layer of this network has a spatial grid" in capfd.readouterr().err


BAD = [
    (["layers", "resnet19"], 2, "unknown model 'resnet19'; the nearest are: .*resnet18"),
    (["layers", "nowhere:make"], 2, "unknown model 'nowhere:make'; there is no module 'nowhere'"),
    (["layers", "squeezenet1_1", "--fit", "cut"], 2, "unknown fit 'cut'; choose one of: crop, full"),
    (["layers", "squeezenet1_1", "--mean", "0.5,x,0.5"], 2, "'--mean': 'x' is not a number"),
    (["layers", "squeezenet1_1", "--mean", "0.5,0.5"], 2, "three values each"),
    (["layers", "squeezenet1_1", "--input-size", "0"], 2, "'--input-size': 0 is not in the range"),
    (["layers", "squeezenet1_1", "--activation", "relu"], 2, "'--activation': 'relu' is not one of"),
    (["layers", "squeezenet1_1", "--weights", "gone.pth"], 2, r"no weights file 'gone\.pth'"),
    (
        ["layers", "squeezenet1_1", "--mean", "0.5", "--std", "0.5"],
        1,
        "takes RGB images of 224x224 pixels; set --mean and --std to three values each",
    ),
    (["layers"], 2, "missing argument 'MODEL'"),
    (
        ["methods", "gradcamm"],
        2,
        r"unknown method 'gradcamm'; the nearest are: gradcam, .* streamcam methods",
    ),
]


@pytest.mark.parametrize(("arguments", "code", "says"), BAD, ids=[" ".join(row[0]) for row in BAD])
@pytest.mark.usefixtures("work")
def test_what_cannot_be_is_one_line(
    capfd: pytest.CaptureFixture[str], arguments: list[str], code: int, says: str
) -> None:
    assert run(arguments) == code
    said = capfd.readouterr()
    assert said.out == ""
    assert re.fullmatch(f"streamcam: error: .*{says}.*\n", said.err)


@pytest.mark.parametrize("columns", [80, 120])
def test_methods_are_listed_by_what_they_cost(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    from streamcam.explain import METHODS

    monkeypatch.setenv("COLUMNS", str(columns))
    assert run(["methods"]) == 0
    said = capfd.readouterr().out
    assert 60 < max(map(len, said.splitlines())) <= columns
    order = {"one": 0, "full backward": 1, "many": 2}
    named = re.findall(r"^  (\S+)  +\S", said, flags=re.MULTILINE)
    assert named == sorted(METHODS, key=lambda name: order[METHODS[name].passes])
    flowing = " ".join(said.split())
    assert all(f"{name} {method.when}" in flowing for name, method in METHODS.items())
    assert f"{METHODS['occlusion'].when} Options: patch=32,stride=16." in flowing


def test_all_that_is_known_of_one_method_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["methods", "occlusion"]) == 0
    details = dict(re.split(r" {2,}", line, maxsplit=1) for line in capfd.readouterr().out.splitlines())
    assert details["title"] == "Occlusion"
    assert details["cost"] == "Many passes, for still images and short scenes"
    assert details["--signed"] == "supported"
    assert details["published"] == "https://arxiv.org/abs/1311.2901"
    assert details["options"] == "--method occlusion:patch=32,stride=16"
    assert run(["methods", "eigencam"]) == 0
    said = capfd.readouterr().out
    assert "not supported" in said
    assert "--method" not in said


def test_a_method_without_a_paper_names_none(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from streamcam.explain import METHODS

    monkeypatch.setitem(METHODS, "toy", dataclasses.replace(METHODS["cam"], paper=None))
    assert run(["methods", "toy"]) == 0
    assert "published" not in capfd.readouterr().out


def test_rendering_takes_the_options_for_own_networks_too(
    clip: Path, explainers: list[FakeExplainer]
) -> None:
    own = ["--model", "nets:make", "--input-size", "64", "--mean", "0.5", "--std", "0.25"]
    own += ["--logits-key", "scores", "--activation", "sigmoid"]
    assert run(["render", str(clip), "-o", "out.mp4", *own]) == 0
    settings = explainers[0].settings
    assert {
        key: settings[key] for key in ("model", "input_size", "mean", "std", "logits_key", "activation")
    } == {
        "model": "nets:make",
        "input_size": 64,
        "mean": (0.5,),
        "std": (0.25,),
        "logits_key": "scores",
        "activation": "sigmoid",
    }


def test_a_model_that_cannot_be_had_leaves_no_output(
    capfd: pytest.CaptureFixture[str], clip: Path, own: str
) -> None:
    assert run(["render", str(clip), "-o", "out.mp4", "--model", f"{own}:maek", "--quiet"]) == 2
    said = capfd.readouterr()
    assert said.err == "streamcam: error: unknown factory in cli_nets 'maek'; choose one of: flat, make\n"
    assert sorted(path.name for path in clip.parent.iterdir() if path.suffix == ".mp4") == ["clip.mp4"]


ROWS = [
    ("a", "1", "", "short"),
    ("a long name", "10", "", "a text [with] brackets that is longer than the others"),
]
HEADERS = ("name", "count", "state", "text")


def test_a_table_in_a_pipe_is_aligned_and_whole(capfd: pytest.CaptureFixture[str]) -> None:
    print_table(HEADERS, ROWS, numbers=("count",))
    assert capfd.readouterr().out == (
        "name         count  state  text\n"
        "a                1         short\n"
        "a long name     10         a text [with] brackets that is longer than the others\n"
    )


def test_a_table_on_a_terminal_fits_its_width(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("NO_COLOR", "1")
    print_table(HEADERS, ROWS, numbers=("count",))
    drawn = re.sub(r"\x1b\[\d*m", "", terminal.getvalue())
    assert max(map(len, drawn.splitlines())) <= 40
    assert "a long name     10  a text" in drawn  # nothing is known of any state
    assert "state" not in drawn
    assert "[with]" in drawn
    assert "…" not in drawn
