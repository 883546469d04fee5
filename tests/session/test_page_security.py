"""What strangers can do to the page: nothing is shown to them, and nothing is lost by them."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import io
import itertools
import json
import random
import socket
import ssl
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from live_fakes import FakeDisplay, FakeExplainers, ScriptedLiveSource, facts_of
from PIL import Image
from stage_fakes import LIMIT_S, expect
from test_page import KEY, Browser, page, shown, token_of, watching

from streamcam.errors import StreamcamError
from streamcam.session.commands import COMMANDS
from streamcam.session.dispatch import press_key, run_command
from streamcam.session.live import open_session
from streamcam.session.outputs import LiveFrame
from streamcam.session.page import limits
from streamcam.session.page.messages import Fallback, Offer, Request, parse_message
from streamcam.session.page.page import Page
from streamcam.session.settings import LiveSettings, PageSettings
from streamcam.session.state import ExplainRequest, LiveState, StreamState

__all__ = ["page"]

SECRETS = (KEY.encode(), b"Egyptian cat", b"cat.mp4", b"goldfish", b"JFIF")
ROUTES = ("/image", "/images", "/labels", "/state", "/camera")


def raw(port: int, request: bytes) -> tuple[int, bytes]:
    """Send bytes to the server, and return status and the rest of its first answer; 0 if there is none."""
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S) as connection:
        try:
            connection.sendall(request)
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            return answer.status, str(answer.headers).encode() + answer.read()
        except (ConnectionError, http.client.HTTPException):
            return 0, b""


def is_served(port: int) -> bool:
    """Return whether somebody with the key is shown the image."""
    browser = Browser.__new__(Browser)
    browser.port, browser.host, browser.cookie = port, f"127.0.0.1:{port}", ""
    return browser.enter(KEY) == 200 and browser.ask("/image")[0] == 200


@pytest.fixture
def scene(page: Page) -> Page:
    """A page that shows an image."""
    page.write(shown())
    browser = Browser(page)
    browser.enter(KEY)
    with watching(browser) as images:
        next(images)
    return page


def strangers(page: Page) -> Iterator[dict[str, str]]:
    """Yield the headers of those who are not let in."""
    own = f"127.0.0.1:{page.port}"
    browser = Browser(page)
    browser.enter(KEY)
    yield {"Host": own}
    yield {"Host": own, "Cookie": f"streamcam-{page.port}=nonsense"}
    yield {"Host": own, "Cookie": f"streamcam-{page.port}={KEY}"}
    yield {"Host": own, "Cookie": browser.cookie.replace("streamcam", "other")}
    for origin in ("http://evil.example", "null", f"https://{own}.evil.example", "file://"):
        yield {"Host": own, "Cookie": browser.cookie, "Origin": origin}
    for host in ("evil.example", f"evil.example:{page.port}", "127.0.0.1.evil.example", "", "[::1", "a b"):
        yield {"Host": host, "Cookie": browser.cookie}


def test_strangers_are_shown_nothing(scene: Page) -> None:
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    upgrade["Sec-WebSocket-Key"] = "AAAAAAAAAAAAAAAAAAAAAA=="
    for headers in strangers(scene):
        for route in ROUTES:
            sent = headers | (upgrade if route in ("/state", "/camera") else {})
            lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
            status, answer = raw(scene.port, f"GET {route} HTTP/1.1\r\n{lines}\r\n".encode())
            assert status == 403, (route, sent)
            assert not any(secret in answer for secret in SECRETS)
            assert b"Set-Cookie" not in answer
            assert b"Access-Control" not in answer
    assert list(scene.poll()) == []
    assert is_served(scene.port)


def test_wrong_tokens_open_nothing(scene: Page) -> None:
    view = token_of(scene.links["view"])
    for token in ("", " ", KEY[:-1], KEY.upper(), KEY + "x", view[:-1], "\0" * 24, "x" * 4000):
        assert Browser(scene).enter(token) == 403
    own = f"127.0.0.1:{scene.port}"
    head = f"POST /session HTTP/1.1\r\nHost: {own}\r\nOrigin: http://{own}\r\n"
    for body in (b"\xff\xfe" * 12, b"x" * 5000):
        status, _ = raw(scene.port, f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        assert status == (413 if len(body) > 4096 else 400)


MESSAGES = (
    json.dumps({"name": "opacity", "argument": 0.25}),
    json.dumps({"name": "class", "argument": "tabby"}),
    json.dumps({"key": "m"}),
    json.dumps({"fallback": "timeout"}),
    json.dumps({"offer": "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n"}),
)
PIECES = (
    "null",
    "[]",
    "{}",
    "1e999",
    "NaN",
    "-0",
    "true",
    '"',
    "\\ud800",
    "9" * 400,
    "\0",
    "🐱",
    "[" * 2000,
    ",",
)


def mutate(text: str, dice: random.Random) -> str:
    """Change a text somewhere, once or several times."""
    for _ in range(dice.randint(1, 4)):
        at, end = sorted(dice.randrange(len(text) + 1) for _ in range(2))
        match dice.randrange(4):
            case 0:
                text = text[:at] + text[end:]
            case 1:
                text = text[:at] + dice.choice(PIECES) + text[at:]
            case 2:
                text = text[:at] + text[at:end] * 2 + text[end:]
            case _:
                text = text[:at] + chr(dice.randrange(1, 0x2FF)) + text[at + 1 :]
    return text


def test_mutants_of_messages_break_nothing() -> None:
    dice = random.Random(16)
    state = LiveState(
        (StreamState("camera 0"),), ExplainRequest("fake"), facts=facts_of(ExplainRequest("fake"))
    )
    taken = 0
    for _ in range(500):
        for message in MESSAGES:
            match parse_message(mutate(message, dice)):
                case Request(name, argument, key):
                    taken += 1
                    with contextlib.suppress(StreamcamError):
                        change = press_key(state, key) if key else run_command(state, name or "", argument)
                        json.dumps(str(change.state.message)).encode()
                        str(change.state).encode()
                case Offer() | Fallback():
                    taken += 1
    assert taken > 100  # they are not all refused for what they look like


@pytest.mark.parametrize("argument", ["NaN", "Infinity", "-1e999", "9" * 400, "1e300", "-1e10"])
def test_numbers_out_of_all_bounds_are_refused_by_every_command(argument: str) -> None:
    state = LiveState(
        (StreamState("camera 0"),), ExplainRequest("fake"), facts=facts_of(ExplainRequest("fake"))
    )
    for command in COMMANDS:
        asked = parse_message(f'{{"name": "{command.name}", "argument": {argument}}}')
        assert isinstance(asked, Request)
        with pytest.raises(StreamcamError):
            run_command(state, command.name, asked.argument)


def test_half_characters_are_no_message() -> None:
    assert parse_message('{"name": "class", "argument": "\\ud800"}') is None
    assert parse_message('{"key": "\\udfff"}') is None


def test_mutants_over_the_network_break_nothing(scene: Page) -> None:
    from aiohttp import ClientSession, WSMsgType

    dice = random.Random(17)
    browser = Browser(scene)
    browser.enter(token_of(scene.links["view"]))
    headers = {"Cookie": browser.cookie, "Origin": f"http://{browser.host}"}

    async def attack(session: ClientSession, message: str | bytes) -> int | None:
        async with session.ws_connect(f"http://{browser.host}/state", headers=headers) as connection:
            if isinstance(message, bytes):
                await connection.send_bytes(message)
            else:
                await connection.send_str(message)
            await connection.send_str("bye")
            while (await connection.receive(timeout=LIMIT_S)).type is WSMsgType.TEXT:
                pass
            return connection.close_code

    async def run() -> set[int | None]:
        async with ClientSession() as session:
            texts = [mutate(dice.choice(MESSAGES), dice) for _ in range(40)]
            oversize = ["x" * 30_000, json.dumps({"offer": "v" * 23_000}), b"\0" * 100]
            return {await attack(session, message) for message in [*texts, *oversize]}

    codes = asyncio.run(run())
    assert codes <= {1000, 1006, 1007, 1009, None}
    assert list(scene.poll()) == []  # who only looks gives no commands, however they are spelt
    assert is_served(scene.port)


def test_mutants_of_requests_break_nothing(scene: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_REQUESTS_PER_S", 10**9)
    monkeypatch.setattr(limits, "BODY_S", 0.05)
    monkeypatch.setattr(limits, "FIRST_REQUEST_S", 0.3)
    dice = random.Random(18)
    own = f"127.0.0.1:{scene.port}"
    requests = [
        f"GET {route} HTTP/1.1\r\nHost: {own}\r\nCookie: streamcam-{scene.port}=x\r\n\r\n" for route in ROUTES
    ]
    requests.append(
        f"POST /session HTTP/1.1\r\nHost: {own}\r\nOrigin: http://{own}\r\nContent-Length: 9\r\n\r\nwrong key"
    )
    statuses: set[int] = set()
    for _ in range(500):
        status, answer = raw(scene.port, mutate(dice.choice(requests), dice).encode() + b"\r\n\r\n")
        assert not any(secret in answer for secret in SECRETS)
        statuses.add(status)
    assert {400, 403} <= statuses <= {0, 400, 403, 404, 405, 413, 417}
    assert is_served(scene.port)


def test_idle_connections_and_slow_ones_keep_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    source, seen = ScriptedLiveSource(), threading.Semaphore(0)
    indices: list[int] = []

    def note(live_frame: LiveFrame) -> None:
        if live_frame.frame.index not in indices:
            indices.append(live_frame.frame.index)
            seen.release()

    announced: list[str] = []
    ready = threading.Event()

    def announce(text: str) -> None:
        announced.append(text)
        ready.set()

    monkeypatch.setattr(limits, "MOST_PER_ADDRESS", 150)
    session = open_session(
        source,
        FakeExplainers(),  # type: ignore[arg-type]
        settings=LiveSettings(display="page", page=PageSettings(port=0, key=KEY)),
        outputs=[FakeDisplay(on_show=note)],
        announce=announce,
    )
    thread = threading.Thread(target=session.run)
    thread.start()
    with contextlib.ExitStack() as ends:
        ends.callback(thread.join, LIMIT_S)
        ends.callback(source.end)
        ends.callback(session.stop)
        expect(ready)
        port = int(announced[0].partition("127.0.0.1:")[2].partition("/")[0])
        idle = []
        for number in range(200):
            connection = ends.enter_context(socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S))
            if number % 2:
                connection.sendall(b"GET /image HTTP/1.1\r\nHost: ")
            idle.append(connection)
        for _ in range(60):
            source.go()
            assert seen.acquire(timeout=LIMIT_S)
        assert indices == list(range(60))
        assert is_served(port)
        assert idle[0].recv(1) == b""  # the oldest gave way


def test_a_request_that_is_dribbled_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FIRST_REQUEST_S", 0.3)
    monkeypatch.setattr(limits, "BODY_S", 0.3)
    page = Page(PageSettings(port=0, key=KEY))
    page.start(lambda _event: None)
    try:
        own = f"127.0.0.1:{page.port}"
        head = (
            f"POST /session HTTP/1.1\r\nHost: {own}\r\nOrigin: http://{own}\r\nContent-Length: 12\r\n\r\nabc"
        )
        for sent, expected in ((b"", b""), (b"GET / HT", b""), (head.encode(), b"HTTP/1.1 400")):
            with socket.create_connection(("127.0.0.1", page.port), timeout=LIMIT_S) as connection:
                connection.sendall(sent)
                answer = b""
                with contextlib.suppress(ConnectionError):
                    while data := connection.recv(4096):
                        answer += data
                assert answer.startswith(expected)
                assert bool(answer) == bool(expected)
    finally:
        page.close()


def test_connections_at_work_stay_when_others_crowd(monkeypatch: pytest.MonkeyPatch, scene: Page) -> None:
    monkeypatch.setattr(limits, "MOST_PER_ADDRESS", 6)
    browser = Browser(scene)
    browser.enter(KEY)
    with contextlib.ExitStack() as ends:
        images = ends.enter_context(watching(browser))
        next(images)
        for _ in range(20):
            ends.enter_context(socket.create_connection(("127.0.0.1", scene.port), timeout=LIMIT_S))
        assert is_served(scene.port)
        scene.write(shown(1, size=(32, 24)))
        sizes = (Image.open(io.BytesIO(image)).size for image in images)
        assert (32, 24) in itertools.islice(sizes, 5)  # who came meanwhile had the old one drawn again


def test_a_flood_of_requests_is_refused(monkeypatch: pytest.MonkeyPatch, scene: Page) -> None:
    monkeypatch.setattr(limits, "MOST_REQUESTS_PER_S", 3)
    statuses: list[int] = []
    while 429 not in statuses:
        assert len(statuses) < 400
        statuses.append(Browser(scene).ask("/")[0])
    assert set(statuses) == {200, 429}


def test_a_page_that_is_encrypted_is_bounded_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
    monkeypatch.setattr(limits, "FIRST_REQUEST_S", 1.0)
    page = Page(PageSettings(port=0, key=KEY, tls=True))
    page.start(lambda _event: None)
    trust: Any = ssl._create_unverified_context()
    try:
        for handshakes in (False, True):
            with socket.create_connection(("127.0.0.1", page.port), timeout=LIMIT_S) as plain:
                connection = trust.wrap_socket(plain) if handshakes else plain
                with contextlib.closing(connection), contextlib.suppress(OSError):
                    assert connection.recv(1) == b""
    finally:
        page.close()
