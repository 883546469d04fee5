"""Images to browsers and from them by WebRTC, with aiortc as the browser."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import aioice.ice
import numpy as np
import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, CookieJar, WSMsgType
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack
from live_fakes import live_frame
from stage_fakes import LIMIT_S

from streamcam.errors import InvalidArgumentError, SinkError, StreamcamError
from streamcam.session.outputs import LiveFrame
from streamcam.session.page import page as page_module
from streamcam.session.page import webrtc
from streamcam.session.page.ice import IceServer, parse_ice_server
from streamcam.session.page.page import Page
from streamcam.session.page.peers import ImageTrack
from streamcam.session.settings import PageSettings
from streamcam.session.state import ExplainRequest, LiveState, StreamState
from streamcam.sources import LentCamera

KEY = "abcdefabcdef"
SIZE = (96, 64)
STATE = LiveState((StreamState("camera"),), ExplainRequest())

needs_address = pytest.mark.skipif(
    not aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=True),
    reason="WebRTC needs an address besides that of the loopback",
)


class NotedCamera(LentCamera):
    """Remembers the images that it was lent, and says when one has come."""

    def __init__(self) -> None:
        super().__init__()
        self.images: list[Any] = []
        self.has_come = threading.Event()

    def put(self, image: Any) -> None:
        self.images.append(image)
        self.has_come.set()


@pytest.fixture
def camera() -> NotedCamera:
    return NotedCamera()


@pytest.fixture
def page(camera: NotedCamera) -> Iterator[Page]:
    opened = Page(PageSettings(port=0, key=KEY, transport="webrtc"), {"browser": camera})
    opened.start(lambda _event: None)
    yield opened
    opened.close()


@contextlib.asynccontextmanager
async def entered(page: Page, path: str, role: str = "control") -> AsyncIterator[ClientWebSocketResponse]:
    """Open one of the page's WebSockets, as a browser with a link does."""
    address, _, token = page.links[role].partition("/#")
    async with ClientSession(cookie_jar=CookieJar(unsafe=True), headers={"Origin": address}) as session:
        async with session.post(f"{address}/session", data=token) as answer:
            assert answer.status == 200
        async with session.ws_connect(f"{address}/{path}") as socket:
            yield socket


@contextlib.asynccontextmanager
async def connection() -> AsyncIterator[RTCPeerConnection]:
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        yield peer
    finally:
        await peer.close()


async def offer_of(peer: RTCPeerConnection) -> str:
    await peer.setLocalDescription(await peer.createOffer())
    return str(peer.localDescription.sdp)


async def reply_to(socket: ClientWebSocketResponse, offer: str) -> dict[str, str]:
    """Send an offer; return what is replied, among the states."""
    await socket.send_json({"offer": offer})
    while True:
        message = await socket.receive_json(timeout=LIMIT_S)
        if message.keys() & {"answer", "refused"}:
            return dict(message)


async def agree(socket: ClientWebSocketResponse, peer: RTCPeerConnection) -> None:
    reply = await reply_to(socket, await offer_of(peer))
    await peer.setRemoteDescription(RTCSessionDescription(reply["answer"], "answer"))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not condition():
            await asyncio.sleep(0.02)


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 2 * LIMIT_S))  # type: ignore[arg-type]


