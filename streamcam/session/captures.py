"""Files made from a live session: recordings and single images, each written in a thread of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import itertools
import threading
import time
from collections import deque
from fractions import Fraction
from pathlib import Path

from streamcam.errors import SinkError, StreamcamError
from streamcam.explanations import RenderedFrame
from streamcam.frames import AudioBlock, Frame
from streamcam.session.compositor import Compositor
from streamcam.session.events import (
    EndAskedRecordings,
    ImageRequested,
    ImageSaved,
    OutputEffect,
    OutputFailed,
    RecordingFinished,
    RecordingStarted,
    RecordingStopped,
    SaveImage,
    ToggleRecording,
)
from streamcam.session.outputs import PATIENCE_S, Emit, LiveFrame, Output, QueueWorker, describe
from streamcam.session.waiting_audio import WaitingAudio
from streamcam.sinks import Recording, check_recording, open_image_sink

_WAITING_FRAMES = 15
"""Frames that may wait for a recording's encoder: half a second of a camera's."""

_WAITING_IMAGES = 4

_RECENT_BLOCKS = 64
"""Blocks of audio that a recording begins with, if they are of its first frames: about a second."""


class FileNames:
    """Names for new files, after the time."""

    def __init__(self, folder: Path, name: str = "") -> None:
        """Name files of one folder.

        Args:
            folder: Where they go.
            name: What is behind the time, where several streams make files.
        """
        self._folder = folder
        self._ending = f"-{file_name(name)}" if name else ""
        self._given: set[Path] = set()

    def choose(self, suffix: str) -> Path:
        """Return a path that no file has and that was not returned before."""
        stem = f"streamcam-{datetime.datetime.now():%Y%m%d-%H%M%S}{self._ending}"
        for number in itertools.count(1):
            path = self._folder / (f"{stem}{suffix}" if number == 1 else f"{stem}-{number}{suffix}")
            # Files appear a little after they are named.
            if path not in self._given and not path.exists():
                self._given.add(path)
                return path
        raise AssertionError("there is always another number")


class Recorder:
    """One recording: draws and encodes in a thread of its own, and leaves out what it cannot keep up with."""

    def __init__(self, path: Path, rate: Fraction | None, emit: Emit, *, has_audio: bool = False) -> None:
        """Start the thread.

        Args:
            path: Checked with `streamcam.sinks.check_recording`.
            rate: Frames per second, as far as known.
            emit: Reports the end of the recording, and why it failed.
            has_audio: Whether audio comes with the frames.
        """
        self.path = path
        self.has_failed = False
        self._has_audio = has_audio
        self._audio = WaitingAudio()
        self._emit = emit
        self._sink = Recording(path, rate=rate, has_audio=has_audio)
        self._compositor = Compositor()
        self._worker: QueueWorker[LiveFrame] = QueueWorker(
            "recorder",
            self._write,
            capacity=_WAITING_FRAMES,
            failed=self._fail,
            finish=self._finish,
        )

    @property
    def written(self) -> int:
        """How many frames were written so far."""
        return self._sink.written

    @property
    def dropped(self) -> int:
        """How many frames were left out because the encoder or the disk was too slow."""
        return self._worker.dropped

    @property
    def has_ended(self) -> bool:
        """Whether its thread has ended, and the file is as complete as it will be."""
        return self._worker.has_ended

    def put(self, live_frame: LiveFrame) -> None:
        """Record a frame, without waiting."""
        self._worker.put(live_frame)

    def hear(self, block: AudioBlock) -> None:
        """Record audio along with the frames of its time, without waiting; from any thread."""
        if self._has_audio:
            self._audio.add(block)

    def stop(self) -> None:
        """Let the recording be finished, without waiting."""
        self._worker.stop()

    def join(self, patience_s: float) -> None:
        """Stop and wait until the file is complete; a disk that hangs is left behind."""
        if not self._worker.join(patience_s) and not self.has_failed:
            self.has_failed = True
            problem = f"{str(self.path)!r} was not finished: its disk does not answer"
            self._emit(OutputFailed(problem, self.path))
            self._emit(self._end())

    def _write(self, live_frame: LiveFrame) -> None:
        frame = live_frame.frame
        # A video keeps its size, whatever the layout of the window becomes.
        settings = dataclasses.replace(live_frame.state.view.overlay, layout="overlay")
        image = self._compositor.compose(frame, live_frame.heat, settings)
        self._sink.write(RenderedFrame(image, frame.pts, frame.time_base, live_frame.heat))
        for block in self._audio.take_until(frame.time_s):
            self._sink.write_audio(block)

    def _finish(self) -> None:
        self._sink.finish()
        self._emit(self._end())

    def _end(self) -> RecordingFinished:
        return RecordingFinished(self.path, self.written, self.dropped, self._has_audio)

    def _fail(self, error: BaseException) -> None:
        self.has_failed = True
        with contextlib.suppress(SinkError):
            self._sink.abort()
        is_known = isinstance(error, StreamcamError)
        problem = str(error) if is_known else f"{str(self.path)!r} was given up ({_with_type(error)})"
        self._emit(OutputFailed(problem, self.path))
        self._emit(self._end())


class Recordings(Output):
    """Recordings of a session, one at a time: from the beginning, or when asked for."""

    may_block = False  # every recording has a thread of its own
    hears = True

    def __init__(self, folder: Path = Path(), *, record: Path | None = None, name: str = "") -> None:
        """Describe where recordings go.

        Args:
            folder: Where recordings go that have no name.
            record: Where to record to from the first frame on, replacing what is there; None to wait until
                asked to.
            name: The name of the stream, where there are several.
        """
        self._names = FileNames(folder, name)
        self._first = record
        self._next: tuple[Path, bool] | None = None
        """The file of a recording that begins with the next frame, and whether somebody asked for it."""
        self._active: Recorder | None = None
        self._is_asked_for = False
        self._recorders: list[Recorder] = []
        self._past_recorded = self._past_dropped = 0
        self._last: Frame | None = None
        self._recent: deque[AudioBlock] = deque(maxlen=_RECENT_BLOCKS)
        self._hearing = threading.Lock()
        self._emit: Emit = lambda _event: None

    def start(self, emit: Emit) -> None:
        """Check the first recording's file.

        Raises:
            StreamcamError: if it cannot be written.
        """
        self._emit = emit
        if self._first is not None:
            self._next = (check_recording(self._first, overwrite=True), False)

    def hear(self, block: AudioBlock) -> None:
        """Record audio, or keep it for a moment: frames come here later than it does."""
        with self._hearing:
            self._recent.append(block)
            if self._active is not None:
                self._active.hear(block)

    def write(self, live_frame: LiveFrame) -> None:
        """Record a frame, if there is a recording and the frame is not in it yet."""
        frame = live_frame.frame
        if self._next is not None:
            (path, self._is_asked_for), self._next = self._next, None
            self._release_ended()
            state = live_frame.state
            recorder = Recorder(path, state.rate, self._emit, has_audio=state.has_audio)
            self._recorders.append(recorder)
            with self._hearing:
                for block in self._recent:
                    recorder.hear(block)
                self._active = recorder
            self._emit(RecordingStarted(path, frame.time_s, self._is_asked_for))
            self._last = None
        if self._active is not None and frame is not self._last:
            self._last = frame
            self._active.put(live_frame)

    def handle(self, effect: OutputEffect, live_frame: LiveFrame | None) -> bool:
        """Start a recording with the frame shown now, or end the one in progress.

        Raises:
            SinkError: if a new one cannot be written.
        """
        if isinstance(effect, EndAskedRecordings):
            is_asked_for = self._is_asked_for if self._next is None else self._next[1]
            if is_asked_for:
                self._end()
            return True
        if not isinstance(effect, ToggleRecording):
            return False
        if not self._end():
            self._next = (check_recording(self._names.choose(".mp4")), True)
            if live_frame is not None:
                self.write(live_frame)
        return True

    def _end(self) -> bool:
        """End the recording in progress, or the one that is about to begin; return whether there was one."""
        if self._active is not None and not self._active.has_failed:
            self._active.stop()
            self._emit(RecordingStopped(self._active.path))
            self._active = None
            return True
        had_next, self._next = self._next is not None, None
        return had_next

    def counts(self) -> dict[str, int]:
        """Return how many frames all recordings together have, and how many were left out."""
        return {
            "recorded": self._past_recorded + sum(recorder.written for recorder in self._recorders),
            "recording_dropped": self._past_dropped + sum(recorder.dropped for recorder in self._recorders),
        }

    def close(self) -> None:
        """Finish all recordings, and wait for them."""
        ends_at = time.monotonic() + PATIENCE_S
        for recorder in self._recorders:
            recorder.join(max(0.0, ends_at - time.monotonic()))

    def _release_ended(self) -> None:
        """Keep only the counts of recordings that have ended: what drew them takes megabytes."""
        recorders, self._recorders = self._recorders, []
        for recorder in recorders:
            if recorder.has_ended:
                self._past_recorded += recorder.written
                self._past_dropped += recorder.dropped
            else:
                self._recorders.append(recorder)


class Snapshots(Output):
    """Single images of a session, as PNG files, whenever asked for."""

    may_block = False

    def __init__(self, folder: Path = Path()) -> None:
        """Describe where images go.

        Args:
            folder: Where images go.
        """
        self._names = FileNames(folder)
        self._compositor = Compositor()
        self._worker: QueueWorker[tuple[Path, LiveFrame]] | None = None
        self._emit: Emit = lambda _event: None

    def start(self, emit: Emit) -> None:
        """Get ready."""
        self._emit = emit

    def write(self, live_frame: LiveFrame) -> None:
        """Do nothing: images are saved when asked for."""

    def handle(self, effect: OutputEffect, live_frame: LiveFrame | None) -> bool:
        """Save the frame as it is shown now, without what is written over it."""
        if not isinstance(effect, SaveImage):
            return False
        if live_frame is not None:
            if self._worker is None:
                self._worker = QueueWorker("saver", self._save, capacity=_WAITING_IMAGES, failed=self._fail)
            path = self._names.choose(".png")
            self._emit(ImageRequested(path))
            self._worker.put((path, live_frame))
        return True

    def close(self) -> None:
        """Wait for what is being saved."""
        if self._worker is not None:
            self._worker.join(PATIENCE_S)

    def _save(self, item: tuple[Path, LiveFrame]) -> None:
        path, live_frame = item
        image = self._compositor.compose_live(live_frame)
        try:
            sink = open_image_sink(path, overwrite=False)
            sink.write(
                RenderedFrame(image, live_frame.frame.pts, live_frame.frame.time_base, live_frame.heat)
            )
            sink.finish()
        except (SinkError, OSError) as error:  # the next image may be lucky
            self._emit(OutputFailed(str(error), path))
        else:
            self._emit(ImageSaved(path))

    def _fail(self, error: BaseException) -> None:
        self._worker = None
        self._emit(OutputFailed(f"an image was not saved ({_with_type(error)})"))


def file_name(name: str) -> str:
    """Return the name of a stream as a part of a file's name."""
    return "".join(letter if letter.isalnum() else "-" for letter in name).strip("-") or "stream"


def _with_type(error: BaseException) -> str:
    text = describe(error)
    return text if text == type(error).__name__ else f"{type(error).__name__}: {text}"
