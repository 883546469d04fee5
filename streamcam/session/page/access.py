"""Who may see the page: tokens, sessions, and the headers that a browser guards a page by."""

from __future__ import annotations

import contextlib
import hmac
import ipaddress
import secrets
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Middleware

Role = Literal["view", "control", "camera"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_MOST_SESSIONS = 256
"""Browsers that are known at one time; the oldest is forgotten."""

_HEADERS = {
    # No inline code, nothing from elsewhere, in nobody's frame.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Access:
    """The links that were given out, and the browsers that came by one of them.

    A link holds a token behind ``#``, which browsers send to nobody. The page exchanges it for a cookie.
    Where the key was chosen, the cookie of those who brought it is signed with it, so that a page that stays
    open goes on when the session starts again.

    Attributes:
        tokens: Role → the token of its link.
    """

    def __init__(self, port: int, *, key: str | None, is_secure: bool) -> None:
        """Make new tokens.

        Args:
            port: The server's: browsers keep one jar of cookies for all ports of a host.
            key: The token of those who may give commands; a new one if None.
            is_secure: Whether it speaks TLS.
        """
        self.tokens: dict[Role, str] = {
            "view": secrets.token_urlsafe(18),
            "camera": secrets.token_urlsafe(18),
            "control": key or secrets.token_urlsafe(18),
        }
        self._chosen_key = key
        self._cookie = f"streamcam-{port}"
        self._is_secure = is_secure
        self._sessions: dict[str, Role] = {}
        self._once: set[str] = set()

    def add_once(self) -> str:
        """Return a token that lets one browser control, once."""
        token = secrets.token_urlsafe(18)
        self._once.add(token)
        return token

    def admit(self, token: str, response: web.StreamResponse) -> Role | None:
        """Give a browser with a valid token a cookie.

        Args:
            token: What the browser sent.
            response: Gets the cookie.

        Returns:
            What it may do; None if the token is not valid.
        """
        role: Role | None = None
        brought_key = False
        for candidate, valid in self.tokens.items():  # all of them, so that the time tells nothing
            if hmac.compare_digest(token.encode(), valid.encode()):
                role, brought_key = candidate, candidate == "control"
        for valid in tuple(self._once):
            if hmac.compare_digest(token.encode(), valid.encode()):
                self._once.discard(valid)
                role = "control"
        if role is None:
            return None
        session = secrets.token_urlsafe(24)
        if brought_key and self._chosen_key is not None:
            session = f"{session}.{self._sign(session, self._chosen_key)}"
        else:
            while len(self._sessions) >= _MOST_SESSIONS:
                del self._sessions[next(iter(self._sessions))]
            self._sessions[session] = role
        response.set_cookie(
            self._cookie, session, httponly=True, samesite="Strict", secure=self._is_secure, path="/"
        )
        return role

    def role_of(self, request: web.Request) -> Role | None:
        """Return what the browser behind a request may do; None if it has no session."""
        cookie = request.cookies.get(self._cookie, "")
        session, _, signature = cookie.partition(".")
        if self._chosen_key is not None:
            right = self._sign(session, self._chosen_key)
            if hmac.compare_digest(signature.encode(errors="replace"), right.encode()):
                return "control"
        return self._sessions.get(cookie)

    def _sign(self, session: str, key: str) -> str:
        """Return the signature of a cookie, which only who knows the key can make."""
        signed = f"{self._cookie} {session}".encode(errors="replace")
        return hmac.new(key.encode(), signed, "sha256").hexdigest()

    def require(self, request: web.Request) -> Role:
        """Return what the browser behind a request may do.

        Raises:
            aiohttp.web.HTTPForbidden: if it has no session.
        """
        role = self.role_of(request)
        if role is None:
            raise web.HTTPForbidden(text="this page needs its link, with the key behind #")
        return role


def is_own_host(host: str) -> bool:
    """Return whether a Host header is one of this computer.

    A foreign name that leads here (DNS rebinding) would let a foreign page read this one. Addresses in
    figures cannot be made to lead elsewhere.

    Args:
        host: As in the header, with or without a port.
    """
    name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(name)
        return True
    own = socket.gethostname().lower()
    return name in ("localhost", own, f"{own.partition('.')[0]}.local")


def guard_for(frame_origins: Sequence[str]) -> Middleware:
    """Return what refuses foreign hosts and foreign pages, and adds the headers to every answer.

    Args:
        frame_origins: Whose pages may hold this one in a frame.
    """
    headers = dict(_HEADERS)
    if frame_origins:
        policy, ancestors = headers["Content-Security-Policy"], " ".join(frame_origins)
        policy = policy.replace("frame-ancestors 'none'", f"frame-ancestors {ancestors}")
        headers["Content-Security-Policy"] = policy

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            response = await _guarded(request, handler)
        except web.HTTPException as refusal:
            refusal.headers.update(headers)
            raise
        if not response.prepared:
            response.headers.update(headers)
        return response

    return guard


async def _guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
    with contextlib.suppress(ValueError):
        if is_own_host(request.host):
            origin = request.headers.get("Origin")
            is_navigation = request.method == "GET" and "Upgrade" not in request.headers
            if origin is None and is_navigation:
                return await handler(request)
            if origin is not None and urlsplit(origin).netloc == request.host:
                return await handler(request)
            raise web.HTTPForbidden(text="this was asked for by a foreign page")
    raise web.HTTPForbidden(text="this computer has another name; use the link as it was printed")


def stream_headers() -> dict[str, str]:
    """Return the headers for answers that are sent piece by piece."""
    return dict(_HEADERS)
