"""The port that the page listens on, and who has it already."""

from __future__ import annotations

import contextlib
import errno
import socket
from pathlib import Path

from streamcam.errors import InvalidArgumentError, SinkError

_PROC = Path("/proc")
_LISTENS = "0A"
"""The state of a socket that listens, in Linux's table of sockets."""

_MOST_TRIED = 100


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Args:
        host: The address to listen on.
        port: The port; 0 for any that is free.

    Raises:
        SinkError: if the port is taken or may not be used.
        InvalidArgumentError: if there is no such address.
    """
    try:
        ((family, *_, address), *_) = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise InvalidArgumentError(f"there is no address {host!r} to listen on ({error.strerror})") from error
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(128)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            owner = find_owner(port) or "another program"
            raise SinkError(
                f"port {port} is taken by {owner}; use `port={_next_free(host, port)}`"
            ) from error
        if error.errno == errno.EADDRNOTAVAIL:
            raise InvalidArgumentError(
                f"this computer does not have the address {host!r}; use `host='0.0.0.0'` for all it has"
            ) from error
        raise SinkError(f"port {port} cannot be used: {error.strerror}") from error
    return listening


def find_owner(port: int) -> str | None:
    """Return the name and number of the process that listens on a TCP port.

    Returns:
        As in ``"python (process 4711)"``; None where the system does not say, which only Linux does, and of
        one's own processes only.
    """
    inodes = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in (_PROC / "net" / table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(f"socket:[{fields[9]}]")
    for process in _PROC.glob("[0-9]*") if inodes else ():
        with contextlib.suppress(OSError):  # it has ended, or is somebody else's
            if any(str(each.readlink()) in inodes for each in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()} (process {process.name})"
    return None


def _next_free(host: str, port: int) -> int:
    """Return the next port that is free; 0, which means any, where none is near."""
    for candidate in range(port + 1, min(port + _MOST_TRIED, 65536)):
        with contextlib.suppress(OSError), socket.create_server((host, candidate)):
            return candidate
    return 0
