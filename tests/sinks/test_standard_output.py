"""Videos that are sent to standard output."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from media_factory import Audio, make_clip
from stage_fakes import FakeExplainer
from video_runs import read_video

from streamcam import RenderSettings, render
from streamcam.cli.exit_codes import exit_code_of
from streamcam.errors import InvalidArgumentError, SinkError
from streamcam.explanations import Explanation
from streamcam.frames import Frame
from streamcam.media.containers import CONTAINERS
from streamcam.media.encoders import EncoderSettings
from streamcam.sources import SourceSettings
from streamcam.temporal import Tracker

FRAMES = 10
PIPED = [suffix for suffix, row in CONTAINERS.items() if row.pipe_options is not None]


class Reader:
    """The program behind the pipe."""

    def __init__(self) -> None:
        self.sent = b""
        self.descriptor, self.end = os.pipe()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _read(self) -> None:
        while chunk := os.read(self.descriptor, 1 << 16):
            self.sent += chunk

    def finish(self, path: Path) -> Path:
        """Wait for the end, and save what was sent."""
        self._thread.join(20)
        assert not self._thread.is_alive()
        path.write_bytes(self.sent)
        return path


@contextlib.contextmanager
def piped(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    """Put a pipe in the place of standard output. Not in a fixture: pytest would put it back."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False, raising=False)
    reader, kept = Reader(), os.dup(1)
    os.dup2(reader.end, 1)
    os.close(reader.end)
    try:
        yield reader
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def send(clip: Path, suffix: str | None = None, **settings: object) -> None:
    """Render to standard output, which whoever reads sees the end of."""
    encoder = EncoderSettings(preset=None if suffix == ".webm" else "ultrafast", container=suffix)
    render(clip, "-", FakeExplainer(), settings=RenderSettings(encoder=encoder, **settings))  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", [None, *PIPED])
def test_what_is_sent_is_the_whole_video(
    suffix: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=FRAMES, audio=[Audio("aac")])
    with piped(monkeypatch) as reader:
        reader.start()
        send(clip, suffix)
    sent = reader.finish(tmp_path / f"sent{suffix or '.mkv'}")
    frames, _, report = read_video(sent)
    assert (len(frames), report.whole) == (FRAMES, True)
    with av.open(str(sent)) as container:
        assert len(container.streams.audio) == 1


class TalkingExplainer(FakeExplainer):
    """Prints something."""

    def explain_frames(self, frames: list[Frame], tracker: Tracker | None = None) -> list[Explanation]:
        os.write(1, b"a library has something to say")
        return super().explain_frames(frames, tracker)


def test_what_others_print_goes_to_standard_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=2)
    with piped(monkeypatch) as reader:
        reader.start()
        render(clip, "-", TalkingExplainer())  # type: ignore[arg-type]
    assert b"something to say" not in reader.finish(tmp_path / "sent.mkv").read_bytes()


def test_a_reader_that_ends_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=FRAMES)
    with piped(monkeypatch) as reader:
        os.close(reader.descriptor)
        with pytest.raises(SinkError, match=r"'standard output' cannot be \w+.*: Broken pipe$") as raised:
            send(clip)
    assert exit_code_of(raised.value) == 1


def test_what_cannot_be_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=2)
    with pytest.raises(
        InvalidArgumentError, match=r"`container` '.gif' is no kind of video that can be sent"
    ):
        send(clip, ".gif")
    with pytest.raises(InvalidArgumentError, match="standard output cannot be resumed; name a file"):
        send(clip, resume=True)
    with pytest.raises(InvalidArgumentError, match="`container` is for standard output"):
        render(
            clip,
            tmp_path / "b.mp4",
            FakeExplainer(),  # type: ignore[arg-type]
            settings=RenderSettings(encoder=EncoderSettings(container=".mkv")),
        )
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    with pytest.raises(InvalidArgumentError, match="standard output is a terminal"):
        send(clip, source=SourceSettings())
