"""The layers of a network: what each one puts out, how that lies on the image, and which can be explained."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence

import torch
from torch import nn

from streamcam.models.base import Model
from streamcam.models.classifier import Classifier
from streamcam.models.compiled import running_eagerly
from streamcam.models.layer_preferences import before_last_attention, with_block_output
from streamcam.models.layouts import Grid, Layout, find_layout, place_tokens
from streamcam.models.trial import (
    TRIAL_BATCH,
    Call,
    Change,
    ModuleOutput,
    TrialRun,
    add_noise,
    by_halves,
    has_weights,
    run_trial,
    share_of_answers,
    trial_batch,
)

# These only repeat what came before.
_REPEATING = (nn.Dropout, nn.Dropout2d, nn.Dropout3d, nn.Identity)

# Fraction of the scores that a layer has to have a part in: not all, because a small part is rounded away.
_ALL_SCORES = 0.75

# Layers tested before steps become larger: transformers need three.
_ONE_BY_ONE = 4


@dataclasses.dataclass(frozen=True, slots=True)
class Layer:
    """The output of one module in a trial run, or of one of its calls."""

    name: str
    """Dotted name inside the network, with ``@2`` for the second call of a module that runs several times."""
    kind: str
    """The module's class."""
    shape: tuple[int, ...]
    """Shape of its output, batch first."""
    layout: Layout | None
    """How its output lies on the image; None where it does not."""
    explains: bool
    """Whether ``auto`` may choose it."""
    calls: int = 1
    """How many times the module runs for one image."""
    shows_image: bool = True
    """Whether the image is in it, the right way around; a module's other calls may see something else."""
    sees_image: bool = True
    """Whether its output depends on the image at all."""

    @property
    def call(self) -> Call:
        """The module's dotted name, and which of its calls this is, from 1."""
        module, _, number = self.name.partition("@")
        return module, int(number or 1)

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
        size = (image.shape[-2], image.shape[-1])
        finds_scores = isinstance(model, Classifier)
        layers = _describe(trial, layouts, size, finds_scores=finds_scores)
        if not any(layer.explains for layer in layers):
            return layers
        plain = run_trial(model, image, kept=trial.last_call)
        # What has another batch than the images belongs to something else: to two prompts, say.
        alone = {(output.call, *output.shape[:1]) for output in plain.outputs}
        layers = [
            layer
            if (layer.call, *layer.shape[:1]) in alone
            else dataclasses.replace(layer, explains=False, sees_image=False)
            for layer in layers
        ]

        def run_changed(layer: Layer, channels: slice) -> TrialRun:
            change = _change_of(layer, size, channels)
            return run_trial(model, image, changed=(layer.call, change), kept=trial.last_call)

        def share(layer: Layer) -> float:
            return share_of_answers(trial, plain, run_changed(layer, slice(None)))

        if finds_scores:
            layers = _without_scores(
                layers, plain, lambda layer: run_changed(layer, slice(1)), trial.scores.shape[1]
            )
        layers = with_block_output(
            _without_dead_ends(layers, share), lambda layer: share(layer) >= _ALL_SCORES
        )

        def mixes(earlier: Layer, later: Layer) -> bool:
            before = run_trial(model, image, kept=later.call)
            change = _change_of(earlier, size, slice(None), every_second=True)
            after = run_trial(model, image, changed=(earlier.call, change), kept=later.call)
            return _differ_between(later, before, after, size)

        return before_last_attention(layers, model.module, mixes)


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


