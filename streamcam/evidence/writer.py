"""Writing evidence files, which can be read however suddenly their writing ends."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

import streamcam
from streamcam.evidence.committed_file import CommittedFile
from streamcam.evidence.format import (
    FORMAT,
    HEATMAPS,
    NO_PROBABILITY,
    PROBABILITIES,
    PROBABILITY_STEP,
    TABLES,
    VERSION,
)
from streamcam.evidence.tables import Tables

_LEAST_ROWS, _MOST_ROWS = 32, 4096
_CHUNK_BYTES = 1 << 20


class EvidenceWriter:
    """Appends tables to an evidence file. Belongs to one thread; every error of the disk is an OSError."""

    def __init__(self, path: Path, header: Mapping[str, Any], labels: list[str]) -> None:
        """Create the file.

        Args:
            path: Replaced if it exists.
            header: What the frames were made of and with; plain values.
            labels: Name of each class.
        """
        self._disk = CommittedFile(path)
        self._file = h5py.File(self._disk, "w")
        attributes = self._file.attrs
        attributes["format"], attributes["version"] = FORMAT, VERSION
        attributes["streamcam"] = streamcam.__version__
        attributes["header"] = json.dumps(header, default=str)
        attributes["is_complete"] = False
        self._file.create_dataset("labels", data=labels, dtype=h5py.string_dtype(), shape=(len(labels),))

    def append(self, tables: Tables, *, are_values: bool) -> None:
        """Append tables, and pass them to the system: they survive the end of this process.

        Args:
            tables: Those of `TableEncoder.encode` and, named as in `TABLES`, what belongs to the same frames.
            are_values: Whether what counts as probabilities are a regressor's values.
        """
        arrays = {
            **_split(HEATMAPS, tables[HEATMAPS], _shapes_of_maps(tables)),
            **_split(PROBABILITIES, tables[PROBABILITIES], _shapes_of_probabilities(tables)),
        }
        if not are_values:
            arrays = {
                name: quantize(values) if name.startswith(PROBABILITIES) else values
                for name, values in arrays.items()
            }
        arrays |= {name: tables[name] for name in TABLES}
        for name, values in arrays.items():
            dataset = self._file[name] if name in self._file else self._create_dataset(name, values)
            if len(values):
                begin = len(dataset)
                dataset.resize(begin + len(values), axis=0)
                dataset[begin:] = values
        self._file.flush()
        self._disk.commit()

    def close(self, *, is_complete: bool, outcome: str) -> None:
        """Complete the file.

        Args:
            is_complete: Whether the frames go on to the end of the video.
            outcome: What is known of the render at its end, as JSON.
        """
        self._file.attrs["is_complete"] = is_complete
        self._file.attrs["outcome"] = outcome
        self._file.close()
        self._disk.commit()
        self._disk.close()

    def abort(self) -> None:
        """Close the file as it is on the disk."""
        self._file.close()
        self._disk.close()

    def _create_dataset(self, name: str, values: NDArray[Any]) -> h5py.Dataset:
        shape = values.shape[1:]
        row_bytes = max(1, int(np.prod(shape)) * values.itemsize)
        # As many as come at once where that is always the same: a chunk is then compressed once.
        rows = int(np.clip(len(values), _LEAST_ROWS, _MOST_ROWS))
        is_compressed = name != "thumbnail_bytes"
        dataset = self._file.create_dataset(
            name,
            shape=(0, *shape),
            maxshape=(None, *shape),
            chunks=(max(1, min(rows, _CHUNK_BYTES // row_bytes)), *shape),
            dtype=values.dtype,
            compression=4 if is_compressed else None,
            shuffle=is_compressed,
            fletcher32=True,
        )
        if name.startswith(PROBABILITIES) and values.dtype == np.uint16:
            dataset.attrs["scale_factor"] = PROBABILITY_STEP
            dataset.attrs["_FillValue"] = np.uint16(NO_PROBABILITY)
        if name in ("texts", "thumbnail_bytes"):
            dataset.attrs["content"] = {"texts": "JSON, one a line", "thumbnail_bytes": "JPEG files"}[name]
        return dataset


def quantize(probabilities: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Return probabilities as multiples of `PROBABILITY_STEP`."""
    steps = np.where(np.isfinite(probabilities), probabilities, 0) / PROBABILITY_STEP
    rounded = np.rint(steps).clip(0, NO_PROBABILITY - 1).astype(np.uint16)
    return np.where(np.isfinite(probabilities), rounded, np.uint16(NO_PROBABILITY))


def _shapes_of_maps(tables: Tables) -> list[tuple[int, ...]]:
    return [(int(row["rows"]), int(row["columns"])) for row in tables["targets"]]


def _shapes_of_probabilities(tables: Tables) -> list[tuple[int, ...]]:
    return [(int(row["classes"]),) for row in tables["frames"] if row["classes"]]


def _split(group: str, values: NDArray[Any], shapes: list[tuple[int, ...]]) -> dict[str, NDArray[Any]]:
    """Split one array into one for each shape of what it holds, by the name of its dataset."""
    split: dict[tuple[int, ...], list[NDArray[Any]]] = {}
    begin = 0
    for shape in shapes:
        end = begin + int(np.prod(shape))
        split.setdefault(shape, []).append(values[begin:end].reshape(shape))
        begin = end
    return {f"{group}/{'x'.join(map(str, shape))}": np.stack(each) for shape, each in split.items()}
