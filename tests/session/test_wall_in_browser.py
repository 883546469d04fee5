"""The tiles of a wall on the page, in a browser."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsers import open_chromium, open_chromiums, open_tab
from live_fakes import FakeExplainers
from media_factory import make_clip
from numpy.typing import NDArray
from stage_fakes import LIMIT_S
from test_page_in_browser import PATIENCE_MS, SAMPLE, picture

from streamcam.session.page.page import Page
from streamcam.session.session import LiveSession
from streamcam.session.settings import PageSettings
from streamcam.session.streams import Stream
from streamcam.sources import LentCamera, SourceSettings, open_source


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
        tab.keyboard.press("N")
        tab.locator("#source", has_text="yard").wait_for(timeout=PATIENCE_MS)
        tab.keyboard.press("Escape")
        tab.locator("#source", has_text="2 streams").wait_for(timeout=PATIENCE_MS)
        assert complaints == []


RED, BLUE = (76, 85, 255), (29, 255, 107)
"""Luma and chroma of two films, so different that no compression mixes them up."""


def film_of(path: Path, color: tuple[int, int, int]) -> str:
    """Make a film in one color; return the argument that lets Chromium take it for its camera."""

    def paint(_index: int, planes: Sequence[NDArray[np.uint8]]) -> None:
        for plane, value in zip(planes, color, strict=True):
            plane[:] = value

    make_clip(path, frames=5, codec="mjpeg", pixel_format="yuvj420p", size=(320, 240), paint=paint)
    return f"--use-file-for-fake-video-capture={path}"


def reddest(image: NDArray[np.int16]) -> float:
    """Return by how much red exceeds blue in the middle of an image."""
    rows, columns = image.shape[0] // 4, image.shape[1] // 4
    middle = image[rows:-rows, columns:-columns].mean(axis=(0, 1))
    return float(middle[0] - middle[2])


def wait_for_picture(
    tab: Any, shown: str, columns: slice, holds: Callable[[NDArray[np.int16]], bool]
) -> None:
    """Wait until this holds for a part of an image: images come on their own, after the words about them."""
    for _ in range(PATIENCE_MS // 50):
        if holds(picture(tab, shown)[:, columns]):
            return
        tab.wait_for_timeout(50)
    pytest.fail(f"{shown} did not become what was awaited")


def is_red(image: NDArray[np.int16]) -> bool:
    return reddest(image) > 30


def is_blue(image: NDArray[np.int16]) -> bool:
    return reddest(image) < -30


def is_gray_with_words(image: NDArray[np.int16]) -> bool:
    """Return whether an image shows nothing of a phone, but words in its middle."""
    height = len(image)
    lower = image[height * 9 // 16 : height * 3 // 4]
    words = image[height // 3 : height * 9 // 16]
    return bool(np.abs(lower - 23).mean() < 8 and np.ptp(words) > 60)


def test_two_phones_are_tiles_and_each_sees_its_own_heat(tmp_path: Path) -> None:
    cameras = {"left": LentCamera(), "right": LentCamera()}
    page = Page(PageSettings(port=0, key="abcdefabcdef", transport="mjpeg"), cameras)
    announced: list[str] = []
    streams = [Stream(camera, name) for name, camera in cameras.items()]
    session = LiveSession(streams, FakeExplainers(), [page], announce=announced.append)
    thread = threading.Thread(target=session.run)
    thread.start()
    fake = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    phone = {"viewport": {"width": 390, "height": 844}, "locale": "en"}
    films = film_of(tmp_path / "red.mjpeg", RED), film_of(tmp_path / "blue.mjpeg", BLUE)
    try:
        with (
            open_chromiums(*([*fake, film] for film in films)) as (one, another),
            open_tab(one, **phone) as (first, complaints),
        ):
            with open_tab(another, **phone) as (second, more_complaints):
                for tab, name in ((first, "left"), (second, "right")):
                    tab.goto(page.links["camera"])
                    tab.click("#lend")
                    tab.locator("#picture.cropped").wait_for(timeout=PATIENCE_MS)
                    tab.locator("#predictions li.explained", has_text="cat").wait_for(timeout=PATIENCE_MS)
                    assert session.state.streams[0 if name == "left" else 1].notice is None
                wait_for_picture(first, "#picture", slice(None), is_red)
                wait_for_picture(second, "#picture", slice(None), is_blue)
                assert first.evaluate("document.documentElement.scrollWidth") <= 390
                first.click("#own")  # all of the wall
                first.locator("#own", has_text="Only my camera").wait_for()
                first.locator("#predictions li", has_text="right: cat").wait_for(timeout=PATIENCE_MS)
                half = picture(first).shape[1] // 2
                wait_for_picture(first, "#image", slice(None, half), is_red)
                wait_for_picture(first, "#image", slice(half, None), is_blue)
                assert complaints == more_complaints == []
            began_s = time.monotonic()  # the second phone's tab is closed
            mine = first.locator("#predictions li", has_text="right: cat")
            mine.wait_for(state="detached", timeout=PATIENCE_MS)
            assert time.monotonic() - began_s < 10
            wait_for_picture(first, "#image", slice(half, None), is_gray_with_words)
    finally:
        session.stop()
        thread.join(LIMIT_S)
    assert not thread.is_alive()
    waits = "no camera yet: open the link with the camera on a phone or a laptop"
    assert [text for text in announced if text.startswith("right")] == [
        f"right: {waits}",
        "right has a camera",
        f"right: {waits}",
    ]
