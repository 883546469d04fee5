"""What happens to phones that lend their camera to the page: turned, flipped, taken away, put to sleep."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aioice.ice
import pytest
from browsers import open_chromium, open_tab
from live_fakes import FakeExplainers
from stage_fakes import LIMIT_S, expect

from streamcam.session.command_sources import CommandQueue
from streamcam.session.live import open_session
from streamcam.session.page.page import Page
from streamcam.session.session import LiveSession
from streamcam.session.settings import LiveSettings, PageSettings
from streamcam.sources import LentCamera

PATIENCE_MS = 15_000
FAKE_CAMERAS = ("--use-fake-device-for-media-stream=device-count=2", "--use-fake-ui-for-media-stream")

WATCHED = """
window.streams = [];
const media = navigator.mediaDevices;
const original = media.getUserMedia.bind(media);
media.getUserMedia = async (wanted) => {
  const stream = await original(wanted);
  window.streams.push(stream);
  return stream;
};
window.locks = 0;
const request = async () => {
  window.locks += 1;
  return { released: false, release: async () => { window.locks -= 1; } };
};
Object.defineProperty(navigator, "wakeLock", { value: { request } });
"""
"""Notes every camera that is opened, and counts what keeps the screen on."""

TAKEN_AWAY = """() => {
  const [track] = streams.at(-1).getVideoTracks();
  track.stop();
  track.dispatchEvent(new Event("ended"));
}"""

TURNED = """
const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 240 });
setInterval(() => {
  const context = canvas.getContext("2d");
  context.fillStyle = `hsl(${performance.now() / 10 % 360} 90% 50%)`;
  context.fillRect(0, 0, canvas.width, canvas.height);
}, 40);
window.turn = () => { [canvas.width, canvas.height] = [canvas.height, canvas.width]; };
navigator.mediaDevices.getUserMedia = async () => canvas.captureStream(25);
"""
"""A camera that can be turned, as a phone's: from then on its images are upright."""

IS_UPRIGHT = """() => {
  const [image, video] = ["image", "video"].map((id) => document.getElementById(id));
  return image.hidden ? video.videoHeight > video.videoWidth : image.naturalHeight > image.naturalWidth;
}"""


@pytest.fixture
def link(request: pytest.FixtureRequest) -> Iterator[str]:
    """The link to lend a camera, of a session with an explainer that needs no network."""
    source = LentCamera()
    settings = PageSettings(port=0, key="abcdefabcdef", transport=getattr(request, "param", "mjpeg"))
    page = Page(settings, {"browser": source})
    session = LiveSession(source, FakeExplainers(), [page])  # type: ignore[arg-type]
    thread = threading.Thread(target=session.run)
    thread.start()
    yield page.links["camera"]
    session.stop()
    thread.join(LIMIT_S)
    assert not thread.is_alive()


def states(tab: Any) -> list[str]:
    """Return whether each camera that was opened is still on."""
    found: list[str] = tab.evaluate("streams.map((each) => each.getVideoTracks()[0].readyState)")
    return found


def wait_until(tab: Any, condition: str) -> None:
    """Wait until JavaScript is true; the page's policy forbids that it waits itself."""
    for _ in range(PATIENCE_MS // 50):
        if tab.evaluate(condition):
            return
        tab.wait_for_timeout(50)
    pytest.fail(f"never: {condition}")


def wait_for_cameras(tab: Any, count: int) -> None:
    wait_until(tab, f"streams.length === {count}")
    tab.locator("#lend[aria-pressed=true]").wait_for(timeout=PATIENCE_MS)


def test_one_camera_is_on_at_a_time_and_one_that_is_taken_away_is_asked_for_again(link: str) -> None:
    with open_chromium(*FAKE_CAMERAS) as chromium, open_tab(chromium, locale="en") as (tab, complaints):
        tab.add_init_script(WATCHED)
        tab.goto(link)
        tab.click("#lend")
        tab.locator("#predictions li.explained").wait_for(timeout=PATIENCE_MS)
        assert (states(tab), tab.evaluate("locks")) == (["live"], 1)
        tab.click("#flip")  # neither says which side it looks to: the same one comes first, then the other
        wait_for_cameras(tab, 3)
        assert states(tab) == ["ended", "ended", "live"]
        first, _, other = tab.evaluate("streams.map((each) => each.getVideoTracks()[0].label)")
        assert first != other
        tab.evaluate(
            "{ const [t] = streams[2].getVideoTracks(); t.stop(); t.dispatchEvent(new Event('ended')); }"
        )
        wait_for_cameras(tab, 4)
        assert states(tab) == ["ended", "ended", "ended", "live"]
        tab.click("#lend")
        tab.locator("#lend[aria-pressed=false]").wait_for()
        assert (states(tab)[3], tab.evaluate("locks")) == ("ended", 0)
        assert complaints == []


needs_address = pytest.mark.skipif(
    not aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=True),
    reason="WebRTC needs an address besides that of the loopback",
)


