"""STUN and TURN servers, which help WebRTC through networks that hide their devices."""

from __future__ import annotations

import dataclasses
import re

from streamcam.errors import InvalidArgumentError

_SERVER = re.compile(
    r"(?P<scheme>stun|turns?):(?:(?P<user>[^:@\s]+):(?P<password>[^\s]+)@)?"
    r"(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>\d{1,5}))?"
)


@dataclasses.dataclass(frozen=True, slots=True)
class IceServer:
    """A server as browsers and aiortc name it."""

    url: str
    """Without user and password."""
    user: str | None = None
    password: str | None = dataclasses.field(default=None, repr=False)

    def describe(self) -> dict[str, str]:
        """Return it as an ``RTCIceServer`` of a browser."""
        if self.user is None or self.password is None:
            return {"urls": self.url}
        return {"urls": self.url, "username": self.user, "credential": self.password}


def parse_ice_server(text: str) -> IceServer:
    """Read a server as users write it.

    Args:
        text: ``stun:HOST:PORT`` or ``turn:USER:PASSWORD@HOST:PORT``; the port may be left out.

    Raises:
        InvalidArgumentError: if it is neither; the message does not repeat what may hold a password.
    """
    match = _SERVER.fullmatch(text)
    needs_user = match is not None and match["scheme"] != "stun"
    if match is None or needs_user != (match["user"] is not None):
        shown = repr(text) if "@" not in text else f"{text.partition(':')[0][:5]}:***"
        raise InvalidArgumentError(
            f"`ice_servers` takes 'stun:HOST:PORT' or 'turn:USER:PASSWORD@HOST:PORT', not {shown}"
        )
    port = f":{match['port']}" if match["port"] else ""
    return IceServer(f"{match['scheme']}:{match['host']}{port}", match["user"], match["password"])
