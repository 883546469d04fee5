"""How images travel between the page and a real browser: as video by WebRTC, or as JPEGs."""

from __future__ import annotations

import contextlib
import logging
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aioice.ice
import pytest
from browsers import open_chromium, open_tab, serious_findings
from live_fakes import FakeExplainers
from media_factory import make_clip
from programs import require_programs
from senders import free_port
from stage_fakes import LIMIT_S

from streamcam.session.page import page as page_module
from streamcam.session.page.page import Page
from streamcam.session.session import LiveSession
from streamcam.session.settings import PageSettings
from streamcam.sources import LentCamera, Source, SourceSettings, open_source

SAMPLE = Path(__file__).parents[2] / "media" / "sample.mp4"
PATIENCE_MS = 15_000

DIFFERENCE = """async () => {
  const [width, height] = [64, 36];
  const pixels = (image) => {
    const context = Object.assign(document.createElement("canvas"), { width, height }).getContext("2d");
    context.drawImage(image, 0, 0, width, height);
    return context.getImageData(0, 0, width, height).data;
  };
  const jpeg = await createImageBitmap(await (await fetch("image")).blob());
  const [shown, expected] = [pixels(document.getElementById("video")), pixels(jpeg)];
  return shown.reduce((sum, value, index) => sum + Math.abs(value - expected[index]), 0) / shown.length;
}"""
"""The mean difference of the video to the newest JPEG, in levels of 255."""

needs_address = pytest.mark.skipif(
    not aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=True),
    reason="WebRTC needs an address besides that of the loopback",
)


@contextlib.contextmanager
def session(source: Source, transport: str = "webrtc", **settings: Any) -> Iterator[Page]:
    """Run a session with a page, and an explainer that needs no network."""
    cameras = {"browser": source} if isinstance(source, LentCamera) else None
    page = Page(PageSettings(port=0, key="abcdefabcdef", transport=transport, **settings), cameras)
    live = LiveSession(source, FakeExplainers(), [page])  # type: ignore[arg-type]
    thread = threading.Thread(target=live.run)
    thread.start()
    try:
        yield page
    finally:
        live.stop()
        thread.join(LIMIT_S)
    assert not thread.is_alive()


@pytest.fixture
def page() -> Iterator[Page]:
    with session(open_source(SAMPLE, SourceSettings(real_time=True, loop=True))) as page:
        yield page


def wait_for_predictions(tab: Any) -> None:
    tab.locator("#predictions li.explained").wait_for(timeout=PATIENCE_MS)


