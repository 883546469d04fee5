"""The page as an output of a live session, and as a source of its commands."""

from __future__ import annotations

import dataclasses
import logging
import os
import sys
import time
import webbrowser
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import cv2

from streamcam.errors import InvalidArgumentError, SinkError
from streamcam.media.images import Image
from streamcam.media.scaling import Resampler
from streamcam.session.command_sources import CommandCall, KeyPress
from streamcam.session.compositor import Compositor
from streamcam.session.events import OutputEffect, OutputFailed, OutputReady, ToggleFullScreen
from streamcam.session.outputs import PATIENCE_S, Emit, LiveFrame, Output, QueueWorker, describe
from streamcam.session.page.certificates import load_certificate
from streamcam.session.page.ice import parse_ice_server
from streamcam.session.page.links import is_for_the_room, link_to, qr_code, qr_image
from streamcam.session.page.messages import Request
from streamcam.session.page.status import describe_choices, describe_state, has_labels_beside
from streamcam.session.settings import PageSettings
from streamcam.sinks import BrowserEncoder, browser_codecs
from streamcam.sources import LentCamera

if TYPE_CHECKING:
    from streamcam.session.page.access import Role
    from streamcam.session.page.webrtc import WebRtc

_log = logging.getLogger("streamcam.session")

_LARGEST = (1280, 720)
"""Larger images are sent at this size: the room's network carries them to everybody."""

_JPEG_QUALITY = 82
_STATES_S = 0.1
"""Least time between two states that are sent, in seconds."""

_UNSEEN_S = 1.0
"""While nobody watches, an image is drawn that often, in seconds."""


