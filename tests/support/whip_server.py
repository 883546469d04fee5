"""A WHIP server, as OBS and MediaMTX have one: WebRTC's way in, by aiortc, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from typing import Any

from stage_fakes import LIMIT_S, expect


class WhipServer:
    """Takes what one client sends.

    Attributes:
        port: The port.
        frames: Kind of track → how many frames arrived.
        sizes: The sizes of the images.
        token: What the client sent to be let in.
        ended: Set once the client has hung up.
    """

    def __init__(self) -> None:
        """Begin to serve."""
        self.port = 0
        self.frames: Counter[str] = Counter()
        self.sizes: set[tuple[int, int]] = set()
        self.token: str | None = None
        self.ended = threading.Event()
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()))
        self._thread.start()
        expect(self._ready)

    def close(self) -> None:
        """End."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(LIMIT_S)
        self._loop.close()

    async def _serve(self) -> None:
        from aiohttp import web
        from aiortc import RTCPeerConnection, RTCSessionDescription

        peers: list[RTCPeerConnection] = []

        async def take(track: Any) -> None:
            from aiortc.mediastreams import MediaStreamError

            try:
                while True:
                    frame = await track.recv()
                    self.frames[track.kind] += 1
                    if track.kind == "video":
                        self.sizes.add((frame.width, frame.height))
            except MediaStreamError:
                return

        async def begin(request: web.Request) -> web.Response:
            self.token = request.headers.get("Authorization")
            peer = RTCPeerConnection()
            peers.append(peer)
            peer.on("track", lambda track: self._tasks.append(asyncio.ensure_future(take(track))))
            await peer.setRemoteDescription(RTCSessionDescription(await request.text(), "offer"))
            await peer.setLocalDescription(await peer.createAnswer())
            headers = {"Location": "/whip/1"}
            answer = peer.localDescription.sdp
            return web.Response(status=201, text=answer, content_type="application/sdp", headers=headers)

        async def end(_request: web.Request) -> web.Response:
            self.ended.set()
            return web.Response()

        app = web.Application()
        app.add_routes([web.post("/whip", begin), web.delete("/whip/1", end)])
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = runner.addresses[0][1]
        self._ready.set()
        await self._over.wait()
        for peer in peers:
            await peer.close()
        for task in self._tasks:
            await task
        await runner.cleanup()
