"""``streamcam audit``: verdicts, files for programs, and the exit code."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from color_networks import BOX, save_thing

from streamcam.cli import run

ROI = ",".join(map(str, BOX))
BASE = [
    "audit",
    "thing.png",
    "--roi",
    ROI,
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


@pytest.mark.parametrize(
    ("model", "code", "says"),
    [
        ("by_object", 0, "thing rests on the object: "),
        ("by_background", 1, "thing leans on the background: "),
    ],
)
def test_the_exit_code_tells_a_network_that_leans_on_the_background(
    thing: Path, capfd: pytest.CaptureFixture[str], model: str, code: int, says: str
) -> None:
    files = ["--junit", "audit.xml", "--fail-under", "0.6"]
    assert run([*BASE, "--model", f"color_networks:{model}", *files]) == code
    said = capfd.readouterr()
    assert says in said.out
    assert ("error: below 0.6: thing" in said.err) is (code == 1)
    suite = ElementTree.parse(thing / "audit.xml").getroot()
    assert (suite.attrib["tests"], suite.attrib["failures"]) == ("1", str(code))
    (case,) = suite.findall("testcase")
    assert case.attrib["name"] == "thing"
    assert (case.find("failure") is not None) is (code == 1)


def test_figures_can_be_printed_as_json(capfd: pytest.CaptureFixture[str]) -> None:
    command = [*BASE, "--model", "color_networks:by_background", "--fail-under", "0.6", "--json"]
    assert run(command) == 1
    read = json.loads(capfd.readouterr().out)
    assert (read["passed"], read["fail_under"], len(read["classes"])) == (False, 0.6, 1)
    assert read["score"] == read["classes"][0]["score"]
    assert read["classes"][0]["verdict"] == "leans on the background"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--fail-under", "60"], "--fail-under is a score from 0 to 1, not 60"),
        (["--junit", "no/audit.xml"], "there is no directory 'no'; make it first"),
        (["--roi", "1,2,3"], "--roi 1,2,3 has 3 numbers"),
        (["-o", "audit.pdf"], "'audit.pdf' is no page"),
        (["--pictures", "no/there"], "there is no directory 'no'; make it first"),
    ],
)
def test_mistakes_are_reported_before_a_network_is_loaded(
    capfd: pytest.CaptureFixture[str],
    options: list[str],
    says: str,
) -> None:
    assert run([*BASE, "--model", "no_such_module:factory", *options]) == 2
    said = capfd.readouterr().err
    assert says in said
    assert said.count("\n") == 1


def test_pages_and_pictures_are_written(thing: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command = [*BASE, "--model", "color_networks:by_background", "-o", "audit.html", "--pictures", "worst"]
    assert run(command) == 0
    assert capfd.readouterr().out.splitlines()[-2:] == ["wrote audit.html", "wrote worst"]
    page = (thing / "audit.html").read_text(encoding="utf-8")
    assert "<strong>thing leans on the background</strong>" in page
    assert page.count("data:image/jpeg;base64,") == 9
    names = sorted(path.name for path in (thing / "worst").iterdir())
    assert len(names) == 9
    assert names[0] == "thing_0.00s_background-blurred.jpg"
    assert run(command) == 2
    assert "'audit.html' exists" in capfd.readouterr().err
    assert run([*BASE, "--model", "no_such_module:factory", "--pictures", "worst"]) == 2
    assert "'worst' is not empty; --overwrite saves pictures beside" in capfd.readouterr().err
    assert run([*command, "--overwrite"]) == 0


def test_a_directory_is_no_file_to_write(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (work / "audit.xml").mkdir()
    assert run([*BASE, "--model", "no_such_module:factory", "--junit", "audit.xml"]) == 2
    assert "'audit.xml' is a directory; name a file in it" in capfd.readouterr().err
