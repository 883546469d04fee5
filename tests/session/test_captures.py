"""What is kept of a live preview, and what becomes of it when the disk refuses."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from live_fakes import live_frame
from media_factory import make_image
from stage_fakes import expect

from streamcam.errors import SinkError
from streamcam.overlay import OverlaySettings
from streamcam.session.captures import CaptureManager
from streamcam.session.recorder import Recorded
from streamcam.sinks import Recording


def test_no_name_is_given_twice_although_the_files_come_later(tmp_path: Path) -> None:
    keeper = CaptureManager(tmp_path)
    names = {keeper._fresh_path(suffix) for suffix in (".png", ".png", ".png", ".mp4", ".mp4")}
    assert len(names) == 5


def test_an_image_that_cannot_be_saved_is_told_once(tmp_path: Path) -> None:
    keeper = CaptureManager(tmp_path / "nowhere")
    path = keeper.save_image(make_image(64, 48))
    keeper.end()
    failure = keeper.failure()
    assert failure is not None
    assert str(path.parent) in failure
    assert keeper.failure() is None
    assert keeper.problems == (failure,)
    assert keeper.saved == []


def test_a_recording_that_fails_is_told_once_and_keeps_no_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing, filled = threading.Event(), threading.Event()

    def refuse(_recording: Recording, _image: object) -> None:
        writing.set()
        expect(filled)
        raise SinkError("the disk is full")

    monkeypatch.setattr(Recording, "write", refuse)
    keeper = CaptureManager(tmp_path)
    keeper.begin_recording(None)
    recorder = keeper.recording
    assert recorder is not None
    keeper.record(Recorded(live_frame(0), None, OverlaySettings()))
    expect(writing)
    for index in range(1, 6):
        keeper.record(Recorded(live_frame(index), None, OverlaySettings()))
    filled.set()
    recorder._thread.join()
    assert len(recorder._frames._items) == 0
    assert (keeper.failure(), keeper.failure()) == ("the disk is full", None)
    assert keeper.recording is None
    keeper.end()
    assert keeper.problems == ("the disk is full",)
