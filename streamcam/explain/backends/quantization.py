"""Quantize a converted network to int8 by frames of a video, and keep it in the cache with its check.

Weights and activations become whole numbers of eight bits (Jacob et al. 2018, "Quantization and Training of
Neural Networks for Efficient Integer-Arithmetic-Only Inference"), whose scales are those of the calibration
frames. The first convolution, which every later layer depends on, and the last, which maps are made of, stay
in float32; where that is not enough, convolutions of single channels do, too.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import streamcam
from streamcam.errors import InvalidArgumentError, ModelError
from streamcam.explain.backends.cache import MODEL_FILE, CacheEntry
from streamcam.models.openvino_runtime import core, load_openvino

if TYPE_CHECKING:
    import openvino

CORRELATION_BOUND = 0.98
"""Least mean correlation of maps with those in float32."""
MARGIN_BOUND = 0.1
"""Lead in probability, in float32, below which the best class may change."""

_FIDELITY = "fidelity.json"
_QUIETED = ("torch.utils.cpp_extension",)
"""Loggers with warnings that are of no use here, such as that torch finds no GPU."""


@dataclasses.dataclass(frozen=True, slots=True)
class Fidelity:
    """How near a quantized network is to float32, on frames that it was not calibrated by."""

    frames: int
    """Number of frames."""
    correlation: float
    """Mean correlation of Grad-CAM maps of the best class with those in float32."""
    lowest: float
    """Correlation of the map that differs most."""
    changed: int
    """Number of frames whose best class changed though it had led clearly."""

    @property
    def holds(self) -> bool:
        """Whether labels hold, and maps correlate as `CORRELATION_BOUND` demands."""
        return not self.changed and self.correlation >= CORRELATION_BOUND

    @property
    def note(self) -> str:
        """A sentence for the user."""
        return (
            f"int8: maps correlate {_rounded_down(self.correlation)} with float32's on {self.frames} other "
            f"frames, {_rounded_down(self.lowest)} at the least"
        )

    def refuse(self, model: str) -> ModelError:
        """Return the error for a network that does not pass."""
        figure = _rounded_down(self.correlation)
        labels = f", and {self.changed} of {self.frames} labels change" if self.changed else ""
        return ModelError(
            f"int8 changes {model} too much: maps correlate {figure} with float32's, where "
            f"{CORRELATION_BOUND} is asked for{labels}; give `calibration` a video more like what is "
            "explained, or use `precision='auto'`"
        )


def _rounded_down(correlation: float) -> str:
    """Return three digits, never more than what was measured: 0.9799 is not yet 0.980."""
    return f"{math.floor(1000 * correlation) / 1000:.3f}"


class QuantizedCache(CacheEntry):
    """The cache entry of one quantized network."""

    def __init__(self, directory: Path, converted: str, device: str, digest: str) -> None:
        """Work out the entry's name.

        Args:
            directory: Directory of the cache.
            converted: Name of the entry of the network that is quantized.
            device: Description of the device, on which rounding depends.
            digest: Hash of the images that it is quantized by and checked on.
        """
        made_from = (streamcam.__version__, converted, device, digest, CORRELATION_BOUND, MARGIN_BOUND)
        name = hashlib.sha256(repr(made_from).encode()).hexdigest()[:32]
        super().__init__(directory, f"openvino-int8-{name}")

    def load(self) -> tuple[openvino.Model, Fidelity] | None:
        """Return the network and how near it is to float32, or None if there is none or it is damaged."""
        entry = self.find()
        if entry is None:
            return None
        try:
            fidelity = Fidelity(**json.loads((entry / _FIDELITY).read_text("utf-8")))
            return core().read_model(entry / MODEL_FILE), fidelity
        except (OSError, ValueError, TypeError, RuntimeError):  # RuntimeError: what OpenVINO cannot read
            self.drop()
            return None

    def save(self, model: openvino.Model, fidelity: Fidelity) -> None:
        """Save a network."""

        def write(folder: Path) -> None:
            load_openvino().save_model(model, folder / MODEL_FILE, compress_to_fp16=False)
            (folder / _FIDELITY).write_text(json.dumps(dataclasses.asdict(fidelity)), "utf-8")

        self.fill(write)


def quantize(model: openvino.Model, images: Sequence[NDArray[np.float32]]) -> Iterator[openvino.Model]:
    """Quantize a network, at first as much of it as is sensible, then less.

    Args:
        model: In float32, of any shape of input.
        images: Prepared images, float32 (1, C, H, W) each.

    Yields:
        The quantized network; the second time, if it has convolutions of single channels, one in which those
        stay in float32.

    Raises:
        InvalidArgumentError: if nncf is not installed.
    """
    operations = model.get_ordered_ops()
    convolutions = [each for each in operations if "Convolution" in each.get_type_name()]
    ends = dict.fromkeys(each.get_friendly_name() for each in (*convolutions[:1], *convolutions[-1:]))
    yield _quantize(model, images, list(ends))
    single = [each.get_friendly_name() for each in convolutions if each.get_type_name() == "GroupConvolution"]
    if single:
        yield _quantize(model, images, list(dict.fromkeys([*ends, *single])))


def _quantize(
    model: openvino.Model, images: Sequence[NDArray[np.float32]], exact: list[str]
) -> openvino.Model:
    nncf = _load_nncf()
    has_attention = any(
        each.get_type_name() in ("ScaledDotProductAttention", "Softmax") for each in model.get_ops()
    )
    with _quietly():
        return nncf.quantize(
            model,
            nncf.Dataset(images),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(images),
            ignored_scope=nncf.IgnoredScope(names=exact),
            model_type=nncf.ModelType.TRANSFORMER if has_attention else None,
        )


def _load_nncf() -> Any:
    load_openvino()  # which hides the package that reports every use over the network
    usual = logging.getLoggerClass()
    try:
        import nncf
    except ImportError as error:
        raise InvalidArgumentError(
            f"`precision='int8'` needs {error.name}: install it with pip install 'streamcam[int8]'"
        ) from error
    finally:
        logging.setLoggerClass(usual)  # nncf makes its own the class of all loggers
    nncf.set_log_level(logging.ERROR)
    return nncf


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Let nncf draw no progress bars of its own, and pass no warnings on."""
    import rich

    console = rich.get_console()  # the one that nncf draws on; streamcam's commands have their own
    loggers = [logging.getLogger(name) for name in _QUIETED]
    levels = [logger.level for logger in loggers]
    was_quiet, console.quiet = console.quiet, True
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        console.quiet = was_quiet
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