def _describe(
    trial: TrialRun, layouts: Sequence[Layout | None], image: Grid, *, finds_scores: bool
) -> list[Layer]:
    """Describe the outputs of modules.

    Args:
        trial: The run on two images.
        layouts: How each output lies on the image.
        image: (height, width) of the input.
        finds_scores: Whether `_without_scores` tells scores and features of as many channels apart.
    """
    pairs = list(zip(trial.outputs, layouts, strict=True))
    calls = Counter(output.call[0] for output in trial.outputs)
    shown = _calls_that_show_image(pairs, calls, image)
    # A module that answers for several resolutions, as the head of a detector, has a part in each.
    shapes = Counter(name for name, _ in {(call[0], shape) for call, shape in shown.items()})
    # Tokens are best explained where they are normalized, in networks that do so.
    normalized = any(
        layout is not None and layout.kind == "tokens" and output.sees_image and _normalizes(output)
        for output, layout in pairs
    )
    classes = trial.scores.shape[1]
    layers = []
    for output, layout in pairs:
        name, number = output.call
        shape = (output.shape[0] // TRIAL_BATCH, *output.shape[1:]) if output.shape else ()
        explains = (
            layout is not None
            and output.call in shown
            and (calls[name] == 1 or (has_weights(output.module) and shapes[name] == 1))
            and not output.pooled
            and not isinstance(output.module, _REPEATING)
            # Not the scores themselves.
            and not (shape[1] == classes and layout.kind in ("nchw", "ncthw") and not finds_scores)
            and not (layout.kind == "tokens" and normalized and not _normalizes(output))
        )
        layers.append(
            Layer(
                name if calls[name] == 1 else f"{name}@{number}",
                type(output.module).__name__,
                shape,
                layout,
                explains,
                calls[name],
                output.call in shown,
                output.sees_image,
            )
        )
    return layers


def _calls_that_show_image(
    outputs: Sequence[tuple[ModuleOutput, Layout | None]], calls: Counter[str], image: Grid
) -> dict[Call, tuple[int, ...]]:
    """Find the calls of modules whose output is of the image, with its shape.

    Networks that compare run a module on another image too, and those that average on a mirrored one: where
    some calls of a module show the image the right way around, the others do not count.
    """
    seeing = [(output, layout) for output, layout in outputs if output.sees_image]
    upright = {
        output.call
        for output, layout in seeing
        if calls[output.call[0]] == 1 or _is_upright(output, layout, image)
    }
    modules = {name for name, _ in upright}
    return {
        output.call: output.shape
        for output, _ in seeing
        if output.call in upright or output.call[0] not in modules
    }


def _is_upright(output: ModuleOutput, layout: Layout | None, image: Grid) -> bool:
    """Return whether the upper left quarter, in which the trial images differ most, is where it belongs."""
    changes = output.half_changes
    if layout is None:
        return False
    if layout.kind == "tokens" and output.token_changes is not None and layout.frames == 1:
        planes = layout.fold(output.token_changes.view(1, -1, 1), image)
        changes = by_halves(torch.unflatten(planes[0, 0], 0, (layout.moments, -1)))
    if changes is None:
        return True
    first = changes.ndim - (3 if layout.kind in ("nhwc", "nthwc") else 2)
    quarters = changes.mean(dim=[axis for axis in range(changes.ndim) if axis not in (first, first + 1)])
    return bool(quarters[0, 0] >= quarters.max())


def _normalizes(output: ModuleOutput) -> bool:
    """Return by its class or its name whether a module normalizes and does nothing else."""
    names = f"{type(output.module).__name__} {output.call[0].rpartition('.')[2]}"
    return "norm" in names.lower() and not any(output.module.children())


def _change_of(layer: Layer, size: Grid, channels: slice, *, every_second: bool = False) -> Change:
    """Put noise on some channels of a layer's output, at all places or at every second one."""
    layout = layer.layout
    assert layout is not None

    def change(output: torch.Tensor) -> torch.Tensor:
        planes = layout.fold(output, size)
        changed = planes.clone()
        changed[:, channels] = add_noise(planes)[:, channels]
        if every_second:
            changed = torch.where(_every_second(planes), changed, planes)
        return layout.unfold(changed, output)

    return change


def _every_second(planes: torch.Tensor) -> torch.Tensor:
    """Return every second place of planes (N, C, h, w), as the black squares of a chessboard: bool (h, w)."""
    rows, columns = (torch.arange(side, device=planes.device) for side in planes.shape[2:])
    return (rows[:, None] + columns) % 2 == 0


def _differ_between(layer: Layer, before: TrialRun, after: TrialRun, size: Grid) -> bool:
    """Return whether a layer, which both runs kept, differs at the places other than every second one."""
    assert layer.layout is not None
    if before.kept is None or after.kept is None:
        return False
    first, second = (layer.layout.fold(run.kept, size) for run in (before, after) if run.kept is not None)
    others = ~_every_second(first)
    return not torch.equal(first[..., others], second[..., others])


def _explains(layer: Layer, explains: bool) -> Layer:
    return layer if layer.explains == explains else dataclasses.replace(layer, explains=explains)


def _without_scores(
    layers: list[Layer], plain: TrialRun, run_changed: Callable[[Layer], TrialRun], classes: int
) -> list[Layer]:
    """Let ``auto`` choose no layer that puts out the scores of each place, as those of SqueezeNet do.

    Args:
        layers: In the order in which they finish.
        plain: The run on one image.
        run_changed: Runs the network on it with noise on the first channel of a layer.
        classes: Number of scores, which those layers have as channels.
    """
    kept = list(layers)
    for index, layer in reversed(list(enumerate(layers))):
        is_planes = layer.layout is not None and layer.layout.kind in ("nchw", "ncthw")
        if not (layer.explains and is_planes and layer.channels == classes):
            continue
        if not _changes_one_score(plain.scores[0], run_changed(layer).scores[0]):
            break  # nor are those before it
        kept[index] = _explains(layer, explains=False)
    # Where nothing but the scores of each place lies on the image, they are the evidence.
    return kept if any(layer.explains for layer in kept) else layers


def _changes_one_score(before: torch.Tensor, after: torch.Tensor) -> bool:
    """Return whether the first score moved and no other, (classes,); of probabilities all move alike."""
    if torch.equal(before, after):
        return False
    if torch.equal(before[1:], after[1:]):
        return True
    sums = torch.stack([before.sum(), after.sum()])
    if not torch.allclose(sums, torch.ones_like(sums), atol=1e-3) or min(before.min(), after.min()) < 0:
        return False
    ratios = (after[1:] / before[1:])[before[1:] > 0]
    return ratios.numel() > 0 and bool((ratios - ratios.mean()).abs().max() <= 1e-3 * ratios.mean())


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
