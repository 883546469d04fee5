"""Cameras that browsers lend to the page: one at a time, that of the browser that began last."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from aiohttp import WSMsgType, web

from streamcam.session.page.messages import FALLBACK_REASONS, Fallback, Offer, parse_message

if TYPE_CHECKING:
    from streamcam.media.images import Image
    from streamcam.session.page.webrtc import WebRtc

LARGEST_IMAGE = 2_000_000
"""Bytes of a JPEG."""

_CLOSE_PATIENCE_S = 1.0

_TAKEN_OVER = 4000
"""WebSocket code, of those for applications: the page does not connect again by itself."""


class Lending:
    """Takes the images of lent cameras. Belongs to the event loop's thread."""

    def __init__(self, on_image: Callable[[bytes | Image], None], webrtc: WebRtc | None) -> None:
        """Set up.

        Args:
            on_image: Receives the images, JPEG or decoded.
            webrtc: Connects browsers by WebRTC; None where all send JPEGs.
        """
        self._on_image = on_image
        self._webrtc = webrtc
        self._lender: asyncio.Future[None] | None = None

    async def serve(self, browser: web.WebSocketResponse) -> None:
        """Take the images of one browser until it ends, or another one takes over.

        Every JPEG is answered, so that a browser sends the next when this one has arrived: none waits on the
        way, however slow the network is. By WebRTC it sends images beside, and only its offer comes here.
        """
        taking = asyncio.ensure_future(self._take_messages(browser))
        if self._lender is not None:
            self._lender.cancel()
        self._lender = taking
        try:
            await taking
        except ConnectionError:  # the phone was carried away
            pass
        except asyncio.CancelledError:
            if self._lender is taking:  # nobody took over: the server ends
                raise
            with contextlib.suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(_CLOSE_PATIENCE_S):
                    await browser.close(code=_TAKEN_OVER, message=b"another camera took over")
        finally:
            taking.cancel()
            if self._lender is taking:
                self._lender = None
            if self._webrtc is not None:
                self._webrtc.hang_up(browser)

    async def _take_messages(self, browser: web.WebSocketResponse) -> None:
        mine = asyncio.current_task()

        def take(image: bytes | Image) -> None:
            if self._lender is mine:
                self._on_image(image)

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
