"""The stages of a network: the layers that a person would go through from its input to its output."""

from __future__ import annotations

from collections.abc import Sequence

from streamcam.errors import InvalidArgumentError
from streamcam.models.layers import Layer

_MOST_DOTS = 1  # layers deeper inside are parts of blocks, hundreds of them


def stage_layers(layers: Sequence[Layer], always: str) -> tuple[str, ...]:
    """Choose the last layer of each resolution and width, outside of blocks.

    Args:
        layers: All layers, in the order in which they run.
        always: Name of a layer that is always among them.
    """
    outer = [layer for layer in layers if layer.explains and layer.name.count(".") <= _MOST_DOTS]
    last = {(layer.grid, layer.channels): layer.name for layer in outer}
    return tuple(layer.name for layer in layers if layer.name in last.values() or layer.name == always)


def spread_stages(stages: Sequence[str], count: int) -> tuple[str, ...]:
    """Choose so many of a network's stages, the first and the last among them.

    Args:
        stages: Names of layers, in the order in which they run.
        count: How many to choose, at least 2.

    Raises:
        InvalidArgumentError: if there are fewer.
    """
    if count > len(stages):
        raise InvalidArgumentError(
            f"layers 'auto:{count}' are more than the {len(stages)} stages of this network; use "
            f"auto:{len(stages)} or fewer, or names"
        )
    return tuple(stages[round(place * (len(stages) - 1) / (count - 1))] for place in range(count))
