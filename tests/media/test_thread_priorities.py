"""Threads stay as urgent as they were, whatever a library does to them."""

from __future__ import annotations

import os
import sys
import threading
from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.video.stream import VideoStream

from streamcam.media.thread_priorities import kept_priorities

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells the policies of threads")


def policies() -> set[int]:
    """Return the scheduling policies of this process's threads."""
    return {os.sched_getscheduler(int(task.name)) for task in Path("/proc/self/task").iterdir()}


def test_a_policy_that_a_thread_is_given_meanwhile_is_taken_back() -> None:
    changed, done = threading.Event(), threading.Event()

    def be_patient() -> None:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        changed.set()
        done.wait(60)

    before = os.sched_getscheduler(0)
    thread = threading.Thread(target=be_patient)
    with kept_priorities():
        thread.start()
        assert changed.wait(60)
        assert thread.native_id is not None
        assert os.sched_getscheduler(thread.native_id) == os.SCHED_BATCH
    try:
        assert os.sched_getscheduler(thread.native_id) == before
    finally:
        done.set()
        thread.join()


def test_a_policy_that_a_thread_had_before_is_left() -> None:
    changed, done = threading.Event(), threading.Event()

    def be_patient() -> None:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        changed.set()
        done.wait(60)

    thread = threading.Thread(target=be_patient)
    thread.start()
    try:
        assert changed.wait(60)
        with kept_priorities():
            pass
        assert thread.native_id is not None
        assert os.sched_getscheduler(thread.native_id) == os.SCHED_BATCH
    finally:
        done.set()
        thread.join()


def test_an_encoder_of_av1_leaves_all_threads_as_they_were(tmp_path: Path) -> None:
    before = policies()
    with av.open(tmp_path / "a.mp4", "w") as container:
        stream = container.add_stream("libsvtav1", rate=Fraction(10))
        assert isinstance(stream, VideoStream)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        with kept_priorities():
            container.start_encoding()
        assert policies() == before
        container.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        container.mux(stream.encode(None))
    assert policies() == before
