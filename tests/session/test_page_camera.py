"""Cameras that browsers lend to the page, and the page's encryption."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import stat
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, WSMsgType, WSServerHandshakeError

from streamcam.errors import InvalidArgumentError, SinkError
from streamcam.session.live import open_session
from streamcam.session.page.certificates import certificate_directory, load_certificate
from streamcam.session.page.page import Page
from streamcam.session.settings import LiveSettings, PageSettings
from streamcam.sources import LentCamera

KEY = "abcdefabcdef"


class NotedCamera(LentCamera):
    """Remembers what it was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.received: list[object] = []

    def put(self, image: object) -> None:
        self.received.append(image)


@pytest.fixture
def data_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path


@pytest.fixture
def camera() -> NotedCamera:
    return NotedCamera()


@pytest.fixture
def other() -> NotedCamera:
    return NotedCamera()


@pytest.fixture
def page(camera: NotedCamera, other: NotedCamera) -> Iterator[Page]:
    """A page with two cameras to lend."""
    opened = Page(PageSettings(port=0, key=KEY), {"left": camera, "right": other})
    opened.start(lambda _event: None)
    yield opened
    opened.close()


async def _enter(session: ClientSession, page: Page, role: str) -> str:
    """Give a browser the cookie of a link; return the page's address."""
    address, _, token = page.links[role].partition("/#")
    async with session.post(f"{address}/session", data=token, headers={"Origin": address}) as answer:
        assert answer.status == 200
    return address


def jar() -> ClientSession:
    from aiohttp import CookieJar

    return ClientSession(cookie_jar=CookieJar(unsafe=True))


class Phone:
    """A tab of a browser that lends its camera."""

    def __init__(self, page: Page, session: ClientSession, tab: str) -> None:
        self._page, self._session, self._tab = page, session, tab
        self._ends = contextlib.AsyncExitStack()

    async def begin(self) -> str:
        """Connect; return the place that it is given."""
        address = await _enter(self._session, self._page, "camera")
        connecting = self._session.ws_connect(
            f"{address}/camera?tab={self._tab}", headers={"Origin": address}
        )
        self.socket = await self._ends.enter_async_context(connecting)
        return str((await self.socket.receive_json(timeout=10))["place"])

    async def send(self, image: bytes) -> str:
        """Send an image; return the answer."""
        await self.socket.send_bytes(image)
        return await self.socket.receive_str(timeout=10)

    async def leave(self) -> None:
        """Hang up, and wait until the session knows."""
        lending = self._page._server._lending
        assert lending is not None
        count = len(lending._lenders)
        await self._ends.aclose()
        async with asyncio.timeout(10):
            while len(lending._lenders) == count:
                await asyncio.sleep(0.01)

    async def end_code(self) -> int | None:
        """Return the code that its connection is ended with."""
        await self.socket.receive(timeout=10)
        return self.socket.close_code


def with_phones(page: Page, script: Callable[..., Awaitable[None]]) -> None:
    """Run a script with four phones, named by a letter each."""

    async def work() -> None:
        async with jar() as session:
            phones = [Phone(page, session, name) for name in "abcd"]
            await script(*phones)
            for phone in phones:
                await phone._ends.aclose()

    asyncio.run(work())


def test_every_image_is_answered(page: Page, camera: NotedCamera) -> None:
    async def script(phone: Phone, *_others: Phone) -> None:
        assert await phone.begin() == "left"
        assert [await phone.send(b"one"), await phone.send(b"two")] == ["next", "next"]

    with_phones(page, script)
    assert camera.received == [b"one", b"two"]


def test_phones_fill_free_places_and_then_take_turns(
    page: Page, camera: NotedCamera, other: NotedCamera
) -> None:
    async def script(first: Phone, second: Phone, third: Phone, fourth: Phone) -> None:
        assert await first.begin() == "left"
        assert await second.begin() == "right"
        await first.send(b"a")
        await second.send(b"b")
        assert await third.begin() == "left"  # that of the phone that has lent longest
        assert await first.end_code() == 4000
        await third.send(b"c")
        assert await fourth.begin() == "right"
        assert await second.end_code() == 4000
        await fourth.send(b"d")
        await third.leave()
        assert await first.begin() == "left"
        await first.send(b"e")

    with_phones(page, script)
    assert camera.received == [b"a", b"c", b"e"]
    assert other.received == [b"b", b"d"]


def test_a_phone_that_comes_again_gets_the_place_that_it_had(page: Page) -> None:
    async def script(first: Phone, second: Phone, *_others: Phone) -> None:
        assert [await first.begin(), await second.begin()] == ["left", "right"]
        await first.leave()
        await second.leave()
        assert await second.begin() == "right"
        before = second.socket
        assert await second.begin() == "right"  # the old connection may be dead, and nobody knows it yet
        assert (await before.receive(timeout=10)).type is WSMsgType.CLOSE
        assert before.close_code == 4000
        assert await first.begin() == "left"

    with_phones(page, script)


