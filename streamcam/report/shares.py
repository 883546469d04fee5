"""The share of the heat in parts of the frame: the region of interest, the center, and what changes."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from streamcam.localization.grid import place_on_frame
from streamcam.localization.motion import find_motion
from streamcam.localization.shares import share_inside
from streamcam.media.images import ByteArray
from streamcam.report.pictures import heat_of

if TYPE_CHECKING:
    from streamcam.report.summary import Summary

_CELLS = 64
"""Along the longer side of the grid on which heat is counted."""


@dataclasses.dataclass(frozen=True, slots=True)
class Share:
    """The share of the heat in a part of the frame, over a video."""

    name: str
    inside: float
    """Mean share of the heat, 0 to 1."""
    area: float
    """Mean share of the frame that the part covers, 0 to 1."""
    least: float
    """Least share of the heat."""
    least_row: int
    """In which explained frame that is."""


def measure_shares(summary: Summary) -> Iterator[Share]:
    """Yield the shares of a video: of the region if there was one, of the center, and of what changes.

    What changes is found between the thumbnails of a shot, about a second apart. Parts that no frame with
    heat has are left out.
    """
    evidence = summary.evidence
    roi = evidence.header.get("settings", {}).get("localization", {}).get("roi")
    yield from _mean(f"the region {roi}", _region_values(summary))
    yield from _mean("the center", _center_values(summary))
    yield from _mean("what changes", _motion_values(summary))


Value = tuple[int, float, float]
"""An explained frame's row, the share of its heat inside, and the share of the frame."""


def _mean(name: str, values: Sequence[Value]) -> Iterator[Share]:
    if values:
        row, least, _ = min(values, key=lambda value: value[1])
        inside, area = np.mean([value[1:] for value in values], axis=0).tolist()
        yield Share(name, inside, area, least, row)


def _region_values(summary: Summary) -> list[Value]:
    shares = summary.evidence.roi_shares[summary.evidence.is_explained]
    return [(row, *shares[row].tolist()) for row in np.flatnonzero(np.isfinite(shares[:, 0])).tolist()]


def _center_values(summary: Summary) -> list[Value]:
    values: list[Value] = []
    for row in range(len(summary.explanations)):
        grid = _grid(summary, row)
        rows, columns = grid.shape
        mask = np.zeros(grid.shape, np.bool_)
        mask[rows // 4 : rows - rows // 4, columns // 4 : columns - columns // 4] = True
        values += _value(row, grid, mask)
    return values


def _motion_values(summary: Summary) -> list[Value]:
    values: list[Value] = []
    rows = {one.frame_index: row for row, one in enumerate(summary.explanations)}
    shots = np.cumsum(summary.evidence.starts_shot)
    before: tuple[int, ByteArray] | None = None
    for frame, jpeg in summary.evidence.thumbnails():
        gray = np.asarray(PIL.Image.open(io.BytesIO(jpeg)).convert("L"))
        if before is not None and frame in rows and shots[frame] == shots[before[0]]:
            grid = _grid(summary, rows[frame])
            mask = find_motion(before[1], gray, (grid.shape[0], grid.shape[1]))
            if mask is not None:
                values += _value(rows[frame], grid, mask)
        before = frame, gray
    return values


def _grid(summary: Summary, row: int) -> NDArray[np.float32]:
    given, explanation = summary.evidence.header.get("input", {}), summary.explanations[row]
    width, height = int(given.get("width") or 1), int(given.get("height") or 1)
    scale = _CELLS / max(width, height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return place_on_frame(heat_of(explanation), explanation.region, size)


def _value(row: int, grid: NDArray[np.float32], mask: NDArray[np.bool_]) -> Iterator[Value]:
    if grid.max() > 0:
        yield row, share_inside(grid, mask), float(mask.mean())
