"""The tiles of a wall on the page, in a browser."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from browsers import open_chromium, open_tab
from live_fakes import FakeExplainers
from stage_fakes import LIMIT_S
from test_page_in_browser import PATIENCE_MS, SAMPLE

from streamcam.session.page.page import Page
from streamcam.session.session import LiveSession
from streamcam.session.settings import PageSettings
from streamcam.session.streams import Stream
from streamcam.sources import SourceSettings, open_source


@pytest.fixture
def link() -> Iterator[str]:
    """The link to a wall of two streams."""
    page = Page(PageSettings(port=0, key="abcdefabcdef"))
    settings = SourceSettings(real_time=True, loop=True)
    streams = [Stream(open_source(SAMPLE, settings), name) for name in ("door", "yard")]
    session = LiveSession(streams, FakeExplainers(), [page])
    thread = threading.Thread(target=session.run)
    thread.start()
    yield page.links["control"]
    session.stop()
    thread.join(LIMIT_S)
    assert not thread.is_alive()


def test_a_click_on_the_page_shows_a_tile_alone_and_another_all_again(link: str) -> None:
    desktop = {"viewport": {"width": 1280, "height": 800}, "locale": "en"}
    with open_chromium() as chromium, open_tab(chromium, **desktop) as (tab, complaints):
        tab.goto(link)
        tab.locator("#source", has_text="2 streams").wait_for(timeout=PATIENCE_MS)
        shown = tab.locator("#image, #video").locator("visible=true").first
        shown.wait_for(timeout=PATIENCE_MS)
        box = shown.bounding_box()
        assert box is not None
        middle = box["y"] + box["height"] / 2
        tab.mouse.click(box["x"] + 0.7 * box["width"], middle)
        tab.locator("#source", has_text="yard").wait_for(timeout=PATIENCE_MS)
        tab.mouse.click(box["x"] + 0.5 * box["width"], middle)
        tab.locator("#source", has_text="2 streams").wait_for(timeout=PATIENCE_MS)
        assert complaints == []