@pytest.mark.parametrize("link", [pytest.param("webrtc", marks=needs_address), "mjpeg"], indirect=True)
def test_a_phone_that_is_turned_goes_on_upright(link: str) -> None:
    with open_chromium() as chromium, open_tab(chromium, locale="en") as (tab, complaints):
        tab.add_init_script(TURNED)
        tab.goto(link)
        tab.click("#lend")
        tab.locator("#predictions li.explained").wait_for(timeout=PATIENCE_MS)
        assert not tab.evaluate(IS_UPRIGHT)
        tab.evaluate("turn()")
        wait_until(tab, IS_UPRIGHT)
        assert complaints == []


def test_a_phone_that_sleeps_is_missed_and_comes_back_by_itself(link: str) -> None:
    with (
        open_chromium(*FAKE_CAMERAS) as chromium,
        open_tab(chromium, locale="en") as (phone, _),
        open_tab(chromium, locale="en") as (screen, complaints),
    ):
        phone.goto(link)
        phone.click("#lend")
        screen.goto(link.replace("/#", "/?kiosk#"))
        screen.locator("#predictions li.explained").wait_for(timeout=PATIENCE_MS)
        power = phone.context.new_cdp_session(phone)
        power.send("Debugger.enable")
        power.send("Debugger.pause")  # nothing runs in the page, while its connections stay
        screen.locator("#attract").wait_for(timeout=PATIENCE_MS)
        power.send("Debugger.resume")
        screen.locator("#attract").wait_for(state="hidden", timeout=PATIENCE_MS)
        assert complaints == []


def test_who_lends_a_camera_is_told_what_becomes_of_its_images(tmp_path: Path) -> None:
    begun, queue = threading.Event(), CommandQueue()
    announced: list[str] = []

    def note(text: str) -> None:
        announced.append(text)
        begun.set()

    session = open_session(
        "browser",
        FakeExplainers(),
        settings=LiveSettings(
            page=PageSettings(port=0, open_browser=False),
            evidence=tmp_path / "kept.h5",
            publish=(f"hls:{tmp_path / 'hls'}",),
            folder=tmp_path,
        ),
        commands=[queue],
        announce=note,
    )
    thread = threading.Thread(target=session.run)
    thread.start()
    try:
        expect(begun)
        link = next(text for text in announced if "http" in text).removeprefix("the page: ")
        with open_chromium(*FAKE_CAMERAS) as chromium, open_tab(chromium, locale="en") as (tab, _):
            tab.goto(link)
            tab.locator("#beside", has_text="keeps a small image a second").wait_for(timeout=PATIENCE_MS)
            assert "also sent to other programs or servers" in tab.inner_text("#beside")
            tab.click("#lend")
            tab.locator("#predictions li.explained").wait_for(timeout=PATIENCE_MS)
            assert tab.inner_text("#camera-state") == "Everybody in this session sees your camera."
            queue.send("record")
            tab.locator("#recorded", has_text="Somebody is recording.").wait_for(timeout=PATIENCE_MS)
            queue.send("end_recordings")
            tab.locator("#recorded").wait_for(state="hidden", timeout=PATIENCE_MS)
    finally:
        session.stop()
        thread.join(LIMIT_S)
    assert not thread.is_alive()


def test_a_camera_of_which_nothing_is_kept(link: str) -> None:
    with open_chromium(*FAKE_CAMERAS) as chromium, open_tab(chromium, locale="de") as (tab, _):
        tab.goto(link)
        tab.click("#lend")
        tab.locator("#camera-state", has_text="Nichts wird behalten").wait_for(timeout=PATIENCE_MS)
        assert tab.locator("#beside").is_hidden()
