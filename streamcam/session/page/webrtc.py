"""WebRTC for the page: the browsers that watch by it, and those that lend a camera by it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from streamcam.errors import InvalidArgumentError
from streamcam.session.page.ice import IceServer
from streamcam.session.page.peers import Peer

if TYPE_CHECKING:
    from aiohttp.web import WebSocketResponse

    from streamcam.media.images import Image

Answer = Callable[[Peer], Awaitable[str]]

_log = logging.getLogger("streamcam.session")

_MOST_PEERS = 64
_LEAST_BETWEEN_OFFERS_S = 0.5


class WebRtc:
    """The peers of the page, one for each WebSocket at most. Belongs to the event loop's thread.

    `codecs_in_use` and `count` may be read from any thread.
    """

    def __init__(self, codecs: Sequence[str], ice_servers: Sequence[IceServer]) -> None:
        """Prepare for browsers.

        Args:
            codecs: The names of the codecs that there are encoders for, the best one first.
            ice_servers: Servers that help to get through.
        """
        self._codecs, self._ice_servers = list(codecs), ice_servers
        self._peers: dict[WebSocketResponse, Peer] = {}
        self._asked_s: dict[WebSocketResponse, float] = {}
        self._answering: dict[WebSocketResponse, asyncio.Future[None]] = {}
        self._closing: set[asyncio.Future[None]] = set()

    @property
    def count(self) -> int:
        """How many browsers are shown images."""
        return sum(peer.is_connected for peer in self._watching())

    @property
    def codecs_in_use(self) -> Mapping[str, bool]:
        """The codecs that browsers wait for → whether one of them needs a keyframe."""
        needs: dict[str, bool] = {}
        for peer in self._watching():
            if peer.is_connected and peer.track is not None:
                needs[peer.codec] = needs.get(peer.codec, False) or peer.track.needs_keyframe
        return needs

    def describe(self) -> dict[str, Any]:
        """Return the configuration of browsers' connections."""
        return {"iceServers": [each.describe() for each in self._ice_servers]}

    def show(self, browser: WebSocketResponse, offer: str, on_connected: Callable[[], None]) -> None:
        """Answer a browser that asks for images, when there is an answer.

        Args:
            browser: Its connection.
            offer: What it sent, SDP.
            on_connected: Called when it can be shown images.
        """
        self._begin(browser, lambda peer: peer.send_images(offer, self._codecs), on_connected)

    def borrow(self, browser: WebSocketResponse, offer: str, on_image: Callable[[Image], None]) -> None:
        """Answer a browser that lends its camera, when there is an answer.

        Args:
            browser: Its connection.
            offer: What it sent, SDP.
            on_image: Receives its images.
        """
        self._begin(browser, lambda peer: peer.receive_images(offer, on_image), lambda: None)

    def do_without(self, browser: WebSocketResponse, words: str) -> None:
        """Note that a browser does without WebRTC, and free what it had of it.

        Args:
            browser: Its connection.
            words: What it does instead, and why, for the log.
        """
        _log.info("a browser %s", words)
        self.hang_up(browser)

    def hang_up(self, browser: WebSocketResponse) -> None:
        """Free what belongs to a browser that has gone. Does not wait: who calls this may be canceled."""
        self._asked_s.pop(browser, None)
        answering = self._answering.pop(browser, None)
        if answering is not None:
            answering.cancel()
        self._drop(browser)

    def put(self, codec: str, packets: Sequence[Any]) -> None:
        """Send packets, of ``av.Packet``, to all that wait for such."""
        for peer in self._watching():
            if peer.is_connected and peer.track is not None and peer.codec == codec:
                for packet in packets:
                    peer.track.put(packet)

    def drop_codec(self, codec: str) -> None:
        """Stop to offer a codec whose encoder fails; those that were sent it notice, and fall back."""
        with contextlib.suppress(ValueError):
            self._codecs.remove(codec)
        for browser, peer in list(self._peers.items()):
            if peer.codec == codec:
                self.hang_up(browser)

    async def close(self) -> None:
        """End all connections."""
        for browser in {*self._peers, *self._answering}:
            self.hang_up(browser)
        await asyncio.gather(*self._closing)

    def _watching(self) -> list[Peer]:
        return [peer for peer in list(self._peers.values()) if peer.track is not None]

    def _begin(self, browser: WebSocketResponse, answer: Answer, on_connected: Callable[[], None]) -> None:
        """Answer an offer beside all else: STUN and TURN servers may take seconds."""
        now_s = asyncio.get_running_loop().time()
        asks_too_often = now_s - self._asked_s.get(browser, -math.inf) < _LEAST_BETWEEN_OFFERS_S
        self._asked_s[browser] = now_s
        before = self._answering.pop(browser, None)
        if before is not None:
            before.cancel()
        work = self._answer(browser, _refuse if asks_too_often else answer, on_connected)
        self._answering[browser] = asyncio.ensure_future(work)

    async def _answer(
        self, browser: WebSocketResponse, answer: Answer, on_connected: Callable[[], None]
    ) -> None:
        self._drop(browser)
        peer = Peer(self._ice_servers, on_connected=on_connected, on_lost=lambda: self._lose(browser, peer))
        self._peers[browser] = peer
        try:
            if len(self._peers) > _MOST_PEERS:
                raise InvalidArgumentError(f"{_MOST_PEERS} browsers are connected already")
            message = {"answer": await answer(peer)}
        except InvalidArgumentError as error:
            self._drop(browser)
            _log.info("a browser gets no WebRTC: %s", error)
            message = {"refused": str(error)}
        with contextlib.suppress(ConnectionError):  # it has gone
            await browser.send_json(message)

    def _drop(self, browser: WebSocketResponse) -> None:
        peer = self._peers.pop(browser, None)
        if peer is not None:
            closing = asyncio.ensure_future(peer.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    def _lose(self, browser: WebSocketResponse, peer: Peer) -> None:
        """Close a connection that was lost, unless there is another one by now."""
        if self._peers.get(browser) is peer:
            _log.info("a browser's WebRTC connection was lost")
            self._drop(browser)


async def _refuse(_peer: Peer) -> str:
    raise InvalidArgumentError("it asks too often")
