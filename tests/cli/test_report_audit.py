"""Saved audits: read back, and shown on the page of a report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from stage_fakes import FakeExplainer

from streamcam.cli import run
from streamcam.errors import InvalidArgumentError
from streamcam.report.audit_section import audit_html
from streamcam.saved_evaluations import read_audit


def record(**changes: Any) -> dict[str, Any]:
    return {
        "input": "clip.mp4",
        "model": "fake",
        "method": "gradcam",
        "roi": "0,0,64,48",
        "score": 0.31,
        "fail_under": 0.6,
        "passed": False,
        "classes": [
            {
                "label": "cup & saucer",
                "frames": 12,
                "heat": {"inside": 0.4, "area": 0.25},
                "without_background": {"blurred": 0.62, "replaced": 0.31},
                "without_object": {"blurred": 0.05, "replaced": 0.25},
                "score": 0.31,
                "verdict": "leans on the background",
            }
        ],
        "scenes": [],
        "notes": ["class 'b' is in 2 frames"],
        **changes,
    }


def test_the_section_has_the_verdict_the_figures_and_whether_it_passed() -> None:
    section = audit_html(record(), "clip.mp4")
    assert "<strong>cup &amp; saucer leans on the background</strong>, score 0.31." in section
    assert "<td>31 % (replaced)</td><td>5 % (blurred)</td><td>0.31</td>" in section
    assert "Failed: 0.6 was asked for." in section
    assert "class &#x27;b&#x27; is in 2 frames" in section
    assert "another input" not in section
    assert "It is of another input, clip.mp4." in audit_html(record(), "other.mp4")
    assert "asked for" not in audit_html(record(fail_under=None, passed=True), "clip.mp4")
    assert audit_html(None, "clip.mp4") == ""


def test_the_command_shows_it_on_the_page(
    clip: Path, explainers: list[FakeExplainer], capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["render", str(clip), "-o", "kept.h5", "--quiet"]) == 0
    name = explainers[0].describe()["model"]
    Path("audit.json").write_text(json.dumps(record(model=name)), encoding="utf-8")
    assert run(["report", "kept.h5", "-o", "report.html", "--audit", "audit.json"]) == 0
    assert "leans on the background" in Path("report.html").read_text(encoding="utf-8")
    Path("audit.json").write_text(json.dumps(record(model="another")), encoding="utf-8")
    capfd.readouterr()
    assert run(["report", "kept.h5", "-o", "report.html", "--audit", "audit.json", "--overwrite"]) == 2
    assert f"audits another, not {name}; audit that one" in capfd.readouterr().err


def test_what_is_no_audit_is_refused(tmp_path: Path) -> None:
    saved = tmp_path / "audit.json"
    saved.write_text('{"model": "fake"}', encoding="utf-8")
    with pytest.raises(InvalidArgumentError, match="is no audit; write one as JSON with streamcam audit"):
        read_audit(str(saved))
