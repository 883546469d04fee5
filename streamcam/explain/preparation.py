"""Prepare a model before any frame: try its network out, adapt to its answer, choose its layers."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from streamcam.errors import ModelError
from streamcam.explain.hooks import evaluating
from streamcam.explain.methods import METHODS
from streamcam.models import (
    AUTO,
    Layer,
    Model,
    Probe,
    choose_target_layers,
    default_layer,
    probe_arranged,
    refuse_layers,
)
from streamcam.models.autograd import ForcedGradMode
from streamcam.models.check_images import check_images
from streamcam.models.preprocessing import Preprocessor
from streamcam.models.probing import trial_size

_logger = logging.getLogger("streamcam.explain")


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class PreparedModel:
    """A model that was tried out on a device."""

    model: Model
    """The model, adapted to what its network answered."""
    probe: Probe
    """How frames are fitted into its input, and what its layers put out."""
    notes: list[str]
    """Sentences for the user about it."""


def prepare_model(model: Model, fit: str | None, device: torch.device) -> PreparedModel:
    """Find out whether a network takes frames at their own shape, what its layers put out, what it answers.

    Args:
        model: The model, on its device.
        fit: A name in `streamcam.models.FITS`; None for the usual one.
        device: Where the network is.

    Raises:
        InvalidArgumentError: if the network does not take that fit.
        ModelError: if the network does not run, or its labels are not one for each class.
    """
    notes: list[str] = []
    # The memory order that half-precision 2D convolutions prefer on NVIDIA devices.
    prefers_channels_last = device.type == "cuda" and model.clip_length == 1
    preferred = torch.channels_last if prefers_channels_last else torch.contiguous_format
    answers: list[Any] = []

    def keep(_module: object, _inputs: object, answer: object) -> None:
        answers[:] = [answer]

    with contextlib.ExitStack() as watched:
        with contextlib.suppress(RuntimeError):  # of a program
            watched.callback(model.module.register_forward_hook(keep).remove)
        with evaluating(model.module):
            probe = probe_arranged(model, fit, device, preferred)
        if not answers:  # of a program, which takes no hook
            size = trial_size(model, probe.fit)
            pixels = as_stills(model, check_images(*size, count=1))
            with torch.no_grad():
                prepared = Preprocessor(model, probe.fit, device, probe.memory_format)
                answers.append(model.answer(prepared.prepare(pixels)))
    for answer in answers:
        model, note = model.adapt(answer, functools.partial(_run_with_graph, model, probe, device))
        if note is not None:
            notes.append(note)
        scores, labels = model.read(answer).scores.shape[1], len(model.labels)
        if scores != labels:
            raise ModelError(
                f"{model.name} has {labels} labels for its {scores} classes; give one label for each class"
            )
    if probe.note is not None:
        notes.append(probe.note)
    return PreparedModel(model, probe, notes)


def _run_with_graph(model: Model, probe: Probe, device: torch.device) -> object:
    """Run a network on an image with gradients, whatever it turns off itself; None if it has none."""
    if model.no_gradients is not None:
        return None
    pixels = as_stills(model, check_images(*trial_size(model, probe.fit), count=1))
    batch = Preprocessor(model, probe.fit, device, probe.memory_format).prepare(pixels)
    if batch.is_floating_point():  # the parameters may be frozen
        batch.requires_grad_()
    try:
        with evaluating(model.module), ForcedGradMode(enabled=True), torch.enable_grad():
            return model.answer(batch)
    except Exception as error:  # whatever it raises then is no error of its explanation
        _logger.debug("%s does not run with gradients: %s", model.name, error)
        return None


def choose_layers(prepared: PreparedModel, requested: str, method: str) -> list[Layer]:
    """Choose the target layers; none where there are none and the method needs none.

    Args:
        prepared: The model that is explained.
        requested: Dotted name of a layer, several joined by ``+``, or ``"auto"``.
        method: A name in `METHODS`.

    Raises:
        ModelError: if the network has no layer that can be explained, or not this one.
    """
    model, layers, row = prepared.model, prepared.probe.layers, METHODS[method]
    if requested == AUTO:
        requested = default_layer(model, layers)
    try:
        return choose_target_layers(layers, requested, stages=row.stages)
    except ModelError as error:
        if requested != AUTO:
            raise
        if not row.needs_layer:
            return []
        able = [name for name, row in METHODS.items() if not row.needs_layer]
        raise refuse_layers(model.name, model.module, error, able) from error


def count_parameters_behind(prepared: PreparedModel, layers: Sequence[Layer]) -> int:
    """Count the parameters of the layers that run after the first of the target layers; 0 if there is none.

    Args:
        prepared: The model that is explained.
        layers: Its target layers.
    """
    names = [layer.name for layer in prepared.probe.layers]
    first = min((names.index(layer.name) for layer in layers), default=len(names))
    behind = {layer.call[0] for layer in prepared.probe.layers[first + 1 :]}
    return sum(
        parameter.numel()
        for name, module in prepared.model.module.named_modules()
        if name in behind
        for parameter in module.parameters(recurse=False)
    )


def note_on_layers(layers: Sequence[Layer], requested: str) -> list[str]:
    """Say which layers do not see the image, and which of their calls were chosen where none was named."""
    blind = [
        f"layer {layer.name!r} puts out the same for every image, so that its map tells nothing of one; "
        "choose another `target_layer`"
        for layer in layers
        if not layer.sees_image
    ]
    return blind + [
        f"layer {layer.call[0]!r} runs {layer.calls} times for one image; {layer.name} is explained"
        for layer in layers
        if layer.calls > 1 and layer.name not in requested
    ]


def as_stills(model: Model, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Repeat each image to what a network takes at once: a clip in which nothing moves, or companions.

    Args:
        model: The model.
        pixels: uint8 (N, H, W, 3).
    """
    return as_clips(model, np.concatenate([pixels] * model.images_at_once, axis=-1))


def as_clips(model: Model, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Repeat each image, (N, H, W, 3), to a clip in which nothing moves, where a network takes clips."""
    length = model.clip_length
    return pixels if length == 1 else np.repeat(pixels[:, None], length, axis=1)
