"""``streamcam compare`` on the command line: what it makes, and what it refuses in one line."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import av
import pytest

from streamcam.cli import run
from streamcam.explanations import Explanation
from streamcam.overlay.panes import lay_out
from streamcam.panes import PaneGrid


def test_a_table_of_panes(clip: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["--methods", "gradcam,layercam", "--layers", "features.4,features", "--duration", "0.1"]
    assert run(["compare", str(clip), "-o", "panes.mp4", *arguments]) == 0
    assert capfd.readouterr().out.startswith("wrote panes.mp4")
    with av.open(str(clip)) as before, av.open("panes.mp4") as after:
        image, panes = before.streams.video[0], after.streams.video[0]
        layout = lay_out((image.width, image.height), PaneGrid(4, columns=2))
        assert (panes.width, panes.height) == layout.canvas


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--methods", "gradcam,gradcam"], "--methods has 'gradcam' twice; name it once"),
        (["--methods", "gradcam,,cam"], "'gradcam,,cam' has an empty name"),
        (["--methods", "gradcam", "--method", "cam"], "--methods and --method cannot be combined"),
        (["--method", "cam"], "nothing differs between panes by --method; name several with --methods"),
        (
            ["--layers", "auto:3", "--target-layer", "relu"],
            "--layers and --target-layer cannot be combined",
        ),
        (["--classes", "cat", "--class", "dog"], "--classes and --class cannot be combined"),
        (["--layers", "auto:none"], "layers 'auto:none' are none"),
        (["--smoothing-modes", "flow,flaw"], "unknown smoothing mode 'flaw'"),
        (["--scores", "--layers", "auto:2"], "--scores compare methods; leave out other things to compare"),
        (["--prompts", "a cat,a cat"], "--prompts has 'a cat' twice; name it once"),
        (["--classes", "tabby,tabby"], "--classes has 'tabby' twice; name it once"),
        (["--layers", "a,b,a"], "--layers has 'a' twice; name it once"),
        (["--target", "top70"], "more than 64 panes cannot be distinguished"),
        (["--target", "instances"], "'instances' cannot be compared"),
        (["--layout", "side-by-side"], "layout 'side-by-side' has several images"),
        (
            ["--methods", "cam,fem", "--layers", "a,b", "--smoothing-modes", "none,flow"],
            "--methods, --layers and --smoothing-modes are more than rows and columns",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused_before_the_network_is_loaded(
    clip: Path, arguments: list[str], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["compare", str(clip), "-o", "panes.mp4", "--model", "no_module:network", *arguments]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert message in line
    assert not Path("panes.mp4").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--methods", "gradcam,gradcan"], "unknown method 'gradcan'"),
        (["--layers", "features,futures"], "unknown layer 'futures'"),
        (["--classes", "tabby,zzz"], "unknown class 'zzz'"),
        (["--models", "efficientnet_lite0,resnot"], "unknown model 'resnot'"),
        (["--prompts", "a cat,a cup"], "error: --prompts is for networks"),
        (["--methods", "cam,fem", "--prompt", "a cat"], "error: --prompt is for networks"),
    ],
)
def test_what_the_network_does_not_have_is_refused_and_leaves_nothing(
    clip: Path, arguments: list[str], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["compare", str(clip), "-o", "panes.mp4", *arguments]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert message in line
    assert not Path("panes.mp4").exists()


def test_commas_between_options_of_a_method_do_not_separate_methods() -> None:
    from streamcam.cli.options.values import read_names

    text = "occlusion:patch=32,stride=16,gradcam, fem"
    assert read_names(None, None, text) == ("occlusion:patch=32,stride=16", "gradcam", "fem")  # type: ignore[arg-type]


def test_panes_show_how_faithful_their_methods_are(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from streamcam.explain import PaneExplainer

    names: list[list[str | None]] = []
    explain = PaneExplainer.explain_frames

    def watch(self: PaneExplainer, *given: Any) -> list[Explanation]:
        explanations = explain(self, *given)
        names.extend([each.pane for each in (one, *one.others)] for one in explanations)
        return explanations

    monkeypatch.setattr(PaneExplainer, "explain_frames", watch)
    arguments = ["--methods", "gradcam,eigencam", "--scores", "--duration", "0.1"]
    assert run(["compare", str(clip), "-o", "panes.mp4", *arguments]) == 0
    assert run(["evaluate", str(clip), *arguments[:2], "--metrics", "road", "--frames", "8", "--duration",
                "0.1", "--csv", "values.csv"]) == 0  # fmt: skip
    rows = list(csv.DictReader(Path("values.csv").read_text().splitlines()))
    for place, method in enumerate(("gradcam", "eigencam")):
        values = [float(row["road"]) for row in rows if row["method"] == method]
        expected = f"{method} · ROAD {sum(values) / len(values):.2f}"
        assert {shown[place] for shown in names} == {expected}
