"""The folder that a render can be resumed from: finished pieces of a video, and what they were made with.

``OUTPUT.parts`` lies beside the output and holds ``settings.json`` and one file for each finished segment,
numbered from 0. A segment appears under its name only when it is complete and on the disk; those from 0 on
without a gap are what is finished. Explanations of later frames lie beside them; see `PendingExplanations`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Self, cast

import av
import numpy as np
from av.packet import Packet
from av.video.stream import VideoStream
from numpy.typing import NDArray

from streamcam.errors import InvalidArgumentError, SinkError
from streamcam.files import lock, unlock
from streamcam.sinks.resume.durable import DAMAGE, Arrays, damaged, read_arrays, write_arrays, write_json
from streamcam.sinks.resume.pending import PendingExplanations

FRAMES_PER_SEGMENT = 250
"""As many as x264 puts between two keyframes at most, so that a video in segments is hardly larger."""

_SETTINGS = "settings.json"
_SUFFIX = ".npz"


def parts_path(output: Path) -> Path:
    """Where the segments of an output lie."""
    return output.with_name(output.name + ".parts")


@dataclasses.dataclass(frozen=True, eq=False)
class Segment:
    """A closed piece of a video: images encoded independently of those before and after."""

    packets: tuple[bytes, ...]
    times: NDArray[np.int64]
    """(packets, 3): pts, dts and duration of each, in ticks."""
    keyframes: NDArray[np.bool_]
    time_base: Fraction
    """Seconds per tick."""
    frames: int
    """How many images it holds."""
    explanations: Arrays
    """The explanations of its frames, as arrays."""

    @classmethod
    def of(cls, packets: Sequence[Packet[VideoStream]], frames: int, explanations: Arrays) -> Self:
        """Gather an encoder's packets.

        Raises:
            SinkError: if there are none.
        """
        filled = [packet for packet in packets if packet.size]
        if not filled:
            raise SinkError(f"the encoder returned nothing for {frames} images")
        (time_base,) = {packet.time_base for packet in filled}
        assert time_base is not None
        times = [(packet.pts or 0, packet.dts or 0, packet.duration or 0) for packet in filled]
        return cls(
            packets=tuple(bytes(packet) for packet in filled),
            times=np.array(times, np.int64),
            keyframes=np.array([packet.is_keyframe for packet in filled]),
            time_base=time_base,
            frames=frames,
            explanations=explanations,
        )

    def packets_after(self, after: int | None) -> list[Packet[VideoStream]]:
        """Return its packets.

        Args:
            after: The dts of the last packet before it, which the first ones here must follow: every
                encoder begins with as many images before their time as it reorders.
        """
        packets = []
        for data, (pts, dts, duration), is_keyframe in zip(
            self.packets, self.times.tolist(), self.keyframes.tolist(), strict=True
        ):
            packet = cast("Packet[VideoStream]", Packet(data))
            packet.pts, packet.dts, packet.duration = pts, dts, duration
            if after is not None:
                packet.dts = after = max(dts, after + 1)
            packet.time_base, packet.is_keyframe = self.time_base, is_keyframe
            packets.append(packet)
        return packets


class SegmentStore:
    """The finished segments of one output.

    Attributes:
        folder: Where they lie.
        frames_each: How many frames each holds.
        count: How many there are.
        pending: The explanations of later frames.
        is_open: Whether there is a folder; not when the output is complete.
    """

    def __init__(self, folder: Path, frames_each: int) -> None:
        """Prepare an empty store; see `open_store`."""
        self.folder = folder
        self.frames_each = frames_each
        self.count = 0
        self.pending = PendingExplanations(folder)
        self.is_open = True

    @property
    def frames(self) -> int:
        """How many frames they hold."""
        return self.count * self.frames_each

    def find(self) -> None:
        """Find and read all that is finished: damage must be reported now, not after hours.

        Raises:
            SinkError: if something is damaged.
        """
        while self._path(self.count).exists():
            self.load(self.count)
            self.count += 1
        self.pending.find(self.frames)

    def explanations(self) -> Iterator[Arrays]:
        """Yield the explanations by now, in order, a piece at a time; some frames may come twice.

        Raises:
            SinkError: if a piece is damaged.
        """
        finished = (self.load(number).explanations for number in range(self.count))
        return itertools.chain(finished, (self.pending.load(begin) for begin in self.pending.begins()))

    def load(self, number: int) -> Segment:
        """Read a segment.

        Raises:
            SinkError: if it is damaged.
        """
        path = self._path(number)
        try:
            return _segment_of(read_arrays(path))
        except DAMAGE as error:
            raise damaged(path, error) from error

    def add(self, segment: Segment) -> None:
        """Store a segment after the last one.

        Raises:
            SinkError: if the disk refuses.
        """
        write_arrays(self._path(self.count), _arrays_of(segment))
        self.count += 1

    def remove(self) -> None:
        """Remove the folder: the output is complete."""
        self.is_open = False
        shutil.rmtree(self.folder, ignore_errors=True)

    def remove_if_empty(self) -> None:
        """Remove the folder if it holds no finished work."""
        if not self.count and not self.pending:
            self.remove()

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06}{_SUFFIX}"


@contextlib.contextmanager
def locked_store(output: Path) -> Iterator[None]:
    """Lock an output's folder of segments, which is made if there is none.

    Raises:
        OutputExistsError: if another render uses it.
    """
    folder = parts_path(output)
    with contextlib.suppress(OSError):  # `open_store` reports it
        folder.mkdir(exist_ok=True)
    descriptor = lock(folder, output) if folder.is_dir() else None
    try:
        yield
    finally:
        unlock(descriptor)


def open_store(output: Path, settings: Mapping[str, Any]) -> SegmentStore:
    """Open an output's folder of segments, or make it.

    Args:
        output: The video to be made.
        settings: Name → value of all that decides how the segments come out.

    Raises:
        InvalidArgumentError: if the folder's segments were made with other settings.
        SinkError: if the folder is not one to resume from, is damaged, or cannot be made.
    """
    folder = parts_path(output)
    settings_now = {**settings, **_library_settings()}
    settings_now = json.loads(json.dumps(settings_now, default=str))  # as it will be when it is read
    try:
        folder.mkdir(exist_ok=True)
        names = {entry.name for entry in folder.iterdir()}
        others = sorted(name for name in names - {_SETTINGS} if not name.endswith((_SUFFIX, ".part")))
        if others:  # they would be removed with the folder
            raise ValueError(f"it holds {others[0]!r}")
        if not any(name.endswith(_SUFFIX) for name in names):  # nothing is lost
            write_json(folder / _SETTINGS, settings_now)
        settings_then = json.loads((folder / _SETTINGS).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SinkError(
            f"{str(folder)!r} cannot be resumed from ({error}); delete it to start over"
        ) from error
    _compare(folder, settings_then, settings_now)
    store = SegmentStore(folder, FRAMES_PER_SEGMENT)
    store.find()
    return store


def _compare(folder: Path, settings_then: object, settings_now: Mapping[str, Any]) -> None:
    if settings_then == settings_now:
        return
    if not isinstance(settings_then, dict):
        raise SinkError(f"{str(folder)!r} cannot be resumed from; delete it to start over")
    differing = [
        name
        for name in {**settings_then, **settings_now}
        if settings_then.get(name) != settings_now.get(name)
    ]
    name = differing[0]
    others = f" and {len(differing) - 1} more" if len(differing) > 1 else ""
    raise InvalidArgumentError(
        f"{str(folder)!r} was made with other settings ({name}: {settings_then.get(name)!r} then, "
        f"{settings_now.get(name)!r} now{others}); use the same, or delete it to start over"
    )


def _library_settings() -> dict[str, Any]:
    libraries = {name: ".".join(map(str, version)) for name, version in av.library_versions.items()}
    return {"frames a segment": FRAMES_PER_SEGMENT, "PyAV": av.__version__, **libraries}


def _arrays_of(segment: Segment) -> dict[str, NDArray[Any]]:
    return {
        "data": np.frombuffer(b"".join(segment.packets), np.uint8),
        "sizes": np.array([len(packet) for packet in segment.packets], np.int64),
        "times": segment.times,
        "keyframes": segment.keyframes,
        "time_base": np.array([segment.time_base.numerator, segment.time_base.denominator], np.int64),
        "frames": np.array(segment.frames),
        **{f"explanations.{name}": values for name, values in segment.explanations.items()},
    }


def _segment_of(arrays: Arrays) -> Segment:
    ends = np.cumsum(arrays["sizes"]).tolist()
    data = arrays["data"].tobytes()
    return Segment(
        packets=tuple(data[start:end] for start, end in zip([0, *ends], ends, strict=False)),
        times=arrays["times"],
        keyframes=arrays["keyframes"],
        time_base=Fraction(*arrays["time_base"].tolist()),
        frames=int(arrays["frames"]),
        explanations={
            name.removeprefix("explanations."): values
            for name, values in arrays.items()
            if name.startswith("explanations.")
        },
    )
