"""The real command and its window on a stream that wants a password: nothing that it says or shows has it."""

from __future__ import annotations

import signal
from pathlib import Path

from media_factory import make_clip
from programs import require_rtsp_server
from screens import Screen, Shown, until
from senders import SECRET, USER, RtspServer

PROGRAM = str(Path(__file__).parent / "fake_live.py")


def test_a_password_is_shown_nowhere(screen: Screen, work: Path) -> None:
    require_rtsp_server()
    clip = make_clip(work / "clip.mp4", frames=50, gop=5)
    with RtspServer(clip) as server:
        options = ["--stats", "s.jsonl", "--record", "r.mkv"]
        with Shown(screen, [PROGRAM, "--debug", "live", server.url, *options], work) as shown:
            title = screen.do("getwindowname", shown.window)
            server.kill_server()
            until(lambda: "trying again" in (work / "s.jsonl").read_text())
            shown.process.send_signal(signal.SIGTERM)
            code, out, err = shown.end()
    name = f"rtsp://***@127.0.0.1:{server.port}/cam"
    assert title == f"streamcam: {name}\n"
    lines = [line for line in err.splitlines() if not line.startswith("debug: ")]
    assert (code, lines) == (130, [f"streamcam: '{name}' has ended; trying again"])
    files = [(work / kept).read_bytes() for kept in ("s.jsonl", "r.mkv")]
    for words in (title, out, err, *files):
        seen = words.encode() if isinstance(words, str) else words
        assert SECRET.encode() not in seen
        assert USER.encode() not in seen
