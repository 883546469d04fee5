"""Cameras that browsers lend to the page, and the page's encryption."""

from __future__ import annotations

import asyncio
import ssl
import stat
from collections.abc import Iterator
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
def page(camera: NotedCamera) -> Iterator[Page]:
    opened = Page(PageSettings(port=0, key=KEY), camera)
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


def test_every_image_is_answered(page: Page, camera: NotedCamera) -> None:
    async def lend() -> list[str]:
        async with jar() as session:
            address = await _enter(session, page, "camera")
            async with session.ws_connect(f"{address}/camera", headers={"Origin": address}) as socket:
                await socket.send_bytes(b"one")
                first = await socket.receive_str(timeout=10)
                await socket.send_bytes(b"two")
                return [first, await socket.receive_str(timeout=10)]

    assert asyncio.run(lend()) == ["next", "next"]
    assert camera.received == [b"one", b"two"]


def test_the_camera_that_began_last_is_taken(page: Page, camera: NotedCamera) -> None:
    async def lend() -> int | None:
        async with jar() as session:
            address = await _enter(session, page, "camera")
            own = {"Origin": address}
            async with session.ws_connect(f"{address}/camera", headers=own) as before:
                await before.send_bytes(b"one")
                assert await before.receive_str(timeout=10) == "next"
                async with session.ws_connect(f"{address}/camera", headers=own) as after:
                    await after.send_bytes(b"two")
                    assert await after.receive_str(timeout=10) == "next"
                    await before.receive(timeout=10)
                    return before.close_code

    assert asyncio.run(lend()) == 4000
    assert camera.received == [b"one", b"two"]


def test_who_only_looks_lends_nothing(page: Page) -> None:
    async def lend() -> None:
        async with jar() as session:
            address = await _enter(session, page, "view")
            async with session.ws_connect(f"{address}/camera", headers={"Origin": address}):
                pass

    with pytest.raises(WSServerHandshakeError, match="403"):
        asyncio.run(lend())


def test_an_image_that_is_too_large_ends_the_connection(page: Page) -> None:
    async def lend() -> WSMsgType:
        async with jar() as session:
            address = await _enter(session, page, "camera")
            async with session.ws_connect(f"{address}/camera", headers={"Origin": address}) as socket:
                try:
                    await socket.send_bytes(bytes(2_100_000))
                except ConnectionError:  # ended before all of it was sent
                    return WSMsgType.CLOSED
                return (await socket.receive(timeout=10)).type

    # What the system has not delivered when the server closes, its close message included, may be lost.
    assert asyncio.run(lend()) in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR)


def test_a_page_for_phones_is_encrypted(data_home: Path) -> None:
    page = Page(PageSettings(host="0.0.0.0", port=0), LentCamera())
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
