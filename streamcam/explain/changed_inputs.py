"""Questions to a network about images that were changed after they were prepared, and maps of those."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from streamcam.explain.batch import MapMaker
from streamcam.explain.calibration import read_calibration
from streamcam.explain.compatibility import check_explains_classes, check_method
from streamcam.explain.devices import choose_device, choose_precision
from streamcam.explain.explainer import Explainer
from streamcam.explain.hooks import evaluating, plain_attention
from streamcam.explain.methods import HEAD_ONLY, METHODS, parse_method
from streamcam.explain.objectives import Objective
from streamcam.explain.preparation import choose_layers
from streamcam.explain.runner import NetworkRunner
from streamcam.explain.threads import torch_threads
from streamcam.frames import FloatArray, Frame, Region
from streamcam.models import AUTO, Layer, Model
from streamcam.models.preprocessing import Preprocessor

_AT_ONCE = (16, 4, 1)
"""How many images go through the network at once: each number takes a compiled network of its own, and
padding would cost as much as real images."""

_PLAIN = "occlusion"
"""A method that needs nothing of the network but its answer."""


@dataclasses.dataclass(frozen=True, slots=True)
class EvaluatedMethod:
    """A method as it explains one network."""

    name: str
    """As it was asked for, with its options."""
    row: str
    """Its name in `METHODS`."""
    target_layer: str
    """Dotted names of its layers, joined by ``+``; empty if it needs none."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Asked:
    """A method with its options and layers."""

    name: str
    options: Mapping[str, int | float]
    layers: tuple[Layer, ...]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """Methods whose maps are made of one run of the network."""

    runner: NetworkRunner
    makers: Mapping[str, MapMaker]
    is_second_order: bool


