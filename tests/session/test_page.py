"""The page of a live session: its server, who may see it, and what it shows."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import io
import json
import os
import socket
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import web
from live_fakes import FakeExplainers, ScriptedLiveSource, facts_of, live_frame
from PIL import Image
from stage_fakes import expect, explanation_of

from streamcam.errors import InvalidArgumentError, SinkError
from streamcam.explanations import Prediction, StabilizedFrame
from streamcam.overlay.overlay import target_colors
from streamcam.session.command_sources import CommandCall, KeyPress
from streamcam.session.compositor import Compositor
from streamcam.session.deletion import Deletion
from streamcam.session.events import Event, OutputReady, ToggleFullScreen
from streamcam.session.live import open_session
from streamcam.session.outputs import LiveFrame
from streamcam.session.page.access import Access, is_own_host
from streamcam.session.page.links import is_for_the_room, link_to, qr_code
from streamcam.session.page.messages import Fallback, Offer, Request, parse_message
from streamcam.session.page.page import Page, without_labels
from streamcam.session.page.status import describe_state
from streamcam.session.settings import LiveSettings, PageSettings
from streamcam.session.state import ActiveRecording, ExplainRequest, LiveState, StreamState
from streamcam.sources import LentCamera

KEY = "abcdefabcdef"
PATH = Path("r.mp4")
REQUEST = ExplainRequest("fake")
STATE = LiveState((StreamState("/home/me/videos/cat.mp4"),), REQUEST, facts=facts_of(REQUEST))


def shown(index: int = 0, *, state: LiveState = STATE, size: tuple[int, int] = (64, 48)) -> LiveFrame:
    frame = live_frame(index, size)
    cat, dog = Prediction(2, "Egyptian cat", 0.75), Prediction(5, "egret", float("nan"))
    heat = StabilizedFrame(frame, {2: np.ones((3, 4), np.float32)}, (cat,), (cat, dog), explanation_of(index))
    return LiveFrame(frame, heat, state)


@pytest.fixture
def page() -> Iterator[Page]:
    opened = Page(PageSettings(port=0, key=KEY))
    opened.start(lambda _event: None)
    yield opened
    opened.close()


class Browser:
    """A browser as far as the server sees one."""

    def __init__(self, page: Page) -> None:
        self.port = page.port
        self.host = f"127.0.0.1:{self.port}"
        self.cookie = ""

    def ask(
        self, path: str, *, body: str | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes, http.client.HTTPMessage]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        sent = {"Host": self.host, "Cookie": self.cookie, **(headers or {})}
        connection.request("GET" if body is None else "POST", path, body, sent)
        answer = connection.getresponse()
        read = answer.status, answer.read(), answer.headers
        connection.close()
        return read

    def enter(self, token: str) -> int:
        status, _, headers = self.ask("/session", body=token, headers={"Origin": f"http://{self.host}"})
        self.cookie = (headers["Set-Cookie"] or "").partition(";")[0]
        return status


def token_of(link: str) -> str:
    return link.partition("#")[2]


def test_an_image_is_shown_to_who_has_the_link(page: Page) -> None:
    browser = Browser(page)
    assert browser.ask("/image")[0] == 403
    assert browser.enter(KEY) == 200
    assert browser.cookie.startswith(f"streamcam-{page.port}=")
    with watching(browser) as images:
        page.write(shown(size=(2560, 1440)))
        image = Image.open(io.BytesIO(next(images)))
        assert (image.format, image.size) == ("JPEG", (1280, 720))
        status, body, headers = browser.ask("/image")
        assert (status, headers["Content-Type"]) == (200, "image/jpeg")
        assert Image.open(io.BytesIO(body)).size == (1280, 720)
        page.write(shown(1, size=(64, 48)))
        sizes = (Image.open(io.BytesIO(image)).size for image in images)
        assert (64, 48) in sizes  # the one before may come twice, for who has just begun to watch
        assert page.counts() == {"viewers": 1}


@contextlib.contextmanager
def watching(browser: Browser) -> Iterator[Iterator[bytes]]:
    """Yield the images of the stream, one by one."""
    connection = http.client.HTTPConnection("127.0.0.1", browser.port, timeout=20)
    connection.request("GET", "/images", headers={"Host": browser.host, "Cookie": browser.cookie})
    answer = connection.getresponse()
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "multipart/x-mixed-replace; boundary=frame"

    def images() -> Iterator[bytes]:
        while True:
            assert answer.readline() == b"--frame\r\n"
            assert answer.readline() == b"Content-Type: image/jpeg\r\n"
            length = int(answer.readline().partition(b": ")[2])
            assert answer.readline() == b"\r\n"
            image = answer.read(length)
            assert answer.readline() == b"\r\n"
            yield image

    try:
        yield images()
    finally:
        answer.close()
        connection.close()


def test_labels_stand_in_the_image_only_where_the_list_beside_it_says_less() -> None:
    one = shown(size=(320, 240))
    assert one.heat is not None
    signed = dataclasses.replace(one.heat.explanation, signed=True)
    both = dataclasses.replace(one.heat, explanation=signed)
    contrasts = []
    for heat in (one.heat, both):
        live_frame = dataclasses.replace(one, heat=heat)
        assert describe_state(live_frame)["has_labels_beside"] == (heat is one.heat)
        image = Compositor().compose_live(without_labels(live_frame))
        corner = image.to_ndarray(format="gray").astype(np.int16)[:80, :160]
        contrasts.append(int(np.ptp(corner)))
    assert contrasts[0] < 20 < 100 < contrasts[1]  # white letters on a dark panel tell colors apart


def test_where_each_object_is_explained_only_what_was_found_is_listed() -> None:
    one = shown()
    assert one.heat is not None
    nothing = dataclasses.replace(one, heat=dataclasses.replace(one.heat, heatmaps={}, targets=()))
    assert describe_state(nothing)["predictions"] == []  # though both classes have numbers


def test_the_list_shows_each_class_in_the_color_of_its_heat() -> None:
    one = shown(size=(320, 240))
    assert one.heat is not None
    assert [each["color"] for each in describe_state(one)["predictions"]] == [None, None]  # of the color map
    first = one.heat.heatmaps[2]
    two = dataclasses.replace(one.heat, heatmaps={2: first, 5: first}, targets=one.heat.labels)
    live_frame = dataclasses.replace(one, heat=two)
    described = describe_state(live_frame)
    assert described["has_labels_beside"]
    colors = {each["label"]: each["color"] for each in described["predictions"]}
    drawn = target_colors(two)
    assert colors == {each.label: "#" + bytes(drawn[each.index]).hex() for each in two.labels}
    assert len(set(colors.values())) == 2


def test_who_comes_late_sees_the_image_that_is_there(page: Page) -> None:
    page.write(shown())
    browser = Browser(page)
    browser.enter(KEY)
    with watching(browser) as images:
        assert Image.open(io.BytesIO(next(images))).size == (64, 48)


def test_what_a_stranger_gets(page: Page) -> None:
    browser = Browser(page)
    assert browser.enter("wrong-key-wrong") == 403
    for path in ("/image", "/images", "/labels"):
        status, body, _ = browser.ask(path)
        assert (status, body) == (403, b"this page needs its link, with the key behind #")
    status, body, headers = browser.ask("/")  # the page itself holds no secrets
    assert status == 200
    assert KEY.encode() not in body
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "Access-Control-Allow-Origin" not in headers
    for path in ("/../page.py", "/page.py", "/static/main.js", "/..%2f..%2fpage.js", "/nothing.js"):
        assert browser.ask(path)[0] == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Host": "evil.example:8642"}, 403),
        ({"Host": "localhost:1"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_foreign_names_and_pages_are_refused(page: Page, headers: dict[str, str], status: int) -> None:
    browser = Browser(page)
    browser.enter(KEY)
    assert browser.ask("/labels", headers=headers)[0] == status


def test_a_session_is_begun_by_its_own_page_only(page: Page) -> None:
    assert Browser(page).ask("/session", body=KEY)[0] == 403  # without Origin
    assert Browser(page).ask("/session", body=KEY, headers={"Origin": "http://evil.example"})[0] == 403
    assert (
        Browser(page).ask("/session", body="x" * 5000, headers={"Origin": f"http://127.0.0.1:{page.port}"})[0]
        == 413
    )


def exchange(browser: Browser, *sent: Any, origin: str | None = None) -> list[Any]:
    """Open the page's WebSocket, send what is asked for, and return what came before the server closed it."""
    import asyncio

    from aiohttp import ClientSession, WSMsgType

    async def run() -> list[Any]:
        received: list[Any] = []
        headers = {"Cookie": browser.cookie, "Origin": origin or f"http://{browser.host}"}
        async with (
            ClientSession() as session,
            session.ws_connect(f"http://{browser.host}/state", headers=headers) as connection,
        ):
            received += [await connection.receive_json(timeout=10) for _ in range(3)]
            for item in sent:
                await connection.send_str(item if isinstance(item, str) else json.dumps(item))
            await connection.send_str("bye")  # no command, which ends it
            while (message := await connection.receive(timeout=10)).type is WSMsgType.TEXT:
                received.append(json.loads(message.data))
            received.append(connection.close_code)
        return received

    return asyncio.run(run())