class Page(Output):
    """A page in any browser: the image, the predictions, and every command of a live session.

    One image is encoded for all browsers, in a thread of its own, and none while nobody watches.
    """

    may_block = False

    def __init__(
        self,
        settings: PageSettings | None = None,
        cameras: Mapping[str, LentCamera] | None = None,
        *,
        beside: Sequence[str] = (),
    ) -> None:
        """Take the port.

        Args:
            settings: How the page is served; the defaults if None.
            cameras: Name of a stream → its source, which gets the images of a browser that lends its camera.
            beside: What the session does with images besides showing them, for those whose images they are:
                ``"evidence"`` if it keeps some, ``"publish"`` if it sends them on.

        Raises:
            InvalidArgumentError: if aiohttp is not installed, there is no such address, or the certificate
                cannot be used.
            SinkError: if the port is taken.
        """
        settings, cameras = settings or PageSettings(), cameras or {}
        try:
            from streamcam.session.page.server import PageServer
        except ModuleNotFoundError as error:
            if error.name is not None and error.name.startswith("streamcam"):
                raise
            raise InvalidArgumentError(
                f"the page needs {error.name}: install it with pip install 'streamcam[page]'"
            ) from error
        self._is_secure = settings.tls_cert is not None or (
            bool(cameras) and is_for_the_room(settings.host) if settings.tls is None else settings.tls
        )
        tls = load_certificate(settings.tls_cert, settings.tls_key) if self._is_secure else None
        self._lends = bool(cameras)
        self._encoders: dict[str, BrowserEncoder] = {}
        self._server = PageServer(
            settings.host,
            settings.port,
            key=settings.key,
            choices={**describe_choices(), "beside": list(beside)},
            on_command=self._take,
            on_viewer=self._show_again,
            cameras={name: camera.put for name, camera in cameras.items()},
            webrtc=_webrtc(settings, lends=bool(cameras)),
            tls=tls,
            frame_origins=settings.frame_origins,
        )
        self._settings = settings
        if is_for_the_room(settings.host):
            self._server.shares = self._shares()
        self._commands: deque[KeyPress | CommandCall] = deque(maxlen=64)
        self._compositor, self._resampler = Compositor(), Resampler()
        self._worker: QueueWorker[LiveFrame] | None = None
        self._newest: LiveFrame | None = None
        self._drawn_s = self._jpeg_s = self._stated_s = -float("inf")
        self._is_stated = True

    @property
    def port(self) -> int:
        """The port that it is served on."""
        return self._server.port

    @property
    def links(self) -> dict[str, str]:
        """The links: ``"control"`` for those who may give commands, ``"view"`` for those who only look, and
        ``"camera"`` for those who may lend a camera."""
        return {
            role: link_to(self._settings.host, self._server.port, token, is_secure=self._is_secure)
            for role, token in self._server.access.tokens.items()
        }

    def link_for_a_frame(self) -> str:
        """Return a link that lets one browser control, once, in a frame of another page.

        It names this computer as that page's address does where it can: browsers give cookies to frames of
        the same site only.
        """
        host = self._settings.host
        names = [urlsplit(origin).hostname for origin in self._settings.frame_origins]
        if not is_for_the_room(host) and "localhost" in names:
            host = "localhost"
        return link_to(host, self._server.port, self._server.access.add_once(), is_secure=self._is_secure)

    def start(self, emit: Emit) -> None:
        """Begin to serve.

        Raises:
            SinkError: if the server cannot be started.
        """
        self._server.start()

        def report(error: BaseException) -> None:
            emit(OutputFailed(f"the page shows no more images ({describe(error)})"))

        self._worker = QueueWorker("page-images", self._draw, capacity=1, failed=report)
        links = self.links
        emit(OutputReady(self._announcement(links)))
        if self._settings.open_browser and _has_browser():
            webbrowser.open(links["control"])

    def _announcement(self, links: Mapping[str, str]) -> str:
        """Say how to open the page; to the room also as a QR code, of the link that most will use."""
        if not is_for_the_room(self._settings.host):
            return f"the page: {links['control']}"
        lines = [f"the page to control: {links['control']}", f"the page to look at: {links['view']}"]
        if self._lends:
            lines.append(f"the page to lend a camera: {links['camera']}")
        return "\n".join([*lines, qr_code(links["camera" if self._lends else "view"])])

    def _shares(self) -> dict[Role, dict[str, Any]]:
        """Return what browsers show to let others in: nobody passes on more than they may do themselves."""
        links = self.links
        view = {"link": links["view"], "code": qr_image(links["view"]), "lends": False}
        if not self._lends:
            return {"control": view, "view": view}
        camera = {"link": links["camera"], "code": qr_image(links["camera"]), "lends": True}
        return {"control": camera, "camera": camera, "view": view}

    def write(self, live_frame: LiveFrame) -> None:
        """Hand over a frame without waiting."""
        self._newest, self._is_stated = live_frame, False
        now_s = time.monotonic()
        if self._worker is not None and (self._server.viewers or now_s - self._drawn_s >= _UNSEEN_S):
            self._drawn_s = now_s
            self._worker.put(live_frame)
        self._send_state(now_s)

    def poll(self) -> Sequence[KeyPress | CommandCall]:
        """Return what browsers asked for since the last call."""
        now_s = time.monotonic()
        self._send_state(now_s)
        if now_s - self._drawn_s >= _UNSEEN_S and self._server.codecs_in_use:
            self._drawn_s = now_s
            self._show_again()  # a decoder that has lost something of a still image waits for more
        return [self._commands.popleft() for _ in range(len(self._commands))]

    def handle(self, effect: OutputEffect, live_frame: LiveFrame | None) -> bool:  # noqa: ARG002
        """Do nothing for full screen, which each browser does by itself."""
        return isinstance(effect, ToggleFullScreen)

    def counts(self) -> dict[str, int]:
        """Return how many browsers watch."""
        return {"viewers": self._server.viewers}

    def close(self) -> None:
        """End all connections."""
        if self._worker is not None:
            self._worker.join(PATIENCE_S)
        self._server.close(PATIENCE_S)

    def _send_state(self, now_s: float) -> None:
        """Send the newest state, if it was not sent and it is time."""
        if self._newest is None or self._is_stated or now_s - self._stated_s < _STATES_S:
            return
        self._stated_s, self._is_stated = now_s, True
        facts = self._newest.state.facts
        self._server.send_state(describe_state(self._newest), () if facts is None else facts.labels)

    def _draw(self, live_frame: LiveFrame) -> None:
        """Draw and encode an image, once for all browsers of a kind; in a thread of its own."""
        now_s = time.monotonic()
        image = self._compositor.compose_live(without_labels(live_frame))
        scale = min(1.0, _LARGEST[0] / image.width, _LARGEST[1] / image.height)
        size = round(image.width * scale), round(image.height * scale)
        if self._server.jpeg_viewers or now_s - self._jpeg_s >= _UNSEEN_S:
            self._jpeg_s = now_s
            bgr = cv2.cvtColor(self._resampler.to_rgb(image, *size), cv2.COLOR_RGB2BGR)
            _, jpeg = cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY))
            self._server.send_image(jpeg.tobytes())
        self._encode(image, size, now_s)

    def _encode(self, image: Image, size: tuple[int, int], now_s: float) -> None:
        """Encode an image for browsers that watch by WebRTC."""
        codecs = self._server.codecs_in_use
        self._encoders = {name: self._encoders.get(name) or BrowserEncoder(name) for name in codecs}
        for name, needs_keyframe in codecs.items():
            try:
                packets = self._encoders[name].encode(image, size, now_s, keyframe=needs_keyframe)
            except SinkError as error:
                _log.warning("%s", error)
                self._server.drop_codec(name)
            else:
                self._server.send_packets(name, packets)

    # --- In the server's thread ---------------------------------------------------------------------------

    def _take(self, request: Request) -> None:
        if request.key is not None:
            self._commands.append(KeyPress(request.key))
        elif request.name is not None:
            self._commands.append(CommandCall(request.name, request.argument))

    def _show_again(self) -> None:
        """Draw the newest frame for a browser that has come: there may be no other one for long."""
        newest = self._newest
        if newest is not None and self._worker is not None:
            self._worker.put(newest)


def without_labels(live_frame: LiveFrame) -> LiveFrame:
    """Return a frame as the page draws it: without the labels that stand beside the image."""
    if not has_labels_beside(live_frame):
        return live_frame
    overlay = dataclasses.replace(live_frame.state.view.overlay, labels=False)
    return dataclasses.replace(live_frame, state=live_frame.state.with_view(overlay=overlay))


def _has_browser() -> bool:
    """Return whether a browser would open in a window and not in the terminal."""
    has_display = bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return has_display or not sys.platform.startswith("linux")


def _webrtc(settings: PageSettings, *, lends: bool) -> WebRtc | None:
    """Return what connects browsers by WebRTC, where it is asked for or the better choice.

    On this computer JPEGs are sooner there, but not from a camera (docs/benchmarks.md).
    """
    is_asked_for = settings.transport == "webrtc" or bool(settings.ice_servers)
    is_better = lends or is_for_the_room(settings.host)
    if settings.transport == "mjpeg" or not (is_asked_for or is_better):
        return None
    from streamcam.session.page.webrtc import WebRtc  # only where it is used: aiortc takes a while

    return WebRtc(browser_codecs(), [parse_ice_server(each) for each in settings.ice_servers])
