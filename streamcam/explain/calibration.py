"""Frames that a network is quantized by, and other frames that it is then checked on."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from streamcam.errors import InvalidArgumentError
from streamcam.explain.activities import announce
from streamcam.frames import Frame
from streamcam.media.stores import is_stored
from streamcam.media.urls import redact
from streamcam.sources import Source, open_source
from streamcam.sources.fetched import is_web_url
from streamcam.sources.given_images import frame_of
from streamcam.sources.spread import read_frame_at, spread_times

if TYPE_CHECKING:
    from streamcam.sources.given_images import ImageLike

    CalibrationSource = str | Path | Sequence[ImageLike | Frame]
    """A video, a folder of images, or images and frames."""

FRAMES = 48
"""How many frames are taken of a video; every third of them is one to check on."""
_FEWEST = 12
"""Fewer frames that differ say too little about the range of a network's activations."""
_SHORT_S = 60.0
"""A video up to this length is read from beginning to end; of longer ones, places are looked up."""
_FLAT = 4.0
"""Standard deviation of pixels, of 255, below which an image shows nothing, as of black ones with noise."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Images as a network sees them."""

    name: str
    """Name of their source in messages."""
    calibrated: Sequence[NDArray[np.uint8]]
    """Images to quantize by: RGB, uint8 (1, H, W, 3) each."""
    checked: Sequence[NDArray[np.uint8]]
    """Other images, to check on."""

    @property
    def digest(self) -> str:
        """Hash of all of them."""
        hashed = hashlib.sha256()
        for image in (*self.calibrated, *self.checked):
            hashed.update(repr(image.shape).encode())
            hashed.update(image.tobytes())
        return hashed.hexdigest()[:32]


def check_calibration(precision: object, source: CalibrationSource | None) -> None:
    """Refuse what a network cannot be calibrated by, in a moment: before it is loaded.

    Args:
        precision: As for `streamcam.Explainer`; None if nobody chose one.
        source: What int8 is calibrated by, if anything. A file elsewhere is not fetched for this.

    Raises:
        InvalidArgumentError: if int8 lacks it, another precision has it, or it has no end.
        SourceError: if it cannot be read, like its subclasses.
    """
    if (precision == "int8") != (source is not None):
        raise InvalidArgumentError(
            "`calibration` is for `precision='int8'`"
            if source is not None
            else "`precision='int8'` needs `calibration`: a video, or images like those to explain"
        )
    if isinstance(source, str | Path) and not is_web_url(source) and not is_stored(source):
        with _opened(source):
            pass


def read_calibration(
    source: CalibrationSource, pixels: Callable[[Sequence[Frame]], NDArray[np.uint8]]
) -> Calibration:
    """Take images that differ from a video, evenly, and set every third of them aside to check on.

    Args:
        source: Where they are from.
        pixels: Makes of frames of one shape what a network sees of them, RGB, uint8 (N, H, W, 3).

    Raises:
        InvalidArgumentError: if too few images of it differ or show anything.
        SourceError: if it cannot be read.
    """
    name = repr(redact(str(source))) if isinstance(source, str | Path) else "what is given"
    announce(f"reading frames of {name} to quantize the network by")
    kept: dict[bytes, NDArray[np.uint8]] = {}
    step = 1
    for number, frame in enumerate(_frames(source)):
        if number % step:
            continue
        image = pixels([frame]).copy()  # what it returns is used again
        if image.std() >= _FLAT:
            kept.setdefault(hashlib.sha256(image.tobytes()).digest(), image)
        if len(kept) >= 2 * FRAMES:  # so that memory does not grow with the length of a video
            kept, step = dict(list(kept.items())[::2]), 2 * step
    images = list(kept.values())
    if len(images) < _FEWEST:
        raise InvalidArgumentError(
            f"{name} has {len(images)} frames that differ and show something, too few for int8, which takes "
            f"{_FEWEST}; give `calibration` another video, or use `precision='auto'`"
        )
    count = min(FRAMES, len(images))
    images = [images[place * len(images) // count] for place in range(count)]
    return Calibration(
        name,
        [image for place, image in enumerate(images) if place % 3 != 1],
        [image for place, image in enumerate(images) if place % 3 == 1],
    )


def _frames(source: CalibrationSource) -> Iterator[Frame]:
    if not isinstance(source, str | Path):
        for index, image in enumerate(source):
            yield image if isinstance(image, Frame) else frame_of(image, index)
        return
    with _opened(source) as opened:
        duration_s = opened.info.duration_s
        if duration_s is None or duration_s <= _SHORT_S or opened.info.files:
            yield from opened
            return
    for time_s in spread_times(duration_s, FRAMES):
        frame = read_frame_at(source, time_s)
        if frame is not None:
            yield frame


@contextlib.contextmanager
def _opened(source: str | Path) -> Iterator[Source]:
    """Open a source of frames that has an end, and can be read again."""
    if str(source) == "-":
        raise InvalidArgumentError(
            "standard input can be read only once; give `calibration` a file, or use `precision='auto'`"
        )
    with open_source(source) as opened:
        if opened.is_live:
            raise InvalidArgumentError(f"{redact(str(source))!r} is live; give `calibration` a file")
        yield opened