def test_the_state_is_sent_and_commands_are_taken(page: Page) -> None:
    page.write(shown())
    browser = Browser(page)
    browser.enter(KEY)
    hello, people, state, code = exchange(browser, {"name": "method", "argument": "other"}, {"key": "m"})
    assert hello["role"] == "control"
    assert hello["share"] is None  # nobody else could use a link to this computer
    assert people == {"people": {"watching": 1, "controlling": 1}}
    assert "turbo" in hello["choices"]["colormaps"]
    assert state["source"] == "cat.mp4"
    assert [each["label"] for each in state["predictions"]] == ["Egyptian cat", "egret"]
    assert code == 1007
    assert list(page.poll()) == [CommandCall("method", "other"), KeyPress("m")]
    assert json.loads(browser.ask("/labels")[1]) == list(facts_of(REQUEST).labels)


def test_who_only_looks_gives_no_commands(page: Page) -> None:
    page.write(shown())
    browser = Browser(page)
    assert browser.enter(token_of(page.links["view"])) == 200
    hello, *_ = exchange(browser, {"name": "quit"}, {"key": "q"})
    assert hello["role"] == "view"
    assert list(page.poll()) == []


def test_foreign_pages_get_no_state(page: Page) -> None:
    from aiohttp import WSServerHandshakeError

    browser = Browser(page)
    browser.enter(KEY)
    with pytest.raises(WSServerHandshakeError, match="403"):
        exchange(browser, origin="http://evil.example")


