"""Reading evidence files: what a network answered in every frame of a video, as arrays."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from streamcam.errors import (
    InvalidArgumentError,
    SourceError,
    SourceNotFoundError,
    StreamcamError,
    UnknownNameError,
    map_errors,
    unknown_name,
)
from streamcam.evidence.format import FORMAT, SUFFIXES, VERSION
from streamcam.evidence.stored_tables import StoredTables
from streamcam.evidence.views import as_data_frame, as_dataset
from streamcam.explanations import Explanation, Prediction
from streamcam.frames import FloatArray

if TYPE_CHECKING:
    import pandas
    import xarray

_DAMAGE = (OSError, ValueError, KeyError, IndexError, RuntimeError, TypeError, AttributeError)
_FRAMES_AT_ONCE = 256


def is_evidence(path: str | Path) -> bool:
    """Return whether a file is meant as evidence: by its contents, or else by its name."""
    path = Path(path)
    is_named_so = path.name.removesuffix(".part").endswith(SUFFIXES)
    return is_named_so or (path.is_file() and bool(h5py.is_hdf5(path)))


def open_evidence(path: str | Path) -> Evidence:
    """Open what a render with `RenderSettings.evidence` kept of a video.

    Needs neither torch nor the network. The unfinished file of a render that was killed (``FILE.part``) can
    be opened too, and holds all but the last frames.

    Args:
        path: The file.

    Returns:
        Its arrays, read when they are asked for. Close it, or use it as a context manager.

    Raises:
        SourceNotFoundError: if there is no such file.
        InvalidArgumentError: if it is another kind of file.
        SourceError: if it is damaged, or was written by a newer streamcam.
    """
    path = Path(path)
    if not path.is_file():
        raise SourceNotFoundError(f"there is no file {str(path)!r}")
    if not h5py.is_hdf5(path):
        raise InvalidArgumentError(
            f"{str(path)!r} is not an evidence file; `evidence` makes one when a video is rendered"
        )
    with contextlib.ExitStack() as undo:
        with map_errors(*_DAMAGE, to=lambda error: _damaged(path, error)):
            file = undo.enter_context(h5py.File(path, "r", locking=False))
            form, version = file.attrs.get("format"), int(file.attrs.get("version", 0))
        if form != FORMAT:
            raise InvalidArgumentError(
                f"{str(path)!r} is an HDF5 file of another program; `evidence` makes one of streamcam"
            )
        if version > VERSION:
            writer = file.attrs.get("streamcam")
            raise SourceError(f"{str(path)!r} was written by a newer streamcam ({writer}); update this one")
        with map_errors(*_DAMAGE, to=lambda error: _damaged(path, error)):
            evidence = Evidence(path, file)
        undo.pop_all()
        return evidence


def _damaged(path: Path, error: BaseException) -> StreamcamError:
    if isinstance(error, StreamcamError):
        return error
    reason = " ".join(str(error).split()) or type(error).__name__
    return SourceError(f"{str(path)!r} is cut or damaged ({reason}); render the video again with `evidence`")


class Evidence:
    """The answers of a network in every frame of a video. Arrays have a row for each of the N frames.

    Attributes:
        path: The file.
        header: What the frames were made of and with: ``input``, ``identity`` of the network and its
            settings, ``settings`` of the render, and more; plain values.
        labels: Name of each class.
        is_complete: Whether the render came to its end.
        notes: What streamcam had to say of the render, a sentence each.
    """

    def __init__(self, path: Path, file: h5py.File) -> None:
        """Take over an open file; see `open_evidence`."""
        self.path = path
        self._file = file
        attributes = file.attrs
        self.header: dict[str, Any] = json.loads(attributes["header"])
        self.is_complete = bool(attributes["is_complete"])
        outcome = json.loads(attributes.get("outcome", "{}"))
        self.notes: tuple[str, ...] = tuple(outcome.pop("notes", ()))
        self.outcome: dict[str, Any] = outcome
        self.labels: tuple[str, ...] = tuple(file["labels"].asstr()[:].tolist())
        self._stored = StoredTables(file)
        self._tables = self._stored.tables

    def __repr__(self) -> str:
        return f"<Evidence of {self.header.get('input', {}).get('name')!r}, {len(self)} frames>"

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._stored)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def times_s(self) -> NDArray[np.float64]:
        """Presentation time of each frame in seconds, float64 (N,)."""
        times: NDArray[np.float64] = self._tables["times_s"]
        return times

    @property
    def pts(self) -> NDArray[np.int64]:
        """Presentation time of each frame in units of the input's time base, int64 (N,)."""
        pts: NDArray[np.int64] = self._tables["pts"]
        return pts

    @property
    def is_explained(self) -> NDArray[np.bool_]:
        """Whether each frame was explained rather than skipped, bool (N,)."""
        explained: NDArray[np.bool_] = self._tables["frames"]["is_explained"]
        return explained

    @property
    def starts_shot(self) -> NDArray[np.bool_]:
        """Whether a new shot begins with each frame, bool (N,)."""
        starts: NDArray[np.bool_] = self._tables["frames"]["starts_shot"]
        return starts

    @property
    def roi_shares(self) -> NDArray[np.float32]:
        """Share of the displayed heat of each frame's first class inside the region of interest, and share of
        the frame that the region covers, float32 (N, 2); NaN where there was no region, or no heat."""
        return np.stack([self._tables["roi"]["inside"], self._tables["roi"]["area"]], axis=1)

    @property
    def version(self) -> str:
        """The streamcam that wrote it."""
        return str(self._file.attrs["streamcam"])

    @property
    def heat_boxes(self) -> NDArray[Any]:
        """Boxes around the heat, where a render looked for them, in order of frames.

        Structured (M,): ``frame``, ``target`` (index of the class), ``track_id`` (-1 for none), ``share`` of
        the frame's heat inside, and ``box`` (left, top, right and bottom edge, as fractions of the frame).
        """
        return self._tables["heat_boxes"]

    @property
    def has_instances(self) -> bool:
        """Whether objects were found in any frame."""
        return len(self._tables["instances"]) > 0

    @functools.cached_property
    def classes(self) -> tuple[Prediction, ...]:
        """The classes, or objects, whose maps are kept, each as it was first explained, in that order."""
        targets = self._tables["targets"]
        _, first = np.unique(targets["index"], return_index=True)
        return tuple(
            Prediction(int(row["index"]), self._stored.texts[row["label"]], float(row["probability"]))
            for row in targets[np.sort(first)]
        )

    @property
    def heatmaps(self) -> FloatArray:
        """The raw map of each frame's first class, float32 (N, h, w); NaN where there is none.

        Raises:
            SourceError: if it is damaged, or holds maps of several shapes.
        """
        return self.heatmaps_of(None)

    def heatmaps_of(self, name: int | str | None) -> FloatArray:
        """Return the raw map of a class in each frame.

        Args:
            name: Index or name of a class in `classes`; None for the first of each frame.

        Returns:
            float32 (N, h, w); NaN in frames where that class was not explained.

        Raises:
            UnknownNameError: if no map of that class was kept.
            SourceError: if it is damaged, or holds maps of several shapes.
        """
        index = None if name is None else self.find_class(name).index
        with self._reading():
            shapes = self._stored.shapes_of_maps()
        if len(shapes) > 1:
            names = ", ".join(f"{rows}x{columns}" for rows, columns in shapes)
            raise SourceError(
                f"{str(self.path)!r} holds maps of several shapes ({names}); "
                "`explanations()` gives each frame's own"
            )
        rows, columns = shapes[0] if shapes else (0, 0)
        maps = np.full((len(self), rows, columns), np.nan, np.float32)
        for frame, explanation in enumerate(self.explanations()):
            first = next(iter(explanation.heatmaps.values()), None)
            found = first if index is None else explanation.heatmaps.get(index)
            if found is not None:
                maps[frame] = found
        return maps

    def find_class(self, name: int | str) -> Prediction:
        """Find a class whose maps are kept.

        Args:
            name: Its index or name; a part of the name is enough if it is in no other.

        Raises:
            UnknownNameError: if there is none.
        """
        text = str(name).casefold()
        exact = [one for one in self.classes if text in (str(one.index), one.label.casefold())]
        partly = [one for one in self.classes if text in one.label.casefold()]
        for found in (exact, partly):
            if len(found) == 1:
                return found[0]
        unknown = unknown_name("class in the evidence", str(name), [one.label for one in self.classes])
        raise UnknownNameError(f"{unknown}; a render with `evidence` keeps the classes that it explains")

    @property
    def probabilities(self) -> FloatArray:
        """Probability of every class, to four decimals, float32 (N, classes); NaN in skipped frames.

        Of a regressor they are its values.

        Raises:
            SourceError: if it is damaged.
        """
        with self._reading():
            return self._stored.probabilities(len(self.labels))

    def explanations(self, begin: int = 0, end: int | None = None) -> Iterator[Explanation]:
        """Yield the explanation of each frame, as the network gave it; without `Explanation.probabilities`.

        Args:
            begin: The first frame.
            end: Where to stop; at the last frame if None.

        Raises:
            SourceError: if the file is damaged.
        """
        end = len(self) if end is None else min(end, len(self))
        for first in range(begin, end, _FRAMES_AT_ONCE):
            with self._reading():
                read = self._stored.explanations(first, min(first + _FRAMES_AT_ONCE, end))
            yield from read

    def thumbnails(self) -> Iterator[tuple[int, bytes]]:
        """Yield small images of some frames: the number of the frame, and a JPEG file.

        Raises:
            SourceError: if the file is damaged.
        """
        begin = 0
        for row in self._tables["thumbnails"]:
            with self._reading():
                image = self._stored.thumbnail(begin, int(row["size"]))
            begin += int(row["size"])
            yield int(row["frame"]), image

    def check(self) -> None:
        """Read everything once.

        Raises:
            SourceError: if something is damaged.
        """
        for _ in self.explanations():
            pass

    def to_pandas(self) -> pandas.DataFrame:
        """Return a table with a row for each frame: time, class, probability, peak of the map.

        Raises:
            InvalidArgumentError: if pandas is not installed.
            SourceError: if the file is damaged.
        """
        return as_data_frame(self)

    def to_xarray(self) -> xarray.Dataset:
        """Return `heatmaps` (time, y, x) and `probabilities` (time, class) with their coordinates.

        Raises:
            InvalidArgumentError: if xarray is not installed.
            SourceError: if the file is damaged.
        """
        return as_dataset(self)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """Map what reading raises."""
        if not self._file:
            raise InvalidArgumentError(f"{str(self.path)!r} is closed; open it again with open_evidence")
        with map_errors(*_DAMAGE, to=lambda error: _damaged(self.path, error)):
            yield
