"""Data beside the pixels of a decoded image: its orientation and its HDR metadata."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import numpy as np
from av.sidedata.sidedata import SideDataContainer, Type
from numpy.typing import NDArray

from streamcam.frames import HdrMetadata, MasteringDisplay
from streamcam.media.images import Image

_LOST = {
    "DYNAMIC_HDR_PLUS": "how bright each scene is meant (HDR10+) is left out",
    "DOVI_METADATA": "what Dolby Vision adds to the image is left out",
    "SPHERICAL": "that the video shows all directions (360°) is left out: players show it flat",
    "STEREO3D": "that the video is for two eyes (3D) is left out: players show it flat",
    "A53_CC": "closed captions inside the images are left out",
}


_FLAT = 0
"""The kind of FFmpeg's AVStereo3D that is none."""


def _member_for(kinds: type[Type], number: int) -> Type:
    """Make a member for a kind of side data that has a number in FFmpeg and no name in PyAV."""
    member: Any = object.__new__(kinds)
    member._name_, member._value_ = f"UNNAMED_{number}", number
    return cast(Type, member)


# PyAV otherwise raises ValueError for the whole image, whose other side data is then out of reach.
setattr(Type, "_missing_", classmethod(_member_for))  # noqa: B010 - mypy takes no assignment to a method


@dataclasses.dataclass(frozen=True, slots=True)
class Orientation:
    """How a decoded image is to be turned: rows and columns swapped first, then mirrored."""

    transposed: bool = False
    rows_flipped: bool = False
    columns_flipped: bool = False


UPRIGHT = Orientation()


def orientation_of(decoded: Image) -> Orientation:
    """Read from an image's display matrix how it is to be shown, to the nearest quarter turn."""
    matrix = _side_data_of(decoded).get("DISPLAYMATRIX")
    if matrix is None:
        return UPRIGHT
    # The sample in column p and row q is shown in column a p + c q and row b p + d q.
    a, b, _, c, d = (int(value) for value in np.frombuffer(memoryview(matrix), np.int32)[:5])
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Orientation(transposed=True, rows_flipped=b < 0, columns_flipped=c < 0)
    return Orientation(rows_flipped=d < 0, columns_flipped=a < 0)


def hdr_metadata_of(decoded: Image) -> HdrMetadata | None:
    """Read what an image says of its light (HDR10); None where it says nothing."""
    kinds = _side_data_of(decoded)
    screen, light = kinds.get("MASTERING_DISPLAY_METADATA"), kinds.get("CONTENT_LIGHT_LEVEL")
    display = None if screen is None else _display_of(np.frombuffer(memoryview(screen), np.int32))
    max_cll, max_fall = (0, 0) if light is None else np.frombuffer(memoryview(light), np.uint32)[:2]
    found = HdrMetadata(display, int(max_cll), int(max_fall))
    return None if found == HdrMetadata() else found


def _display_of(fields: NDArray[np.int32]) -> MasteringDisplay | None:
    """Read FFmpeg's AVMasteringDisplayMetadata: ten fractions, and which of them are known."""
    if not fields[20:22].all():
        return None
    values = fields[:20:2] / np.maximum(fields[1:20:2], 1)
    red, green, blue, white, luminance = ((float(x), float(y)) for x, y in values.reshape(5, 2))
    return MasteringDisplay(red, green, blue, white, luminance)


def lost_with(decoded: Image) -> tuple[str, ...]:
    """Describe the side data of an image that is lost when something is drawn on it."""
    kinds = {
        entry.type.name
        for entry in _side_data_of(decoded)
        if entry.type.name != "STEREO3D" or np.frombuffer(memoryview(entry), np.int32)[0] != _FLAT
    }
    return tuple(note for kind, note in _LOST.items() if kind in kinds)


def _side_data_of(decoded: Image) -> Any:
    """Return the side data of an image, as PyAV's `SideDataContainer`.

    Not its own attribute, with which both refer to each other from then on: the image, and with it all the
    decoder's memory, would be freed only when Python next looks for such circles.
    """
    make: Any = SideDataContainer  # PyAV declares no arguments
    return make(decoded)