@pytest.mark.parametrize("tab", ["", "a/b", "x" * 41])
def test_a_tab_without_a_proper_name_lends_nothing(page: Page, tab: str) -> None:
    async def script(phone: Phone, *_others: Phone) -> None:
        phone._tab = tab
        with pytest.raises(WSServerHandshakeError, match="400"):
            await phone.begin()

    with_phones(page, script)


def test_who_only_looks_lends_nothing(page: Page) -> None:
    async def lend() -> None:
        async with jar() as session:
            address = await _enter(session, page, "view")
            async with session.ws_connect(f"{address}/camera?tab=one", headers={"Origin": address}):
                pass

    with pytest.raises(WSServerHandshakeError, match="403"):
        asyncio.run(lend())


def test_an_image_that_is_too_large_ends_the_connection(page: Page) -> None:
    async def lend() -> WSMsgType:
        async with jar() as session:
            address = await _enter(session, page, "camera")
            async with session.ws_connect(f"{address}/camera?tab=one", headers={"Origin": address}) as socket:
                await socket.receive_json(timeout=10)
                try:
                    await socket.send_bytes(bytes(2_100_000))
                except ConnectionError:  # ended before all of it was sent
                    return WSMsgType.CLOSED
                return (await socket.receive(timeout=10)).type

    # What the system has not delivered when the server closes, its close message included, may be lost.
    assert asyncio.run(lend()) in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR)


def test_a_page_for_phones_is_encrypted(data_home: Path) -> None:
    page = Page(PageSettings(host="0.0.0.0", port=0), {"browser": LentCamera()})
    page.close()
    assert all(link.startswith("https://") for link in page.links.values())
    for name in ("cert.pem", "key.pem"):
        saved = data_home / "data" / "streamcam" / "tls" / name
        assert stat.S_IMODE(saved.stat().st_mode) == 0o600


@pytest.mark.usefixtures("data_home")
def test_an_encrypted_page_is_served() -> None:
    page = Page(PageSettings(port=0, tls=True))
    page.start(lambda _event: None)
    trusted = ssl.create_default_context(cafile=certificate_directory() / "cert.pem")

    async def look() -> tuple[int, str]:
        async with jar() as session:
            address = page.links["view"].partition("/#")[0]
            async with session.get(address, ssl=trusted) as answer:
                return answer.status, await answer.text()

    try:
        status, text = asyncio.run(look())
    finally:
        page.close()
    assert status == 200
    assert "<title>streamcam</title>" in text


@pytest.mark.usefixtures("data_home")
def test_the_certificate_is_kept() -> None:
    load_certificate(None, None)
    saved = (certificate_directory() / "cert.pem").read_bytes()
    load_certificate(None, None)
    assert (certificate_directory() / "cert.pem").read_bytes() == saved
    (certificate_directory() / "cert.pem").write_text("damaged")
    load_certificate(None, None)
    assert (certificate_directory() / "cert.pem").read_bytes() not in (saved, b"damaged")


def test_a_certificate_that_cannot_be_saved(data_home: Path) -> None:
    (data_home / "data").write_text("a file where the folder should be")
    with pytest.raises(SinkError, match="the certificate cannot be saved in"):
        load_certificate(None, None)


def test_certificates_that_cannot_be_used(data_home: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"no file 'gone\.pem'; check `tls_cert` and `tls_key`"):
        load_certificate("gone.pem", "gone.pem")
    (data_home / "text.pem").write_text("no certificate")
    with pytest.raises(InvalidArgumentError, match="are no certificate and its key"):
        load_certificate(data_home / "text.pem", data_home / "text.pem")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (PageSettings(tls_cert="a.pem"), "`tls_key` is missing"),
        (PageSettings(tls_key="a.pem"), "`tls_cert` is missing"),
        (PageSettings(tls_cert="a.pem", tls_key="b.pem", tls=False), "leave out `tls=False`"),
    ],
)
def test_settings_that_cannot_be_used(settings: PageSettings, words: str) -> None:
    with pytest.raises(InvalidArgumentError, match=words):
        settings.check()


def test_a_lent_camera_needs_the_page() -> None:
    with pytest.raises(InvalidArgumentError, match="a browser lends its camera to the page"):
        open_session("browser", settings=LiveSettings(display="none"))


def test_several_browsers_lend_a_camera_each() -> None:
    session = open_session(
        ["browser", "browser"], settings=LiveSettings(page=PageSettings(port=0, tls=False))
    )
    names = [stream.name for stream in session.state.streams]
    (page,) = [output for output in session._outputs if isinstance(output, Page)]
    page.start(lambda _event: None)
    try:
        with_phones(page, _take_both)
    finally:
        page.close()
    assert names == ["browser", "browser 2"]


async def _take_both(first: Phone, second: Phone, *_others: Phone) -> None:
    assert [await first.begin(), await second.begin()] == ["browser", "browser 2"]
