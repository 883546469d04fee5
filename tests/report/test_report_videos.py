"""Reports that play the video beside them, follow boxes, and say what each stage took."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsers import open_chromium, open_tab, serious_findings
from evidence_files import kept_evidence
from media_factory import make_clip, paint_noise
from playwright.sync_api import Browser
from stage_fakes import CAT, FakeExplainer
from test_report_summary import frame
from video_runs import render_with

from streamcam.evidence import open_evidence
from streamcam.explanations import Instance
from streamcam.localization import LocalizationSettings
from streamcam.report import build_page, summarize, write_page
from streamcam.report.videos import PlayedVideo, find_videos
from streamcam.sources import SourceSettings

FRAMES = 50
BOXES = LocalizationSettings(boxes=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video, its render with boxes, the evidence, and the report on them."""
    folder = tmp_path_factory.mktemp("a film & more")
    clip = make_clip(folder / "my clip.mp4", frames=FRAMES, paint=paint_noise)
    render_with(clip, folder / "heat.mp4", FakeExplainer(), evidence=folder / "kept.h5", localization=BOXES)
    with open_evidence(folder / "kept.h5") as evidence:
        page = folder / "report.html"
        write_page(page, build_page(summarize(evidence), page), [])
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_chromium() as browser:
        yield browser


def test_the_video_is_played_with_and_without_heat(browser: Browser, folder: Path) -> None:
    with open_tab(browser) as (tab, complaints):
        asked: list[str] = []
        tab.on("request", lambda request: asked.append(request.url) if request.url[:5] != "data:" else None)
        tab.goto((folder / "report.html").as_uri())
        tab.wait_for_selector("#screen.plays")
        assert set(asked) == {(folder / name).as_uri() for name in ("report.html", "my clip.mp4")}
        tab.locator("#choice").select_option(label="with heat, as rendered")
        tab.wait_for_selector("#heat:disabled")
        assert complaints == []
    with open_tab(browser, bypass_csp=True) as (tab, complaints):
        film = "document.getElementById('player')"
        tab.goto((folder / "report.html").as_uri())
        tab.wait_for_selector("#screen.plays")
        tab.locator("#position").focus()
        tab.keyboard.press("End")
        tab.wait_for_function(f"Math.abs({film}.currentTime - {(FRAMES - 1) / 25}) < 0.01")
        # The page follows where somebody else moves the video.
        tab.evaluate(f"{film}.currentTime = 0.41")
        tab.wait_for_function("document.getElementById('frame').dataset.row === '10'")
        assert tab.locator("#moment-text").inner_text().startswith("0:00.40: cat 75 %")
        tab.locator("#choice").select_option(label="with heat, as rendered")
        tab.wait_for_function(f"/heat.mp4$/.test({film}.currentSrc) && {film}.readyState > 0")
        assert complaints == []


def test_a_page_without_its_video_says_so_and_shows_pictures(
    browser: Browser, folder: Path, tmp_path: Path
) -> None:
    shutil.copy(folder / "report.html", tmp_path / "alone.html")
    with open_tab(browser, bypass_csp=True) as (tab, _):
        tab.goto((tmp_path / "alone.html").as_uri())
        tab.wait_for_selector("#problem:visible")
        assert not tab.locator("#player").is_visible()
        assert tab.locator("#frame").is_visible()
        assert serious_findings(tab) == []


def test_boxes_and_stages_stand_on_the_page(browser: Browser, folder: Path) -> None:
    with open_tab(browser, bypass_csp=True) as (tab, _):
        tab.goto((folder / "report.html").as_uri())
        row = tab.locator("section:has(#paths-title) .wide tbody tr").first.inner_text().split("\t")
        assert row == ["cat #1", "0:00.00 to 0:01.96", str(FRAMES), row[3]]
        assert tab.locator("#paths canvas").is_visible()
        stages = tab.locator("section:has(#stages-title) tbody th").all_inner_texts()
        assert stages == [
            "Decoding",
            "The network and its maps",
            "Smoothing and drawing",
            "Encoding and writing",
        ]
        tab.wait_for_selector("#screen.plays")
        assert serious_findings(tab) == []


def test_only_the_video_that_was_explained_is_played(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "elsewhere" / "report.html"
    page.parent.mkdir()
    with open_evidence(folder / "kept.h5") as evidence:
        found = list(find_videos(evidence, page))
        assert [(Path(one.url).name, one.begins_s, one.has_heat) for one in found] == [
            ("my%20clip.mp4", 0, False),
            ("heat.mp4", 0, True),
        ]
        evidence.header["output"] = None
        evidence.header["input"]["ends"] = "another's"
        assert list(find_videos(evidence, page)) == []
    # It is found beside the evidence or the page, too.
    for name in ("kept.h5", "my clip.mp4", "heat.mp4"):
        shutil.copy(folder / name, tmp_path / name)
    with open_evidence(tmp_path / "kept.h5") as evidence:
        for name, key in (("my clip.mp4", "name"), ("heat.mp4", "output")):
            where = evidence.header["input"] if key == "name" else evidence.header
            where[key] = f"gone/{name}"
        assert [one.url for one in find_videos(evidence, page)] == ["../my%20clip.mp4", "../heat.mp4"]


def test_a_part_is_played_from_its_beginning(folder: Path, tmp_path: Path) -> None:
    source = SourceSettings(start_s=0.8, size=(32, 24))
    output, kept = tmp_path / "part.mp4", tmp_path / "kept.h5"
    render_with(folder / "my clip.mp4", output, FakeExplainer(), evidence=kept, source=source)
    with open_evidence(kept) as evidence:
        # Heat would lie elsewhere on the video of another size.
        assert list(find_videos(evidence, tmp_path / "r.html")) == [PlayedVideo("part.mp4", 0.8, True)]


def test_boxes_around_heat_are_kept_in_evidence(folder: Path) -> None:
    with open_evidence(folder / "kept.h5") as evidence:
        boxes = evidence.heat_boxes
        assert boxes["frame"].tolist() == list(range(FRAMES))
        assert set(boxes["target"].tolist()) == {CAT}
        assert (boxes["share"] > 0).all()
        stages = evidence.outcome["stage_s"]
        assert list(stages) == ["decode", "explain", "draw", "write"]
        assert all(taken > 0 for taken in stages.values())
        assert max(stages.values()) <= evidence.outcome["elapsed_s"]


def test_objects_are_followed_by_their_numbers(tmp_path: Path) -> None:
    def seen(index: int, number: int, left: float) -> Instance:
        label = "cat" if index else "kitten"
        return Instance(CAT, label, 0.9, (left, 0.25, left + 0.2, 0.75), track_id=number)

    frames = [
        dataclasses.replace(frame(index, "cat", 1.0), instances=(seen(index, 4, 0.1 * index),))
        for index in range(4)
    ]
    frames[2] = dataclasses.replace(frames[2], instances=(*frames[2].instances, seen(2, 7, 0.5)))
    with kept_evidence(tmp_path, frames) as evidence:
        first, second = summarize(evidence).figures()["tracks"]
    assert first == {
        "number": 4,
        "label": "cat",
        "frames": 4,
        "begin_s": 0.0,
        "end_s": 0.12,
        "moved": pytest.approx(0.3),
    }
    assert (second["number"], second["frames"], second["moved"]) == (7, 1, 0.0)
