"""``python -m streamcam`` and the ``streamcam`` command."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from typing import NoReturn


def main() -> None:
    """Run the command line and exit with its code."""
    _open_standard_streams()
    from streamcam.cli import run

    _leave(run(sys.argv[1:]))


def _leave(code: int) -> NoReturn:
    """Exit; at once if a live session left a thread behind: its device hangs or its network is still loading.

    Everything is finished by then, and libraries abort the process if Python ends under their feet.
    """
    if any(thread.name.startswith("streamcam-") for thread in threading.enumerate()):
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
        os._exit(code)
    sys.exit(code)


def _open_standard_streams() -> None:
    """Take up the numbers of standard streams that are closed, as after ``2>&-``.

    The video that is written would get the number instead, and with it whatever a library prints.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


if __name__ == "__main__":
    main()
