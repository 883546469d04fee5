"""``streamcam export``, and the commands that take what it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from color_networks import save_thing

from streamcam.cli import run

EXPORT = ["export", "color_networks:by_object", "--target-layer", "features", "--fit", "stretch"]


@pytest.fixture
def exported(work: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STREAMCAM_CACHE", str(work / "cache"))
    save_thing(work / "thing.png")
    assert run([*EXPORT, "-o", "net.explain", "--quiet"]) == 0
    return work / "net.explain"


def test_it_is_written_and_run(exported: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run([*EXPORT, "-o", "net.explain"]) == 2
    assert "--overwrite" in capfd.readouterr().err
    assert run([*EXPORT, "-o", "net.explain", "--overwrite"]) == 0
    said = capfd.readouterr().out
    assert said.startswith("wrote net.explain (")
    assert said.endswith("color_networks:by_object, gradcam of features, for inputs of 64x48\n")
    assert run(["render", "thing.png", "-o", "heat.png", "--model", "net.explain"]) == 0
    assert (exported.parent / "heat.png").is_file()
    for other in (
        ["render", "thing.png", "-o", "other.png", "--method", "layercam"],
        ["compare", "thing.png", "-o", "other.png"],
        ["evaluate", "thing.png"],
        ["maximize", "-o", "other.png", "--class", "thing"],
    ):
        capfd.readouterr()
        assert run([*other, "--model", "net.explain"]) == 2
        said = capfd.readouterr().err
        assert "'net.explain' holds color_networks:by_object, gradcam of features, for inputs" in said
        assert said.count("\n") == 1
    assert run(["layers", "net.explain"]) == 2
    assert "for anything else name the network itself with --model" in capfd.readouterr().err


def test_an_audit_of_it_is_that_of_the_network(exported: Path, capfd: pytest.CaptureFixture[str]) -> None:
    audit = ["audit", "thing.png", "--roi", "0,0,32,48", "--json", "--fit", "stretch", "--model"]
    found = []
    for network in ([exported.name], ["color_networks:by_object", "--target-layer", "features"]):
        capfd.readouterr()
        assert run([*audit, *network]) == 0
        found.append(json.loads(capfd.readouterr().out))
    ours, expected = found
    assert ours["model"] == expected["model"]
    assert ours["score"] == pytest.approx(expected["score"], abs=1e-3)
    for one, other in zip(ours["classes"], expected["classes"], strict=True):
        assert one["verdict"] == other["verdict"]
        assert one["heat"]["inside"] == pytest.approx(other["heat"]["inside"], abs=1e-3)


def test_the_best_of_one_method_is_refused(exported: Path, capfd: pytest.CaptureFixture[str]) -> None:
    best = ["render", "thing.png", "-o", "best.png", "--method", "best", "--model", exported.name]
    assert run(best) == 2
    said = capfd.readouterr().err
    assert "explains by the method that it was exported with, and --method best chooses among several" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["-o", "net.zip"], "does not end in .explain"),
        (["-o", "no/net.explain"], "there is no directory 'no'"),
        (["-o", "net.explain", "--shape", "wide"], "'wide' is no shape of frames; write 16:9 or 640x480"),
        (["-o", "net.explain", "--shape", "16:0"], "'16:0' is no shape of frames"),
        (["-o", "net.explain", "--format", "tflite"], "unknown format 'tflite'"),
    ],
)
@pytest.mark.usefixtures("work")
def test_mistakes_are_reported_before_a_network_is_loaded(
    capfd: pytest.CaptureFixture[str], options: list[str], says: str
) -> None:
    assert run(["export", "no_such_module:factory", *options]) == 2
    said = capfd.readouterr().err
    assert says in said
    assert said.count("\n") == 1


@pytest.mark.usefixtures("work")
def test_a_file_that_is_none_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    save_thing(Path("thing.png"))
    Path("net.explain").write_bytes(b"not a zip")
    assert run(["render", "thing.png", "-o", "heat.png", "--model", "net.explain"]) == 1
    assert "'net.explain' is no exported explainer, or damaged" in capfd.readouterr().err
    assert run(["render", "thing.png", "-o", "heat.png", "--model", "none.explain"]) == 2
    assert "there is no file 'none.explain'" in capfd.readouterr().err
