"""The order of listed classes: by the numbers that are shown; rows with the same number stay in place."""

from __future__ import annotations

import math
from collections.abc import Sequence

from streamcam.explanations import Prediction, whole_percents


def order_listed(listed: Sequence[Prediction], before: Sequence[Prediction] = ()) -> tuple[Prediction, ...]:
    """Sort classes by the whole percentages that are shown.

    Classes are ranked with hysteresis, so that the one that is explained does not change with every frame. In
    a list a class would then stand above another one with a larger number. Here rows are swapped as soon as
    their numbers say so, and those with the same number stay as they were.

    Args:
        listed: The classes, as they are ranked.
        before: The list of the frame before.

    Returns:
        The classes, the largest number first; as they are ranked if they have values and no probabilities.
    """
    if any(math.isnan(each.probability) for each in listed):
        return tuple(listed)
    places = {each.index: place for place, each in enumerate(before)}
    return tuple(
        sorted(
            listed,
            key=lambda each: (-whole_percents(each.probability), places.get(each.index, len(places))),
        )
    )
