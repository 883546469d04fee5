"""Settings of a live session."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from streamcam.errors import InvalidArgumentError, unknown_name
from streamcam.files import check_output
from streamcam.localization import LocalizationSettings
from streamcam.overlay import Overlay, OverlaySettings
from streamcam.session.page.ice import parse_ice_server
from streamcam.session.state import View
from streamcam.sinks import check_publication, check_recording
from streamcam.sources import SourceSettings
from streamcam.temporal import LIVE_MODE, TemporalSettings, check_live

DISPLAYS = ("window", "page", "none")

TRANSPORTS = ("auto", "webrtc", "mjpeg")
"""How the page's images travel."""

_ORIGIN = re.compile(r"(https?|vscode-webview)://[A-Za-z0-9.\-\[\]:]+")

_SHORTEST_KEY = 12
"""Characters of a page's key that somebody else may have to guess."""


@dataclasses.dataclass(frozen=True, slots=True)
class PageSettings:
    """How the page is served."""

    host: str = "127.0.0.1"
    """The address to listen on: that of the loopback serves this computer only, ``"0.0.0.0"`` the room."""
    port: int = 8642
    """The port; 0 for any that is free."""
    key: str | None = None
    """The key in the link of those who may give commands, for links that stay the same; a new one each time
    if None."""
    tls: bool | None = None
    """Whether to encrypt; None where phones have to lend their cameras to the page, which browsers allow
    to encrypted pages only."""
    tls_cert: str | Path | None = None
    """A certificate, PEM; None for one that is made here at the first use, of which browsers warn."""
    tls_key: str | Path | None = None
    """The certificate's key, PEM."""
    transport: str = "auto"
    """How images travel, one of `TRANSPORTS`: ``"webrtc"`` as video where browsers can, ``"mjpeg"`` as
    JPEGs; ``"auto"`` for video to the room and where cameras are lent, and for JPEGs to this computer, which
    take less time."""
    ice_servers: tuple[str, ...] = ()
    """STUN and TURN servers that WebRTC may ask, as ``"stun:HOST:PORT"`` or
    ``"turn:USER:PASSWORD@HOST:PORT"``; it asks none but these."""
    frame_origins: tuple[str, ...] = ()
    """Whose pages may hold this one in a frame, as a notebook's does: ``"http://localhost:8888"``."""
    open_browser: bool = False
    """Whether to open the page in this computer's browser, where there is one."""

    def check(self) -> None:
        """Check everything that can be checked without a network.

        Raises:
            InvalidArgumentError: for the first setting that cannot be used.
        """
        if not 0 <= self.port <= 65535:
            raise InvalidArgumentError(f"`port` is from 1 to 65535, not {self.port}")
        for origin in self.frame_origins:
            if not _ORIGIN.fullmatch(origin):
                raise InvalidArgumentError(
                    f"`frame_origins` {origin!r} is no origin; give it as in http://localhost:8888"
                )
        if self.key is not None and (len(self.key) < _SHORTEST_KEY or not self.key.isalnum()):
            raise InvalidArgumentError(f"`key` has at least {_SHORTEST_KEY} letters and digits, no others")
        if (self.tls_cert is None) != (self.tls_key is None):
            missing = "tls_cert" if self.tls_cert is None else "tls_key"
            raise InvalidArgumentError(f"a certificate and its key go together; `{missing}` is missing")
        if self.transport not in TRANSPORTS:
            raise unknown_name("transport", self.transport, TRANSPORTS)
        for server in self.ice_servers:
            parse_ice_server(server)
        if self.ice_servers and self.transport == "mjpeg":
            raise InvalidArgumentError("`ice_servers` are for WebRTC; leave out `transport='mjpeg'`")
        if self.tls is False and self.tls_cert is not None:
            raise InvalidArgumentError("`tls_cert` is for a page that is encrypted; leave out `tls=False`")