def wait_for_viewers(tab: Any, page: Page, count: int) -> None:
    for _ in range(PATIENCE_MS // 50):
        if page.counts() == {"viewers": count}:
            return
        tab.wait_for_timeout(50)
    pytest.fail(f"{page.counts()}, not {count}")


@needs_address
def test_video_shows_the_same_picture_as_jpegs(page: Page) -> None:
    with (
        open_chromium() as chromium,
        open_tab(chromium, viewport={"width": 1280, "height": 800}) as (tab, complaints),
    ):
        tab.goto(page.links["control"])
        tab.locator("#video").wait_for(timeout=PATIENCE_MS)
        wait_for_predictions(tab)
        assert tab.locator("#image").is_hidden()
        assert tab.inner_text("#transport") == ""
        tab.click("[data-command=freeze]")
        tab.locator("#frozen:not(:empty)").wait_for()
        for _ in range(100):  # the last moving frame may still be on its way
            if tab.evaluate(DIFFERENCE) < 6:
                break
            tab.wait_for_timeout(100)
        assert tab.evaluate(DIFFERENCE) < 6
        assert complaints == []
        assert serious_findings(tab) == []


@needs_address
def test_a_tab_that_is_killed_frees_its_connection(page: Page) -> None:
    with open_chromium() as chromium, open_tab(chromium) as (tab, _), open_tab(chromium) as (other, _):
        tab.goto(page.links["control"])
        other.goto(page.links["view"])
        tab.locator("#video").wait_for(timeout=PATIENCE_MS)
        other.locator("#video").wait_for(timeout=PATIENCE_MS)
        wait_for_viewers(tab, page, 2)
        other.reload()
        other.locator("#video").wait_for(timeout=PATIENCE_MS)
        wait_for_viewers(tab, page, 2)
        chromium_tab = other.context
        chromium_tab.close()
        wait_for_viewers(tab, page, 1)


def test_a_browser_without_webrtc_is_sent_jpegs(page: Page, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "streamcam.session")
    with open_chromium() as chromium, open_tab(chromium, locale="en") as (tab, complaints):
        tab.add_init_script("delete window.RTCPeerConnection")
        tab.goto(page.links["control"])
        tab.locator("#image").wait_for(timeout=PATIENCE_MS)
        wait_for_predictions(tab)
        assert tab.inner_text("#transport") == "This browser has no WebRTC: images come one by one."
        assert complaints == []
    assert "a browser is sent JPEGs: it has no WebRTC" in caplog.messages


def test_a_browser_that_is_refused_is_sent_jpegs(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "streamcam.session")
    monkeypatch.setattr(page_module, "browser_codecs", lambda: ())
    source = open_source(SAMPLE, SourceSettings(real_time=True, loop=True))
    with (
        session(source) as page,
        open_chromium() as chromium,
        open_tab(chromium, locale="de") as (tab, complaints),
    ):
        tab.goto(page.links["view"])
        tab.locator("#image").wait_for(timeout=PATIENCE_MS)
        assert tab.inner_text("#transport") == "Die Sitzung hat WebRTC abgelehnt: die Bilder kommen einzeln."
        assert complaints == []
    assert "a browser is sent JPEGs: its offer was refused" in caplog.messages


@pytest.mark.parametrize("transport", [pytest.param("webrtc", marks=needs_address), "mjpeg"])
def test_a_camera_is_lent_and_comes_back_with_heat(tmp_path: Path, transport: str) -> None:
    recorded = make_clip(
        tmp_path / "camera.mjpeg", frames=20, codec="mjpeg", pixel_format="yuvj420p", size=(640, 480)
    )
    camera = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    with (
        session(LentCamera(), transport) as page,
        open_chromium(*camera, f"--use-file-for-fake-video-capture={recorded}") as chromium,
        open_tab(chromium, locale="en") as (tab, complaints),
    ):
        tab.goto(page.links["camera"])
        tab.click("#lend")
        wait_for_predictions(tab)
        state = tab.inner_text("#camera-state")
        assert "Everybody in this session sees your camera" in state
        assert "one by one" not in state
        tab.locator("#video" if transport == "webrtc" else "#image").wait_for(timeout=PATIENCE_MS)
        assert tab.locator("#controls").is_hidden()
        tab.click("#lend")
        tab.locator("#lend", has_text="Lend this camera").wait_for()
        assert complaints == []
        assert serious_findings(tab) == []


RELAY_ONLY = """
const Native = window.RTCPeerConnection;
window.RTCPeerConnection = class extends Native {
  constructor(configuration) {
    super({ ...configuration, iceTransportPolicy: "relay" });
    window.lastPeer = this;
  }
};
"""
"""Lets a browser send through TURN servers only, as in a network that hides its devices."""

SENT_BY = """async () => {
  const stats = [...(await window.lastPeer.getStats()).values()];
  const pair = stats.find((each) => each.type === "candidate-pair" && each.nominated);
  return stats.find((each) => each.id === pair?.localCandidateId)?.candidateType;
}"""


@contextlib.contextmanager
def turn_server(address: str) -> Iterator[str]:
    """Run coturn; yield how streamcam is given it."""
    require_programs("turnserver")
    port = free_port()
    command = ["turnserver", "-n", "-a", "-r", "streamcam", "-u", "cat:miaow", "-L", address]
    command += ["--listening-port", str(port), "--no-tls", "--no-dtls", "--no-cli", "--log-file", "/dev/null"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        ends_s = time.monotonic() + LIMIT_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection((address, port), 1.0):
                break
            assert time.monotonic() < ends_s
            time.sleep(0.05)
        yield f"turn:cat:miaow@{address}:{port}"
    finally:
        server.kill()
        server.wait(LIMIT_S)


@pytest.mark.slow
@needs_address
def test_images_come_through_a_turn_server_that_was_named() -> None:
    (address, *_) = aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=False)
    with (
        turn_server(address) as server,
        session(
            open_source(SAMPLE, SourceSettings(real_time=True, loop=True)), ice_servers=(server,)
        ) as page,
        open_chromium() as chromium,
        open_tab(chromium, locale="en") as (tab, complaints),
    ):
        tab.add_init_script(RELAY_ONLY)
        tab.goto(page.links["view"])
        tab.locator("#video").wait_for(timeout=PATIENCE_MS)
        assert tab.evaluate(SENT_BY) == "relay"
        assert complaints == []
