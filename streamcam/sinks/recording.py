"""Live recordings: videos that can be played at any moment, however suddenly their writing ends.

MP4 is written in fragments and Matroska in clusters of about a second, each handed to the system as soon as
it is complete. Whatever kills the program or fills the disk costs only the last one.
"""

from __future__ import annotations

import contextlib
from fractions import Fraction
from pathlib import Path

from av.error import FFmpegError

from streamcam.errors import InvalidArgumentError, SinkError, map_errors
from streamcam.explanations import RenderedFrame
from streamcam.files import check_output, sink_error
from streamcam.frames import AudioBlock
from streamcam.media.containers import CONTAINERS
from streamcam.sinks.base import Sink
from streamcam.sinks.live_video import LiveTarget, LiveVideo, choose_live_encoding


def check_recording(location: str | Path, *, overwrite: bool = False) -> Path:
    """Check, before any work, that a recording can be made.

    Raises:
        OutputExistsError: if the file exists.
        SinkError: if its directory is missing or cannot be written to.
        InvalidArgumentError: if files of its kind cannot be played after a sudden end.
    """
    path = Path(location)
    container = CONTAINERS.get(path.suffix.lower())
    if container is None or container.recording_options is None:
        suffixes = [kind.suffix for kind in CONTAINERS.values() if kind.recording_options is not None]
        raise InvalidArgumentError(f"a recording is one of {', '.join(suffixes)}, not {path.name!r}")
    return check_output(path, overwrite=overwrite, inputs=())


class Recording(Sink):
    """A video that grows under its own name. Belongs to one thread.

    Images keep the times that their pts say, counted from the first. One of another size than the first
    is scaled to it.
    """

    def __init__(self, path: Path, *, rate: Fraction | None = None, has_audio: bool = False) -> None:
        """Prepare a recording. The file is made when the first frame is written.

        Args:
            path: The file to make, checked with `check_recording`.
            rate: Frames per second, as far as known; the timing does not depend on it.
            has_audio: Whether audio comes with the images.
        """
        self.path = path
        self.written = 0
        self._rate, self._has_audio = rate, has_audio
        self._video: LiveVideo | None = None
        self._is_open = True

    def write(self, frame: RenderedFrame) -> None:
        """Encode one frame.

        Raises:
            SinkError: if the encoder or the disk refuses, or the recording has ended.
        """
        if not self._is_open:
            raise SinkError(f"{str(self.path)!r} is closed already")
        with self._mapped_errors():
            if self._video is None:
                self._video = self._begin(frame)
            self._video.write(frame)
        self.written += 1

    def write_audio(self, block: AudioBlock) -> None:
        """Encode audio; what comes before the first frame is left out.

        Raises:
            SinkError: if the encoder or the disk refuses.
        """
        if self._video is not None:
            with self._mapped_errors():
                self._video.write_audio(block)

    def finish(self, *, cut_short: bool = False) -> None:  # noqa: ARG002 - live, every end is one
        """Flush the encoder, and close the file.

        Raises:
            SinkError: if the disk refuses. What was written before can be played.
        """
        if not self._is_open:
            return
        video = self._release()
        if video is None:
            raise SinkError(f"{str(self.path)!r} was not written: there was no image")
        with map_errors(
            FFmpegError, OSError, to=lambda error: sink_error(self.path, "cannot be completed", error)
        ):
            video.finish()

    def abort(self) -> None:
        """Close the file; what was written stays, because it can be played."""
        video = self._release()
        if video is not None:
            with contextlib.suppress(FFmpegError, OSError):
                video.close()

    def _begin(self, frame: RenderedFrame) -> LiveVideo:
        encoding = choose_live_encoding(self.path)
        kind = encoding.container
        url = f"file:{self.path.absolute()}"
        target = LiveTarget(url, kind.muxer, encoding, kind.recording_options or {}, audio=kind.audio)
        return LiveVideo(target, frame, self._rate, has_audio=self._has_audio)

    def _mapped_errors(self) -> contextlib.AbstractContextManager[None]:
        return map_errors(
            FFmpegError, OSError, to=lambda error: sink_error(self.path, "cannot be written", error)
        )

    def _release(self) -> LiveVideo | None:
        """Release the video: its encoder holds tens of megabytes until nothing refers to it."""
        self._is_open = False
        video, self._video = self._video, None
        return video
