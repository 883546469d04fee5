"""Values of more than 8 bits: which of them are shown as black and as white."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamcam.media.images import ByteArray

ValueRange = tuple[float, float]
"""The value shown as black and the one shown as white; the first is the higher one in a negative."""

_OUTLIERS = 0.001
"""The share of the values, at either end, that is not looked at: dead and hot pixels of a sensor."""

_USED = 0.25
"""Values that span less than this share of what a container can hold leave its range unused: it holds 14 bits
or fewer in 16, or a narrow range of temperatures."""

_SAMPLED_PIXELS = 1 << 18


def choose_range(images: Iterable[NDArray[Any]], container: ValueRange | None) -> tuple[ValueRange, bool]:
    """Choose the values that are shown as black and as white: the container's ends, or the data's own.

    Args:
        images: Images of integers or floats, of any shape, which share one range.
        container: The range if all values that could be stored are used; None if that says nothing.

    Returns:
        The range, and whether it is the data's own.

    Raises:
        ValueError: if no value is finite.
    """
    samples = np.concatenate([_sample(image) for image in images])
    finite = samples[np.isfinite(samples)]
    if not finite.size:
        raise ValueError("none of its values is a finite number")
    low = float(np.quantile(finite, _OUTLIERS, method="lower"))
    high = float(np.quantile(finite, 1 - _OUTLIERS, method="higher"))
    if container is not None and (low == high or high - low >= _USED * abs(container[1] - container[0])):
        return container, False
    high = max(high, float(np.nextafter(np.float32(low), np.float32(np.inf))))
    is_negative = container is not None and container[0] > container[1]
    return ((high, low) if is_negative else (low, high)), True


def float_range(image: NDArray[np.floating[Any]]) -> ValueRange | None:
    """Return 0 to 1 where the values of a float image lie between these, as is the custom; None elsewhere."""
    finite = image[np.isfinite(image)]
    return (0.0, 1.0) if finite.size and finite.min() >= 0 and finite.max() <= 1 else None


def stretch(image: NDArray[Any], limits: ValueRange, highest: int = 255) -> NDArray[np.float32]:
    """Scale values so that a range reaches from 0 to `highest`; what lies outside is clipped.

    Returns:
        float32 of the same shape, rounded; NaN becomes 0.
    """
    low, high = limits
    scaled = (image.astype(np.float32) - np.float32(low)) * np.float32(highest / (high - low))
    clipped: NDArray[np.float32] = np.nan_to_num(scaled, nan=0.0, posinf=highest, neginf=0.0).clip(0, highest)
    return clipped.round()


def stretch_to_bytes(image: NDArray[Any], limits: ValueRange) -> ByteArray:
    """Scale values to uint8; see `stretch`."""
    return stretch(image, limits).astype(np.uint8)


def describe_range(limits: ValueRange) -> str:
    """Return a note for the user about a range that was found in the data."""
    low, high = sorted(limits)
    return f"values from {low:g} to {high:g} are shown as black to white; `range` LOW,HIGH decides otherwise"


def _sample(image: NDArray[Any]) -> NDArray[Any]:
    step = max(1, int((image.size / _SAMPLED_PIXELS) ** 0.5))
    return np.asarray(image[::step, ::step]).ravel()
