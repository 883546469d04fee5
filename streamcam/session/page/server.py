"""The page's web server: aiohttp with an event loop in a thread of its own.

aiohttp rather than an ASGI framework, because aiortc, which WebRTC takes, lives in the same world, and one
package brings server, WebSockets and streams.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import ssl
import threading
from collections.abc import Callable
from importlib import resources
from typing import Any

from aiohttp import WSMsgType, web

from streamcam.errors import SinkError
from streamcam.pipeline.workers import Worker
from streamcam.session.page.access import Access, Role, guard, stream_headers
from streamcam.session.page.listening import listen
from streamcam.session.page.messages import parse_command

_log = logging.getLogger("streamcam.session")

_MOST_VIEWERS = 64
"""Images are sent to as many browsers at a time; more are refused."""

_LARGEST_MESSAGE = 4096
_MOST_MESSAGES_PER_S = 40
_LARGEST_IMAGE = 2_000_000
_TAKEN_OVER = 4000
"""WebSocket code, of those for applications: the page does not connect again by itself."""

_PINGS_S = 10.0
"""A phone that was carried away is noticed within twice this time."""

_BOUNDARY = "frame"
_PART_HEAD = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\n".encode()
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
_START_PATIENCE_S = 10.0


class PageServer:
    """Serves images and state to any number of browsers, and takes their commands.

    Attributes:
        access: The tokens.
        port: The port that it listens on.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        key: str | None,
        choices: dict[str, Any],
        on_command: Callable[[dict[str, Any]], None],
        on_viewer: Callable[[], None],
        on_camera: Callable[[bytes], None] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Take the port; nothing is served yet.

        Args:
            host: The address to listen on.
            port: The port; 0 for any that is free.
            key: The token of those who may give commands; a new one if None.
            choices: What is sent to every browser first.
            on_command: Receives what browsers ask for; called in the server's thread.
            on_viewer: Called in the server's thread when a browser has come that has no image yet.
            on_camera: Receives the images, JPEG, of the browser that lends its camera; called in the server's
                thread. None where no camera is lent.
            tls: Certificate and key; None for HTTP.

        Raises:
            SinkError: if the port is taken, or there is no such address.
        """
        self._socket = listen(host, port)
        self.port: int = self._socket.getsockname()[1]
        self.access = Access(self.port, key=key, is_secure=tls is not None)
        self._choices = choices
        self._on_command = on_command
        self._on_viewer = on_viewer
        self._on_camera = on_camera
        self._lender: web.WebSocketResponse | None = None
        self._tls = tls
        self._image: bytes | None = None
        self._state = "{}"
        self._labels: tuple[str, ...] = ()
        self._viewers = 0
        self._news: asyncio.Event | None = None
        self._sockets: set[web.WebSocketResponse] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._is_ready = threading.Event()
        self._worker = Worker("page", self._run, on_error=self._fail)
        self._problem: BaseException | None = None

    @property
    def viewers(self) -> int:
        """How many browsers are shown images."""
        return self._viewers

    def start(self) -> None:
        """Begin to serve.

        Raises:
            SinkError: if the server cannot be started.
        """
        self._worker.start()
        self._is_ready.wait(_START_PATIENCE_S)
        if self._problem is not None:
            raise SinkError(f"the page cannot be served ({self._problem})") from self._problem

    def send_image(self, jpeg: bytes) -> None:
        """Show an image in all browsers; a slow one gets the newest when it is ready. From any thread."""
        self._call(self._set_image, jpeg)

    def send_state(self, state: dict[str, Any], labels: tuple[str, ...]) -> None:
        """Show a state in all browsers. From any thread.

        Args:
            state: Plain values.
            labels: The names of all classes, which browsers fetch where they need them.
        """
        self._call(self._set_state, json.dumps(state, allow_nan=False), labels)

    def close(self, patience_s: float) -> None:
        """End all connections and the thread. May be called again."""
        if self._stop is not None:
            self._call(self._stop.set)
        self._worker.join(patience_s)
        self._socket.close()

    # --- In the server's thread ---------------------------------------------------------------------------

    def _call(self, function: Callable[..., object], *arguments: Any) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(function, *arguments)

    def _fail(self, error: BaseException) -> None:
        _log.debug("the page's server ended: %s", error)
        self._problem = error
        self._is_ready.set()

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._stop, self._news = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        app = web.Application(middlewares=[guard], client_max_size=_LARGEST_MESSAGE)
        app.add_routes(
            [
                web.get("/", self._file),
                web.get("/{name}.{suffix:js|css}", self._file),
                web.post("/session", self._begin_session),
                web.get("/labels", self._send_labels),
                web.get("/images", self._send_images),
                web.get("/image", self._send_one_image),
                web.get("/state", self._exchange),
                web.get("/camera", self._borrow),
            ]
        )
        runner = web.AppRunner(
            app, access_log=None, keepalive_timeout=15.0, shutdown_timeout=1.0, handler_cancellation=True
        )
        await runner.setup()
        try:
            await web.SockSite(runner, self._socket, ssl_context=self._tls).start()
            self._is_ready.set()
            await self._stop.wait()
        finally:
            self._wake()
            for browser in list(self._sockets):
                with contextlib.suppress(Exception):
                    await asyncio.wait_for(browser.close(code=1001, message=b"the session has ended"), 1.0)
            await runner.cleanup()

    def _set_image(self, jpeg: bytes) -> None:
        self._image = jpeg
        self._wake()

    def _set_state(self, state: str, labels: tuple[str, ...]) -> None:
        self._state, self._labels = state, labels
        self._wake()

    def _wake(self) -> None:
        """Wake all that wait for news."""
        assert self._news is not None
        self._news.set()
        self._news = asyncio.Event()

    async def _wait(self) -> bool:
        """Wait for news; return whether the server goes on."""
        assert self._news is not None
        assert self._stop is not None
        if not self._stop.is_set():
            await self._news.wait()
        return not self._stop.is_set()

    async def _file(self, request: web.Request) -> web.Response:
        """Send a part of the page; they hold no secrets."""
        name, suffix = request.match_info.get("name", "index"), request.match_info.get("suffix", "html")
        file = resources.files("streamcam.session.page") / "static" / f"{name}.{suffix}"
        if "/" in name or not file.is_file():
            raise web.HTTPNotFound
        return web.Response(text=file.read_text("utf-8"), content_type=_TYPES[f".{suffix}"], charset="utf-8")

    async def _begin_session(self, request: web.Request) -> web.Response:
        """Exchange the token of a link for a cookie."""
        body = await request.text()
        response = web.json_response({})
        role = self.access.admit(body.strip(), response)
        if role is None:
            await asyncio.sleep(0.2)  # whoever guesses has to wait
            raise web.HTTPForbidden(text="this link is no longer valid; use the one in the terminal")
        response.text = json.dumps({"role": role})
        return response

    async def _send_labels(self, request: web.Request) -> web.Response:
        self.access.require(request)
        return web.json_response(list(self._labels))

    async def _send_one_image(self, request: web.Request) -> web.Response:
        """Send the newest image."""
        self.access.require(request)
        if self._image is None:
            raise web.HTTPNotFound(text="there is no image yet")
        return web.Response(body=self._image, content_type="image/jpeg")

    async def _send_images(self, request: web.Request) -> web.StreamResponse:
        """Send every image that the browser is quick enough for, as a stream of JPEGs."""
        self.access.require(request)
        if self._viewers >= _MOST_VIEWERS:
            raise web.HTTPServiceUnavailable(text=f"{_MOST_VIEWERS} browsers are watching already")
        response = web.StreamResponse(headers=stream_headers())
        response.content_type = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"
        self._viewers += 1
        try:
            await response.prepare(request)
            self._on_viewer()
            sent: bytes | None = None
            while True:
                image = self._image
                if image is not None and image is not sent:
                    sent = image
                    length = f"Content-Length: {len(image)}\r\n\r\n".encode()
                    await response.write(_PART_HEAD + length + image + b"\r\n")
                elif not await self._wait():
                    return response
        except ConnectionError:  # the browser is gone
            return response
        finally:
            self._viewers -= 1

    async def _exchange(self, request: web.Request) -> web.WebSocketResponse:
        """Send the state as it changes, and take commands."""
        role = self.access.require(request)
        if len(self._sockets) >= 2 * _MOST_VIEWERS:
            raise web.HTTPServiceUnavailable(text="too many browsers are connected already")
        browser = web.WebSocketResponse(heartbeat=_PINGS_S, max_msg_size=_LARGEST_MESSAGE)
        await browser.prepare(request)
        self._sockets.add(browser)
        lends = self._on_camera is not None and role != "view"
        await browser.send_json({"choices": self._choices, "role": role, "camera": lends})
        sending = asyncio.create_task(self._send_states(browser))
        try:
            await self._take_commands(browser, role)
        finally:
            sending.cancel()
            self._sockets.discard(browser)
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await sending
        return browser

    async def _send_states(self, browser: web.WebSocketResponse) -> None:
        sent = ""
        going_on = True
        while going_on:
            state = self._state
            if state == sent:
                going_on = await self._wait()
                continue
            sent = state
            await browser.send_str(state)

    async def _borrow(self, request: web.Request) -> web.WebSocketResponse:
        """Take the images of a camera: of the browser that began last.

        Every image is answered, so that a browser sends the next when this one has arrived: none waits on the
        way, however slow the network is.
        """
        if self.access.require(request) == "view" or self._on_camera is None:
            raise web.HTTPForbidden(text="this link lends no camera")
        browser = web.WebSocketResponse(heartbeat=_PINGS_S, max_msg_size=_LARGEST_IMAGE)
        await browser.prepare(request)
        self._lender = browser
        self._sockets.add(browser)
        try:
            async for message in browser:
                if message.type is not WSMsgType.BINARY:
                    break
                if self._lender is not browser:
                    await browser.close(code=_TAKEN_OVER, message=b"another camera took over")
                    break
                self._on_camera(message.data)
                await browser.send_str("next")
        except ConnectionError:  # the phone was carried away
            pass
        finally:
            self._sockets.discard(browser)
            if self._lender is browser:
                self._lender = None
        return browser

    async def _take_commands(self, browser: web.WebSocketResponse, role: Role) -> None:
        loop = asyncio.get_running_loop()
        began_s, count = loop.time(), 0
        async for message in browser:
            if message.type is not WSMsgType.TEXT:
                break
            if loop.time() - began_s > 1.0:
                began_s, count = loop.time(), 0
            count += 1
            if count > _MOST_MESSAGES_PER_S:
                await browser.close(code=1008, message=b"too many messages")
                break
            command = parse_command(message.data)
            if command is None:
                await browser.close(code=1007, message=b"this is no command")
                break
            if role == "control":
                self._on_command(command)
