"""Cameras that browsers lend to the page: each has a place, and new ones take turns where all are taken."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from aiohttp import WSMsgType, web

from streamcam.session.page.messages import FALLBACK_REASONS, Fallback, Offer, parse_message

if TYPE_CHECKING:
    from streamcam.media.images import Image
    from streamcam.session.page.webrtc import WebRtc

OnImage = Callable[["bytes | Image"], None]
"""Receives an image, JPEG or decoded."""

LARGEST_IMAGE = 2_000_000
"""Bytes of a JPEG."""

_CLOSE_PATIENCE_S = 1.0

_TAKEN_OVER = 4000
"""WebSocket code, of those for applications: the page does not connect again by itself."""

_TAB = re.compile(r"[0-9a-zA-Z-]{1,40}")


def read_tab(request: web.Request) -> str:
    """Return the name that a browser's tab has made up for itself, to be known when it comes again.

    Raises:
        aiohttp.web.HTTPBadRequest: if it is none.
    """
    tab = request.query.get("tab", "")
    if not _TAB.fullmatch(tab):
        raise web.HTTPBadRequest(text="a camera is lent by a tab with a name of up to 40 letters and digits")
    return tab


class Lending:
    """Takes the images of lent cameras. Belongs to the event loop's thread.

    A tab that comes again gets the place that it had, in the stead of its old connection, which may be dead.
    Others get the first free place. Where there is none, that of the camera that was lent longest.
    """

    def __init__(self, places: Mapping[str, OnImage], webrtc: WebRtc | None) -> None:
        """Set up.

        Args:
            places: Name of each place, which is its stream's → receives the images of the camera there.
            webrtc: Connects browsers by WebRTC; None where all send JPEGs.
        """
        self._places = places
        self._webrtc = webrtc
        self._lenders: dict[str, asyncio.Future[None]] = {}  # in the order in which they began
        self._tabs: dict[str, str] = {}  # place → the tab that had it last

    async def serve(self, browser: web.WebSocketResponse, tab: str) -> None:
        """Take the images of one browser until it ends, or another one takes over.

        The first message names its place. Every JPEG is answered, so that a browser sends the next when
        this one has arrived: none waits on the way, however slow the network is. By WebRTC it sends images
        beside, and only its offer comes here.

        Args:
            browser: Its connection.
            tab: The name of its tab.
        """
        place = self._choose(tab)
        taking = asyncio.ensure_future(self._take_messages(browser, place))
        before = self._lenders.pop(place, None)
        if before is not None:
            before.cancel()
        self._lenders[place] = taking
        try:
            await taking
        except ConnectionError:  # the phone was carried away
            pass
        except asyncio.CancelledError:
            if self._lenders.get(place) is taking:  # nobody took over: the server ends
                raise
            with contextlib.suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(_CLOSE_PATIENCE_S):
                    await browser.close(code=_TAKEN_OVER, message=b"another camera took over")
        finally:
            taking.cancel()
            if self._lenders.get(place) is taking:
                del self._lenders[place]
            if self._webrtc is not None:
                self._webrtc.hang_up(browser)

    def _choose(self, tab: str) -> str:
        """Return the place of a tab that begins to lend."""
        known = [place for place, last in self._tabs.items() if last == tab]
        free = [place for place in self._places if place not in self._lenders]
        place = next(iter([*known, *free, *self._lenders]))
        self._tabs[place] = tab
        return place

    async def _take_messages(self, browser: web.WebSocketResponse, place: str) -> None:
        mine = asyncio.current_task()

        def take(image: bytes | Image) -> None:
            if self._lenders.get(place) is mine:
                self._places[place](image)

        await browser.send_json({"place": place})
        async for message in browser:
            if message.type is WSMsgType.BINARY:
                take(message.data)
                await browser.send_str("next")
                continue
            asked = parse_message(message.data) if message.type is WSMsgType.TEXT else None
            match asked:
                case Offer(sdp) if self._webrtc is not None:
                    self._webrtc.borrow(browser, sdp, take)
                case Fallback(reason) if self._webrtc is not None:
                    words = FALLBACK_REASONS[reason]
                    self._webrtc.do_without(browser, f"lends its camera as JPEGs: {words}")
                case _:
                    await browser.close(code=1007, message=b"this is no image")
                    return