@dataclasses.dataclass(frozen=True, slots=True)
class StreamSettings:
    """One of several sources of a live session."""

    source: str | int | Path
    """A camera's number, a stream's URL, or a video, which is played at its own pace."""
    name: str = ""
    """Name above its tile and in statistics; after its source if empty."""
    reading: SourceSettings | None = None
    """How it is read; as `LiveSettings.source` says if None."""
    record: str | Path | None = None
    """A video to record it to from its first frame on; None for what `LiveSettings.record` says."""


@dataclasses.dataclass(frozen=True, slots=True)
class LiveSettings:
    """How a live session runs."""

    source: SourceSettings = dataclasses.field(default_factory=lambda: SourceSettings(real_time=True))
    """How the source is read. Videos are played at their own pace in any case."""
    overlay: OverlaySettings = dataclasses.field(default_factory=OverlaySettings)
    temporal: TemporalSettings = dataclasses.field(default_factory=lambda: TemporalSettings(mode=LIVE_MODE))
    localization: LocalizationSettings = dataclasses.field(default_factory=LocalizationSettings)
    """Boxes and points to look for in the heat, and to draw."""
    display: str | None = None
    """Where to show it: ``"window"``, ``"page"`` for a browser, ``"window,page"``, or ``"none"`` for runs
    that nobody watches; None for a window, and for the page where a browser lends its camera."""
    page: PageSettings = dataclasses.field(default_factory=PageSettings)
    """How the page is served, where there is one."""
    heat_shown: bool = True
    """Whether heat is shown at first, or the bare frames."""
    duration_s: float | None = None
    """How long to run, in seconds from the first frame; None for ever."""
    idle_s: float | None = None
    """After how many seconds without a command all is as at the beginning, and recordings that somebody began
    end; None for never."""
    give_up_s: float | None = None
    """How long to wait for a frame before failing, in seconds; None for ever."""
    publish: tuple[str, ...] = ()
    """Where to publish it: URLs with a scheme in `streamcam.sinks.PROTOCOLS`."""
    virtual_camera: bool = False
    """Whether other programs can take it for a webcam."""
    record: str | Path | None = None
    """A video to record to from the first frame on; None to record when asked to. Of several streams each is
    recorded to its own, whose name says which: ``"booth.mp4"`` becomes ``"booth-door.mp4"``."""
    evidence: str | Path | None = None
    """A file for every explanation, read by `streamcam.open_evidence`; None for none. Of several streams each
    has its own, named as recordings are."""
    command: str | None = None
    """The command line that asks for the session, kept in the evidence; None if there is none."""
    overwrite: bool = False
    """Whether `record` and `evidence` may replace existing files."""
    folder: str | Path = "."
    """Where images and recordings go that are asked for while it runs."""
    statistics: str | Path | None = None
    """A file for statistics, one JSON object per second; replaced if it exists."""

    @property
    def displays(self) -> tuple[str, ...]:
        """The names in `display`; empty if it is None."""
        return () if self.display is None else tuple(name.strip() for name in self.display.split(","))

    @property
    def view(self) -> View:
        """How frames are shown at first."""
        return View(self.overlay, self.temporal.smoothing_s, self.heat_shown)

    def check(self) -> None:
        """Check everything that can be checked before anything is opened.

        Raises:
            StreamcamError: one of its children, for the first setting that cannot be used.
        """
        if self.record is not None:
            check_recording(self.record, overwrite=self.overwrite)
        if self.evidence is not None:
            check_output(self.evidence, overwrite=self.overwrite, inputs=())
        Overlay(self.overlay)
        check_live(self.temporal)
        self.localization.check()
        for name in self.displays:
            if name not in DISPLAYS:
                raise unknown_name("display", name, DISPLAYS)
        if len(self.displays) > 1 and "none" in self.displays:
            raise InvalidArgumentError(f"`display` {self.display!r} has none among others; leave it out")
        self.page.check()
        for target in self.publish:
            check_publication(target)
        for name in ("duration_s", "give_up_s", "idle_s"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InvalidArgumentError(f"`{name}` {value:g} is not above 0")
        if self.statistics is not None:
            check_output(self.statistics, overwrite=True, inputs=())
