"""``streamcam evaluate``: the table, files for programs, pictures, and refusals in a line."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from color_networks import BOX, save_thing
from media_factory import make_clip
from numpy.typing import NDArray
from PIL import Image

from streamcam.cli import run
from streamcam.panes import COMPARED_METHODS

ROI = ",".join(map(str, BOX))
BASE = [
    "evaluate",
    "thing.png",
    "--model",
    "color_networks:by_object",
    "--precision",
    "fp32",
    "--backend",
    "torch",
    "--target-layer",
    "features",
]


@pytest.fixture(autouse=True)
def thing(work: Path) -> Path:
    save_thing(work / "thing.png")
    return work


def test_the_table_ends_with_what_to_use(capfd: pytest.CaptureFixture[str]) -> None:
    assert run([*BASE, "--methods", "gradcam,eigencam", "--roi", ROI]) == 0
    said = capfd.readouterr().out.splitlines()
    assert said[0].split() == ["metric", "better", "gradcam", "eigencam"]
    rows = {line.split()[0]: line.split() for line in said if line}
    assert rows["pointing"][1:3] == ["higher", "1.000"]
    assert rows["deletion"][1] == "lower"
    assert "agreement" in rows
    assert said[-1].startswith("Use ")


def test_notes_name_flags_rather_than_parameters(capfd: pytest.CaptureFixture[str]) -> None:
    assert run([*BASE, "--methods", "gradcam,hirescam", "--metrics", "drop"]) == 0
    (note,) = [line for line in capfd.readouterr().out.splitlines() if line.startswith("note: gradcam")]
    assert note.endswith("an earlier --target-layer tells them apart")


def test_figures_go_to_files_and_programs(thing: Path, capfd: pytest.CaptureFixture[str]) -> None:
    files = ["--csv", "e.csv", "--plot", "e.svg", "--json"]
    assert run([*BASE, "--methods", "gradcam,hirescam", "--metrics", "road,drop", *files]) == 0
    record = json.loads(capfd.readouterr().out)
    assert list(record["metrics"].items()) == [("drop", "lower"), ("road", "higher")]
    assert [method["name"] for method in record["methods"]] == ["gradcam", "hirescam"]
    figure = record["methods"][0]["figures"]["road"]
    assert figure["low"] <= figure["mean"] <= figure["high"]
    assert record["best"] in ("gradcam", "hirescam")
    with (thing / "e.csv").open(encoding="utf-8") as opened:
        rows = list(csv.DictReader(opened))
    assert [row["method"] for row in rows] == ["gradcam", "hirescam"]
    assert float(rows[0]["road"]) == pytest.approx(figure["mean"], abs=1e-4)
    assert ElementTree.parse(thing / "e.svg").getroot().tag.endswith("svg")


def test_a_picture_of_the_figures_can_be_opened(thing: Path) -> None:
    plot = ["--plot", "e.png", "--metrics", "drop,randomization", "--quiet"]
    assert run([*BASE, "--methods", "gradcam", *plot]) == 0
    with Image.open(thing / "e.png") as image:
        assert image.width > 800
        assert len(image.convert("L").getcolors() or range(257)) > 20  # something is drawn


def test_a_saved_evaluation_chooses_the_method(thing: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run([*BASE, "--methods", "eigencam", "--metrics", "road", "--json"]) == 0
    (thing / "e.json").write_text(capfd.readouterr().out, encoding="utf-8")
    render = ["render", *BASE[1:], "-o", "out.png", "--sidecar", "out.jsonl", "--method", "best:e.json"]
    assert run([*render, "--quiet"]) == 0
    assert '"eigencam"' in (thing / "out.jsonl").read_text(encoding="utf-8")
    capfd.readouterr()
    assert run([*render, "--overwrite"]) == 0
    assert "note: e.json recommends eigencam" in capfd.readouterr().err
    assert run([*render, "--overwrite", "--model", "color_networks:by_background"]) == 2
    assert "evaluates color_networks:by_object, not color_networks:by_background" in capfd.readouterr().err


def paint_red(_index: int, planes: Sequence[NDArray[np.uint8]]) -> None:
    """Paint the thing: a red square on gray."""
    left, top, right, bottom = BOX
    for plane, (inside, outside) in zip(planes, ((81, 90), (90, 128), (240, 128)), strict=True):
        step = 1 if inside == 81 else 2
        plane[:] = outside
        plane[top // step : bottom // step, left // step : right // step] = inside


@pytest.mark.parametrize(
    ("source", "output", "looks"),
    [
        ("thing.png", "out.png", "explain the image, and the network looks at 8"),
        ("clip.mp4", "out.mp4", "explain 6 frames of the first 60 s, and the network looks at 8"),
    ],
)
def test_render_chooses_the_best_method_itself(
    thing: Path, capfd: pytest.CaptureFixture[str], source: str, output: str, looks: str
) -> None:
    """It says what that takes, which method was taken and why; the same each time."""
    make_clip(thing / "clip.mp4", frames=12, paint=paint_red)
    render = ["render", source, *BASE[2:], "-o", output, "--sidecar", "out.jsonl", "--overwrite"]
    taken = []
    for _ in range(2):
        assert run([*render, "--method", "best"]) == 0
        said = capfd.readouterr()
        lines = (said.out + said.err).splitlines()
        assert any(looks in line for line in lines)
        (choice,) = (line for line in lines if line.startswith("method: "))
        header = json.loads((thing / "out.jsonl").read_text(encoding="utf-8").splitlines()[0])
        taken.append((choice, header["method"]))
    assert taken[0] == taken[1]
    name = taken[0][0].removeprefix("method: ").partition(".")[0]
    assert taken[0][1] == (name if name in COMPARED_METHODS else "gradcam")
    assert name in COMPARED_METHODS


def test_best_is_refused_where_it_cannot_choose(thing: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("one.png", "two.png"):
        save_thing(thing / name)
    several = ["render", "one.png", "two.png", "-o", "out/", *BASE[2:], "--method", "best"]
    assert run(several) == 2
    assert "--method best chooses for the render of one video" in capfd.readouterr().err
    assert run(["audit", "one.png", *BASE[2:], "--method", "best"]) == 2
    assert "or give best:FILE.json" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "'e.json' cannot be read: No such file"),
        ("{", "'e.json' is no evaluation"),
        ("[]", "'e.json' is no evaluation"),
        (
            '{"best": null, "model": "color_networks:by_object", "advice": "None can.", "metrics": {}, '
            '"methods": [], "frames": 1, "shots": 1, "input": "thing.png"}',
            "recommends no method: None can.",
        ),
    ],
)
def test_a_file_that_recommends_nothing_is_refused(
    thing: Path, capfd: pytest.CaptureFixture[str], text: str | None, says: str
) -> None:
    if text is not None:
        (thing / "e.json").write_text(text, encoding="utf-8")
    assert run(["render", *BASE[1:], "-o", "out.png", "--method", "best:e.json"]) == 2
    said = capfd.readouterr().err
    assert len(said.splitlines()) == 1
    assert says in said


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--metrics", "roads"], "unknown metric 'roads'; the nearest are: road"),
        (["--metrics", "pointing"], "give --roi"),
        (["--metrics", "stability"], "compares neighboring frames, and 'thing.png' is a single image"),
        (["--methods", "gradcat"], "unknown method 'gradcat'"),
        (["--methods", "gradcam", "--method", "eigencam"], "--methods and --method cannot be combined"),
        (["--plot", "e.bmp"], "--plot 'e.bmp' ends in none of .png, .svg"),
        (["--roi", "motion"], "--roi motion"),
        (["--roi", "nowhere"], "--roi 'nowhere' is no region"),
        (["--class", "dragon"], "dragon"),
        (["--frames", "0"], "--frames"),
        (["--csv", "missing/e.csv"], "missing"),
    ],
)
def test_mistakes_are_one_line(capfd: pytest.CaptureFixture[str], options: list[str], says: str) -> None:
    assert run([*BASE, *options]) == 2
    said = capfd.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert says in said.err
