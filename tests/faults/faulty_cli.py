"""The real command with its real network, and one fault at one moment.

    python faulty_cli.py FAULT ARGUMENTS...

FAULT is ``none``, ``disk:BYTES`` (no file grows beyond that) or ``ACTION@TEXT``: the action comes about when
a file is opened or renamed whose path and mode, or old and new path, have the text in them. ``kill`` is what
kill -9 does, ``vanish`` removes the folder ``out``. A segment has 8 frames here.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys

from streamcam import __main__
from streamcam.sinks.resume import segments


def inject(fault: str) -> None:
    action, _, text = fault.partition("@")

    def heed(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal text
        if event not in ("open", "os.rename") or not text:
            return
        if text not in f"{arguments[0]} {arguments[1]}":
            return
        text = ""  # once
        if action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        shutil.rmtree("out")

    if fault.startswith("disk:"):
        limit = int(fault.removeprefix("disk:"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))  # Python ignores the signal that comes
    elif fault != "none":
        sys.addaudithook(heed)


if __name__ == "__main__":
    segments.FRAMES_PER_SEGMENT = 8
    inject(sys.argv.pop(1))
    __main__.main()
