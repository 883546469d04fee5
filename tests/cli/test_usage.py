"""How commands and options are asked for: help, misspellings, and their twins in the environment."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from stage_fakes import FakeExplainer

import streamcam
from streamcam.cli import cli, run

COMMANDS = sorted(cli.commands)
PARAMETERS = [
    (name, parameter)
    for name, command in [("", cli), *cli.commands.items()]
    for parameter in command.params
    if isinstance(parameter, click.Option) and parameter.name not in ("help", "version")
]

MISUSE = [
    ([], "-x", "no such option '-x'; see streamcam --help"),
    ([], "rendr", "no such command 'rendr' (did you mean 'render'?); see streamcam --help"),
    (["render"], "", "missing argument 'INPUT...'; see streamcam render --help"),
    (["render"], "a", "missing option '-o' / '--output'; see streamcam render --help"),
    (["layers"], "resnet18 b", "got unexpected extra argument (b); see streamcam layers --help"),
    (["render"], "a -o", "option '-o' requires an argument; see streamcam render --help"),
    (
        ["render"],
        "a -o c --colourmap jet",
        "no such option '--colourmap' (did you mean '--colormap'?); see streamcam render --help",
    ),
    (
        ["render"],
        "a -o c --alpha much",
        "invalid value for '--alpha': 'much' is not a number; see streamcam render --help",
    ),
    (
        ["render"],
        "a -o c --top-k three",
        "invalid value for '--top-k': 'three' is not a valid whole number; see streamcam render --help",
    ),
    (
        ["render"],
        "a -o c --target top",
        "invalid value for '--target': 'top' is none of top3, instances, instance2; "
        "see streamcam render --help",
    ),
    (
        ["render"],
        "a -o c --top-k -1",
        "invalid value for '--top-k': -1 is not in the range x>=0; see streamcam render --help",
    ),
    (
        ["render"],
        "a -o -h",
        "invalid value for '-o' / '--output': '-h' is an option; give FILE before it; "
        "see streamcam render --help",
    ),
]


@pytest.mark.parametrize(("before", "rest", "says"), MISUSE, ids=[row[1] for row in MISUSE])
def test_misuse_is_one_line_that_names_the_way_out(
    capfd: pytest.CaptureFixture[str], before: list[str], rest: str, says: str
) -> None:
    assert run([*before, *rest.split()]) == 2
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", f"streamcam: error: {says}\n")


WITH_VALUE = [
    (command, parameter)
    for command, parameter in PARAMETERS
    if not parameter.is_flag and not str(parameter.metavar).startswith(("TEXT", "["))
]


@pytest.mark.parametrize(
    ("command", "parameter"), WITH_VALUE, ids=[f"{command} {each.opts[0]}" for command, each in WITH_VALUE]
)
def test_no_option_takes_the_next_one_for_its_value(
    capfd: pytest.CaptureFixture[str], command: str, parameter: click.Option
) -> None:
    assert run([command, "input", parameter.opts[0], "--quiet"]) == 2
    said = capfd.readouterr().err
    assert said.startswith(f"streamcam: error: invalid value for '{parameter.opts[0]}'")
    assert f"'--quiet' is an option; give {parameter.metavar or ''}" in said
    assert said.count("\n") == 1


def test_a_caption_may_begin_with_dashes(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["render", "missing.mp4", "-o", str(tmp_path / "a.mp4"), "--caption", "--quiet"]) != 0
    assert "'missing.mp4'" in capfd.readouterr().err


def test_without_a_command_the_help_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.startswith("Usage: streamcam [OPTIONS] COMMAND")
    assert all(name in said.err for name in COMMANDS)


def test_version(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capfd.readouterr().out == f"streamcam, version {streamcam.__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], *([name, "-h"] for name in COMMANDS)])
def test_help(capfd: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert run(arguments) == 0
    assert capfd.readouterr().out.startswith("Usage: streamcam")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_does(name: str) -> None:
    command = cli.commands[name]
    assert command.short_help
    assert command.help


@pytest.mark.parametrize(("command", "parameter"), PARAMETERS, ids=[f"{c} {p.name}" for c, p in PARAMETERS])
def test_every_option_has_help_and_a_twin_in_the_environment(command: str, parameter: click.Option) -> None:
    assert parameter.help, f"{command} {parameter.opts} has no help"
    assert parameter.help.endswith((".", "]")), "help is sentences, and perhaps the default"
    word = parameter.opts[-1].removeprefix("--")
    assert parameter.envvar == f"STREAMCAM_{word.replace('-', '_').upper()}"


def test_one_word_means_one_thing_everywhere() -> None:
    meanings: dict[str, set[tuple[str | None, str]]] = {}
    for _, parameter in PARAMETERS:
        meanings.setdefault(parameter.opts[-1], set()).add((parameter.name, parameter.type.name))
    assert {word: found for word, found in meanings.items() if len(found) > 1} == {}


@pytest.mark.usefixtures("clip")
def test_twins_in_the_environment(
    work: Path, explainers: list[FakeExplainer], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "OUTPUT": "out.mp4",
        "TOP_K": "5",
        "CLASS": "tabby;tiger cat",
        "BATCH": "7",
        "QUIET": "1",
    }.items():
        monkeypatch.setenv(f"STREAMCAM_{name}", value)
    assert run(["render", "clip.mp4", "--top-k", "2"]) == 0
    assert (work / "out.mp4").exists()
    settings = explainers[0].settings
    assert (settings["classes"], settings["batch_size"]) == (("tabby", "tiger cat"), 7)
    assert settings["top_k"] == 2, "the command line has the last word"


@pytest.mark.usefixtures("clip")
def test_alpha_from_the_environment(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMCAM_ALPHA", "2")
    assert run(["render", "clip.mp4", "-o", "out.mp4"]) == 2
    assert "--alpha is a weight from 0 to 1, not 2" in capfd.readouterr().err
    monkeypatch.setenv("STREAMCAM_ALPHA", "half")
    assert run(["render", "clip.mp4", "-o", "out.mp4"]) == 2
    assert capfd.readouterr().err == (
        "streamcam: error: invalid value for '--alpha': 'half' is not a number "
        "(from the environment variable STREAMCAM_ALPHA); see streamcam render --help\n"
    )


@pytest.mark.usefixtures("clip")
def test_what_the_options_say_reaches_the_explainer(explainers: list[FakeExplainer]) -> None:
    options = {
        "--model": "resnet50",
        "--weights": "none",
        "--labels": "names.txt",
        "--device": "cpu",
        "--precision": "fp32",
        "--fit": "crop",
        "--method": "gradcam",
        "--target-layer": "layer3",
        "--backend": "torch",
        "--against": "7",
    }
    pairs = [word for pair in options.items() for word in pair]
    assert (
        run(["render", "clip.mp4", "-o", "out.mp4", "--quiet", "--batch", "3", "--top-k", "4", *pairs]) == 0
    )
    said = {word.removeprefix("--").replace("-", "_"): value for word, value in options.items()}
    assert explainers[0].settings.items() >= {**said, "batch_size": 3, "top_k": 4}.items()


@pytest.mark.usefixtures("clip")
def test_several_classes_and_ranks_can_be_asked_for(explainers: list[FakeExplainer]) -> None:
    wanted = ["--class", "281", "--class", "tiger cat", "--target", "top2"]
    assert run(["render", "clip.mp4", "-o", "out.mp4", "--quiet", *wanted]) == 0
    assert explainers[0].settings["classes"] == ("281", "tiger cat", "top2")
    assert run(["render", "clip.mp4", "-o", "two.mp4", "--quiet", "--signed"]) == 0
    assert explainers[1].settings["signed"] is True


def test_the_defaults_in_the_help_are_the_ones_of_the_library(capfd: pytest.CaptureFixture[str]) -> None:
    from streamcam.overlay import OverlaySettings
    from streamcam.temporal import TemporalSettings

    run(["render", "--help"])
    text = "".join(capfd.readouterr().out.split())  # without spaces: names with hyphens are wrapped
    overlay, temporal = OverlaySettings(), TemporalSettings()
    for option, value in {
        "--colormap": overlay.colormap,
        "--alpha": overlay.alpha,
        "--smoothing": temporal.smoothing_s,
        "--smoothing-mode": temporal.mode,
        "--scale": temporal.scale,
        "--cuts": temporal.cuts,
        "--label-hold": temporal.label_hold_s,
        "--every": temporal.every,
    }.items():
        assert re.search(rf"{option}(?!-).*?\[default:{re.escape(str(value))}[\];]", text)
