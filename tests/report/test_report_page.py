"""The page of a report, in a real browser."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsers import open_chromium, serious_findings
from evidence_files import kept_evidence
from playwright.sync_api import Browser, Page
from test_report_summary import frame

import streamcam.report
from streamcam.cli import run
from streamcam.report import build_page, summarize, write_page


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    frames = [frame(index, "cat & </script>", 0.9) for index in range(50)]
    frames += [frame(index, "dog", 0.25, cell=3) for index in range(50, 75)]
    frames += [frame(index, "dog", 0.5, starts_shot=index == 75) for index in range(75, 100)]
    with kept_evidence(folder, frames) as evidence:
        write_page(folder / "report.html", build_page(summarize(evidence)), [])
    return folder / "report.html"


@pytest.fixture
def problems() -> list[str]:
    """What the page complained of, and what it asked the network for."""
    return []


@pytest.fixture(params=[True])
def page(
    request: pytest.FixtureRequest, browser: Browser, report: Path, problems: list[str]
) -> Iterator[Page]:
    # The page forbids itself what tests need to look inside: to run text as code.
    page = browser.new_page(viewport={"width": 1000, "height": 800}, bypass_csp=request.param)
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: problems.append(request.url) if request.url[:5] != "data:" else None)
    page.goto(report.as_uri())
    assert problems == [report.as_uri()], "nothing but the page itself"
    problems.clear()
    yield page
    page.close()
    assert problems == []


@pytest.mark.parametrize("page", [False], indirect=True)
def test_the_figures_stand_on_the_page(page: Page) -> None:
    facts = dict(row.inner_text().split("\t") for row in page.locator(".facts tr").all())
    assert facts["Network"] == "fake <net>, weights: none"
    assert facts["Explained"] == "100 frames"
    assert facts["Label changes"] == "1 within 2 shots"
    assert facts["Speed"] == "12.5 frames a second, 8.0 s in all"
    classes = [
        row.inner_text().split("\t") for row in page.locator("section:has(#classes-title) tbody tr").all()
    ]
    assert classes == [["cat & </script>", "50 %", "90 %", "90 %"], ["dog", "50 %", "38 %", "25 %"]]
    assert page.locator("section:has(#warnings-title) li").inner_text() == "the <map> is odd"
    assert page.locator("#command").inner_text() == "streamcam render a.mp4"
    assert page.locator("figcaption strong").all_inner_texts() == ["Whole video", "Shot 1", "Shot 2"]


def test_a_moment_to_look_at_first_is_shown_when_it_is_clicked(page: Page) -> None:
    card = page.locator("button.card").first
    assert "moves by 71 %" in card.inner_text() or "becomes dog" in card.inner_text()
    card.click()
    row = card.get_attribute("data-row")
    page.wait_for_function(f"document.getElementById('frame').dataset.row === '{row}'")
    assert page.locator("#moment-text").inner_text().startswith("0:02.00: dog 25 %")


def chart_on(page: Page) -> tuple[float, float, float]:
    """Bring the chart onto the screen; return where its left edge and top are, and its width, in pixels."""
    chart = page.locator("#confidence .u-over")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box is not None
    return box["x"], box["y"], box["width"]


def test_the_timeline_is_clicked(page: Page) -> None:
    left, top, width = chart_on(page)
    page.mouse.move(left + width * 0.9, top + 20)
    page.mouse.click(left + width * 0.9, top + 20)
    page.wait_for_function("Number(document.getElementById('frame').dataset.row) > 80")
    assert page.locator("#moment-labels tbody tr").all_inner_texts() == ["dog\t50 %"]
    # Heat is drawn: without it the picture is another.
    canvas = "document.getElementById('frame').toDataURL()"
    with_heat = page.evaluate(canvas)
    page.locator("#heat").click()
    page.wait_for_function(f"{canvas} !== {json.dumps(with_heat)}")


def test_the_timeline_is_zoomed(page: Page) -> None:
    left, top, _ = chart_on(page)
    page.mouse.move(left + 100, top + 50)
    page.mouse.down()
    page.mouse.move(left + 300, top + 50, steps=5)
    page.mouse.up()
    page.mouse.move(left + 1, top + 50)
    # The chart begins where the mouse was pressed.
    page.wait_for_function("document.querySelector('#confidence .u-legend .u-value').innerText > '0:00.20'")


def test_the_keyboard_moves_through_time(page: Page) -> None:
    slider = page.locator("#position")
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == "0:00.04, cat & </script> 90 %"
    page.keyboard.press("End")
    assert slider.get_attribute("aria-valuetext") == "0:03.96, dog 50 %"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_hard_to_use_for_anybody(page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    assert serious_findings(page) == []


@pytest.mark.parametrize("width", [360, 1400])
def test_nothing_is_wider_than_the_screen(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.wait_for_function(
        "document.querySelector('#confidence .uplot').getBoundingClientRect().right <= innerWidth"
    )
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_the_page_prints(page: Page) -> None:
    page.emulate_media(media="print")
    assert not page.locator("#position").is_visible()
    assert page.locator("#confidence canvas").is_visible()
    assert page.pdf()[:4] == b"%PDF"


# --- the command ------------------------------------------------------------------------------------------


def test_the_command_writes_a_page_and_prints_figures(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    kept_evidence(tmp_path, [frame(0, "cat", 0.75)]).close()
    kept, page = str(tmp_path / "kept.h5"), tmp_path / "report.html"
    assert run(["report", kept, "-o", str(page), "--json"]) == 0
    said = capfd.readouterr()
    assert json.loads(said.out)["classes"][0]["mean_confidence"] == 0.75
    assert "1 frame" in said.err
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert run(["report", kept, "-o", str(page)]) == 2
    assert "exists already" in capfd.readouterr().err
    assert run(["report", kept]) == 2
    assert "nothing to make" in capfd.readouterr().err


def test_the_library_of_charts_is_as_it_was_published() -> None:
    assets = Path(streamcam.report.__file__).parent / "assets"
    digests = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in assets.glob("uPlot*")
    }
    assert digests == {
        "uPlot.LICENSE": "8f989229699b4fe2",
        "uPlot.iife.min.js": "19c8d4c6ad88929a",
        "uPlot.min.css": "df630c6a8d6f8eea",
    }
