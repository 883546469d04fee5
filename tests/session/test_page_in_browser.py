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
from live_fakes import FakeExplainers, facts_of
from PIL import Image
from stage_fakes import LIMIT_S

from streamcam.session.commands import COMMANDS
from streamcam.session.hud import statistics_rows
from streamcam.session.page.page import Page
from streamcam.session.session import LiveSession
from streamcam.session.settings import PageSettings
from streamcam.session.state import ExplainRequest, LiveState, StreamState
from streamcam.sources import LentCamera, SourceSettings, open_source

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
        tab.locator("#history .u-legend", has_text="dog").wait_for()
        assert tab.locator("#history .u-label").all_inner_texts() == ["cat", "dog"]
        assert tab.locator("#prompts").is_hidden()
        tab.click("[data-command=freeze]")
        tab.locator("#frozen", has_text="frozen").wait_for()
        warm = picture(tab)
        tab.click("[data-command=overlay]")
        tab.locator("[data-command=overlay][aria-pressed=false]").wait_for()
        assert np.abs(warm - settled(tab, warm)).mean() > 3  # levels of 255: the heat is gone
        tab.keyboard.press("k")  # also while a button has the focus
        tab.locator("#messages", has_text="color map").wait_for()
        tab.select_option("#method", "other")
        tab.locator("#network", has_text="other").wait_for()
        tab.select_option("#colormap", "inferno")
        tab.locator("#messages", has_text="color map inferno").wait_for()
        tab.fill("#class", "dragon")
        tab.press("#class", "Enter")
        tab.locator("#class-state", has_text="No class has “dragon” in its name.").wait_for()
        tab.fill("#class", "TAB")  # the beginning of a name is enough
        tab.press("#class", "Enter")
        tab.locator("#messages", has_text="locked: tabby").wait_for()
        tab.locator("[data-command=lock][aria-pressed=true]").wait_for()
        tab.locator("#source").click()
        tab.keyboard.press("c")  # as in the window
        tab.locator("[data-command=lock][aria-pressed=false]").wait_for()
        tab.click("[data-command=defaults]")
        tab.locator("#messages", has_text="as at the beginning").wait_for()
        tab.locator("[data-command=freeze][aria-pressed=false]").wait_for()
        tab.locator("#network", has_text="auto").wait_for()
        assert complaints == []
        assert serious_findings(tab) == []


def picture(tab: Any, element: str = "#image") -> np.ndarray:
    """Return what an element shows."""
    shot = Image.open(io.BytesIO(tab.locator(element).screenshot()))
    return np.asarray(shot.convert("RGB"), dtype=np.int16)


def settled(tab: Any, before: np.ndarray, element: str = "#image", by: float = 3) -> np.ndarray:
    """Return what an element shows once it differs from what it showed before, in levels of 255."""
    for _ in range(100):
        after = picture(tab, element)
        if np.abs(after - before).mean() > by:
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
        tab.click("#figures summary")
        tab.locator("#statistics dt", has_text="Alter der Farben").wait_for()
        assert tab.locator("#statistics dt").all_inner_texts()[:3] == ["gelesen", "gezeigt", "erklärt"]
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390  # nothing sticks out
        tab.reload()  # the cookie is enough
        wait_for_predictions(tab)
        assert complaints == []
        assert serious_findings(tab) == []


def test_every_command_and_figure_has_a_german_text(links: dict[str, str]) -> None:
    with open_chromium() as chromium, open_tab(chromium, locale="de") as (tab, complaints):
        tab.goto(links["control"])
        wait_for_predictions(tab)
        tab.click("#shortcuts summary")
        shown = set(tab.locator("#keys dd").all_inner_texts())
        assert len(shown) > 15
        assert not shown & {command.words for command in COMMANDS}
        tab.click("#figures summary")
        tab.locator("#statistics dt").first.wait_for()
        request = ExplainRequest("fake")
        state = LiveState((StreamState("clip"),), request, facts=facts_of(request))
        names = {name for name, _ in statistics_rows(state)}
        assert not set(tab.locator("#statistics dt").all_inner_texts()) & names
        assert complaints == []


def test_two_who_control_know_of_each_other(links: dict[str, str]) -> None:
    with (
        open_chromium() as chromium,
        open_tab(chromium, locale="en") as (first, complaints),
        open_tab(chromium, locale="en") as (second, _),
        open_tab(chromium, locale="en") as (third, _),
    ):
        first.goto(links["control"])
        wait_for_predictions(first)
        assert first.inner_text("#people") == ""
        second.goto(links["control"])
        third.goto(links["view"])  # who only looks does not count
        first.locator("#people", has_text="2 browsers control this session.").wait_for()
        second.context.close()
        first.locator("#people", has_text="2").wait_for(state="hidden")
        assert complaints == []


