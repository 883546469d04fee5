"""``python -m streamcam`` and the ``streamcam`` command."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line and exit with its code."""
    _open_standard_streams()
    from streamcam.cli import run

    sys.exit(run(sys.argv[1:]))


def _open_standard_streams() -> None:
    """Take up the numbers of standard streams that are closed, as after ``2>&-``.

    The film that is written would get the number instead, and with it whatever a library prints.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


if __name__ == "__main__":
    main()
