"""Saved evaluations: read back, and shown on the page of a report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from stage_fakes import FakeExplainer

from streamcam.cli import run
from streamcam.errors import InvalidArgumentError
from streamcam.report.evaluation import evaluation_html
from streamcam.saved_evaluations import read_best, read_evaluation


def figure(mean: float | None, half: float = 0.1) -> dict[str, Any]:
    if mean is None:
        return {"mean": None, "low": None, "high": None, "count": 0}
    return {"mean": mean, "low": mean - half, "high": mean + half, "count": 5}


def record(**changes: Any) -> dict[str, Any]:
    return {
        "input": "clip.mp4",
        "model": "fake",
        "frames": 5,
        "shots": 1,
        "best": "hirescam",
        "advice": "Use hirescam: its <ROAD> is best.",
        "notes": ["gradcam and hirescam give the same maps here"],
        "metrics": {"road": "higher", "drop": "lower", "pointing": "higher"},
        "titles": {"road": "Combined ROAD"},
        "methods": [
            {
                "name": "gradcam",
                "cost_s": 0.25,
                "figures": {"road": figure(0.2), "drop": figure(0.5), "pointing": figure(None)},
            },
            {
                "name": "hirescam",
                "cost_s": None,
                "figures": {"road": figure(0.4, 0.0), "drop": figure(0.3), "pointing": figure(None)},
            },
        ],
        **changes,
    }


def test_the_section_has_the_advice_the_figures_and_a_picture_of_each() -> None:
    section = evaluation_html(record(), "clip.mp4")
    assert "<strong>Use hirescam: its &lt;ROAD&gt; is best.</strong>" in section
    assert (
        '<th scope="row">Combined ROAD</th><td>high</td><td>0.200 ±0.100</td><td>0.400 ±0.000</td>' in section
    )
    assert '<th scope="row">Seconds a map</th><td>low</td><td>0.250</td><td></td>' in section
    assert section.count("<svg") == 2  # of pointing there are no figures
    # From 0.1 to 0.4: the mean of gradcam lies a third of the way along, that of hirescam at its end.
    assert 'cx="156.7" cy="13"' in section
    assert 'cx="250.0" cy="35"' in section
    assert "gradcam and hirescam give the same maps here" in section
    assert "another input" not in section
    assert "It is on another input, clip.mp4." in evaluation_html(record(), "other.mp4")
    assert evaluation_html(None, "clip.mp4") == ""


def test_what_is_no_evaluation_is_refused(tmp_path: Path) -> None:
    saved = tmp_path / "figures.json"
    with pytest.raises(InvalidArgumentError, match="cannot be read: No such file"):
        read_evaluation(str(saved))
    for text, says in (
        ("{", "is no evaluation"),
        ("[]", "is no evaluation"),
        ('{"best": 1}', "is no evaluation"),
    ):
        saved.write_text(text, encoding="utf-8")
        with pytest.raises(InvalidArgumentError, match=says):
            read_evaluation(str(saved))
    saved.write_text(json.dumps(record(best=None, advice="None can.")), encoding="utf-8")
    with pytest.raises(InvalidArgumentError, match=r"recommends no method: None can\."):
        read_best(str(saved))


def test_the_command_shows_it_on_the_page(
    clip: Path, explainers: list[FakeExplainer], capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["render", str(clip), "-o", "kept.h5", "--quiet"]) == 0
    name = explainers[0].describe()["model"]
    Path("figures.json").write_text(json.dumps(record(model=name)), encoding="utf-8")
    for source in ("kept.h5", str(clip)):
        command = ["report", source, "-o", "report.html", "--evaluation", "figures.json", "--overwrite"]
        assert run(command) == 0
        assert "How faithful the maps are" in Path("report.html").read_text(encoding="utf-8")
    Path("figures.json").write_text(json.dumps(record(model="another")), encoding="utf-8")
    capfd.readouterr()
    for source in ("kept.h5", str(clip)):
        command = ["report", source, "-o", "report.html", "--evaluation", "figures.json", "--overwrite"]
        assert run(command) == 2
        assert f"evaluates another, not {name}; evaluate that one" in capfd.readouterr().err
    assert run(["report", "kept.h5", "--json", "--evaluation", "figures.json"]) == 2
    assert "--evaluation is shown on the page" in capfd.readouterr().err