@needs_address
def test_images_are_encoded_once_for_all_browsers(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    class CountedEncoder(page_module.BrowserEncoder):
        def __init__(self, codec: str) -> None:
            made.append(codec)
            super().__init__(codec)

    monkeypatch.setattr(page_module, "BrowserEncoder", CountedEncoder)

    async def watch(socket: ClientWebSocketResponse, peer: RTCPeerConnection) -> Any:
        tracks: list[Any] = []
        peer.on("track", tracks.append)
        peer.addTransceiver("video", "recvonly")
        await agree(socket, peer)
        image = asyncio.ensure_future(tracks[0].recv())
        index = 0
        while not image.done():  # as a camera does
            page.write(LiveFrame(live_frame(index, SIZE), None, STATE))
            index += 1
            await asyncio.wait([image], timeout=0.02)
        return image.result()

    async def work() -> None:
        async with (
            entered(page, "state") as first,
            entered(page, "state", "view") as second,
            connection() as one,
            connection() as other,
        ):
            for socket, peer in ((first, one), (second, other)):
                image = await watch(socket, peer)
                assert (image.width, image.height) == SIZE
                assert np.ptp(image.to_ndarray(format="gray")) < 8  # plain gray, as it was painted
            assert page.counts() == {"viewers": 2}
            assert made == ["H264"]
            await first.close()
            await until(lambda: page.counts() == {"viewers": 1})
        await until(lambda: page.counts() == {"viewers": 0})

    run(work)


@needs_address
def test_a_camera_is_lent(page: Page, camera: NotedCamera) -> None:
    async def work() -> None:
        async with entered(page, "camera?tab=a", "camera") as socket, connection() as peer:
            peer.addTrack(VideoStreamTrack())
            await agree(socket, peer)
            await until(camera.has_come.is_set)
            async with entered(page, "camera?tab=b", "camera") as other:  # takes over
                assert await other.receive_json(timeout=LIMIT_S) == {"place": "browser"}
                while (message := await socket.receive(timeout=LIMIT_S)).type is WSMsgType.TEXT:
                    pass
                assert (message.type, socket.close_code) == (WSMsgType.CLOSE, 4000)
                await until(lambda: peer.connectionState == "closed")
                await other.send_bytes(b"jpeg")
                assert await other.receive_str(timeout=LIMIT_S) == "next"

    run(work)
    assert camera.images[0].width == 640
    assert camera.images[-1] == b"jpeg"


def mutants(offer: str, count: int) -> Iterator[str]:
    """Yield offers with a line left out, doubled, cut off or replaced, always in the same way."""
    random_choice = random.Random(7)
    lines = offer.split("\r\n")
    for _ in range(count):
        place, kind = random_choice.randrange(len(lines)), random_choice.randrange(4)
        line = lines[place]
        changed = [[], [line, line], [line[: len(line) // 2]], [line[:2] + "\x00 -1 99999 %s"]][kind]
        yield "\r\n".join([*lines[:place], *changed, *lines[place + 1 :]])


@needs_address
def test_offers_that_are_none_are_refused_and_cost_nothing(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webrtc, "_LEAST_BETWEEN_OFFERS_S", 600.0)

    async def work() -> None:
        async with connection() as peer, connection() as second:
            peer.addTransceiver("video", "recvonly")
            offer = await offer_of(peer)
            second.createDataChannel("data")
            await second.setLocalDescription(await second.createOffer())
            others = ["", "v=0", offer + offer, str(second.localDescription.sdp), *mutants(offer, 40)]
        for mutant in others:
            async with entered(page, "state") as socket:
                reply = await reply_to(socket, mutant)
                assert reply.keys() in ({"refused"}, {"answer"})
        for malformed in others[:4]:
            async with entered(page, "state") as socket:
                assert (await reply_to(socket, malformed)).keys() == {"refused"}
                assert (await reply_to(socket, offer))["refused"] == "it asks too often"
        await until(lambda: not page._server._webrtc._peers)  # type: ignore[union-attr]

    run(work)


def test_who_only_looks_lends_no_camera(page: Page) -> None:
    async def work() -> None:
        with pytest.raises(Exception, match="403"):
            async with entered(page, "camera", "view"):
                pass

    run(work)


def test_a_codec_that_fails_is_not_offered_again(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    class BrokenEncoder(page_module.BrowserEncoder):
        def encode(self, *_arguments: Any, **_options: Any) -> Any:
            raise SinkError("out of order")

    monkeypatch.setattr(page_module, "BrowserEncoder", BrokenEncoder)
    dropped: list[str] = []
    monkeypatch.setattr(type(page._server), "codecs_in_use", {"H264": True})
    monkeypatch.setattr(page._server, "drop_codec", dropped.append)
    page._draw(LiveFrame(live_frame(0, SIZE), None, STATE))
    assert dropped == ["H264"]


class FakePacket:
    def __init__(self, *, is_keyframe: bool) -> None:
        self.is_keyframe = is_keyframe


def test_a_slow_browser_gets_the_next_whole_image() -> None:
    async def work() -> None:
        track, late = ImageTrack(), FakePacket(is_keyframe=False)
        track.put(late)
        assert track.needs_keyframe  # it cannot begin in the middle
        first = FakePacket(is_keyframe=True)
        track.put(first)
        for _ in range(14):
            track.put(late)
        assert not track.needs_keyframe
        track.put(late)  # the sixteenth
        assert track.needs_keyframe
        whole = FakePacket(is_keyframe=True)
        track.put(whole)
        assert await track.recv() is whole

    run(work)


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("stun:stun.example.org:3478", IceServer("stun:stun.example.org:3478")),
        ("stun:192.0.2.1", IceServer("stun:192.0.2.1")),
        ("turn:cat:mi:a@w@turn.example.org:443", IceServer("turn:turn.example.org:443", "cat", "mi:a@w")),
        ("turns:cat:miaow@[2001:db8::1]:5349", IceServer("turns:[2001:db8::1]:5349", "cat", "miaow")),
    ],
)
def test_servers_that_help_to_connect(text: str, server: IceServer) -> None:
    assert parse_ice_server(text) == server
    assert "mi" not in repr(server)


@pytest.mark.parametrize(
    "text", ["", "stun.example.org", "http://x", "turn:host:3478", "turn:cat:secret@", "stun:a b"]
)
def test_what_is_no_server(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="`ice_servers` takes 'stun:HOST:PORT'") as refusal:
        parse_ice_server(text)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (PageSettings(transport="udp"), "unknown transport 'udp'"),
        (PageSettings(ice_servers=("nothing",)), "`ice_servers` takes"),
        (PageSettings(transport="mjpeg", ice_servers=("stun:a",)), "leave out `transport='mjpeg'`"),
    ],
)
def test_settings_that_cannot_be_used(settings: PageSettings, words: str) -> None:
    with pytest.raises(StreamcamError, match=words):
        settings.check()


def test_lent_cameras_come_by_webrtc_even_on_this_computer() -> None:
    page = Page(PageSettings(port=0), {"browser": LentCamera()})
    try:
        assert page._server._webrtc is not None
    finally:
        page.close()


@pytest.mark.parametrize(
    ("settings", "offers_webrtc"),
    [
        (PageSettings(port=0), False),
        (PageSettings(port=0, host="0.0.0.0"), True),
        (PageSettings(port=0, host="0.0.0.0", transport="mjpeg"), False),
        (PageSettings(port=0, ice_servers=("stun:192.0.2.1",)), True),
    ],
)
def test_how_images_travel_where_nobody_says(settings: PageSettings, offers_webrtc: bool) -> None:
    page = Page(settings)
    try:
        assert (page._server._webrtc is not None) == offers_webrtc
    finally:
        page.close()
