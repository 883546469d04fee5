"""Frames with objects, for outputs that hold annotations."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from media_factory import make_image

from streamcam.explanations import (
    Explanation,
    HeatBox,
    Instance,
    Localization,
    RenderedFrame,
    StabilizedFrame,
)
from streamcam.frames import Frame, Region

SIZE = (200, 100)


def annotated(index: int, *instances: Instance, of_heat: bool = False) -> RenderedFrame:
    """A frame of 200x100 with objects, or boxes around heat, drawn beside its original, a tenth of a second
    after the one before."""
    frame = Frame(make_image(*SIZE), index, index, Fraction(1, 10), 0.0)
    explanation = Explanation(index, {}, (), (), "", "", Region())
    boxes = tuple(HeatBox(instance.class_index, instance, 0.5) for instance in instances)
    stabilized = StabilizedFrame(
        frame,
        {},
        (),
        (),
        explanation,
        instances=() if of_heat else instances,
        localization=Localization(boxes) if of_heat else None,
    )
    return RenderedFrame(make_image(2 * SIZE[0], SIZE[1]), index, Fraction(1, 10), stabilized)


def cat(left: float = 0.1, *, track: int | None = 1, score: float = 0.75) -> Instance:
    """A cat of 80x50 pixels, whose mask is the upper half of its box."""
    mask = np.array([[True] * 4, [True] * 4, [False] * 4, [False] * 4])
    return Instance(281, "cat", score, (left, 0.2, left + 0.4, 0.7), mask, track)


def dog(left: float = 0.5, *, track: int | None = 2) -> Instance:
    """A dog of 60x60 pixels without a mask, half of it beyond the lower edge."""
    return Instance(207, "dog & co", 0.5, (left, 0.7, left + 0.3, 1.3), None, track)


OUTSIDE = Instance(1, "bird", 0.9, (1.1, 0.2, 1.4, 0.5))
"""An object that is not in the frame."""
