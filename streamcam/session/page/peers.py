"""Browsers that images go to, or come from, by WebRTC.

A browser makes the offer, over one of the page's WebSockets, and the answer goes back on it: whoever has no
session has no peer. Images are encoded by the page, once for all browsers of one codec, and only packed here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError

from streamcam.errors import InvalidArgumentError
from streamcam.session.page.ice import IceServer

if TYPE_CHECKING:
    from streamcam.media.images import Image

_log = logging.getLogger("streamcam.session")

_WAITING_PACKETS = 15
"""Packets that wait for a browser; one that is behind further gets the next whole image."""

_MOST_CANDIDATES = 32
"""Addresses of one browser that are tried."""

_ANSWER_PATIENCE_S = 10.0
"""How long STUN and TURN servers may take."""

_CLOSE_PATIENCE_S = 3.0

_CODEC = re.compile(r"^m=video \d+ \S+ (?P<number>\d+).*?^a=rtpmap:(?P=number) (?P<name>\w+)/", re.M | re.S)


class ImageTrack(MediaStreamTrack):
    """Encoded images on their way to one browser.

    Attributes:
        needs_keyframe: Whether the browser can do nothing with what comes before the next keyframe.
    """

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self.needs_keyframe = True
        self._packets: asyncio.Queue[Any] = asyncio.Queue()

    def put(self, packet: Any) -> None:
        """Add a packet, an ``av.Packet``; in the event loop's thread."""
        if self._packets.qsize() >= _WAITING_PACKETS:
            self.begin_again()
        self.needs_keyframe = self.needs_keyframe and not packet.is_keyframe
        if not self.needs_keyframe:
            self._packets.put_nowait(packet)

    def begin_again(self) -> None:
        """Drop what waits: the next packet has to be a keyframe."""
        while not self._packets.empty():
            self._packets.get_nowait()
        self.needs_keyframe = True

    async def recv(self) -> Any:
        """Wait for the next packet."""
        if self.readyState != "live":
            raise MediaStreamError
        return await self._packets.get()


class Peer:
    """A connection to one browser, for images in one direction. Belongs to the event loop's thread.

    Attributes:
        track: Where images to the browser go; None where they come from it.
        codec: The name in RTP of the codec of images to the browser.
        is_connected: Whether images can flow.
    """

    def __init__(
        self,
        ice_servers: Sequence[IceServer],
        *,
        on_connected: Callable[[], None],
        on_lost: Callable[[], None],
    ) -> None:
        """Prepare a connection.

        Args:
            ice_servers: Servers that help to get through; none but these are asked.
            on_connected: Called when images can flow.
            on_lost: Called when the browser cannot be reached, or no longer.
        """
        self.track: ImageTrack | None = None
        self.codec = ""
        self.is_connected = False
        self._on_connected, self._on_lost = on_connected, on_lost
        servers = [RTCIceServer(each.url, each.user, each.password) for each in ice_servers]
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        self._connection.on("connectionstatechange", self._note_state)
        self._receiving: asyncio.Task[None] | None = None

    async def send_images(self, offer: str, codecs: Sequence[str]) -> str:
        """Answer a browser that asks for images.

        Args:
            offer: What it sent, SDP, with one video that it receives.
            codecs: The names of the codecs that there are encoders for, the best one first.

        Returns:
            The answer, SDP.

        Raises:
            InvalidArgumentError: if the offer is none, or has none of the codecs.
        """
        self.track = ImageTrack()
        transceiver = self._connection.addTransceiver(self.track, "sendonly")
        known = RTCRtpSender.getCapabilities("video").codecs
        transceiver.setCodecPreferences(
            [each for name in codecs for each in known if each.mimeType == f"video/{name}"]
        )
        answer = await self._answer(offer)
        match = _CODEC.search(answer)
        self.codec = match["name"] if match is not None else ""
        if self.codec not in codecs:
            raise InvalidArgumentError(f"the browser decodes none of {', '.join(codecs)}")
        return answer

    async def receive_images(self, offer: str, on_image: Callable[[Image], None]) -> str:
        """Answer a browser that lends its camera.

        Args:
            offer: What it sent, SDP, with one video that it sends.
            on_image: Receives the decoded images.

        Returns:
            The answer, SDP.

        Raises:
            InvalidArgumentError: if the offer is none.
        """

        async def pass_on(track: MediaStreamTrack) -> None:
            with contextlib.suppress(MediaStreamError):  # the browser has ended it
                while True:
                    on_image(cast("Image", await track.recv()))

        def begin(track: MediaStreamTrack) -> None:
            self._receiving = asyncio.ensure_future(pass_on(track))

        self._connection.on("track", begin)
        answer = await self._answer(offer)
        if self._receiving is None:
            raise InvalidArgumentError("the browser offers no video")
        return answer

    async def close(self) -> None:
        """Free everything. May be called again."""
        self.is_connected = False
        self._connection.remove_all_listeners("connectionstatechange")
        if self._receiving is not None:
            self._receiving.cancel()
        try:
            await asyncio.wait_for(self._connection.close(), _CLOSE_PATIENCE_S)
        except TimeoutError:
            _log.warning("a WebRTC connection did not close in time")

    async def _answer(self, offer: str) -> str:
        """Take an offer; return the answer.

        Raises:
            InvalidArgumentError: if it is none for one video.
        """
        sections = re.findall(r"^m=(\w+)", offer, re.M)
        if sections != ["video"] or offer.count("a=candidate:") > _MOST_CANDIDATES:
            raise InvalidArgumentError("this is no offer for one video")
        connection = self._connection
        try:
            async with asyncio.timeout(_ANSWER_PATIENCE_S):
                await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
                await connection.setLocalDescription(await connection.createAnswer())
        except TimeoutError as error:
            raise InvalidArgumentError("the STUN or TURN server does not answer") from error
        except Exception as error:  # aiortc's parser meets what it does not expect in many ways
            raise InvalidArgumentError(
                f"the offer cannot be answered ({error or type(error).__name__})"
            ) from error
        return str(connection.localDescription.sdp)

    def _note_state(self) -> None:
        state = self._connection.connectionState
        if state == "connected":
            self.is_connected = True
            if self.track is not None:
                self.track.begin_again()
            self._on_connected()
        elif state in ("failed", "closed"):
            self.is_connected = False
            self._on_lost()
