"""``streamcam live`` without a window."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import types
from pathlib import Path

import pytest
from media_factory import frame_times_of, make_clip
from stage_fakes import LIMIT_S

from streamcam.cli import run
from streamcam.cli.live import live_command
from streamcam.models import stage_layers
from streamcam.models.layers import Layer
from streamcam.models.layouts import Layout
from streamcam.session import window
from streamcam.session.explainers import Explainers, build_from_model
from streamcam.session.state import ExplainRequest
from streamcam.temporal import LIVE_MODE

LIVE = ["live", "--display", "none"]


@pytest.fixture
def short(work: Path) -> Path:
    return make_clip(work / "clip.mp4", frames=6)


@pytest.mark.usefixtures("short")
def test_a_video_is_played_recorded_and_measured(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (work / "r.mkv").write_text("an older recording")
    arguments = [*LIVE, "clip.mp4", "--loop", "--duration", "1", "--stats", "s.jsonl", "--record", "r.mkv"]
    code = run([*arguments, "--overwrite"])
    out, err = capsys.readouterr()
    said = [line for line in err.splitlines(keepends=True) if "compiling the explanation" not in line]
    assert out.startswith("recorded r.mkv: ")
    *_, whole = [json.loads(line) for line in (work / "s.jsonl").read_text().splitlines()]
    # A second may be too short for the network.
    assert (code, [NOTHING_EXPLAINED in line for line in said]) == (
        (0, []) if whole["explained"] else (1, [True])
    )
    assert whole["whole_run"] is True
    assert whole["shown"] == whole["recorded"] == len(frame_times_of(work / "r.mkv"))


@pytest.mark.usefixtures("short")
def test_a_video_that_ends_by_itself_before_anything_is_explained_is_an_error() -> None:
    with fake_live(*LIVE, "clip.mp4", "--quiet", "--model", "vit_h_14") as child:
        out, err = child.communicate(timeout=LIMIT_S)
    assert (child.returncode, out) == (1, "")
    assert err.startswith("streamcam: error: it ended after 0.")
    assert NOTHING_EXPLAINED in err
    assert err.endswith("or set a longer --duration, and --loop for a video\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.mp4"], "no file 'nowhere.mp4'"),
        (["clip.mp4", "--record", "out.avi"], "a recording is one of .mp4, .mkv"),
        (["clip.mp4", "--record", "clip.mp4"], "exists already"),
        (["clip.mp4", "--size", "wide"], "'wide' is not a size"),
        (["clip.mp4", "--size", "0x720"], "'0x720' is not a size"),
        (["clip.mp4", "--duration", "0"], "0 is not above 0"),
        (["clip.mp4", "--give-up", "-1"], "-1 is not above 0"),
        (["clip.mp4", "--smoothing", "-1"], "smoothing"),
        (["clip.mp4", "--every", "0"], "0 is not in the range x>=1"),
        (["clip.mp4", "--every", "often"], "'often' is neither a whole number nor auto"),
        (["clip.mp4", "--smoothing-mode", "zero-phase"], "needs future frames"),
        (["clip.mp4", "--colormap", "mauve"], "unknown color map 'mauve'"),
        (["gopher://host/video"], "unknown protocol 'gopher'"),
        (["rtsp:///video"], "names no host"),
    ],
)
@pytest.mark.usefixtures("short")
def test_misuse_is_said_before_anything_is_opened(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["live", "--display", "none", *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert words in err


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="what is known of cameras on Linux")
@pytest.mark.parametrize("options", [["--display", "none"], []], ids=["no window", "no display"])
def test_an_absent_camera_is_one_line(
    options: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    assert run(["live", *options, "987"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("streamcam: error: there is no camera 987; ")
    assert "streamcam doctor" in err
    assert err.count("\n") == 1


@pytest.mark.usefixtures("short")
def test_without_a_display_it_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(window, "find_display", lambda: "there is no display; use `display='none'`")
    assert run(["live", "clip.mp4"]) == 1
    assert capsys.readouterr() == ("", "streamcam: error: there is no display; use --display none\n")


def started(*command: str) -> subprocess.Popen[str]:
    """Start Python with a command, in the current directory."""
    return subprocess.Popen(
        [sys.executable, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def test_a_signal_finishes_the_recording(work: Path) -> None:
    make_clip(work / "clip.mp4", frames=25)
    # By EigenCAM, which has a map for an untrained network too.
    files = ["--record", "r.mp4", "--stats", "s.jsonl"]
    arguments = [*LIVE, "clip.mp4", "--loop", "--method", "eigencam", *files]
    with started("-m", "streamcam", *arguments) as child:
        try:
            _wait_for_statistics(work / "s.jsonl", "explained", child)
            child.send_signal(signal.SIGTERM)
            out, err = child.communicate(timeout=LIMIT_S)
        finally:
            child.kill()
    problems = [line for line in err.splitlines() if not line.endswith(", once")]  # steps of the first run
    assert (child.returncode, problems) == (130, [])
    assert out.startswith("recorded r.mp4: ")
    whole = json.loads((work / "s.jsonl").read_text().splitlines()[-1])
    assert whole["whole_run"] is True
    assert whole["backend"] in ("openvino", "torch")
    assert len(frame_times_of(work / "r.mp4")) == whole["recorded"] > 10


NOTHING_EXPLAINED = "before the network had explained anything; loading takes seconds: run streamcam prepare"


def fake_live(*arguments: str) -> subprocess.Popen[str]:
    return started(str(Path(__file__).parent / "fake_live.py"), *arguments)


def test_a_network_that_is_still_loading_does_not_keep_the_process(work: Path) -> None:
    make_clip(work / "clip.mp4", frames=25)
    options = ["--display", "none", "--loop", "--stats", "s.jsonl", "--model", "vit_h_14"]
    with fake_live("live", "clip.mp4", *options) as child:
        try:
            _wait_for_statistics(work / "s.jsonl", "shown", child)
            child.send_signal(signal.SIGINT)
            out, err = child.communicate(timeout=LIMIT_S)
        finally:
            child.kill()
    assert child.returncode == 130
    assert err.startswith("note: it ended after ")
    assert NOTHING_EXPLAINED in err
    assert err.count("\n") == 1
    assert out.startswith("showed ")
    # Python's own end comes too early for libraries that are at work in another thread: they abort.
    assert "Python has ended" not in out


def test_where_nothing_is_left_behind_python_ends_by_itself() -> None:
    with fake_live("--version") as child:
        out, _ = child.communicate(timeout=LIMIT_S)
    assert out.endswith("\nPython has ended\n")


def _wait_for_statistics(path: Path, number: str, child: subprocess.Popen[str]) -> None:
    """Wait until a number in a child's statistics file is above 0: nothing else shows it from outside."""
    for _ in range(int(3 * LIMIT_S * 20)):
        lines = path.read_text().splitlines() if path.exists() else []
        if any(json.loads(line)[number] for line in lines):
            return
        assert child.poll() is None, child.communicate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(0.05)
    pytest.fail(f"the child's frames {number} stay at 0")


