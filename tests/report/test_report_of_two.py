"""Reports on two explanations of one video."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from browsers import open_chromium, open_tab, serious_findings
from evidence_files import kept_evidence
from test_report_summary import frame

from streamcam.cli import run
from streamcam.errors import InvalidArgumentError
from streamcam.report import build_comparison_page, compare, summarize
from streamcam.report.comparison import correlate


def test_heat_at_the_same_place_correlates() -> None:
    here, there = frame(0, "cat", 1.0, cell=0), frame(0, "cat", 1.0, cell=3)
    assert correlate(here, here) == pytest.approx(1)
    assert correlate(here, there) < 0


def test_what_differs_is_counted_and_named(tmp_path: Path) -> None:
    one = [frame(index, "cat", 0.75) for index in range(60)]
    other = [frame(index, "cat" if index < 45 else "dog", 0.5, cell=3 * (index >= 45)) for index in range(60)]
    with kept_evidence(tmp_path, one) as first, kept_evidence(tmp_path, other, "other.h5") as second:
        figures = compare(summarize(first), summarize(second)).figures()
    assert (figures["frames"], figures["agreement"]) == (60, 0.75)
    assert figures["mean_confidence_difference"] == pytest.approx(0.25)
    most = figures["differences"][0]
    assert most["time_s"] == 1.8
    assert most["text"].startswith("cat against dog; heat correlates by -0.")


def test_only_frames_that_both_explained_are_compared(tmp_path: Path) -> None:
    one, other = [frame(index, "cat", 1.0) for index in (0, 1, 2)], [frame(1, "cat", 1.0)]
    with kept_evidence(tmp_path, one) as first, kept_evidence(tmp_path, other, "other.h5") as second:
        comparison = compare(summarize(first), summarize(second))
    assert comparison.rows.tolist() == [[1, 0]]


def test_evidence_of_two_videos_is_refused(tmp_path: Path) -> None:
    frames = [frame(0, "cat", 1.0)]
    with kept_evidence(tmp_path, frames) as first, kept_evidence(tmp_path, frames, "other.h5") as second:
        first.header["input"]["bytes"] = 1
        second.header["input"] |= {"name": "b.mp4", "bytes": 2}
        with pytest.raises(InvalidArgumentError, match=r"'.*other.h5' are of two videos \(.*b.mp4"):
            compare(summarize(first), summarize(second))


def test_the_page_shows_both(tmp_path: Path) -> None:
    one = [frame(index, "cat", 0.75) for index in range(30)]
    other = [frame(index, "dog <b>", 0.5, cell=3) for index in range(30)]
    with kept_evidence(tmp_path, one) as first, kept_evidence(tmp_path, other, "other.h5") as second:
        (tmp_path / "two.html").write_text(
            build_comparison_page(compare(summarize(first), summarize(second)))
        )
    with open_chromium() as browser, open_tab(browser) as (tab, complaints):
        requests: list[str] = []
        tab.on(
            "request", lambda request: requests.append(request.url) if request.url[:5] != "data:" else None
        )
        tab.goto((tmp_path / "two.html").as_uri())
        assert len(requests) == 1
        assert tab.locator(".pairs li").first.inner_text().startswith("0:00.00 cat against dog <b>; heat")
        assert tab.locator(".pairs img").first.evaluate("image => image.naturalWidth") == 320
        assert tab.locator("#chart canvas").is_visible()
        assert complaints == []
    with open_chromium() as browser, open_tab(browser, bypass_csp=True) as (tab, _):
        tab.goto((tmp_path / "two.html").as_uri())
        assert serious_findings(tab) == []


def test_the_command_compares_two(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("a.h5", "b.h5"):
        kept_evidence(tmp_path, [frame(0, "cat", 0.75)], name).close()
    kept = [str(tmp_path / "a.h5"), str(tmp_path / "b.h5")]
    assert run(["report", *kept, "--json", "-o", str(tmp_path / "two.html")]) == 0
    assert json.loads(capfd.readouterr().out)["agreement"] == 1
    assert run(["report", *kept, kept[0], "--json"]) == 2
    assert "compares two, not 3" in capfd.readouterr().err
