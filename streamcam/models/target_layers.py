"""The layers that a network is explained at: those of a name, or the ones that are chosen by default."""

from __future__ import annotations

from collections.abc import Sequence

from streamcam.errors import InvalidArgumentError, ModelError, unknown_name
from streamcam.models.base import Model
from streamcam.models.layers import Layer

AUTO = "auto"


def default_layer(model: Model, layers: Sequence[Layer]) -> str:
    """Return the name of the layers that are explained by default, as `choose_target_layers` takes it.

    Args:
        model: The model.
        layers: What `probe_layers` returned for it.
    """
    with_grid = {layer.name for layer in layers if layer.layout is not None}
    # The coarsest level of a pyramid may be a single place, of which there is no map.
    levels = [name for name in model.pyramid if name in with_grid]
    return "+".join(levels) or model.auto_layer


def choose_target_layers(
    layers: Sequence[Layer], requested: str = AUTO, *, stages: bool = False
) -> list[Layer]:
    """Choose the layers to explain.

    Args:
        layers: What `probe_layers` returned.
        requested: A dotted name, several joined by ``+``, or ``"auto"`` for the last layer that has a grid:
            of several modules that return the same output, the outermost one. Of a module that runs several
            times for one image, ``@2`` behind its name is the second time; without it the last time that the
            image is in it.
        stages: Whether ``"auto"`` chooses the last layer of each of the three coarsest grids instead.

    Raises:
        UnknownNameError: if there is no layer of a name.
        ModelError: if a layer, or every layer, has no grid.
    """
    if requested != AUTO:
        return [_named_layer(layers, name.strip()) for name in requested.split("+")]
    candidates = [layer for layer in layers if layer.explains]
    if not candidates:
        raise _refuse(layers)
    if not stages:
        return [candidates[-1]]
    last_of_grid: dict[tuple[int, int], Layer] = {}
    for layer in candidates:
        assert layer.layout is not None
        last = last_of_grid.get(layer.layout.grid)
        # A whole stage rather than the first part of the next one's first block; tokens have no such stage.
        if last is None or layer.layout.kind == "tokens" or layer.name.count(".") <= last.name.count("."):
            last_of_grid[layer.layout.grid] = layer
    # Not in the order of running: branches pool and enlarge; what is coarser than the last is a branch.
    last_places = _places(candidates[-1])
    finest_first = sorted(last_of_grid.values(), key=_places, reverse=True)
    stage_ends = [layer for layer in finest_first if _places(layer) >= last_places]
    return stage_ends[-3:] if len(stage_ends) > 1 else candidates[-3:]


def _refuse(layers: Sequence[Layer]) -> ModelError:
    """Build the error for a network none of whose layers can be explained: by its kind, with a way out."""
    if not layers or any("Quantize" in layer.kind for layer in layers):
        return ModelError(
            "the layers of this network cannot be read, as those of TorchScript programs, exported programs, "
            "quantized networks and functions; return the torch.nn.Module that it was made from, or one "
            "whose layers are modules"
        )
    planes = [layer for layer in layers if len(layer.shape) == 4]
    if any(layer.calls > 1 or layer.shape[0] > 1 for layer in planes):
        return ModelError(
            "this network runs its layers several times for one image, as averaging over flips or crops and "
            "comparing with another image do; return the network inside, which runs once"
        )
    if any(len(layer.shape) == 5 for layer in layers):
        return ModelError(
            "the layers of this network put out volumes (N, C, D, H, W) for an image, of which no map is "
            "made; if it takes clips, return streamcam.models.ClipClassifier(..., frames=8, rate=10) of it"
        )
    if any(layer.layout is not None for layer in layers):
        return ModelError(
            "no layer of this network with a spatial grid leads from the image to the scores; "
            "name one with `target_layer`"
        )
    return ModelError("no layer of this network has a spatial grid, because it flattens the image at once")


def _places(layer: Layer) -> int:
    rows, columns = layer.grid or (0, 0)
    return rows * columns


def _named_layer(layers: Sequence[Layer], name: str) -> Layer:
    """Return the layer of a name; of a module that runs several times the last call that shows the image."""
    matches = [layer for layer in layers if name in (layer.name, layer.call[0])]
    if not matches:
        raise unknown_name(
            "layer", name, {layer.name for layer in layers}, listed_by="streamcam layers MODEL"
        )
    if len(matches) > 1:
        shown = [layer for layer in matches if layer.shows_image]
        if not shown:
            raise InvalidArgumentError(
                f"layer {name!r} runs {len(matches)} times for one image, and never on that alone; choose "
                "another `target_layer`"
            )
        matches = [layer for layer in shown if layer.layout is not None] or shown
        explained = [layer for layer in matches if layer.explains]
        matches = explained or matches
    layer = matches[-1]
    if layer.layout is None:
        raise ModelError(f"layer {name!r} puts out {layer.shape}, which has no spatial grid to make a map of")
    return layer
