"""The tables of an evidence file: small ones in memory, maps and masks read when they are asked for."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from streamcam.evidence.format import HEATMAPS, NO_PROBABILITY, PROBABILITIES, TABLES
from streamcam.evidence.tables import from_tables, read_texts
from streamcam.explanations import Explanation
from streamcam.frames import FloatArray

_COUNTED = ("targets", "predictions", "smoothed_predictions", "instances")
"""Tables of which a frame has as many rows as its row in ``frames`` says."""

_BY_FRAME = ("frames", "pts", "durations", "times_s", "roi")
"""Tables with a row for each frame."""


class StoredTables:
    """The tables of a file, without frames behind which something is missing.

    Attributes:
        tables: Name → table; not those of texts, masks, maps and probabilities, and no bytes of thumbnails.
        texts: The texts that tables refer to by number.
    """

    def __init__(self, file: h5py.File) -> None:
        """Read the small tables of an open file.

        Raises:
            OSError: if it is damaged; or one of h5py's other exceptions.
        """
        self._file = file
        small = [name for name in TABLES if name not in ("masks", "thumbnail_bytes")]
        self.tables: dict[str, NDArray[Any]] = {
            name: file[name][:] if name in file else np.zeros(0, TABLES[name]) for name in small
        }
        self.texts = read_texts(self.tables.pop("texts"))
        self._drop_incomplete()
        tables = self.tables
        self._begins = {name: np.concatenate([[0], np.cumsum(tables["frames"][name])]) for name in _COUNTED}
        masks = tables["instances"]
        pixels = np.where(masks["mask_rows"] < 0, 0, masks["mask_rows"] * masks["mask_columns"])
        self._mask_begins = np.concatenate([[0], np.cumsum(-(-pixels // 8))])
        rows, columns = tables["targets"]["rows"], tables["targets"]["columns"]
        self._shapes = np.char.add(np.char.add(rows.astype(str), "x"), columns.astype(str))

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.tables["frames"])

    def _drop_incomplete(self) -> None:
        """Leave out frames behind which something is missing: the writer was killed."""
        tables = self.tables
        if "roi" not in self._file:  # written before there was one
            tables["roi"] = np.full(len(tables["frames"]), np.nan, TABLES["roi"])
        complete = min(len(tables[name]) for name in _BY_FRAME)
        for name in _COUNTED:
            ends = np.cumsum(tables["frames"][name][:complete])
            complete = int(np.searchsorted(ends, len(tables[name]), side="right"))
        for name in _BY_FRAME:
            tables[name] = tables[name][:complete]
        for name in _COUNTED:
            tables[name] = tables[name][: int(tables["frames"][name].sum())]
        boxes = tables["heat_boxes"]
        tables["heat_boxes"] = boxes[boxes["frame"] <= tables["frames"]["frame"].max(initial=-1)]

    def shapes_of_maps(self) -> list[tuple[int, int]]:
        """Return the (rows, columns) of maps that there are."""
        names = [name.split("x") for name in self._file.get(HEATMAPS, {})]
        return [(int(rows), int(columns)) for rows, columns in names]

    def explanations(self, begin: int, end: int) -> list[Explanation]:
        """Read the explanations of frames.

        Raises:
            ValueError: if maps are missing; or one of h5py's exceptions.
        """
        parts = {name: slice(*self._begins[name][[begin, end]].tolist()) for name in _COUNTED}
        tables = {name: self.tables[name][parts[name]] for name in _COUNTED}
        tables["frames"] = self.tables["frames"][begin:end]
        first, last = self._mask_begins[[parts["instances"].start, parts["instances"].stop]].tolist()
        if last > first:
            tables["masks"] = self._file["masks"][first:last]
        tables[HEATMAPS] = self._heatmaps(parts["targets"])
        return from_tables(tables, self.texts)

    def _heatmaps(self, targets: slice) -> FloatArray:
        """Read the maps of some targets, one after the other."""
        names = self._shapes[targets]
        maps: list[FloatArray] = [np.zeros(0, np.float32)] * len(names)
        for name in np.unique(names):
            places = np.flatnonzero(names == name)
            begin = int(np.count_nonzero(self._shapes[: targets.start] == name))
            values = self._file[f"{HEATMAPS}/{name}"][begin : begin + len(places)]
            if len(values) != len(places):
                raise ValueError(f"{HEATMAPS}/{name} ends too early")
            for place, heatmap in zip(places.tolist(), values, strict=True):
                maps[place] = heatmap.ravel()
        return np.concatenate([np.zeros(0, np.float32), *maps])

    def probabilities(self, classes: int) -> FloatArray:
        """Read the probabilities of frames that have as many as there are classes.

        Args:
            classes: Number of classes.

        Returns:
            float32 (N, classes); NaN in other frames.
        """
        kept = np.full((len(self), classes), np.nan, np.float32)
        frames = np.flatnonzero(self.tables["frames"]["classes"] == classes)
        if len(frames):
            dataset = self._file[f"{PROBABILITIES}/{classes}"]
            values = dataset[: len(frames)]
            if values.dtype == np.uint16:
                missing = values == NO_PROBABILITY
                values = values * np.float32(dataset.attrs["scale_factor"])
                values[missing] = np.nan
            kept[frames] = values
        return kept

    def thumbnail(self, begin: int, size: int) -> bytes:
        """Read one JPEG file.

        Args:
            begin: Where it begins, in bytes.
            size: Its length in bytes.
        """
        image: bytes = self._file["thumbnail_bytes"][begin : begin + size].tobytes()
        return image
