"""The layers of a network: what each one puts out, how that lies on the image, and which one to explain."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence

import torch
from torch import nn

from streamcam.errors import InvalidArgumentError, ModelError, unknown_name
from streamcam.models.base import Model
from streamcam.models.compiled import running_eagerly
from streamcam.models.layouts import Layout, find_layout, place_tokens
from streamcam.models.trial import (
    TRIAL_BATCH,
    Change,
    ModuleOutput,
    TrialRun,
    add_noise,
    run_trial,
    share_of_answers,
    trial_batch,
)

AUTO = "auto"

# These only repeat what came before.
_REPEATING = (nn.Dropout, nn.Dropout2d, nn.Dropout3d, nn.Identity)

# Fraction of the scores that a layer has to have a part in: not all, because a small part is rounded away.
_ALL_SCORES = 0.75

# Layers tested before steps become larger: transformers need three.
_ONE_BY_ONE = 4


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


def probe_layers(model: Model, image: torch.Tensor, *, one_at_a_time: bool = False) -> list[Layer]:
    """Run a network and describe what each module puts out, in the order in which they finish.

    Args:
        model: In evaluation mode, on the image's device.
        image: float32 (1, C, H, W), or (1, C, T, H, W) for clips.
        one_at_a_time: Whether the network takes a single image.

    Raises:
        Exception: whatever the network raises on an input that it does not take.
    """
    with torch.inference_mode(False), torch.no_grad(), running_eagerly(model.module):
        trial = run_trial(model, trial_batch(image), one_at_a_time=one_at_a_time)
        frames = image.shape[2] if image.ndim == 5 else 1
        layouts = _find_layouts(trial.outputs, tuple(image.shape[-2:]), frames)
        layers = _describe(trial, layouts)
        if not any(layer.explains for layer in layers):
            return layers
        plain = run_trial(model, image, kept=trial.last_name)
        # What has another batch than the images belongs to something else: to two prompts, say.
        alone = {(output.name, *output.shape[:1]) for output in plain.outputs}
        layers = [
            _explains(layer, layer.explains and (layer.name, layer.shape[0]) in alone) for layer in layers
        ]

        def share(layer: Layer) -> float:
            changed = run_trial(model, image, changed=_change_of(layer, image), kept=trial.last_name)
            return share_of_answers(trial, plain, changed)

        return _without_dead_ends(layers, share)


def _find_layouts(
    outputs: Sequence[ModuleOutput], image: tuple[int, ...], frames: int
) -> list[Layout | None]:
    """Find out how each output lies on the image, or on the frames of a clip."""
    height, width = image
    grids: list[tuple[int, int]] = []
    moments: list[int] = []
    sequences: dict[tuple[int, ...], Layout] = {}
    layouts: list[Layout | None] = []
    for output in outputs:
        layout = find_layout(
            output.shape, TRIAL_BATCH, (height, width), grids, frames=frames, known_moments=moments
        )
        if output.sees_image and output.token_changes is not None:
            # Where as many tokens appear for the first time, they are not mixed yet: it shows best there.
            count = output.shape[:2]
            layout = sequences.get(count) or place_tokens(
                layout, output.token_changes, (height, width), () if frames > 1 else grids
            )
            if layout is not None:
                sequences[count] = layout
        layouts.append(layout)
        if layout is not None:
            grids.append(layout.grid)
        if layout is not None and layout.kind in ("ncthw", "nthwc"):
            moments.append(output.shape[2 if layout.kind == "ncthw" else 1])
        elif layout is not None and layout.frames > 1:
            moments.append(layout.frames)
    return layouts


def _describe(trial: TrialRun, layouts: Sequence[Layout | None]) -> list[Layer]:
    calls = Counter(output.name for output in trial.outputs)
    # Tokens are best explained where they are normalized, in networks that do so.
    normalized = any(
        layout is not None and layout.kind == "tokens" and output.sees_image and _normalizes(output)
        for output, layout in zip(trial.outputs, layouts, strict=True)
    )
    classes = trial.scores.shape[1]
    layers = []
    for output, layout in zip(trial.outputs, layouts, strict=True):
        shape = (output.shape[0] // TRIAL_BATCH, *output.shape[1:]) if output.shape else ()
        explains = (
            layout is not None
            and output.sees_image
            and calls[output.name] == 1
            and not output.pooled
            and not isinstance(output.module, _REPEATING)
            # Not the scores themselves.
            and not (layout.kind in ("nchw", "ncthw") and shape[1] == classes)
            and not (layout.kind == "tokens" and normalized and not _normalizes(output))
        )
        layers.append(Layer(output.name, type(output.module).__name__, shape, layout, explains))
    return layers


def _normalizes(output: ModuleOutput) -> bool:
    """Return by its class or its name whether a module normalizes and does nothing else."""
    names = f"{type(output.module).__name__} {output.name.rpartition('.')[2]}"
    return "norm" in names.lower() and not any(output.module.children())


def _change_of(layer: Layer, image: torch.Tensor) -> tuple[str, Change]:
    """Put noise on the places of a layer's output."""
    layout, size = layer.layout, (image.shape[-2], image.shape[-1])
    assert layout is not None
    return layer.name, lambda output: layout.unfold(add_noise(layout.fold(output, size)), output)


