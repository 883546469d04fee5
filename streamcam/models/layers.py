"""The layers of a network: what each one puts out, how that lies on the image, and which one to explain."""

from __future__ import annotations

import contextlib
import dataclasses
import weakref
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from streamcam.errors import InvalidArgumentError, ModelError, unknown_name
from streamcam.models.base import Model
from streamcam.models.layouts import Layout, find_layout

AUTO = "auto"

# Two images, because the output for one cannot be distinguished from a table that is the same for all.
_TRIAL_BATCH = 2

# These only shrink what came before: the layer before them has the finer grid.
_POOLING = (
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveMaxPool2d,
    nn.LPPool2d,
    nn.FractionalMaxPool2d,
    nn.MaxPool3d,
    nn.AvgPool3d,
    nn.AdaptiveAvgPool3d,
    nn.AdaptiveMaxPool3d,
)
# These only repeat what came before.
_REPEATING = (nn.Dropout, nn.Dropout2d, nn.Dropout3d, nn.Identity)


@dataclasses.dataclass(frozen=True, slots=True)
class Layer:
    """The output of one module in a trial run."""

    name: str
    """Dotted name inside the network."""
    kind: str
    """The module's class."""
    shape: tuple[int, ...]
    """Shape of its output, batch first."""
    layout: Layout | None
    """How its output lies on the image; None where it does not."""
    explains: bool
    """Whether ``auto`` may choose it."""

    @property
    def grid(self) -> tuple[int, int] | None:
        """(rows, columns) of its output, where it has a grid."""
        return None if self.layout is None else self.layout.grid

    @property
    def channels(self) -> int:
        """Number of features at each place."""
        channels_first = self.layout is None or self.layout.kind in ("nchw", "ncthw")
        return self.shape[1] if channels_first else self.shape[-1]


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class _Output:
    """The output of one module. All of them together may be larger than memory, so most keep no values."""

    name: str
    module: nn.Module
    shape: tuple[int, ...]
    pooled: bool
    """Whether a pooling layer made it: a container returns its last child's tensor."""
    value: torch.Tensor | None


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class _TrialRun:
    outputs: list[_Output]
    features: torch.Tensor | None
    """Input of the last linear layer, that of the classifier."""
    num_classes: int


def probe_layers(model: Model, batch: torch.Tensor) -> list[Layer]:
    """Run a network and describe what each module puts out, in the order in which they finish.

    Args:
        model: In evaluation mode, on the batch's device.
        batch: float32 (1, C, H, W), or (1, C, T, H, W) for clips.

    Raises:
        Exception: whatever the network raises on an input that it does not take.
    """
    with torch.inference_mode(False):
        with torch.no_grad():
            trial = _run(model, torch.cat([batch] * _TRIAL_BATCH))  # as the batch lies in memory
        layouts = _find_layouts(trial, tuple(batch.shape[-2:]), of_clips=batch.ndim == 5)
        reached = [True] * len(layouts)
        if any(layout is not None and layout.kind == "tokens" for layout in layouts):
            with torch.enable_grad(), _frozen(model.module):
                # Not a leaf, so that a network may work in place on it.
                image = batch.clone().requires_grad_() * 1
                reached = _reach_scores(_run(model, image, keep_values=True), layouts, image.shape[-2:])
    return _describe(trial, layouts, reached)


def _run(model: Model, batch: torch.Tensor, *, keep_values: bool = False) -> _TrialRun:
    outputs: list[_Output] = []
    features: torch.Tensor | None = None
    alive_pooled: weakref.WeakValueDictionary[int, torch.Tensor] = weakref.WeakValueDictionary()

    def watch(name: str, layer: nn.Module) -> torch.utils.hooks.RemovableHandle:
        def note(_module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            nonlocal features
            if isinstance(layer, nn.Linear) and inputs:
                features = inputs[0]
            if not isinstance(output, torch.Tensor) or not output.is_floating_point():
                return
            if isinstance(layer, _POOLING):
                alive_pooled[id(output)] = output
            pooled = id(output) in alive_pooled
            value = output if keep_values else None
            outputs.append(_Output(name, layer, tuple(output.shape), pooled, value))

        return layer.register_forward_hook(note)

    handles = [watch(name, layer) for name, layer in model.module.named_modules() if name]
    try:
        scores = model.forward(batch).scores
    finally:
        for handle in handles:
            handle.remove()
    return _TrialRun(outputs, features, scores.shape[1])


@contextlib.contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """Let gradients reach only what depends on the image while inside."""
    learning = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)


