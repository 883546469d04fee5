"""The process that passes encoded video on to a server: ``python -P relay_process.py``, by `Relay`.

FFmpeg connects while it holds Python's lock, so a server that never answers would stop all threads of the
process that waits for it. Here nothing else waits. Standard input brings a line of JSON, which holds what
others must not read in a command line, and then NUT. Standard output tells ``ready`` once the server has
accepted, or ``error`` and FFmpeg's reason.
"""

from __future__ import annotations

import json
import signal
import sys
from typing import BinaryIO

import av
from av.error import FFmpegError

_TIMEOUT_S = 15
"""The process ends where connecting or a packet takes that long: whoever started it may be gone."""

_HEAD = {"probesize": "32", "analyzeduration": "0"}


def main() -> int:
    """Pass on what comes until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it in order
    with open(0, "rb", buffering=0) as arriving:
        target = json.loads(arriving.readline())
        try:
            _relay(arriving, target["url"], target["muxer"], target["options"])
        except (FFmpegError, OSError, ValueError) as error:
            _say(f"error {getattr(error, 'strerror', None) or type(error).__name__}")
            return 1
    return 0


def _relay(arriving: BinaryIO, url: str, muxer: str, options: dict[str, str]) -> None:
    with (
        av.open(arriving, "r", format="nut", options=_HEAD) as incoming,
        av.open(url, "w", format=muxer, container_options=options) as outgoing,
    ):
        streams = {stream.index: outgoing.add_stream_from_template(stream) for stream in incoming.streams}
        _give_up_after(_TIMEOUT_S)
        outgoing.start_encoding()
        _say("ready")
        for packet in incoming.demux():
            if packet.size:
                packet.stream = streams[packet.stream.index]
                _give_up_after(_TIMEOUT_S)
                outgoing.mux(packet)
            _give_up_after(0)
        _give_up_after(_TIMEOUT_S)  # the end of the stream may be waited for, too


def _give_up_after(seconds: int) -> None:
    """Let the system end this process after a time, whatever it waits for; 0 to let it be."""
    if hasattr(signal, "alarm"):
        signal.alarm(seconds)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