def test_a_browser_that_is_gone_before_it_is_answered_is_no_error(
    page: Page, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    browser = Browser(page)
    browser.enter(KEY)
    is_gone = threading.Event()

    async def prepare(*_arguments: Any) -> None:
        is_gone.set()
        raise ConnectionResetError("Cannot write to closing transport")

    monkeypatch.setattr(web.WebSocketResponse, "prepare", prepare)
    with contextlib.suppress(OSError, http.client.HTTPException):
        browser.ask("/state", headers={"Origin": f"http://{browser.host}"})
    assert is_gone.is_set()
    assert browser.ask("/labels")[0] == 200
    assert caplog.records == []


def test_a_flood_of_commands_ends_the_connection(page: Page) -> None:
    page.write(shown())
    browser = Browser(page)
    browser.enter(KEY)
    *_, code = exchange(browser, *[{"key": "m"}] * 500)
    assert code == 1008
    assert len(page.poll()) <= 64


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        '"quit"',
        "{}",
        '{"name": 1}',
        '{"name": "quit", "more": 1}',
        '{"name": "quit", "key": "q"}',
        '{"key": ""}',
        '{"key": "0123456789"}',
        '{"key": "m", "argument": 1}',
        '{"name": "opacity", "argument": true}',
        '{"name": "opacity", "argument": [1]}',
        '{"name": "opacity", "argument": {"a": 1}}',
        '{"name": "' + "x" * 5000 + '"}',
        '{"offer": 1}',
        '{"offer": "v=0", "name": "quit"}',
        '{"offer": "' + "x" * 30_000 + '"}',
        '{"fallback": "because"}',
        "[" * 4000,
    ],
)
def test_what_is_no_command(text: str) -> None:
    assert parse_message(text) is None


def test_messages() -> None:
    assert parse_message('{"name": "opacity", "argument": 0.1}') == Request("opacity", 0.1, None)
    assert parse_message('{"key": "escape"}') == Request(None, None, "escape")
    assert parse_message('{"offer": "v=0"}') == Offer("v=0")
    assert parse_message('{"fallback": "timeout"}') == Fallback("timeout")


