"""A kind of source that streamcam does not know: all that one takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from PIL import Image

from streamcam.frames import Frame, SourceInfo, SourceReport
from streamcam.media.images import image_from_rgb
from streamcam.media.scaling import Resampler
from streamcam.sources import Source, SourceKind


class ToySource(Source):
    """Frames of one color: what a new kind of source takes."""

    def __init__(self, color: str) -> None:
        self.color = color
        self.count = 0

    @property
    def info(self) -> SourceInfo:
        return SourceInfo(f"toy:{self.color}", None, 64, 48, time_base=Fraction(1, 25), rate=Fraction(25))

    def __iter__(self) -> Iterator[Frame]:
        pixels = np.asarray(Image.new("RGB", (64, 48), self.color))
        image = Resampler().to_planar(image_from_rgb(pixels), "yuv420p")
        for index in range(5):
            if self.stop_flag.is_set():
                return
            yield Frame(image, index, index, Fraction(1, 25), time.monotonic())
            self.count += 1

    def report(self) -> SourceReport:
        return SourceReport(frames_read=self.count)


TOY = SourceKind(
    recognize=lambda location: str(location).startswith("toy:"),
    open=lambda location, _settings: ToySource(str(location).removeprefix("toy:")),
)
"""Its row in the table."""
