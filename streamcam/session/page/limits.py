"""Limits on what strangers can occupy of the page's server: connections, their time, and requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from aiohttp import web

from streamcam.session.page.access import Handler

MOST_CONNECTIONS = 512
"""Connections at one time; of more, those give way that do nothing."""

MOST_PER_ADDRESS = 192
"""Connections from one address, behind which may be a whole room."""

FIRST_REQUEST_S = 10.0
"""How long a new connection may take to ask for something: one that dribbles its request is closed."""

BODY_S = 5.0
"""How long the body of a request may take."""

MOST_REQUESTS_PER_S = 400
"""Requests of one address; a page is about 20."""

TIMES: dict[str, Any] = {"keepalive_timeout": 15.0, "lingering_time": 1.0}
"""aiohttp's own: how long a connection may be idle between requests, and be read from after a refusal."""

_MOST_ADDRESSES = 1024


async def read_text(request: web.Request) -> str:
    """Read the body of a request.

    Raises:
        aiohttp.web.HTTPBadRequest: if it is dribbled, or no text.
    """
    try:
        async with asyncio.timeout(BODY_S):
            return (await request.text()).strip()
    except (TimeoutError, ValueError, LookupError) as error:
        raise web.HTTPBadRequest(text="this is no text", headers={"Connection": "close"}) from error


class Gate:
    """Lets connections in, and closes those that take a place and do nothing.

    Belongs to the event loop's thread.
    """

    def __init__(self, make: Callable[[], asyncio.BaseProtocol]) -> None:
        """Set up.

        Args:
            make: Makes what serves a connection.
        """
        self._make = make
        self._connections: dict[asyncio.BaseTransport, _Connection] = {}  # the oldest first
        self._requests: dict[str, tuple[int, int]] = {}

    def __call__(self) -> asyncio.Protocol:
        """Return what serves a new connection."""
        return _Connection(self, cast(asyncio.Protocol, self._make()))

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Note which connections are at work, and refuse an address that asks for too much."""
        if self._is_flooding(request.remote or ""):
            raise web.HTTPTooManyRequests(text="too many requests", headers={"Connection": "close"})
        connection = None if request.transport is None else self._connections.get(request.transport)
        if connection is None:  # closed meanwhile
            return await handler(request)
        connection.begin()
        try:
            return await handler(request)
        finally:
            connection.end()

    def _is_flooding(self, address: str) -> bool:
        second = int(asyncio.get_running_loop().time())
        began, count = self._requests.pop(address, (second, 0))
        count = count + 1 if began == second else 1
        self._requests[address] = (second, count)
        if len(self._requests) > _MOST_ADDRESSES:
            del self._requests[next(iter(self._requests))]
        return count > MOST_REQUESTS_PER_S

    def add(self, connection: _Connection) -> None:
        """Take a new connection; where there are too many, an idle one gives way, or the new one."""
        same = [each for each in self._connections.values() if each.address == connection.address]
        if len(same) >= MOST_PER_ADDRESS:
            self._make_room(same, connection)
        elif len(self._connections) >= MOST_CONNECTIONS:
            self._make_room(list(self._connections.values()), connection)
        self._connections[connection.transport] = connection

    def remove(self, connection: _Connection) -> None:
        """Forget a connection that is closed."""
        self._connections.pop(connection.transport, None)

    def _make_room(self, among: list[_Connection], newest: _Connection) -> None:
        given = next((each for each in among if not each.is_busy), newest)
        given.transport.abort()
        self.remove(given)


class _Connection(asyncio.Protocol):
    """A connection, which passes everything on to what serves it."""

    transport: asyncio.Transport

    def __init__(self, gate: Gate, served: asyncio.Protocol) -> None:
        self._gate = gate
        self._served = served
        self._at_work = 0
        self._timer: asyncio.TimerHandle | None = None
        self.address = ""

    @property
    def is_busy(self) -> bool:
        """Whether a request is being answered."""
        return self._at_work > 0

    def begin(self) -> None:
        """Note that a request has come; from now on aiohttp closes what is idle."""
        self._at_work += 1
        if self._timer is not None:
            self._timer.cancel()

    def end(self) -> None:
        """Note that it is answered."""
        self._at_work -= 1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, with a limit on the time until there is a request."""
        self.transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if peer else ""
        self._served.connection_made(transport)
        self._timer = asyncio.get_running_loop().call_later(FIRST_REQUEST_S, self.transport.abort)
        self._gate.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        if self._timer is not None:
            self._timer.cancel()
        self._gate.remove(self)
        self._served.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Pass data on."""
        self._served.data_received(data)

    def eof_received(self) -> bool | None:
        """Pass the end on."""
        return self._served.eof_received()

    def pause_writing(self) -> None:
        """Pass on that the other side is slow."""
        self._served.pause_writing()

    def resume_writing(self) -> None:
        """Pass on that it is no longer."""
        self._served.resume_writing()
