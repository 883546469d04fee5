"""A trial run of a network: which shapes of images it takes, and what its layers put out."""

from __future__ import annotations

import dataclasses

import torch

from streamcam.errors import InvalidArgumentError, ModelError, StreamcamError
from streamcam.models.base import Model
from streamcam.models.check_images import check_images
from streamcam.models.geometry import fit_geometry
from streamcam.models.layers import Layer, probe_layers
from streamcam.models.refusals import refuse_input

_TRIAL_FRAME = (16, 9)


@dataclasses.dataclass(frozen=True, slots=True)
class Probe:
    """The result of a trial run."""

    fit: str
    """A name in `streamcam.models.FITS` that the network takes."""
    layers: list[Layer]
    """In the order in which they finish."""
    note: str | None = None
    """Why the fit is not the usual one, in a sentence."""
    memory_format: torch.memory_format = torch.contiguous_format
    """Memory order of its input and its weights."""
    batches: bool = True
    """Whether it takes more than one image at a time."""


def trial_size(model: Model, fit: str) -> tuple[int, int]:
    """Return the (height, width) of the network's input for a frame that is wider than high."""
    width, height = fit_geometry(fit, _TRIAL_FRAME, model.input).size
    return height, width


def probe_arranged(
    model: Model, fit: str | None, device: torch.device, preferred: torch.memory_format
) -> Probe:
    """Put a network's weights into its device's preferred memory order, and probe it.

    Some networks' Python assumes that channels come first in memory: those keep the usual order.

    Args:
        model: In evaluation mode, on its device.
        fit: As in `probe_model`.
        device: Where the network is.
        preferred: Memory order that is fast on the device.

    Raises:
        InvalidArgumentError: as `probe_model` does.
        ModelError: likewise.
    """
    if preferred != torch.contiguous_format:
        model.module.to(memory_format=preferred)
        try:
            return probe_model(model, fit, device, preferred)
        except (InvalidArgumentError, ModelError):
            model.module.to(memory_format=torch.contiguous_format)
    return probe_model(model, fit, device)


def probe_model(
    model: Model,
    fit: str | None = None,
    device: str | torch.device = "cpu",
    memory_format: torch.memory_format = torch.contiguous_format,
) -> Probe:
    """Run a network a few times to see what it takes and what its layers put out.

    Args:
        model: In evaluation mode.
        fit: A name in `streamcam.models.FITS`; None for ``full`` where the network takes any shape and has
            layers with a grid then, and ``stretch`` elsewhere.
        device: Where the network is.
        memory_format: Memory order of its input.

    Raises:
        InvalidArgumentError: if ``full`` is requested and it does not take frames at their own shape.
        ModelError: if it does not take images of its own size either.
    """
    note, full = None, None
    if fit in (None, "full"):
        try:
            layers, batches = _layers_at("full", model, device, memory_format)
        except StreamcamError:  # it runs, but what it returns is no classifier's answer
            raise
        except Exception as error:  # whatever a network raises
            width, height = model.input.sides
            only = f"{model.name} takes only {width}x{height} images"
            if fit == "full":
                raise InvalidArgumentError(f"{only}; use `fit='stretch'`, crop or pad") from error
            note = f"{only}: frames are stretched to that"
        else:
            full = Probe("full", layers, None, memory_format, batches)
            if fit == "full" or any(layer.explains for layer in layers):
                return full
            note = f"{model.name} resizes images itself: frames are stretched to what it takes"
    try:
        layers, batches = _layers_at(fit or "stretch", model, device, memory_format)
        if full is not None and not any(layer.explains for layer in layers):
            return full  # its own size shows no more
        return Probe(fit or "stretch", layers, note, memory_format, batches)
    except StreamcamError:
        raise
    except Exception as error:
        raise refuse_input(model.name, model.module, error, model.input, device) from error


def _layers_at(
    fit: str, model: Model, device: str | torch.device, memory_format: torch.memory_format
) -> tuple[list[Layer], bool]:
    """Return the layers, and whether the network takes several images at a time."""
    height, width = trial_size(model, fit)
    pixels = torch.from_numpy(check_images(height, width, 1)).to(device).movedim(-1, 1)
    pixels = pixels.repeat(1, model.images_at_once, 1, 1)
    if model.clip_length > 1:
        pixels = pixels.unsqueeze(2).repeat_interleave(model.clip_length, dim=2)
    image = model.prepare(pixels).contiguous(memory_format=memory_format)
    try:
        return probe_layers(model, image), True
    except StreamcamError:
        raise
    except Exception as error:  # whatever a network raises on two images
        try:
            return probe_layers(model, image, one_at_a_time=True), False
        except Exception:
            raise error from None
