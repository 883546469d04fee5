"""The folder that a render can be resumed from: finished pieces of a video, and what they were made with.

``OUTPUT.parts`` lies beside the output and holds ``settings.json`` and one file for each finished segment,
numbered from 0. A segment appears under its name only when it is complete and on the disk; those from 0 on
without a gap are what is finished. What else is known already lies ahead of them; see `Ahead`.
"""

from __future__ import annotations

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
from streamcam.sinks.resume.durable import DAMAGE, Arrays, damaged, read_arrays, write_arrays, write_json
from streamcam.sinks.resume.pending import Ahead

FRAMES_PER_SEGMENT = 250
"""As many as x264 puts between two keyframes at most, so that a video in segments is hardly larger."""

_SETTINGS = "settings.json"
_SUFFIX = ".npz"


def parts_path(output: Path) -> Path:
    """Where the segments of an output lie."""
    return output.with_name(output.name + ".parts")


@dataclasses.dataclass(frozen=True)
class Segment:
    """A closed piece of a video: images encoded without regard to those before and behind them."""

    packets: tuple[bytes, ...]
    times: NDArray[np.int64]
    """(packets, 3): pts, dts and duration of each, in ticks."""
    keyframes: NDArray[np.bool_]
    time_base: Fraction
    """Seconds per tick."""
    frames: int
    """How many images it holds."""
    companion: Arrays
    """What else is to be known of its frames."""

    @classmethod
    def of(cls, packets: Sequence[Packet[VideoStream]], frames: int, companion: Arrays) -> Self:
        """Gather an encoder's packets.

        Raises:
            SinkError: if there are none.
        """
        filled = [packet for packet in packets if packet.size]
        if not filled:
            raise SinkError(f"the encoder gave nothing for {frames} images")
        (time_base,) = {packet.time_base for packet in filled}
        assert time_base is not None
        times = [(packet.pts or 0, packet.dts or 0, packet.duration or 0) for packet in filled]
        return cls(
            packets=tuple(bytes(packet) for packet in filled),
            times=np.array(times, np.int64),
            keyframes=np.array([packet.is_keyframe for packet in filled]),
            time_base=time_base,
            frames=frames,
            companion=companion,
        )

    def restored(self, after: int | None) -> list[Packet[VideoStream]]:
        """Make packets of it again.

        Args:
            after: The dts of the last packet before it, which the first ones here are to follow: every
                encoder begins with as many images ahead of their time as it reorders.
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
        ahead: What is known of frames behind them.
        is_open: Whether there is a folder; not when the output is complete.
    """

    def __init__(self, folder: Path, frames_each: int) -> None:
        """Assign; see `open_store`."""
        self.folder = folder
        self.frames_each = frames_each
        self.count = 0
        self.ahead = Ahead(folder)
        self.is_open = True

    @property
    def frames(self) -> int:
        """How many frames they hold."""
        return self.count * self.frames_each

    def find(self) -> None:
        """Look for what is finished, all of it, because damage is to be told now and not after hours.

        Raises:
            SinkError: if something is damaged.
        """
        while self._path(self.count).exists():
            self.load(self.count)
            self.count += 1
        self.ahead.find(self.frames)

    def companions(self) -> Iterator[Arrays]:
        """Yield what is known by now of frames in order, a piece at a time; of some it may come twice.

        Raises:
            SinkError: if a piece is damaged.
        """
        finished = (self.load(number).companion for number in range(self.count))
        return itertools.chain(finished, (self.ahead.load(begin) for begin in self.ahead.begins()))

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
        """Put a segment behind the last one, and see it on the disk.

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
        """Remove the folder if nothing in it is worth keeping."""
        if not self.count and not self.ahead:
            self.remove()

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06}{_SUFFIX}"


def open_store(output: Path, settings: Mapping[str, Any]) -> SegmentStore:
    """Open an output's folder of segments, or make it.

    Args:
        output: The video to be made.
        settings: What decides how the segments come out: texts, numbers and such by name.

    Raises:
        InvalidArgumentError: if the folder's segments were made with other settings.
        SinkError: if the folder is none of ours, is damaged, or cannot be made.
    """
    folder = parts_path(output)
    wanted = {**settings, **_own_settings()}
    wanted = json.loads(json.dumps(wanted, default=str))  # as it will be when it is read
    try:
        folder.mkdir(exist_ok=True)
        names = {entry.name for entry in folder.iterdir()}
        strangers = sorted(name for name in names - {_SETTINGS} if not name.endswith((_SUFFIX, ".part")))
        if strangers:  # which would be removed with the folder
            raise ValueError(f"it holds {strangers[0]!r}")
        if not any(name.endswith(_SUFFIX) for name in names):  # nothing is lost
            write_json(folder / _SETTINGS, wanted)
        found = json.loads((folder / _SETTINGS).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SinkError(
            f"{str(folder)!r} is no folder to resume from ({error}); delete it to start anew"
        ) from error
    _compare(folder, found, wanted)
    store = SegmentStore(folder, FRAMES_PER_SEGMENT)
    store.find()
    return store


def _compare(folder: Path, found: object, wanted: Mapping[str, Any]) -> None:
    if found == wanted:
        return
    if not isinstance(found, dict):
        raise SinkError(f"{str(folder)!r} is no folder to resume from; delete it to start anew")
    differing = [name for name in {**found, **wanted} if found.get(name) != wanted.get(name)]
    name = differing[0]
    others = f" and {len(differing) - 1} more" if len(differing) > 1 else ""
    raise InvalidArgumentError(
        f"{str(folder)!r} was begun with other settings ({name}: {found.get(name)!r} then, "
        f"{wanted.get(name)!r} now{others}); give the same again, or delete it to start anew"
    )


def _own_settings() -> dict[str, Any]:
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
        **{f"companion.{name}": values for name, values in segment.companion.items()},
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
        companion={
            name.removeprefix("companion."): values
            for name, values in arrays.items()
            if name.startswith("companion.")
        },
    )
