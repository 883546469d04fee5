"""Trial runs: what the modules of a network put out, and which of them carry the image to the scores."""

from __future__ import annotations

import contextlib
import dataclasses
import weakref
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from streamcam.models.base import Model

# Two images, because the output for one cannot be distinguished from a table that is the same for all.
TRIAL_BATCH = 2

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

# Of the difference between two images: enough that everything differs, too little to hide the quarter.
_LITTLE = 0.05
# Answers of which fewer differ between the two images say little about a network.
_TELLING = 0.5

Change = Callable[[torch.Tensor], torch.Tensor]
"""Returns a module's output, changed."""

Call = tuple[str, int]
"""A module's dotted name, and which of its calls in one run of the network, from 1."""


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class ModuleOutput:
    """The output of one module. All of them together may be larger than memory, so values are not kept."""

    call: Call
    module: nn.Module
    shape: tuple[int, ...]
    pooled: bool
    """Whether a pooling layer made it: a container returns its last child's tensor."""
    sees_image: bool
    """Whether it differs between the two images of the batch."""
    token_changes: torch.Tensor | None
    """Of tokens, (N, tokens, C): how far each differs between the images, float32 (tokens,), on the CPU."""
    half_changes: torch.Tensor | None
    """How far both halves of each axis but the batch's differ between the images, float32 (2, 2, ...)."""


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class TrialRun:
    """The outputs and scores of a run."""

    outputs: list[ModuleOutput]
    """In the order in which the modules finish."""
    scores: torch.Tensor
    """(N, classes)."""
    features: torch.Tensor | None
    """Input of the last linear layer: it tells of the image where the classifier is all zeros, untrained."""
    kept: torch.Tensor | None
    """Output of the module that was to be kept."""

    @property
    def last_call(self) -> Call | None:
        """The last one of a module that sees the image: it tells of it where detectors find nothing."""
        calls = [output.call for output in self.outputs if output.sees_image]
        return calls[-1] if calls else None


