"""``streamcam report`` of videos, which are explained for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from media_factory import make_clip
from stage_fakes import FakeExplainer

from streamcam.cli import run

FRAMES = 20
"""Those of ``clip.mp4``."""


def test_a_video_is_explained_for_its_report(
    clip: Path, explainers: list[FakeExplainer], capfd: pytest.CaptureFixture[str]
) -> None:
    assert (
        run(["report", str(clip), "-o", "report.html", "--json", "--model", "resnet18", "--batch", "4"]) == 0
    )
    said = capfd.readouterr()
    figures = json.loads(said.out)
    assert figures["frames"] == figures["explained"] == FRAMES
    assert figures["command"] == f"streamcam report {clip} -o report.html --json --model resnet18 --batch 4"
    assert figures["classes"][0] == {
        "label": "cat",
        "share": 1,
        "mean_confidence": 0.75,
        "least_confidence": 0.75,
    }
    assert "wrote report.html" in said.err
    assert f"{FRAMES} frames" in Path("report.html").read_text(encoding="utf-8")
    assert [each.settings["model"] for each in explainers] == ["resnet18"]
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["clip.mp4", "report.html"]


def test_a_video_is_compared_with_evidence(
    clip: Path, explainers: list[FakeExplainer], capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["render", str(clip), "-o", "kept.h5", "--quiet"]) == 0
    for order in ([str(clip), "kept.h5"], ["kept.h5", str(clip)]):
        assert run(["report", *order, "--json"]) == 0
        assert json.loads(capfd.readouterr().out)["agreement"] == 1
    assert len(explainers) == 3


def test_what_cannot_be_reported_on_is_refused_before_the_network_is_loaded(
    clip: Path, explainers: list[FakeExplainer], capfd: pytest.CaptureFixture[str]
) -> None:
    run(["render", str(clip), "-o", "kept.h5", "--quiet"])
    explainers.clear()
    make_clip(Path("longer.mp4"), frames=FRAMES + 5)
    Path("bad.h5").write_text("not evidence")
    refused = {
        ("clip.mp4", "./clip.mp4"): "'./clip.mp4' is given twice",
        ("kept.h5", "kept.h5"): "'kept.h5' is given twice",
        ("clip.mp4", "longer.mp4"): "are two videos",
        ("longer.mp4", "kept.h5"): "are of two videos ('longer.mp4' and",
        ("kept.h5", "--model", "resnet18"): "--model is for a video, and 'kept.h5' is explained already",
        ("bad.h5",): "'bad.h5' is not an evidence file",
        ("nothing.mp4",): "no file 'nothing.mp4'",
    }
    for words, said in refused.items():
        assert run(["report", *words, "--json"]) == 2, words
        error = capfd.readouterr().err
        assert said in error
        assert error.count("\n") == 1
    assert explainers == []


def test_evidence_of_another_video_is_told_from_it_in_words(
    clip: Path, explainers: list[FakeExplainer], capfd: pytest.CaptureFixture[str]
) -> None:
    run(["render", str(clip), "-o", "kept.h5", "--quiet"])
    longer = make_clip(Path("longer.mp4"), frames=FRAMES + 5)
    assert run(["restyle", "longer.mp4", "kept.h5", "-o", "new.mp4"]) == 2
    sizes = [f"{path.stat().st_size:,}" for path in (clip, longer)]
    assert capfd.readouterr().err.endswith(f"that one has {sizes[0]} bytes, and this one {sizes[1]}\n")
    assert not Path("new.mp4").exists()
    assert len(explainers) == 1