def _explains(layer: Layer, explains: bool) -> Layer:
    return layer if layer.explains == explains else dataclasses.replace(layer, explains=explains)


def _without_dead_ends(layers: list[Layer], share: Callable[[Layer], float]) -> list[Layer]:
    """Let ``auto`` choose no layer behind the last one that has a part in all scores.

    After the last attention of a transformer with a class token, only that token is read. Auxiliary
    classifiers and boxes are not read at all, and each level of a pyramid makes its own share of detections.
    A map made there would be empty, often or always.

    Args:
        layers: In the order in which they finish.
        share: Runs the network to find the share of the scores that a layer has a part in.
    """
    shares: dict[int, float] = {}

    def carries_all(index: int) -> bool:
        shares[index] = share(layers[index])
        return shares[index] >= _ALL_SCORES

    last = find_last([index for index, layer in enumerate(layers) if layer.explains], carries_all)
    if last is None:
        best = max(shares, key=lambda index: (shares[index], index), default=-1)
        last = best if shares.get(best) else -1
    return [_explains(layer, layer.explains and index <= last) for index, layer in enumerate(layers)]


def find_last(indices: Sequence[int], passes: Callable[[int], bool]) -> int | None:
    """Find the last index that passes a slow test, if all before it do and all behind it do not.

    The last few are tested one by one, then ever larger steps are made.

    Args:
        indices: In order.
        passes: The test.

    Returns:
        An index that passes; None if none of those that were tested did.
    """
    failed, step = len(indices), 1
    while failed > 0:
        place = max(0, failed - step)
        if passes(indices[place]):
            break
        failed = place
        step = step * 2 if len(indices) - failed >= _ONE_BY_ONE else 1
    else:
        return None
    while failed - place > 1:
        middle = (place + failed) // 2
        if passes(indices[middle]):
            place = middle
        else:
            failed = middle
    return indices[place]


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
    calls = Counter(layer.name for layer in layers)
    planes = [layer for layer in layers if len(layer.shape) == 4]
    if any(calls[layer.name] > 1 or layer.shape[0] > 1 for layer in planes):
        return ModelError(
            "this network runs its layers several times for one image, as averaging over flips or crops and "
            "comparing with another image do; return the network inside, which runs once"
        )
    if any(len(layer.shape) == 5 for layer in layers):
        return ModelError(
            "the layers of this network put out volumes (N, C, D, H, W) for an image, of which no map is "
            "made; if it takes clips, return a streamcam Model with its clip_length"
        )
    if any(layer.layout is not None for layer in layers):
        return ModelError(
            "no layer of this network with a spatial grid leads from the image to the scores; "
            "name one with `target_layer`"
        )
    return ModelError(
        "no layer of this network has a spatial grid, because it flattens the image at once: there is no map "
        "to make of it"
    )


def _places(layer: Layer) -> int:
    rows, columns = layer.grid or (0, 0)
    return rows * columns


def _named_layer(layers: Sequence[Layer], name: str) -> Layer:
    matches = [layer for layer in layers if layer.name == name]
    if not matches:
        raise unknown_name(
            "layer", name, {layer.name for layer in layers}, listed_by="streamcam layers MODEL"
        )
    if len(matches) > 1:
        raise InvalidArgumentError(
            f"layer {name!r} runs several times for one image; choose one around it that runs once, or "
            "return the network inside"
        )
    if matches[0].layout is None:
        shape = matches[0].shape
        raise ModelError(f"layer {name!r} puts out {shape}, which has no spatial grid to make a map of")
    return matches[0]
