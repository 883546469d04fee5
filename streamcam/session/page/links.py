"""The links to the page: for this computer or for the room, as text and as a QR code."""

from __future__ import annotations

import contextlib
import io
import socket

_ANYWHERE = ("0.0.0.0", "::", "")


def link_to(host: str, port: int, token: str, *, is_secure: bool) -> str:
    """Return the link to a page.

    Args:
        host: The address that the server listens on; of a server that listens on all of them, the one in the
            local network is used.
        port: The port.
        token: The key, which stands behind ``#``.
        is_secure: Whether the server speaks TLS.
    """
    name = local_address() if host in _ANYWHERE else host
    shown = f"[{name}]" if ":" in name else name
    return f"{'https' if is_secure else 'http'}://{shown}:{port}/#{token}"


def local_address() -> str:
    """Return this computer's address in the local network; that of the loopback where there is none."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # chooses a way out; nothing is sent
        return str(probe.getsockname()[0])
    return "127.0.0.1"


def is_for_the_room(host: str) -> bool:
    """Return whether others than this computer can reach an address."""
    return host not in ("127.0.0.1", "::1", "localhost")


def qr_image(link: str) -> str:
    """Return a QR code of a link as an image, SVG, in a data URL."""
    import segno

    return str(segno.make(link, error="m", micro=False).svg_data_uri(border=3, scale=4))


def qr_code(link: str) -> str:
    """Return a QR code of a link, drawn with characters, to be photographed from a terminal."""
    import segno

    text = io.StringIO()
    segno.make(link, error="l", micro=False).terminal(text, compact=True)
    return text.getvalue()
