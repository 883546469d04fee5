"""Which layers ``auto`` prefers of those that carry the image to the scores: docs/models.md says why."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from streamcam.models.layers import Layer

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def with_block_output(layers: list[Layer], carries_all: Callable[[Layer], bool]) -> list[Layer]:
    """Let ``auto`` choose the output of the last block rather than the last normalization inside it.

    Where the places are averaged behind the last block, as in BEiT and EVA, each counts there by what it
    alone adds. Behind the last attention of a class token the block's output has no part in the scores.

    Args:
        layers: In the order in which they finish, without dead ends.
        carries_all: Runs the network to find whether a layer has a part in all scores.
    """
    last = _last_explained(layers)
    if last is None or not _is_tokens(layers[last]):
        return layers
    blocks = {_parent(layer) for layer in layers if _is_tokens(layer) and _normalizes(layer)}
    like_last = (layers[last].shape, layers[last].layout)
    for index in range(len(layers) - 1, last, -1):
        layer = layers[index]
        if layer.name in blocks and (layer.shape, layer.layout) == like_last and carries_all(layer):
            explained = dataclasses.replace(layer, explains=True)
            return [*layers[:index], explained, *layers[index + 1 :]]
    return layers


def before_last_attention(
    layers: list[Layer], network: nn.Module, mixes: Callable[[Layer, Layer], bool]
) -> list[Layer]:
    """Let ``auto`` choose what the last attention takes rather than a final norm, in networks such as Swin.

    These make grids coarser in stages, attend in blocks without convolutions, normalize once more behind the
    last block, and average the places.

    Args:
        layers: In the order in which they finish, without dead ends.
        network: What they belong to.
        mixes: Runs the network to find whether places of one layer have a part in others of a later one.
    """
    last = _last_explained(layers)
    if last is None or len({layer.grid for layer in layers if layer.explains}) < 2:
        return layers
    norms = [layer for layer in layers if layer.explains and _lies_flat(layer) and _normalizes(layer)]
    if len(norms) < 2 or any(norm.grid != layers[last].grid for norm in norms[-2:]):
        return layers
    block, final = _parent(norms[-2]), norms[-1]
    stage = network.get_submodule(block.rpartition(".")[0])
    if _parent(final) == block or any(isinstance(part, _CONVOLUTIONS) for part in stage.modules()):
        return layers
    for norm in reversed([norm for norm in norms if _parent(norm) == block]):
        if mixes(norm, layers[last]):
            end = layers.index(norm)
            return [
                *layers[: end + 1],
                *(dataclasses.replace(layer, explains=False) for layer in layers[end + 1 :]),
            ]
    return layers


def _last_explained(layers: list[Layer]) -> int | None:
    return max((index for index, layer in enumerate(layers) if layer.explains), default=None)


def _parent(layer: Layer) -> str:
    return layer.call[0].rpartition(".")[0]


def _normalizes(layer: Layer) -> bool:
    return "norm" in layer.kind.lower()


def _is_tokens(layer: Layer) -> bool:
    return layer.layout is not None and layer.layout.kind == "tokens"


def _lies_flat(layer: Layer) -> bool:
    """Return whether a layer puts out features last, of one image."""
    layout = layer.layout
    return (
        layout is not None
        and layout.kind in ("tokens", "nhwc")
        and layout.moments == 1
        and layout.frames == 1
    )