def test_the_state_as_plain_values() -> None:
    frozen = dataclasses.replace(STATE, frozen=True).with_message("saved x.png")
    described = describe_state(shown(state=frozen))
    assert json.loads(json.dumps(described, allow_nan=False)) == described
    assert described["predictions"] == [
        {"label": "Egyptian cat", "probability": 0.75, "value": None, "explained": True, "color": None},
        {"label": "egret", "probability": None, "value": None, "explained": False, "color": None},
    ]
    assert (described["frozen"], described["messages"]) == (True, ["saved x.png"])
    assert (described["method"], described["layer"], described["model"]) == ("fake", "deep", "fake")


def test_what_is_left_without_the_heat_as_plain_values() -> None:
    tested = STATE.with_view(deletion_shown=True)
    described = describe_state(shown(state=tested))
    assert (described["deletion_shown"], described["deletion"]) == (True, None)
    tested = tested.with_stream(0, deletion=Deletion(2, "Egyptian cat", 0.75, 0.004, tested.now_s - 4))
    assert describe_state(shown(state=tested))["deletion"] == {
        "label": "Egyptian cat",
        "before": "75 %",
        "after": "<1 %",
        "age": "4 s",
    }


def test_the_page_shows_that_a_stream_is_recorded_although_others_are_shown() -> None:
    streams = (
        StreamState("door", frame_time_s=70.0),
        StreamState("yard", frame_time_s=70.0, recording=ActiveRecording(PATH, 61.0)),
        StreamState("gate", frame_time_s=70.0, recording=ActiveRecording(PATH, 5.0)),
    )
    for large in (None, 0, 1):
        state = dataclasses.replace(STATE, streams=streams, large=large)
        assert describe_state(LiveFrame(live_frame(0), None, state))["recording"] == "1:05"
    nobody = dataclasses.replace(STATE, streams=streams[:1])
    assert describe_state(LiveFrame(live_frame(0), None, nobody))["recording"] is None


def test_a_state_while_the_network_loads() -> None:
    loading = LiveState((StreamState("rtsp://host/stream"),), REQUEST)
    described = describe_state(LiveFrame(live_frame(0), None, loading))
    assert described["source"] == "rtsp://host/stream"
    assert (described["model"], described["methods"], described["predictions"]) == (None, [], [])


def test_sessions_are_bounded() -> None:
    access = Access(8642, key=KEY, is_secure=True)
    responses = [web.Response() for _ in range(300)]
    token = access.tokens["view"]
    assert [access.admit(token, response) for response in responses] == ["view"] * 300
    assert len(access._sessions) == 256
    cookie = responses[0].cookies["streamcam-8642"]
    assert (cookie["httponly"], cookie["samesite"], cookie["secure"]) == (True, "Strict", True)
    assert access.admit("", web.Response()) is None
    assert access.admit("ümläut", web.Response()) is None


def test_a_browser_that_brought_the_chosen_key_is_known_after_a_restart() -> None:
    def cookie_for(access: Access, token: str) -> str:
        response = web.Response()
        assert access.admit(token, response) is not None
        return response.cookies["streamcam-8642"].value

    def role_after_restart(cookie: str, key: str | None = KEY, port: int = 8642) -> str | None:
        request: Any = types.SimpleNamespace(cookies={f"streamcam-{port}": cookie})
        return Access(port, key=key, is_secure=False).role_of(request)

    access = Access(8642, key=KEY, is_secure=False)
    cookie = cookie_for(access, KEY)
    assert role_after_restart(cookie) == "control"
    assert role_after_restart(cookie, "another1another") is None
    assert role_after_restart(cookie, None) is None
    assert role_after_restart(cookie, port=8643) is None
    assert role_after_restart(cookie[:-1]) is None
    assert role_after_restart("\udce9.\udce9") is None
    for token in (access.tokens["view"], access.tokens["camera"], access.add_once()):
        assert role_after_restart(cookie_for(access, token)) is None, "who has not brought the key"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1:8642", True),
        ("192.168.1.20", True),
        ("[::1]:8642", True),
        ("localhost", True),
        (f"{socket.gethostname()}:80", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("", False),
    ],
)
def test_hosts_that_are_this_computer(host: str, expected: bool) -> None:
    assert is_own_host(host) is expected