@pytest.mark.parametrize(
    ("options", "every"), [([], 1), (["--every", "auto"], 1), (["--every", "3"], 3)], ids=str
)
@pytest.mark.usefixtures("work")
def test_every_frame_that_there_is_time_for_is_explained_or_every_nth(
    options: list[str], every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr("streamcam.session.settings.check_live", asked.append)
    assert run([*LIVE, "nowhere.mp4", *options]) == 2
    assert [settings.every for settings in asked] == [every]


def test_auto_is_the_default_of_every(capsys: pytest.CaptureFixture[str]) -> None:
    run(["live", "--help"])
    assert re.search(r"--every N [^-]*; auto[^-]*\[default:\s+auto\]", capsys.readouterr().out)


def test_smoothing_is_that_of_live_sources_by_default() -> None:
    (mode,) = (parameter for parameter in live_command.params if parameter.name == "mode")
    assert mode.default == LIVE_MODE


def layer(name: str, grid: int, channels: int, *, explains: bool = True) -> Layer:
    return Layer(name, "Conv2d", (1, channels, grid, grid), Layout("nchw", (grid, grid)), explains)


def test_the_last_layer_of_each_stage_is_offered() -> None:
    layers = [
        layer("conv1", 112, 64),
        layer("relu", 112, 64),
        layer("layer1.0.conv1", 56, 64),
        layer("layer1.0", 56, 64),
        layer("layer1", 56, 64),
        layer("layer2.0", 28, 128),
        layer("layer2.1", 28, 128),
        layer("avgpool", 1, 128, explains=False),
    ]
    assert stage_layers(layers, "layer2.1") == ("relu", "layer1", "layer2.1")
    assert stage_layers(layers, "layer1.0.conv1") == ("relu", "layer1.0.conv1", "layer1", "layer2.1")


def test_explainers_are_kept_for_a_while() -> None:
    explainers = Explainers(build_from_model({"name": "resnet18", "weights": "none"}, backend="torch"))
    first = explainers(ExplainRequest("gradcam"))
    facts = first.facts
    assert "hirescam" in facts.methods
    assert (facts.model, facts.method, facts.layer, facts.backend) == (
        "resnet18",
        "gradcam",
        "layer4",
        "torch",
    )
    assert facts.layers == ("relu", "layer1", "layer2", "layer3", "layer4")
    assert len(facts.labels) == 1000
    other = explainers(ExplainRequest("hirescam", "layer3", class_index=7))
    assert (other.facts.method, other.facts.layer) == ("hirescam", "layer3")
    assert [target.class_index for target in other.explainer.targets] == [7]
    assert explainers(ExplainRequest("gradcam")).explainer is first.explainer
    second_best = explainers(ExplainRequest("gradcam", rank=1))
    assert [target.rank for target in second_best.explainer.targets] == [1]
    assert second_best.explainer.model is first.explainer.model


def test_what_is_told_of_an_explainer_is_true_at_any_moment() -> None:
    made = Explainers(build_from_model({"name": "resnet18", "weights": "none"}, backend="torch"))(
        ExplainRequest("gradcam")
    )
    assert (made.facts.backend, made.facts.precision) == ("torch", "fp32")
    made.explainer.runner._split = types.SimpleNamespace(precision="bf16")  # as if OpenVINO ran it by now
    made.explainer.notes.append("it had to be changed")
    facts = made.facts
    assert (facts.backend, facts.precision, facts.notes[-1]) == ("openvino", "bf16", "it had to be changed")
