"""A network whose backbone runs on OpenVINO and whose head, with its gradients, runs in torch."""

from __future__ import annotations

import copy
import functools
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from streamcam.explain import precision_check
from streamcam.explain.activities import announce
from streamcam.explain.backends.backbone import OpenVinoBackbone
from streamcam.explain.backends.conversion import convert_again
from streamcam.explain.backends.model_cache import ModelCache
from streamcam.explain.backends.quantization import MARGIN_BOUND, Fidelity, QuantizedCache, quantize
from streamcam.explain.backends.split import Halves, run_head
from streamcam.explain.calibration import Calibration
from streamcam.explain.cores import available_cores
from streamcam.explain.hooks import ForwardPass, with_float_scores
from streamcam.explain.precision_check import close_to, compare_maps, keeps_bounds
from streamcam.frames import FloatArray
from streamcam.models import Layer, Model, Output
from streamcam.models.check_images import check_images
from streamcam.models.layouts import Layout

# How far a backend's features may be from torch's, as a fraction of the largest: rounding stays far below in
# float32; a graph that was traced for another shape, or an operation converted wrongly, goes far beyond.
_TOLERANCE = {"fp32": 1e-3, "bf16": 0.1, "fp16": 0.05}

_FLAT = 4.0
"""Standard deviation of pixels, of 255, below which an image shows nothing, as black ones do."""

_INT8_CORRELATION = 0.9
"""Least correlation of a quantized network's features with torch's, for the first image of a shape: less than
that is another graph, not rounding."""

_LARGE_HEAD = 4_000_000
"""Parameters. Threads of a smaller head, as of a pooling and a linear layer, spend their time waiting for
each other; ViT-B/16, whose last block has 7 million, takes 73 ms a frame with two instead of 100 with one."""


class BackendMismatchError(Exception):
    """The backend does not compute what torch computes: it is not to be used for this network."""


