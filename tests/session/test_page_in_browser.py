"""The page of a live session in a real browser."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsers import open_chromium, open_tab, serious_findings
from live_fakes import FakeExplainers
from PIL import Image
from stage_fakes import LIMIT_S

from streamcam.session.page.page import Page
from streamcam.session.session import LiveSession
from streamcam.session.settings import PageSettings
from streamcam.sources import SourceSettings, open_source

SAMPLE = Path(__file__).parents[2] / "media" / "sample.mp4"
PATIENCE_MS = 30_000


@pytest.fixture
def links() -> Iterator[dict[str, str]]:
    """The links to a session that plays the sample clip, with an explainer that needs no network."""
    page = Page(PageSettings(port=0, key="abcdefabcdef"))
    source = open_source(SAMPLE, SourceSettings(real_time=True, loop=True))
    session = LiveSession(source, FakeExplainers(), [page])  # type: ignore[arg-type]
    thread = threading.Thread(target=session.run)
    thread.start()
    yield page.links
    session.stop()
    thread.join(LIMIT_S)
    assert not thread.is_alive()


def wait_for_predictions(tab: Any) -> None:
    tab.locator("#predictions li.explained").wait_for(timeout=PATIENCE_MS)


def test_the_page_shows_heat_and_labels_and_obeys(links: dict[str, str]) -> None:
    desktop = {"viewport": {"width": 1280, "height": 800}, "locale": "en"}
    with open_chromium() as chromium, open_tab(chromium, **desktop) as (tab, complaints):
        tab.goto(links["control"])
        wait_for_predictions(tab)
        assert "#" not in tab.url  # the key is not left in the address
        assert tab.inner_text("#network") == "fake · auto · deep"
        assert tab.inner_text("#predictions li.explained") == "cat\n75 %"
        tab.click("[data-command=freeze]")
        tab.locator("#frozen", has_text="frozen").wait_for()
        warm = picture(tab)
        tab.click("[data-command=overlay]")
        tab.locator("[data-command=overlay][aria-pressed=false]").wait_for()
        assert np.abs(warm - settled(tab, warm)).mean() > 3  # levels of 255: the heat is gone
        tab.select_option("#method", "other")
        tab.locator("#network", has_text="other").wait_for()
        tab.select_option("#colormap", "inferno")
        tab.locator("#messages", has_text="color map inferno").wait_for()
        tab.fill("#class", "tabby")
        tab.press("#class", "Enter")
        tab.locator("#messages", has_text="locked: tabby").wait_for()
        tab.locator("[data-command=lock][aria-pressed=true]").wait_for()
        tab.locator("#source").click()
        tab.keyboard.press("c")  # as in the window
        tab.locator("[data-command=lock][aria-pressed=false]").wait_for()
        assert complaints == []
        assert serious_findings(tab) == []


def picture(tab: Any) -> np.ndarray:
    """Return what the page shows as its image."""
    shot = Image.open(io.BytesIO(tab.locator("#image").screenshot()))
    return np.asarray(shot.convert("RGB"), dtype=np.int16)


def settled(tab: Any, before: np.ndarray) -> np.ndarray:
    """Return what the page shows once it differs from what it showed before."""
    for _ in range(100):
        after = picture(tab)
        if np.abs(after - before).mean() > 3:
            return after
        tab.wait_for_timeout(50)
    return before


def test_a_phone_in_german_that_may_only_look(links: dict[str, str]) -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "locale": "de-DE", "color_scheme": "light"}
    with open_chromium() as chromium, open_tab(chromium, **phone) as (tab, complaints):
        tab.goto(links["view"])
        wait_for_predictions(tab)
        assert tab.inner_text("#predictions-title") == "Was das Netz sieht"
        assert tab.locator("#controls").is_hidden()
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390  # nothing sticks out
        tab.reload()  # the cookie is enough
        wait_for_predictions(tab)
        assert complaints == []
        assert serious_findings(tab) == []


def test_a_kiosk_shows_the_image_and_the_predictions(links: dict[str, str]) -> None:
    with (
        open_chromium() as chromium,
        open_tab(chromium, viewport={"width": 1280, "height": 720}) as (tab, complaints),
    ):
        tab.goto(links["control"].replace("/#", "/?kiosk#"))
        wait_for_predictions(tab)
        assert tab.locator("#controls").is_hidden()
        box = tab.locator("#predictions").bounding_box()
        assert box["y"] + box["height"] <= 720
        assert complaints == []


def test_a_stranger_is_told_what_is_missing(links: dict[str, str]) -> None:
    with open_chromium() as chromium, open_tab(chromium, locale="en") as (tab, _complaints):
        tab.goto(links["control"].partition("#")[0])
        tab.locator("#waiting", has_text="This page needs its link").wait_for()