MOMENTS = """async () => {
  const { Record } = await import("/history.js");
  const { search } = await import("/controls.js");
  const record = new Record();
  const shares = (...pairs) => pairs.map(([label, probability]) => ({ label, probability }));
  const added = [
    record.add(100, shares(["cat", 0.75], ["dog", 0.25])),
    record.add(100.1, shares(["egret", 1])),
    record.add(101, shares(["egret", 0.5], ["price", null])),
    record.add(161, shares(["a", 0.1], ["b", 0.2], ["c", 0.3], ["d", 0.4], ["egret", 0.6], ["f", 0.5])),
  ];
  const labels = ["goldfish", "tiger cat", "Egyptian cat", "catamaran", "tabby", "egret"];
  const found = ["cat", "EGYPT", "tabby", "fish", "dragon"].map((typed) => search(labels, typed) ?? null);
  return { added, labels: record.labels, rows: record.rows(), found };
}"""


def test_the_chart_s_minute_and_the_search_for_classes(links: dict[str, str]) -> None:
    with open_chromium() as chromium, open_tab(chromium) as (tab, _):
        tab.goto(links["view"])
        answer = tab.evaluate(MOMENTS)
    assert answer["added"] == [True, False, True, True]
    # The moment at 100 s is more than a minute old; the five most probable are left, egret in its old place.
    assert answer["labels"] == ["f", "d", "egret", "c", "b"]
    assert answer["rows"] == [[-60, 0], [None, 0.5], [None, 0.4], [0.5, 0.6], [None, 0.3], [None, 0.2]]
    assert answer["found"] == ["tiger cat", "Egyptian cat", "tabby", "goldfish", None]


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
        assert tab.locator("#image").bounding_box()["width"] > 0.6 * 1280
        label = tab.locator("#predictions li.explained .label")
        assert label.evaluate("element => parseFloat(getComputedStyle(element).fontSize)") > 720 / 30
        assert complaints == []
        tab.goto("about:blank")
        tab.goto(links["control"] + "?kiosk")  # what many write
        tab.locator("body.kiosk #predictions li.explained").wait_for(timeout=PATIENCE_MS)
        tab.goto(links["control"].partition("#")[0] + "?kiosk#abcdefabcdeg")  # of another start
        tab.locator("#waiting", has_text="This page needs its link").wait_for()
        assert tab.locator("#attract").is_hidden()


def test_a_kiosk_invites_while_no_camera_is_there() -> None:
    source = LentCamera()
    page = Page(PageSettings(port=0, host="0.0.0.0", tls=False, key="abcdefabcdef"), {"browser": source})
    session = LiveSession(source, FakeExplainers(), [page])  # type: ignore[arg-type]
    thread = threading.Thread(target=session.run)
    thread.start()
    jpeg = io.BytesIO()
    Image.new("RGB", (64, 48), "gray").save(jpeg, "jpeg")
    try:
        with (
            open_chromium() as chromium,
            open_tab(chromium, viewport={"width": 1280, "height": 720}, locale="en") as (tab, complaints),
        ):
            tab.goto(page.links["control"].replace("/#", "/?kiosk#"))
            tab.locator("#attract-share img").wait_for()
            assert tab.inner_text("#invitation") == "Lend this screen your phone's camera: scan the code."
            before = picture(tab, "#film")
            assert np.ptp(before) > 50  # something is drawn
            assert np.abs(settled(tab, before, "#film", 0.2) - before).mean() > 0.2  # and moves
            assert serious_findings(tab) == []
            source.put(jpeg.getvalue())
            tab.locator("#attract").wait_for(state="hidden")
            tab.locator("#attract").wait_for(timeout=PATIENCE_MS)  # two seconds without an image later
            code = tab.locator("#attract-share img").bounding_box()
            assert code["width"] > 720 / 2  # read from some steps away
            assert complaints == []
            session.stop()
            tab.locator("#invitation", has_text="The session has ended").wait_for()
            assert tab.locator("#attract-share").is_hidden()
    finally:
        session.stop()
        thread.join(LIMIT_S)
    assert not thread.is_alive()


def test_a_stranger_is_told_what_is_missing(links: dict[str, str]) -> None:
    with open_chromium() as chromium, open_tab(chromium, locale="en") as (tab, _complaints):
        tab.goto(links["control"].partition("#")[0])
        tab.locator("#waiting", has_text="This page needs its link").wait_for()
