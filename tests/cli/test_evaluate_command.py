"""``streamcam evaluate``: the table, files for programs, pictures, and refusals in a line."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from color_networks import BOX, save_thing
from PIL import Image

from streamcam.cli import run

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
