"""The stages of a network: the layers that a person would go through from its input to its output."""

from __future__ import annotations

from collections.abc import Sequence

from streamcam.errors import InvalidArgumentError
from streamcam.models.layers import Layer

_MOST_DOTS = 1  # layers deeper inside are parts of blocks, hundreds of them
_DEEPEST = 6
"""Number of dots in the names of the layers that are looked at where those outside are too few."""


def stage_layers(layers: Sequence[Layer], always: str) -> tuple[str, ...]:
    """Choose the last layer of each resolution and width, outside of blocks.

    Args:
        layers: All layers, in the order in which they run.
        always: Name of a layer that is always among them.
    """
    outer = _outside(layers, _MOST_DOTS)
    last = {(layer.grid, layer.channels): layer.name for layer in outer}
    return tuple(layer.name for layer in layers if layer.name in last.values() or layer.name == always)


def spread_stages(layers: Sequence[Layer], always: str, count: int) -> tuple[str, ...]:
    """Choose a number of layers, evenly from the first stage to the last.

    Where a network has fewer stages, as transformers, whose layers have one resolution, all layers outside of
    blocks are chosen from, or those inside as well.

    Args:
        layers: All layers, in the order in which they run.
        always: Name of the layer that is explained by default: the last one.
        count: How many to choose, at least 2.

    Raises:
        InvalidArgumentError: if there are fewer.
    """
    names = stage_layers(layers, always)
    for dots in range(_DEEPEST):
        if len(names) >= count:
            break
        names = tuple(dict.fromkeys(layer.name for layer in _outside(layers, dots)))
    if count > len(names):
        raise InvalidArgumentError(
            f"layers 'auto:{count}' are more than this network has; use auto:{len(names)} or names"
        )
    if always in names:
        names = names[: names.index(always) + 1] if names.index(always) + 1 >= count else names
    return tuple(names[round(place * (len(names) - 1) / (count - 1))] for place in range(count))


def _outside(layers: Sequence[Layer], dots: int) -> list[Layer]:
    """Return the layers that can be explained whose names have at most that number of dots."""
    return [layer for layer in layers if layer.explains and layer.name.count(".") <= dots]
