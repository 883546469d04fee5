"""The page's web server: aiohttp with an event loop in a thread of its own.

aiohttp rather than an ASGI framework, because aiortc, which brings WebRTC, lives in the same world, and one
package brings server, WebSockets and streams.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import ssl
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any

from aiohttp import web

from streamcam.errors import SinkError
from streamcam.pipeline.workers import Worker
from streamcam.session.page import limits
from streamcam.session.page.access import Access, Role, guard_for, stream_headers
from streamcam.session.page.exchange import PINGS_S, Exchange
from streamcam.session.page.lending import LARGEST_IMAGE, Lending, OnImage, read_tab
from streamcam.session.page.limits import Gate
from streamcam.session.page.listening import listen
from streamcam.session.page.messages import LARGEST_MESSAGE, Request
from streamcam.session.page.news import News

if TYPE_CHECKING:
    from streamcam.session.page.webrtc import WebRtc

_log = logging.getLogger("streamcam.session")

_MOST_VIEWERS = 64
"""Images are sent to as many browsers at a time; more are refused."""

_LARGEST_BODY = 4096
_STALLED_S = 15.0
"""A browser that takes nothing of an image for so long gives its place to others."""

_CHART_LIBRARY = "uPlot."
"""The files that pages of `streamcam report` hold too."""

_BOUNDARY = "frame"
_PART_HEAD = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\n".encode()
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
_START_PATIENCE_S = 10.0


class PageServer:
    """Serves images and state to any number of browsers, and takes their commands.

    Attributes:
        access: The tokens.
        port: The port that it listens on.
        shares: Role → what a browser shows to let others in, if anything; set before `start`.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        key: str | None,
        choices: dict[str, Any],
        on_command: Callable[[Request], None],
        on_viewer: Callable[[], None],
        cameras: Mapping[str, OnImage] | None = None,
        webrtc: WebRtc | None = None,
        tls: ssl.SSLContext | None = None,
        frame_origins: Sequence[str] = (),
    ) -> None:
        """Take the port; nothing is served yet.

        Args:
            host: The address to listen on.
            port: The port; 0 for any that is free.
            key: The token of those who may give commands; a new one if None.
            choices: What is sent to every browser first.
            on_command: Receives what browsers ask for; called in the server's thread.
            on_viewer: Called in the server's thread when a browser has come that has no image yet.
            cameras: Name of each camera that browsers may lend → receives its images, JPEG or decoded; called
                in the server's thread.
            webrtc: Connects browsers by WebRTC; None to send images as JPEG only.
            tls: Certificate and key; None for HTTP.
            frame_origins: Whose pages may hold this one in a frame.

        Raises:
            SinkError: if the port is taken, or there is no such address.
        """
        self._socket = listen(host, port)
        self.port: int = self._socket.getsockname()[1]
        self.access = Access(self.port, key=key, is_secure=tls is not None)
        self.shares: dict[Role, dict[str, Any]] = {}
        self._news = News()
        self._exchange = Exchange(
            self._news,
            choices,
            lends=bool(cameras),
            webrtc=webrtc,
            on_command=on_command,
            on_viewer=on_viewer,
        )
        self._on_viewer = on_viewer
        self._lending = Lending(cameras, webrtc) if cameras else None
        self._webrtc = webrtc
        self._tls, self._guard = tls, guard_for(frame_origins)
        self._image: bytes | None = None
        self._labels: tuple[str, ...] = ()
        self._viewers = 0
        self._sockets: set[web.WebSocketResponse] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._is_ready = threading.Event()
        self._worker = Worker("page", self._run, on_error=self._fail)
        self._problem: BaseException | None = None

    @property
    def viewers(self) -> int:
        """How many browsers are shown images."""
        return self._viewers + (0 if self._webrtc is None else self._webrtc.count)

    @property
    def jpeg_viewers(self) -> int:
        """How many of them are shown JPEGs."""
        return self._viewers

    @property
    def codecs_in_use(self) -> Mapping[str, bool]:
        """The codecs that browsers wait for by WebRTC → whether one of them needs a keyframe."""
        return {} if self._webrtc is None else self._webrtc.codecs_in_use

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

    def send_packets(self, codec: str, packets: Sequence[Any]) -> None:
        """Send packets, of ``av.Packet``, to all browsers that wait for such. From any thread."""
        if self._webrtc is not None:
            self._call(self._webrtc.put, codec, packets)

    def drop_codec(self, codec: str) -> None:
        """Stop to offer a codec whose encoder fails; browsers fall back to others. From any thread."""
        if self._webrtc is not None:
            self._call(self._webrtc.drop_codec, codec)

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
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        gate = Gate(lambda: runner.server())  # type: ignore[misc] # there is one once it is set up
        checks = [gate.middleware, self._guard]
        app = web.Application(middlewares=checks, client_max_size=_LARGEST_BODY)
        app.add_routes(
            [
                web.get("/", self._file),
                web.get("/{name}.{suffix:js|css}", self._file),
                web.post("/session", self._begin_session),
                web.get("/labels", self._send_labels),
                web.get("/images", self._send_images),
                web.get("/image", self._send_one_image),
                web.get("/state", self._connect),
                web.get("/camera", self._borrow),
            ]
        )
        runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=1.0, handler_cancellation=True, **limits.TIMES
        )
        await runner.setup()
        try:
            handshake_s = None if self._tls is None else limits.FIRST_REQUEST_S
            listening = await self._loop.create_server(
                gate, sock=self._socket, ssl=self._tls, ssl_handshake_timeout=handshake_s
            )
            self._is_ready.set()
            await self._stop.wait()
            listening.close()
        finally:
            self._news.end()
            if self._webrtc is not None:
                await self._webrtc.close()
            for browser in list(self._sockets):
                with contextlib.suppress(Exception):
                    await asyncio.wait_for(browser.close(code=1001, message=b"the session has ended"), 1.0)
            await runner.cleanup()

    def _set_image(self, jpeg: bytes) -> None:
        self._image = jpeg
        self._news.wake()

    def _set_state(self, state: str, labels: tuple[str, ...]) -> None:
        self._labels = labels
        self._exchange.set_state(state)

    async def _file(self, request: web.Request) -> web.Response:
        """Send a part of the page; they hold no secrets."""
        name, suffix = request.match_info.get("name", "index"), request.match_info.get("suffix", "html")
        folder = "report/assets" if name.startswith(_CHART_LIBRARY) else "session/page/static"
        file = resources.files("streamcam") / folder / f"{name}.{suffix}"
        if "/" in name or not file.is_file():
            raise web.HTTPNotFound
        return web.Response(text=file.read_text("utf-8"), content_type=_TYPES[f".{suffix}"], charset="utf-8")

    async def _begin_session(self, request: web.Request) -> web.Response:
        """Exchange the token of a link for a cookie."""
        response = web.json_response({})
        role = self.access.admit(await limits.read_text(request), response)
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
                    async with asyncio.timeout(_STALLED_S):
                        await response.write(_PART_HEAD + length + image + b"\r\n")
                elif not await self._news.wait():
                    return response
        except (ConnectionError, TimeoutError):  # the browser is gone, or asleep
            if request.transport is not None:
                request.transport.abort()
            return response
        finally:
            self._viewers -= 1

    async def _connect(self, request: web.Request) -> web.WebSocketResponse:
        """Send the state as it changes, and take commands."""
        role = self.access.require(request)
        if len(self._sockets) >= 2 * _MOST_VIEWERS:
            raise web.HTTPServiceUnavailable(text="too many browsers are connected already")
        share = self.shares.get(role)
        return await self._talk(
            request, LARGEST_MESSAGE, lambda browser: self._exchange.serve(browser, role, share)
        )

    async def _borrow(self, request: web.Request) -> web.WebSocketResponse:
        """Take the images of a camera."""
        lending = self._lending
        if self.access.require(request) == "view" or lending is None:
            raise web.HTTPForbidden(text="this link lends no camera")
        tab = read_tab(request)
        return await self._talk(request, LARGEST_IMAGE, lambda browser: lending.serve(browser, tab))

    async def _talk(
        self,
        request: web.Request,
        largest: int,
        serve: Callable[[web.WebSocketResponse], Awaitable[None]],
    ) -> web.WebSocketResponse:
        """Serve a browser by a WebSocket, which is closed where the server ends.

        Args:
            request: What opens it.
            largest: Most bytes of a message.
            serve: Talks with the browser until it goes.
        """
        browser = web.WebSocketResponse(heartbeat=PINGS_S, max_msg_size=largest)
        try:
            with contextlib.suppress(ConnectionError):  # it may be gone before it was answered
                await browser.prepare(request)
                self._sockets.add(browser)
                await serve(browser)
        finally:
            self._sockets.discard(browser)
        return browser