def test_nobody_passes_on_more_than_they_may_do() -> None:
    page, lending = Page(PageSettings(port=0, host="0.0.0.0")), None
    try:
        lending = Page(PageSettings(port=0, host="0.0.0.0", tls=False), {"browser": LentCamera()})
        shared = {role: share["link"] for role, share in page._server.shares.items()}
        assert shared == {"control": page.links["view"], "view": page.links["view"]}
        shared = {role: share["link"] for role, share in lending._server.shares.items()}
        camera, view = lending.links["camera"], lending.links["view"]
        assert shared == {"control": camera, "camera": camera, "view": view}
        assert lending._server.shares["view"]["code"].startswith("data:image/svg+xml")
    finally:
        page.close()
        if lending is not None:
            lending.close()


def test_links() -> None:
    assert link_to("127.0.0.1", 80, "key", is_secure=False) == "http://127.0.0.1:80/#key"
    assert link_to("::1", 80, "key", is_secure=True) == "https://[::1]:80/#key"
    assert "0.0.0.0" not in link_to("0.0.0.0", 80, "key", is_secure=False)
    assert (is_for_the_room("127.0.0.1"), is_for_the_room("0.0.0.0")) == (False, True)
    assert len(qr_code("http://192.168.1.20:8642/#abcdefabcdef").splitlines()) > 10


def test_the_link_is_announced() -> None:
    events: list[Event] = []
    page = Page(PageSettings(port=0, key=KEY))
    page.start(events.append)
    page.close()
    assert events == [OutputReady(f"the page: http://127.0.0.1:{page.port}/#{KEY}")]


def test_a_port_that_is_taken_is_named_with_its_owner(page: Page) -> None:
    with pytest.raises(SinkError, match=rf"port {page.port} is taken by .+; use `port=(\d+)`") as refusal:
        Page(PageSettings(port=page.port))
    message = str(refusal.value)
    if Path("/proc/net/tcp").exists():
        assert f"(process {os.getpid()})" in message
    offered = int(message.rpartition("=")[2].strip("`"))
    assert page.port < offered or offered == 0
    other = Page(PageSettings(port=offered))  # what is offered can be had
    other.close()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (PageSettings(host="no.such.host.invalid"), "there is no address 'no.such.host.invalid'"),
        (PageSettings(host="192.0.2.7", port=0), "does not have the address '192.0.2.7'"),
    ],
)
def test_addresses_that_cannot_be_used(settings: PageSettings, words: str) -> None:
    with pytest.raises(InvalidArgumentError, match=words):
        Page(settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (LiveSettings(display="pages"), "unknown display 'pages'"),
        (LiveSettings(display="page,none"), "has none among others"),
        (LiveSettings(page=PageSettings(port=70000)), "`port` is from 1 to 65535, not 70000"),
        (LiveSettings(page=PageSettings(key="short")), "`key` has at least 12 letters and digits"),
        (LiveSettings(page=PageSettings(key="with a blank in it")), "`key` has at least 12"),
    ],
)
def test_settings_that_cannot_be_used(settings: LiveSettings, words: str) -> None:
    with pytest.raises(InvalidArgumentError, match=words):
        settings.check()


def test_full_screen_is_each_browser_s_own(page: Page) -> None:
    assert page.handle(ToggleFullScreen(), None)


def test_a_session_with_a_page() -> None:
    source = ScriptedLiveSource()
    announced: list[str] = []
    ready = threading.Event()

    def announce(text: str) -> None:
        announced.append(text)
        ready.set()

    session = open_session(
        source,
        FakeExplainers(),  # type: ignore[arg-type]
        settings=LiveSettings(display="page", page=PageSettings(port=0)),
        announce=announce,
    )
    thread = threading.Thread(target=session.run)
    thread.start()
    try:
        source.go()
        expect(ready)
        link = announced[0].removeprefix("the page: ")
        browser = Browser.__new__(Browser)
        browser.host = link.partition("//")[2].partition("/")[0]
        browser.port, browser.cookie = int(browser.host.partition(":")[2]), ""
        assert browser.enter(token_of(link)) == 200
        with watching(browser) as images:
            assert Image.open(io.BytesIO(next(images))).size == (64, 48)
        exchange(browser, {"name": "quit"})
        thread.join(10)
        assert not thread.is_alive()
    finally:
        session.stop()
        source.end()
        thread.join(10)
    with pytest.raises(ConnectionRefusedError):
        browser.ask("/")