class SplitNetwork:
    """Runs batches of pixels, with the result of `streamcam.explain.hooks.HookedNetwork.run`.

    The first batch of every shape is compared with torch, and a backend is used only where both agree.
    Whether a shape tolerates less than float32 is decided by generated images alone, the same for all videos.
    The backbone's weights are those it was converted with; changing them later changes nothing here.

    Attributes:
        fidelity: How near the quantized network is to float32; None if there is none.
        calibrated_by: Hash of the images that it was quantized by; None if there is none.
        quantized_in: Directory in the cache where it is kept; None if it is not.
    """

    fidelity: Fidelity | None = None
    calibrated_by: str | None = None
    quantized_in: Path | None = None

    def __init__(
        self,
        model: Model,
        layer: Layer,
        halves: Halves,
        backbones: Sequence[OpenVinoBackbone],
        batch_size: int,
        *,
        entry: str | None = None,
    ) -> None:
        """Take a network that was cut and converted.

        Args:
            model: The whole network, on the CPU.
            layer: Where it is cut.
            halves: The network, cut in two.
            backbones: The converted first half, the preferred precision first. All but the last are used only
                if they keep the bounds of `streamcam.explain.precision_check`.
            batch_size: The usual size of batches.
            entry: Name of the converted network in the cache; None if it is not kept.
        """
        self._model = model
        self._layer = layer
        self._halves = halves
        self._batch_size = batch_size
        self._candidates = list(backbones)
        self._entry = entry
        self._backbones: dict[tuple[object, ...], OpenVinoBackbone] = {}
        self._converted_again: dict[tuple[object, ...], OpenVinoBackbone | None] = {}
        self._used: OpenVinoBackbone | None = None

    @property
    def precision(self) -> str:
        """Precision of the last images; before the first, the preferred one."""
        return (self._used or self._candidates[0]).precision

    def reading_with(self, model: Model) -> SplitNetwork:
        """Return the same network whose answer is read by another model."""
        other = copy.copy(self)
        other._model = model
        return other

    def beside(self) -> SplitNetwork:
        """Return the same network for another video, whose images are compared with torch by themselves."""
        other = copy.copy(self)
        other._backbones = {}
        return other

    @functools.cached_property
    def head_parameters(self) -> int:
        """Number of parameters of the head."""
        return sum(parameter.numel() for parameter in self._halves.head.parameters())

    @property
    def head_threads(self) -> int:
        """Number of torch's threads for the head and its gradients."""
        return available_cores() if self.head_parameters >= _LARGE_HEAD else 1

    @property
    def backbone_in_torch(self) -> torch.nn.Module:
        """The first half: float32 (N, C, H, W) → a tuple of features."""
        return self._halves.backbone

    @property
    def layout(self) -> Layout:
        """How the target layer's output lies on the image."""
        assert self._layer.layout is not None
        return self._layer.layout

    def backbone_for(self, images: NDArray[Any]) -> tuple[OpenVinoBackbone, str | None]:
        """Return the backbone that agrees with torch for images like these, and its name in the cache.

        Args:
            images: As for `run`.

        Raises:
            BackendMismatchError: if none does.
        """
        kind = (images.dtype, _size(images))
        if kind not in self._backbones:
            self._backbones[kind] = self._verified_backbone(images[:1])
        backbone = self._backbones[kind]
        return backbone, self._entry_of(backbone)

    def answer(self, features: Sequence[torch.Tensor]) -> tuple[torch.Tensor, Output]:
        """Run the head.

        Args:
            features: The outputs of the backbone.

        Returns:
            The target layer's output as a leaf, and the network's answer, which depends on it.
        """
        leaf, answer = run_head(self._halves, features)
        with torch.enable_grad():
            return leaf, with_float_scores(self._model.read(answer))

    def output_of(self, features: Sequence[torch.Tensor]) -> Output:
        """Run the head on features that stay what they are, leaf or not.

        Args:
            features: The outputs of the backbone.
        """
        return with_float_scores(self._model.read(self._halves.head(*features)))

    def run(self, images: NDArray[Any], batch_size: int | None = None) -> ForwardPass:
        """Run the network.

        Args:
            images: RGB, uint8 (N, H, W, 3), or what `Model.prepare` made of such, float32 (N, C, H, W).
            batch_size: Number of images that a shorter batch is padded to; the usual one if None.

        Raises:
            BackendMismatchError: if the backend's features are not torch's.
        """
        self._used, _ = self.backbone_for(images)
        outputs = self._used.run(images, self._batch_size if batch_size is None else batch_size)
        return self._with_head(outputs, _size(images))

    def score(self, images: NDArray[Any], batch_size: int | None = None) -> Output:
        """Run the network for its scores alone, without a graph.

        Args:
            images: As for `run`.
            batch_size: As for `run`.

        Raises:
            BackendMismatchError: if the backend's features are not torch's.
        """
        self._used, _ = self.backbone_for(images)
        outputs = self._used.run(images, self._batch_size if batch_size is None else batch_size)
        with torch.no_grad():
            return self.output_of([torch.from_numpy(values) for values in outputs])

    def forget(self) -> None:
        """Compare the next batch of every shape with torch again."""
        self._backbones.clear()

    def drop_imprecise(self, size: tuple[int, int], store: ModelCache | None) -> None:
        """Check every precision but the last on test images, and drop those that lose too much.

        Args:
            size: (H, W) of the images.
            store: Cache of the results.
        """
        bounds = (
            precision_check.PROBABILITY_BOUND,
            precision_check.MARGIN_BOUND,
            precision_check.CORRELATION_BOUND,
        )
        for backbone in self._candidates[:-1]:
            question = f"{backbone.describe_device()} {backbone.precision} {size} {bounds}"
            answer = None if store is None else store.verdict(question)
            if answer is None:
                announce(f"checking the network in {backbone.precision}, once")
                answer = self._passes(backbone, check_images(*size))
                if store is not None:
                    store.keep_verdict(question, answer)
            if not answer:
                self._candidates.remove(backbone)

    def quantize(self, calibration: Calibration, cache: Path | None) -> None:
        """Prefer a network that is quantized to int8, or taken from the cache.

        Args:
            calibration: Images to quantize it by, and others to check it on.
            cache: Directory of converted networks; None to keep none.

        Raises:
            InvalidArgumentError: if what quantizes is not installed.
            ModelError: if labels or maps on the other images change too much.
        """
        exact = self._candidates[-1]
        digest = calibration.digest
        store = None
        if cache is not None and self._entry is not None:
            store = QuantizedCache(cache, self._entry, exact.describe_device(), digest)
        found = None if store is None else store.load()
        if found is None:
            announce("quantizing the network to int8, once")
            images = [self._prepared(image).numpy() for image in calibration.calibrated]
            for model in quantize(exact.model, images):
                fidelity = self._fidelity_of(exact.with_model(model, "int8"), calibration.checked)
                found = model, fidelity
                if fidelity.holds:
                    break
            assert found is not None
            if store is not None:
                store.save(*found)
        model, self.fidelity = found
        if not self.fidelity.holds:
            raise self.fidelity.refuse(self._model.name)
        self.calibrated_by = digest
        self.quantized_in = None if store is None else store.find()
        self._candidates.insert(0, exact.with_model(model, "int8"))

    def _entry_of(self, backbone: OpenVinoBackbone) -> str | None:
        if backbone not in self._candidates:  # converted again for one shape, which is not kept
            return None
        if backbone.precision == "int8":
            return None if self.quantized_in is None else self.quantized_in.name
        return self._entry

    def _fidelity_of(self, backbone: OpenVinoBackbone, images: Sequence[NDArray[np.uint8]]) -> Fidelity:
        """Compare a quantized network's maps and labels with torch's; images are (1, H, W, 3) each."""
        correlations: list[float] = []
        changed = 0
        for _, alike in itertools.groupby(images, lambda image: image.shape):
            together = np.concatenate(list(alike))
            for start in range(0, len(together), self._batch_size):
                batch = together[start : start + self._batch_size]
                expected = self._in_torch(batch)
                features = backbone.run(batch, self._batch_size)
                reduced, exact = (self._with_head(outputs, _size(batch)) for outputs in (features, expected))
                found, count = compare_maps(reduced, exact, self._model, self.layout, MARGIN_BOUND)
                correlations += found
                changed += count
        known = correlations or [0.0]  # no map at all can be compared
        return Fidelity(len(images), float(np.mean(known)), float(np.min(known)), changed)

    def _passes(self, backbone: OpenVinoBackbone, images: NDArray[np.uint8]) -> bool:
        for start in range(0, len(images), self._batch_size):
            batch = images[start : start + self._batch_size]
            if not self._keeps_bounds(backbone, batch, self._in_torch(batch)):
                return False
        return True

    def _verified_backbone(self, image: NDArray[Any]) -> OpenVinoBackbone:
        """Return a backbone that agrees with torch for images of this shape, converted for it if needed."""
        height, width = _size(image)
        generated = check_images(height, width, count=2)
        if image.dtype == np.uint8 and image.std() < _FLAT:
            image = generated[:1]  # one that shows nothing says nothing of those behind it
        expected = self._expected_of(image)
        for backbone in self._candidates[:-1]:
            if backbone.precision == "int8":
                if self._resembles(backbone, image, expected):
                    return backbone
            elif self._agrees(backbone, image, expected) and self._passes(backbone, generated):
                return backbone
        last = self._candidates[-1]
        if self._agrees(last, image, expected):
            return last
        # Some networks' Python looks at the size of their input, and tracing writes that size down.
        kind = (image.dtype, _size(image))
        if kind not in self._converted_again:
            example = self._prepared(image)
            self._converted_again[kind] = convert_again(last, self._halves.backbone, example)
        again = self._converted_again[kind]
        if again is not None and self._agrees(again, image, expected):
            return again
        raise BackendMismatchError

    def _expected_of(self, image: NDArray[Any]) -> list[FloatArray]:
        """Return torch's features of one image.

        Raises:
            BackendMismatchError: if some are not there for each image: a batch runs in parts.
        """
        if self._halves.carried == 0:
            return self._in_torch(image)
        both = self._in_torch(np.concatenate([image, image]))
        if any(len(values) != len(image) + 1 for values in both):
            raise BackendMismatchError
        return [values[:1] for values in both]

    def _prepared(self, images: NDArray[Any]) -> torch.Tensor:
        if images.dtype != np.uint8:
            return torch.from_numpy(images).contiguous()
        # As the network is fed elsewhere: `view` needs channels first in memory.
        return self._model.prepare(torch.from_numpy(images).permute(0, 3, 1, 2)).contiguous()

    def _in_torch(self, images: NDArray[Any]) -> list[FloatArray]:
        with torch.no_grad():
            return [output.float().numpy() for output in self._halves.backbone(self._prepared(images))]

    def _keeps_bounds(
        self, backbone: OpenVinoBackbone, images: NDArray[Any], expected: list[FloatArray]
    ) -> bool:
        features = self._features(backbone, images, expected)
        if features is None:
            return False
        reduced, exact = (self._with_head(outputs, _size(images)) for outputs in (features, expected))
        return keeps_bounds(reduced, exact, self._model, self.layout)

    def _resembles(
        self, backbone: OpenVinoBackbone, images: NDArray[Any], expected: list[FloatArray]
    ) -> bool:
        """Return whether a quantized network's features are torch's apart from rounding."""
        features = self._features(backbone, images, expected)
        return features is not None and all(
            _correlation(ours, torch_s) >= _INT8_CORRELATION
            for ours, torch_s in zip(features, expected, strict=True)
        )

    def _agrees(self, backbone: OpenVinoBackbone, images: NDArray[Any], expected: list[FloatArray]) -> bool:
        features = self._features(backbone, images, expected)
        tolerance = _TOLERANCE[backbone.precision]
        return features is not None and all(
            close_to(ours, torch_s, tolerance) for ours, torch_s in zip(features, expected, strict=True)
        )

    def _features(
        self, backbone: OpenVinoBackbone, images: NDArray[Any], expected: list[FloatArray]
    ) -> Sequence[FloatArray] | None:
        """Return a backbone's outputs, or None if they do not have torch's shapes."""
        try:
            features = backbone.run(images, self._batch_size)
        except RuntimeError:  # OpenVINO's error for shapes that do not fit
            return None
        matches = [values.shape for values in features] == [values.shape for values in expected]
        return features if matches else None

    def _with_head(self, outputs: Sequence[FloatArray], size: tuple[int, ...]) -> ForwardPass:
        height, width = size
        leaf, output = self.answer([torch.from_numpy(values) for values in outputs])
        return ForwardPass(output, (leaf,), (height, width))


def _size(images: NDArray[Any]) -> tuple[int, ...]:
    """Return the height and width of pixels (N, H, W, 3) or of prepared images (N, C, H, W)."""
    return images.shape[1:3] if images.dtype == np.uint8 else images.shape[2:]


def _correlation(some: FloatArray, others: FloatArray) -> float:
    """Return the cosine similarity of two arrays of features; 0 if they are not finite or all are 0."""
    norms = float(np.linalg.norm(some)) * float(np.linalg.norm(others))
    return float(np.vdot(some, others)) / norms if np.isfinite(norms) and norms > 0 else 0.0