def _find_layouts(trial: _TrialRun, image: tuple[int, ...], *, of_clips: bool) -> list[Layout | None]:
    height, width = image
    grids: list[tuple[int, int]] = []
    moments: list[int] = []
    layouts: list[Layout | None] = []
    for output in trial.outputs:
        layout = find_layout(
            output.shape,
            _TRIAL_BATCH,
            (height, width),
            grids,
            of_clips=of_clips,
            known_moments=moments,
        )
        layouts.append(layout)
        if layout is not None:
            grids.append(layout.grid)
        if layout is not None and layout.kind in ("ncthw", "nthwc"):
            moments.append(output.shape[2 if layout.kind == "ncthw" else 1])
    return layouts


def _describe(trial: _TrialRun, layouts: Sequence[Layout | None], reached: Sequence[bool]) -> list[Layer]:
    calls = Counter(output.name for output in trial.outputs)
    # Tokens are best explained where they are normalized, in networks that do so.
    normalized = any(
        is_reached and layout is not None and layout.kind == "tokens" and _normalizes(output)
        for output, layout, is_reached in zip(trial.outputs, layouts, reached, strict=True)
    )
    layers = []
    for output, layout, is_reached in zip(trial.outputs, layouts, reached, strict=True):
        shape = (output.shape[0] // _TRIAL_BATCH, *output.shape[1:]) if output.shape else ()
        explains = (
            layout is not None
            and is_reached
            and calls[output.name] == 1
            and not output.pooled
            and not isinstance(output.module, _REPEATING)
            # Not the scores themselves.
            and not (layout.kind in ("nchw", "ncthw") and shape[1] == trial.num_classes)
            and not (layout.kind == "tokens" and normalized and not _normalizes(output))
        )
        layers.append(Layer(output.name, type(output.module).__name__, shape, layout, explains))
    return layers


def _normalizes(output: _Output) -> bool:
    """Return by its class or its name whether a module normalizes and does nothing else."""
    names = f"{type(output.module).__name__} {output.name.rpartition('.')[2]}"
    return "norm" in names.lower() and not any(output.module.children())


def _reach_scores(trial: _TrialRun, layouts: Sequence[Layout | None], size: tuple[int, ...]) -> list[bool]:
    """Find out which outputs come from the image and, of tokens, whose places reach the scores.

    After the last attention of a transformer with a class token, only that token is read: its patches
    have no influence any more, and a map made there would be empty. Checked at the classifier's input, not
    of the logits, because untrained classifiers may be all zeros.
    """
    values = [output.value for output in trial.outputs]
    reached = [value is not None and value.requires_grad for value in values]
    tokens = [
        (index, layout, value)
        for index, (layout, value) in enumerate(zip(layouts, values, strict=True))
        if layout is not None and layout.kind == "tokens" and value is not None and value.requires_grad
    ]
    classified = trial.features
    if not tokens or classified is None or not classified.requires_grad:
        return reached
    # Any weights will do that no normalization cancels.
    weights = torch.linspace(1, 100, classified.numel(), device=classified.device).cos()
    objective = (classified.flatten() * weights).sum()
    height, width = size
    gradients = torch.autograd.grad(objective, [value for _, _, value in tokens], allow_unused=True)
    for (index, layout, _), gradient in zip(tokens, gradients, strict=True):
        reached[index] = gradient is not None and bool(layout.fold(gradient, (height, width)).abs().max() > 0)
    return reached


def choose_target_layers(
    layers: Sequence[Layer], requested: str = AUTO, *, stages: bool = False
) -> list[Layer]:
    """Choose the layers to explain.

    Args:
        layers: What `probe_layers` returned.
        requested: A dotted name, several joined by ``+``, or ``"auto"`` for the last layer that has a grid:
            of several modules that return the same output, the outermost one.
        stages: Whether ``"auto"`` chooses the last layer of each of the three coarsest grids instead.

    Raises:
        UnknownNameError: if there is no layer of a name.
        ModelError: if a layer, or every layer, has no grid.
    """
    if requested != AUTO:
        return [_named_layer(layers, name.strip()) for name in requested.split("+")]
    candidates = [layer for layer in layers if layer.explains]
    if not candidates:
        raise ModelError("no layer of this network has a spatial grid; name one with `target_layer`")
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


def _places(layer: Layer) -> int:
    rows, columns = layer.grid or (0, 0)
    return rows * columns


def _named_layer(layers: Sequence[Layer], name: str) -> Layer:
    matches = [layer for layer in layers if layer.name == name]
    if not matches:
        raise unknown_name(
            "layer", name, {layer.name for layer in layers}, listed_by="streamcam layers MODEL"
        )
    if matches[0].layout is None:
        shape = matches[0].shape
        raise ModelError(f"layer {name!r} puts out {shape}, which has no spatial grid to make a map of")
    if len(matches) > 1:
        raise InvalidArgumentError(f"layer {name!r} runs several times for one image; choose one around it")
    return matches[0]
