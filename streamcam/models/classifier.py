"""A classifier and what must be known to feed it and to read its answers."""

from __future__ import annotations

import dataclasses
import difflib
import functools
from collections.abc import Mapping
from typing import Literal

import torch
from torch import nn

from streamcam.errors import ModelError, UnknownNameError


@dataclasses.dataclass(frozen=True, slots=True)
class InputSpec:
    """What a network takes in."""

    size: int = 224
    """Side of the square it was evaluated on, in pixels."""
    resize: int = 256
    """Short side of the image from which that square was cut, in pixels."""
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    """Mean of each channel, on a scale of 0 to 1: three for RGB, one for grey."""
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    """Standard deviation of each channel, on a scale of 0 to 1."""

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) or len(self.mean) not in (1, 3):
            raise ValueError(
                "mean and std have three values each (RGB) or one (grey), "
                f"not {len(self.mean)} and {len(self.std)}"
            )
        if max(self.mean) > 1 or max(self.std) > 1:
            raise ValueError("mean and std are on a scale of 0 to 1: divide those of 0 to 255 by 255")
        if min(self.std) <= 0:
            raise ValueError(f"standard deviations are above 0, not {min(self.std)}")

    @property
    def channels(self) -> int:
        """3 for RGB, 1 for grey."""
        return len(self.mean)

    def normalise(self, batch: torch.Tensor) -> torch.Tensor:
        """Turn pixels into the network's own scale.

        Args:
            batch: RGB, uint8 (N, 3, H, W).

        Returns:
            float32 (N, channels, H, W).
        """
        pixels = batch.float()
        luma, mean, std = _scales(self, batch.device)
        if self.channels == 1:
            pixels = torch.einsum("c,nchw->nhw", luma, pixels).unsqueeze(1)
        return pixels.sub_(mean).div_(std)


@functools.lru_cache(maxsize=16)
def _scales(spec: InputSpec, device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return what pixels are multiplied, lessened and divided by.

    They stay where they are used: bringing them to a device for every batch would mean waiting for it.
    """
    with torch.inference_mode(False):
        luma = torch.tensor([0.299, 0.587, 0.114])  # as in ITU-R BT.601, which PIL's "L" uses too
        mean, std = (torch.tensor(values).mul_(255).view(1, -1, 1, 1) for values in (spec.mean, spec.std))
        return luma.to(device), mean.to(device), std.to(device)


@dataclasses.dataclass(frozen=True, slots=True)
class Classifier:
    """A network in evaluation mode with its labels and its input."""

    name: str
    module: nn.Module
    """Takes float32 (N, channels, H, W)."""
    labels: tuple[str, ...]
    """One for each class, in the order of the logits."""
    input: InputSpec
    weights: str
    """Where the weights came from, for reports: a name, a file or ``none``."""
    logits_key: str | int | None = None
    """Where the logits stand in what the network returns, if that is a dict, tuple or list."""
    activation: Literal["softmax", "sigmoid"] = "softmax"
    """What makes probabilities of logits: softmax where one class excludes the others, and sigmoid where not,
    or where there is but one logit."""

    def read_logits(self, output: object) -> torch.Tensor:
        """Read the logits from what the network returned.

        A single logit, as binary classifiers have it, becomes two: the negated one for the first class.

        Returns:
            (N, classes).

        Raises:
            ModelError: if they are not where they should be.
        """
        found = self.find_logits(output)
        return torch.cat([-found, found], dim=1) if found.shape[1] == 1 else found

    def find_logits(self, output: object) -> torch.Tensor:
        """Find the logits in what the network returned, as they stand there.

        Returns:
            (N, classes), or (N, 1) of a binary classifier.

        Raises:
            ModelError: if they are not where they should be.
        """
        found = _entry(output, self.logits_key)
        if not isinstance(found, torch.Tensor) or found.ndim != 2:
            held = "nothing" if found is None else f"a {type(found).__name__}"
            if isinstance(found, torch.Tensor):
                held = f"a tensor {tuple(found.shape)}"
            keys = f" with the keys {', '.join(map(str, found))}" if isinstance(found, Mapping) else ""
            raise ModelError(
                f"{self.name} returns {held}{keys} where logits (N, classes) are needed; "
                "say where they are with `logits_key`"
            )
        return found

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Turn logits (N, classes) into probabilities (N, classes)."""
        return logits.sigmoid() if self.activation == "sigmoid" else logits.softmax(dim=1)

    def class_index(self, wanted: int | str) -> int:
        """Find a class by its index or by its name.

        A name is matched without regard to case: the whole label first, then any label that contains it,
        if there is just one.

        Raises:
            UnknownNameError: if no class matches, or several do; the message lists the nearest.
        """
        if isinstance(wanted, int) or wanted.strip().lstrip("-").isdigit():
            index = int(wanted)
            if 0 <= index < len(self.labels):
                return index
            raise UnknownNameError(
                f"unknown class {index}: {self.name} has the classes 0 to {len(self.labels) - 1}"
            )
        return self._named_class(wanted)

    def _named_class(self, wanted: str) -> int:
        text = wanted.strip().casefold()
        folded = [label.casefold() for label in self.labels]
        exact = [index for index, label in enumerate(folded) if label == text]
        matches = exact or [index for index, label in enumerate(folded) if text and text in label]
        if len(matches) == 1:
            return matches[0]
        if matches:
            shown = ", ".join(f"{self.labels[index]} ({index})" for index in matches[:8])
            more = f" and {len(matches) - 8} more" if len(matches) > 8 else ""
            raise UnknownNameError(
                f"class {wanted!r} is ambiguous: it could be {shown}{more}; give the whole name or the index"
            )
        near = difflib.get_close_matches(text, folded, n=5, cutoff=0.5)
        hint = ", ".join(f"{self.labels[folded.index(label)]} ({folded.index(label)})" for label in near)
        raise UnknownNameError(
            f"unknown class {wanted!r}; "
            + (f"the nearest are: {hint}" if hint else f"no label of {self.name} resembles it")
        )


def _entry(output: object, key: str | int | None) -> object:
    """Look into a network's answer: at a key, or at the first tensor of a tuple or list."""
    if key is None:
        return output[0] if isinstance(output, tuple | list) and output else output
    try:
        if isinstance(output, Mapping):
            return output[key]
        if isinstance(output, tuple | list):
            return output[int(key)]
        return getattr(output, str(key))  # dataclass-like outputs
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise ModelError(f"the network's output has no entry {key!r}; check `logits_key`") from error