class ChangedInputs:
    """Runs a network on images that were changed after they were prepared. Use it in one thread.

    Images are arrays, float32 (C, H, W), as `Model.prepare` makes them: scaled by mean and standard
    deviation, so that 0 is the mean color. OpenVINO runs the network where it would for an `Explainer`.

    Attributes:
        methods: The methods that explain them.
        model: The network.
    """

    def __init__(self, explainer: Explainer, methods: Sequence[str]) -> None:
        """Prepare the network for every method.

        Args:
            explainer: Explains the network: its device, precision, fit and target layer hold here too.
            methods: Names in `METHODS`, with options.

        Raises:
            StreamcamError: one of its children, if a method does not exist, or does not go with the network.
        """
        self.model: Model = explainer.model
        self._explainer = explainer
        self._prepared = explainer.prepared
        self._device = explainer.device
        self._preprocessor = Preprocessor(
            self.model, explainer.fit, explainer.device, self._prepared.probe.memory_format
        )
        requested = explainer.settings["target_layer"]
        self._asked = {}
        for method in methods:
            name, options = parse_method(method)
            check_method(name, self.model, explainer.targets)
            check_explains_classes(name, "an evaluation")
            layers = tuple(choose_layers(self._prepared, requested, name))
            self._asked[method] = _Asked(name, options, layers)
        self.methods = tuple(
            EvaluatedMethod(method, asked.name, _joined(asked.layers))
            for method, asked in self._asked.items()
        )
        self._groups = self._grouped(None)
        self._plain = self._answering_runner()

    # --- What the network says --------------------------------------------------------------------------

    def prepare(self, frame: Frame) -> FloatArray:
        """Return the network's input for a frame, float32 (C, H, W)."""
        with self._ready(self._plain):
            prepared = self._preprocessor.prepare(self._preprocessor.pixels([frame]))
        return np.asarray(prepared[0].cpu().numpy(), np.float32)

    def region(self, frame: Frame) -> Region:
        """Return the part of a frame that the network sees."""
        return self._preprocessor.geometry(frame).region

    def probabilities(self, images: Iterable[FloatArray]) -> FloatArray:
        """Return the probability of every class in each of several images of one shape.

        Args:
            images: Float32 (C, H, W) each.

        Returns:
            Float32 (number of images, classes).
        """
        waiting = list(images)
        found = []
        with self._ready(self._plain):
            for batch in _batches(waiting):
                output = self._plain.score_prepared(self._on_device(batch))
                known = output.probabilities
                probabilities = self.model.probabilities(output.scores) if known is None else known
                found.append(probabilities.detach().cpu().numpy())
        return np.concatenate(found).astype(np.float32)

    def maps(
        self, methods: Sequence[str], images: Iterable[FloatArray], class_index: int
    ) -> dict[str, list[FloatArray]]:
        """Explain a class in each of several images of one shape, by several methods.

        Args:
            methods: Some of the methods, as they were asked for.
            images: Float32 (C, H, W) each.
            class_index: The class.

        Returns:
            Method → for each image a raw map, float32 (h, w), without evidence against the class; not finite
            where the network's answers are not.
        """
        return self._maps(self._groups, methods, list(images), class_index)

    @property
    def can_randomize(self) -> bool:
        """Whether the network has weights that can be replaced."""
        return self.model.no_gradients is None and any(True for _ in self.model.module.parameters())

    @contextlib.contextmanager
    def randomized(self, seed: int) -> Iterator[Callable[[float], RandomizedNetwork]]:
        """Replace the network's weights by random ones inside of the context, more and more of them.

        Each tensor of weights is drawn from a normal distribution with its own mean and standard deviation,
        so that what the network computes stays of the same size. Afterwards the weights are as they were.

        Args:
            seed: Of the weights.

        Yields:
            A function that takes the share of layers whose weights are random, from the network's end, and
            returns the network as it then is. The share must not fall.
        """
        layers = [part for part in self.model.module.modules() if list(part.parameters(recurse=False))]
        tensors = {id(tensor): tensor for tensor in self.model.module.parameters()}
        kept = [(tensor, tensor.detach().clone()) for tensor in tensors.values()]
        generator = torch.Generator().manual_seed(seed)
        groups = self._grouped("torch")  # what runs elsewhere has copies of the weights
        done: set[int] = set()

        def randomize(share: float) -> RandomizedNetwork:
            count = math.ceil(share * len(layers))
            for part in layers[len(layers) - count :]:
                for tensor in part.parameters(recurse=False):
                    if id(tensor) not in done:
                        done.add(id(tensor))
                        _redraw(tensor, generator)
            return RandomizedNetwork(self, groups)

        try:
            yield randomize
        finally:
            with torch.no_grad():
                for tensor, values in kept:
                    tensor.copy_(values)

    # --- Running ----------------------------------------------------------------------------------------

    def _maps(
        self, groups: Sequence[_Group], methods: Sequence[str], images: Sequence[FloatArray], index: int
    ) -> dict[str, list[FloatArray]]:
        found: dict[str, list[FloatArray]] = {method: [] for method in methods}
        for group in groups:
            makers = {method: maker for method, maker in group.makers.items() if method in found}
            if not makers:
                continue
            attention = plain_attention() if group.is_second_order else contextlib.nullcontext()
            with self._ready(group.runner), attention:
                for batch in _batches(images):
                    run = group.runner.run_prepared(self._on_device(batch))
                    objectives = [Objective(torch.full((len(batch),), index))]
                    for method, maker in makers.items():
                        (maps,) = run.maps(objectives, maker)
                        found[method] += list(np.maximum(maps, 0))
        return found

    def _grouped(self, backend: str | None) -> list[_Group]:
        """Group methods that can explain one run of the network: those that need no more than one layer."""
        together: dict[object, list[str]] = {}
        for method, asked in self._asked.items():
            row = METHODS[asked.name]
            is_shared = set(row.needs) <= HEAD_ONLY and not row.is_second_order
            together.setdefault(asked.layers if is_shared else method, []).append(method)
        return [self._group(methods, backend) for methods in together.values()]

    def _group(self, methods: Sequence[str], backend: str | None) -> _Group:
        first, *_ = (self._asked[method] for method in methods)
        runner = self._run_by(first.layers, first.name, first.options, backend)
        makers = {
            method: dataclasses.replace(
                runner.map_maker,
                method=METHODS[self._asked[method].name],
                options=self._asked[method].options,
            )
            for method in methods
        }
        return _Group(runner, makers, METHODS[first.name].is_second_order)

    @contextlib.contextmanager
    def _ready(self, runner: NetworkRunner) -> Iterator[None]:
        with (
            torch.inference_mode(False),
            evaluating(self.model.module),
            torch_threads(runner.threads),
        ):
            yield

    def _on_device(self, images: NDArray[np.float32]) -> torch.Tensor:
        batch = torch.from_numpy(images).to(self._device)
        return batch.contiguous(memory_format=self._prepared.probe.memory_format)

    def _answering_runner(self) -> NetworkRunner:
        """Return what runs the network for its answers alone: a method's runner, if one will do."""
        for group in self._groups:
            row = group.runner.map_maker.method
            if len(group.runner.map_maker.network.layers) == 1 and set(row.needs) <= HEAD_ONLY:
                return group.runner
        layers = choose_layers(self._prepared, AUTO, _PLAIN)
        name = "gradcam" if layers and self.model.no_gradients is None else _PLAIN
        return self._run_by(layers if name == "gradcam" else [], name, {}, None)

    def _run_by(
        self, layers: Sequence[Layer], name: str, options: Mapping[str, int | float], backend: str | None
    ) -> NetworkRunner:
        settings = self._explainer.settings
        device = choose_device(settings["device"])
        precision = settings["precision"] if backend is None else "fp32"
        return NetworkRunner(
            self._prepared,
            layers,
            name,
            options,
            self._preprocessor,
            device=device,
            precisions=choose_precision(precision, device.torch, device.openvino).names,
            backend=settings["backend"] if backend is None else backend,
            batch_size=1,
            calibrate=None
            if settings["calibration"] is None
            else functools.partial(read_calibration, settings["calibration"], self._preprocessor.pixels),
        )


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class RandomizedNetwork:
    """The network of `ChangedInputs` with random weights."""

    inputs: ChangedInputs
    groups: Sequence[_Group]

    def maps(
        self, methods: Sequence[str], images: Iterable[FloatArray], class_index: int
    ) -> dict[str, list[FloatArray]]:
        """Explain a class in each of several images, as `ChangedInputs.maps` does."""
        return self.inputs._maps(self.groups, methods, list(images), class_index)


def _joined(layers: Sequence[Layer]) -> str:
    return "+".join(layer.name for layer in layers)


def _batches(images: Sequence[FloatArray]) -> Iterator[NDArray[np.float32]]:
    """Stack images in as few batches as the sizes allow without padding."""
    start = 0
    while start < len(images):
        size = next(size for size in _AT_ONCE if size <= len(images) - start)
        yield np.stack(images[start : start + size])
        start += size


def _redraw(tensor: torch.Tensor, generator: torch.Generator) -> None:
    """Replace a tensor's values by normally distributed ones of the same mean and standard deviation."""
    values = tensor.detach()
    if not values.is_floating_point() or values.numel() < 2:
        return
    std, mean = torch.std_mean(values.float())
    drawn = torch.randn(values.shape, generator=generator).to(values.device) * std + mean
    with torch.no_grad():
        tensor.copy_(drawn.to(values.dtype))