def trial_batch(image: torch.Tensor) -> torch.Tensor:
    """Put an image into a batch with another one, which differs little but for its upper left quarter.

    Args:
        image: float32 (1, ..., H, W).

    Returns:
        float32 (2, ..., H, W), in the same memory order.
    """
    batch = torch.cat([image] * TRIAL_BATCH)
    rows, columns = -(-image.shape[-2] // 2), -(-image.shape[-1] // 2)
    # What other parts show, because networks answer wildly to what is no image.
    other = image[0].flip(-1, -2) if image.std() > 0 else _noise_like(image[0])
    batch[1] += _LITTLE * (other - batch[1])
    batch[1, ..., :rows, :columns] = other[..., :rows, :columns]
    return batch


def _noise_like(values: torch.Tensor) -> torch.Tensor:
    """Return normally distributed numbers, the same ones every time."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(values.shape, generator=generator).to(values.device, values.dtype)


def run_trial(
    model: Model,
    batch: torch.Tensor,
    *,
    changed: tuple[Call, Change] | None = None,
    kept: Call | None = None,
    one_at_a_time: bool = False,
) -> TrialRun:
    """Run a network.

    Args:
        model: In evaluation mode, on the batch's device.
        batch: What `trial_batch` returned, or its first image.
        changed: A call of a module, and what becomes of its output.
        kept: A call of a module whose output is kept.
        one_at_a_time: Whether the network takes a single image: it runs once for each, and the run is
            described as if both had gone in together.

    Raises:
        Exception: whatever the network raises on an input that it does not take.
        ValueError: if it answers for another number of images.
    """
    frames = batch.shape[2] if batch.ndim == 5 else 1
    if one_at_a_time:
        first, second = batch[:1], batch[1:]
        earlier = _Recorder(changed, kept, frames, [])
        scores = _run(model, first, earlier)
        recorder = _Recorder(changed, kept, frames, earlier.values)
        scores = torch.cat([scores, _run(model, second, recorder)])
        return TrialRun(recorder.outputs, scores, None, recorder.kept)
    recorder = _Recorder(changed, kept, frames)
    scores = _run(model, batch, recorder)
    return TrialRun(recorder.outputs, scores, recorder.features, recorder.kept)


def _run(model: Model, batch: torch.Tensor, recorder: _Recorder) -> torch.Tensor:
    """Run a network with a recorder's hooks, and return its scores."""
    handles = []
    for name, module in model.module.named_modules():
        # Compiled programs refuse hooks: their parts cannot be read.
        with contextlib.suppress(RuntimeError):
            handles += [module.register_forward_hook(recorder.hook(name))] if name else []
    try:
        scores = model.forward(batch).scores
    finally:
        for handle in handles:
            handle.remove()
    if len(scores) != len(batch):
        raise ValueError(f"it returns {len(scores)} answers for {len(batch)} images")
    return scores


class _Recorder:
    """Notes what modules put out while a network runs, and changes the output of one of them.

    Args:
        changed: As for `run_trial`.
        kept: As for `run_trial`.
        frames: Number of frames in a clip, 1 for images: layers may take frames one by one.
        values: Of the run with an earlier image, all outputs, with which these make pairs; if empty, this is
            that run. None if all images go in together.
    """

    def __init__(
        self,
        changed: tuple[Call, Change] | None,
        kept: Call | None,
        frames: int,
        values: list[torch.Tensor] | None = None,
    ) -> None:
        self._frames = frames
        self.values: list[torch.Tensor] = []
        self._earlier = values
        self.outputs: list[ModuleOutput] = []
        self.features: torch.Tensor | None = None
        self.kept: torch.Tensor | None = None
        self._kept_call = kept
        self._changed = changed
        self._calls: Counter[str] = Counter()
        self._alive_pooled: weakref.WeakValueDictionary[int, torch.Tensor] = weakref.WeakValueDictionary()

    def hook(self, name: str) -> Callable[..., torch.Tensor | None]:
        """Make the forward hook for a module."""

        def note(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> torch.Tensor | None:
            self._calls[name] += 1
            call = (name, self._calls[name])
            if isinstance(module, nn.Linear) and inputs:
                self.features = inputs[0]
            if not isinstance(output, torch.Tensor) or not output.is_floating_point():
                return None
            self.outputs.append(self._note(call, module, output))
            changed = None
            if self._changed is not None and call == self._changed[0]:
                output = changed = self._changed[1](output)
            if call == self._kept_call:
                self.kept = output
            return changed

        return note

    def _note(self, call: Call, module: nn.Module, output: torch.Tensor) -> ModuleOutput:
        if isinstance(module, _POOLING):
            self._alive_pooled[id(output)] = output
        pooled = id(output) in self._alive_pooled
        if self._earlier is not None:
            self.values.append(output.detach().clone())
            if self._earlier and output.shape == (before := self._earlier[len(self.outputs)]).shape:
                output = torch.cat([before, output])
        shape = tuple(output.shape)
        token_changes, half_changes, sees_image = None, None, False
        if shape[:1] in ((TRIAL_BATCH,), (TRIAL_BATCH * self._frames,)):
            first, second = torch.unflatten(output.detach(), 0, (TRIAL_BATCH, -1))
            sees_image = not torch.equal(first, second)
            if len(shape) == 3:
                token_changes = (second - first).abs().mean(dim=(0, -1)).float().cpu()
            elif sees_image and len(shape) > 3 and has_weights(module):
                half_changes = by_halves((second - first).abs().mean(dim=0))
        return ModuleOutput(call, module, shape, pooled, sees_image, token_changes, half_changes)


def has_weights(module: nn.Module) -> bool:
    """Return whether a module or its parts learn anything: the same activation is used in many places."""
    return next(module.parameters(), None) is not None


def by_halves(values: torch.Tensor) -> torch.Tensor:
    """Average over both halves of each axis, float32 (2, 2, ...), on the CPU."""
    for axis, length in enumerate(values.shape):
        count = -(-length // 2)
        halves = (values.narrow(axis, 0, count), values.narrow(axis, length - count, count))
        values = torch.cat([half.mean(dim=axis, keepdim=True) for half in halves], dim=axis)
    return values.float().cpu()


def share_of_answers(trial: TrialRun, plain: TrialRun, changed: TrialRun) -> float:
    """Return which part of a network's answers depends on a module.

    Args:
        trial: The run on two images.
        plain: The run on the first of them alone.
        changed: The same with the module's output changed.

    Returns:
        The fraction of the answers that moved, of those that differ between the two images; 1 if none
        do, so that nothing is known.
    """
    share, most_telling = 1.0, 0.0
    answers = (
        (trial.scores, plain.scores, changed.scores),
        (trial.features, plain.features, changed.features),
        (None, plain.kept, changed.kept),
    )
    for pair, before, after in answers:
        if before is None or after is None or (pair is not None and pair.shape[0] != TRIAL_BATCH):
            continue
        scale = before.std() if pair is None else (pair[1:] - pair[:1]).abs()
        if before.shape != after.shape or (pair is not None and scale.shape != before.shape):
            continue
        telling = (before != 0) & (scale > 0)  # what is zero may be turned off
        tells = float(telling.float().mean())
        if tells > most_telling:
            # The same arithmetic on the same numbers gives the same result, to the bit.
            share, most_telling = float((after != before)[telling].float().mean()), tells
        if tells >= _TELLING:
            break
    return share


def add_noise(values: torch.Tensor) -> torch.Tensor:
    """Return an output with noise that varies as much as it does."""
    return values + _noise_like(values) * values.std()
