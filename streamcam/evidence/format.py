"""The format of evidence files: HDF5, with one dataset for each table.

HDF5 is read from Python, MATLAB, R and Julia, and grows as a video does. `CommittedFile` keeps what is on the
disk readable, so a process that is killed leaves all but the last frames. Parquet is complete only with its
footer, and Zarr is a folder. Every dataset has checksums, so that damage is found.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from streamcam.evidence.tables import FORMATS

FORMAT = "streamcam evidence"
VERSION = 1
"""Files of a higher version are refused."""

SUFFIXES = (".h5", ".hdf5")

FRAMES_AT_ONCE = 32
"""How many frames are written together."""

HEATMAPS = "heatmaps"
"""The group of datasets (maps, rows, columns), one for each shape of maps, named as ``7x12``."""
PROBABILITIES = "probabilities"
"""The group of datasets (explained frames, classes), one for each number of classes, which is the name."""
PROBABILITY_STEP = 1e-4
"""Probabilities are stored as uint16, in multiples of this, as CF conventions have it (``scale_factor``)."""
NO_PROBABILITY = 65535
"""Stands for a probability that is not finite (``_FillValue``)."""

TABLES: dict[str, np.dtype[Any]] = {
    **{name: dtype for name, dtype in FORMATS.items() if name not in (HEATMAPS, PROBABILITIES, "frames")},
    "thumbnail_bytes": np.dtype("u1"),  # JPEG files, one after the other
    "thumbnails": np.dtype([("frame", "<i8"), ("size", "<i8")]),  # in bytes
    "heat_boxes": np.dtype(
        [
            ("frame", "<i8"),
            ("target", "<i8"),  # its index
            ("track_id", "<i8"),  # -1 for none
            ("share", "<f8"),  # of the heat in the frame
            ("box", "<f8", (4,)),  # left, top, right, bottom, as fractions of the frame
        ]
    ),
    "pts": np.dtype("<i8"),
    "durations": np.dtype("<i8"),  # in units of the time base, as pts; 0 if unknown
    "times_s": np.dtype("<f8"),
    # Share of the first target's displayed heat inside the region of interest, and share of the frame that
    # the region covers; NaN without a region or heat.
    "roi": np.dtype([("inside", "<f4"), ("area", "<f4")]),
    "frames": FORMATS["frames"],  # last, so that what a row counts is there
}
"""Name of each dataset with one dimension → the format of its rows, in the order of writing."""
