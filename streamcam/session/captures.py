"""What is kept of a live preview: recordings and single images."""

from __future__ import annotations

import datetime
import itertools
import threading
import time
from fractions import Fraction
from pathlib import Path

from streamcam.errors import SinkError
from streamcam.explanations import RenderedFrame
from streamcam.media.images import Image
from streamcam.pipeline.channel import Channel
from streamcam.session.recorder import Recorded, Recorder
from streamcam.sinks import ImageSink, check_recording

_WAITING_IMAGES = 4

PATIENCE_S = 15.0
"""How long the end waits for encoders and disks, in seconds."""


class CaptureManager:
    """Starts and ends recordings, and saves images in a thread of its own. Used by one thread.

    Attributes:
        recordings: All that were begun, in order.
        saved: The images that were saved.
    """

    def __init__(self, folder: Path) -> None:
        """Assign.

        Args:
            folder: Where files go that nobody has named.
        """
        self.recordings: list[Recorder] = []
        self.saved: list[Path] = []
        self._folder = folder
        self._active: Recorder | None = None
        self._images: Channel[tuple[Path, Image]] = Channel(_WAITING_IMAGES, "drop_oldest")
        self._saver: threading.Thread | None = None
        self._image_problems: list[str] = []
        self._image_problems_told = 0
        self._named: set[Path] = set()

    @property
    def recording(self) -> Recorder | None:
        """The recording under way."""
        return self._active

    @property
    def problems(self) -> tuple[str, ...]:
        """What went wrong so far, in words."""
        recordings = (recorder.problem for recorder in self.recordings)
        return (*(problem for problem in recordings if problem is not None), *self._image_problems)

    def begin_recording(self, rate: Fraction | None, path: Path | None = None) -> Path:
        """Begin a recording.

        Args:
            rate: Frames per second, as far as known.
            path: The file, which is replaced if it exists; None to name a new one after the time.

        Returns:
            The file.

        Raises:
            SinkError: if it cannot be written there.
        """
        replaces = path is not None
        path = check_recording(path or self._fresh_path(".mp4"), overwrite=replaces)
        self._active = Recorder(path, rate)
        self.recordings.append(self._active)
        return path

    def record(self, recorded: Recorded) -> None:
        """Record a frame, if a recording is under way."""
        if self._active is not None:
            self._active.put(recorded)

    def end_recording(self) -> Path | None:
        """Let the recording under way be finished, without waiting; return its file, if there is one."""
        if self._active is None:
            return None
        active, self._active = self._active, None
        active.stop()
        return active.path

    def failure(self) -> str | None:
        """Tell why the recording under way has ended by itself, or an image was not saved; each once."""
        if self._active is not None and self._active.problem is not None:
            failed, self._active = self._active, None
            return failed.problem
        if self._image_problems_told < len(self._image_problems):
            self._image_problems_told += 1
            return self._image_problems[self._image_problems_told - 1]
        return None

    def save_image(self, image: Image) -> Path:
        """Save an image, without waiting; return the file that it becomes."""
        path = self._fresh_path(".png")
        if self._saver is None:
            self._saver = threading.Thread(target=self._save, name="streamcam-saver", daemon=True)
            self._saver.start()
        self._images.put((path, image))
        return path

    def end(self) -> None:
        """Finish everything, and wait for it."""
        self.end_recording()
        self._images.close()
        ends_at = time.monotonic() + PATIENCE_S
        for recorder in self.recordings:
            recorder.wait(max(0.0, ends_at - time.monotonic()))
        if self._saver is not None:
            self._saver.join(max(0.0, ends_at - time.monotonic()))

    def _save(self) -> None:
        for path, image in self._images:
            sink = ImageSink(path)
            try:
                sink.write(RenderedFrame(image, image.pts or 0, image.time_base or Fraction(1)))
                sink.finish()
            except (SinkError, OSError) as error:
                self._image_problems.append(str(error))
            else:
                self.saved.append(path)

    def _fresh_path(self, suffix: str) -> Path:
        """Name a file after the time, and not like any other."""
        stem = f"streamcam-{datetime.datetime.now():%Y%m%d-%H%M%S}"
        for number in itertools.count(1):
            path = self._folder / (f"{stem}{suffix}" if number == 1 else f"{stem}-{number}{suffix}")
            # Files appear a little after they are named.
            if path not in self._named and not path.exists():
                self._named.add(path)
                return path
        raise AssertionError("there is always another number")
