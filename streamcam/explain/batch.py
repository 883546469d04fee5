"""From a batch of pixels to one explanation per frame: running, computing maps, and assembling.

`MapMaker` runs the network and a method on a batch, `combine_layers` and `sanitize_map` finish the maps, and
`Assembler` puts them together with predictions and instances.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from streamcam.explain.hooks import ForwardPass, HookedNetwork, KnownGradients
from streamcam.explain.method_inputs import (
    VARIANTS_AT_ONCE,
    MethodInputs,
    differentiate_all,
    evaluate,
)
from streamcam.explain.methods import Method, method_call
from streamcam.explain.targets import FUNCTION_INDEX, Objective, ObjectsFound, Target
from streamcam.explanations import (
    ALL_NEGATIVE,
    CONSTANT,
    NO_EVIDENCE,
    NOT_FINITE,
    Explanation,
    Instance,
    Prediction,
    as_target,
)
from streamcam.frames import FloatArray, Frame, Region

MakeInputs = Callable[[], torch.Tensor]
"""Returns the network's input where a method asks for it: what `Model.prepare` makes."""

_CONSTANT_WITHIN = 1e-4
"""A map whose values differ by no more than this share of the largest is the same everywhere."""

_MOST_PLACES = 96
"""Rows and columns of a pyramid's map: more would only take memory and time while it is smoothed."""


class BatchRun(Protocol):
    """A batch of N images that the network has been run on."""

    @property
    def scores(self) -> torch.Tensor:
        """float32 (N, classes), detached; overwritten by the next batch."""
        ...

    @property
    def probabilities(self) -> torch.Tensor | None:
        """As in `Output.probabilities`."""
        ...

    @property
    def instances(self) -> Sequence[Sequence[Instance]] | None:
        """The objects found in each image, as in `Output.instances`."""
        ...

    def maps(self, objectives: Sequence[Objective], map_maker: MapMaker | None = None) -> FloatArray:
        """Explain T objectives: float32 (T, N, h, w), raw (maybe negative, maybe not finite), to keep.

        Of a batch of clips (T, N, t, h, w), with t moments.

        Args:
            objectives: What is explained.
            map_maker: Another method, or other layers that were kept; those of the run if None.
        """
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class MapMaker:
    """Computes maps by one method."""

    network: HookedNetwork
    """The network that is explained."""
    method: Method
    options: Mapping[str, int | float]
    """The method's options."""
    prepare: Callable[[NDArray[np.uint8] | torch.Tensor], torch.Tensor]
    """Converts pixels, uint8 (N, H, W, 3) or clips (N, T, H, W, 3), to the network's input."""
    variants_at_once: int = VARIANTS_AT_ONCE
    """Number of changed images that go through the network at once."""
    layers: tuple[int, ...] | None = None
    """Which of the layers that the network keeps the maps are made of; None for all."""

    def run(self, pixels: NDArray[np.uint8], forward_pass: ForwardPass | None = None) -> EagerRun:
        """Run the network on a batch.

        Args:
            pixels: RGB, uint8 (N, H, W, 3), or clips (N, T, H, W, 3).
            forward_pass: The result, if the network has been run on them already.
        """
        inputs = functools.cache(lambda: self.prepare(pixels))
        if forward_pass is None:
            forward_pass = self.network.run(inputs())
        return EagerRun(self, inputs, pixels.shape[1:-1], forward_pass)

    def maps(
        self,
        inputs: MakeInputs,
        size: Sequence[int],
        forward_pass: ForwardPass,
        objectives: Sequence[Objective],
    ) -> torch.Tensor:
        """Compute the maps of T objectives on the network's device.

        Args:
            inputs: Makes the network's input.
            size: (H, W) of the input, or (T, H, W) of clips.
            forward_pass: Result of running the network.
            objectives: Objectives with their classes on the network's device.

        Returns:
            float32 (T, N, h, w), or of clips (T, N, t, h, w).
        """
        return torch.stack([self._map(inputs, size, forward_pass, objective) for objective in objectives])

    def _map(
        self, inputs: MakeInputs, size: Sequence[int], forward_pass: ForwardPass, objective: Objective
    ) -> torch.Tensor:
        layer_maps = []
        outputs = forward_pass.layer_outputs
        criterion = self.method.criterion

        def differentiate() -> Sequence[torch.Tensor | None]:
            for known in forward_pass.gradients:
                if known.criterion is criterion and known.objective.is_same(objective):
                    return known.values
            value = evaluate(objective, criterion, forward_pass.output).sum()
            gradients = differentiate_all(value, outputs)
            forward_pass.gradients.append(KnownGradients(objective, criterion, gradients))
            return gradients

        by_gradients = "gradients" in self.method.needs
        for index, layer_output in enumerate(outputs or (None,)):
            if self.layers is not None and index not in self.layers:
                continue
            method_inputs = MethodInputs(
                self.network,
                inputs,
                forward_pass,
                index,
                objective,
                criterion,
                self.variants_at_once,
                differentiate=differentiate if by_gradients else None,
            )
            if layer_output is None or not self.method.needs_layer:
                return method_call(self.method, method_inputs, self.options).detach()
            if self.network.is_pyramid and by_gradients and differentiate()[index] is None:
                values = layer_output.new_zeros((len(layer_output), *layer_output.shape[2:]))
            else:
                values = method_call(self.method, method_inputs, self.options).detach()
            if self.network.model.clip_length > 1:
                values = method_inputs.layout.moments_of(values, layer_output)
            layer_maps.append(values)
        if self.network.is_pyramid:
            return merge_pyramid(layer_maps)
        return combine_layers(layer_maps, self.method.combine, size)


@dataclasses.dataclass(frozen=True, slots=True)
class EagerRun:
    """A `BatchRun` whose every step torch is asked for one after another."""

    map_maker: MapMaker
    inputs: MakeInputs
    size: Sequence[int]
    """(H, W) of the network's input, or (T, H, W) of clips."""
    forward_pass: ForwardPass

    @property
    def scores(self) -> torch.Tensor:
        """As in `BatchRun`."""
        return self.forward_pass.scores.detach()

    @property
    def probabilities(self) -> torch.Tensor | None:
        """As in `BatchRun`."""
        return self.forward_pass.output.probabilities

    @property
    def instances(self) -> Sequence[Sequence[Instance]] | None:
        """As in `BatchRun`."""
        return self.forward_pass.output.instances

    def maps(self, objectives: Sequence[Objective], map_maker: MapMaker | None = None) -> FloatArray:
        """As in `BatchRun`."""
        on_device = [objective.on(self.scores.device) for objective in objectives]
        if not on_device:  # each object is explained, and there is none
            return np.zeros((0, len(self.scores), 1, 1), np.float32)
        maps = (map_maker or self.map_maker).maps(self.inputs, self.size, self.forward_pass, on_device)
        array: FloatArray = maps.cpu().numpy()
        return array


def combine_layers(
    maps: Sequence[torch.Tensor], how: Literal["mean", "product"], size: Sequence[int]
) -> torch.Tensor:
    """Combine the maps of several layers.

    Each layer's map is cut at zero and scaled to 0..1, so that no layer drowns the others; the result has
    the strength of their mean maximum. A single map is returned as it is.

    Args:
        maps: float32 (N, h, w), each of its own resolution, or (N, t, h, w) of clips.
        how: Whether to average or to multiply them.
        size: (H, W) of the network's input, to which grids of different resolution are enlarged, or
            (T, H, W) of clips.

    Returns:
        float32 (N, H, W) or (N, T, H, W).
    """
    if len(maps) == 1:
        return maps[0]
    strengths = torch.stack([values.flatten(1).amax(dim=1).clamp(min=0) for values in maps]).mean(dim=0)
    enlarged = [
        F.interpolate(
            _unit(values.clamp(min=0)).unsqueeze(1),
            tuple(size),
            mode="bilinear" if len(size) == 2 else "trilinear",
            align_corners=False,
        ).squeeze(1)
        for values in maps
    ]
    if how == "mean":
        combined = torch.stack(enlarged).mean(dim=0)
    else:
        combined = torch.stack([_unit(values) for values in enlarged]).prod(dim=0)
    return combined * strengths.view(-1, *[1] * len(size))


def merge_pyramid(maps: Sequence[torch.Tensor]) -> torch.Tensor:
    """Merge the maps of layers that each hold objects of another size.

    Their values have no common scale, because finer layers have more places: each map is divided by its
    largest absolute value, and at every place the strongest remains. A single map is returned as it is.

    Args:
        maps: float32 (N, h, w), each of its own resolution.

    Returns:
        float32 (N, h, w), -1 to 1, at the finest resolution of at most `_MOST_PLACES` rows and columns.
    """
    if len(maps) == 1:
        return maps[0]
    shapes = sorted({(values.shape[1], values.shape[2]) for values in maps})
    grid = [shape for shape in shapes if max(shape) <= _MOST_PLACES] or shapes[:1]
    merged = torch.stack([_resample(_by_peak(values), grid[-1]) for values in maps])
    strongest = merged.abs().argmax(dim=0, keepdim=True)
    return _by_peak(merged.gather(0, strongest).squeeze(0))


def _resample(values: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
    """Resample maps (N, h, w) to a grid: averaged where it is coarser, interpolated where it is finer."""
    if values.shape[1] > grid[0]:
        return F.interpolate(values.unsqueeze(1), grid, mode="area").squeeze(1)
    return F.interpolate(values.unsqueeze(1), grid, mode="bilinear", align_corners=False).squeeze(1)


def _by_peak(values: torch.Tensor) -> torch.Tensor:
    """Divide each map of (N, h, w) by its largest absolute value."""
    return values / values.abs().amax(dim=(1, 2), keepdim=True).clamp(min=1e-30)


def _unit(values: torch.Tensor) -> torch.Tensor:
    """Scale each map of (N, h, w) or (N, t, h, w) to 0..1."""
    places = tuple(range(1, values.ndim))
    lowest, highest = values.amin(dim=places, keepdim=True), values.amax(dim=places, keepdim=True)
    return (values - lowest) / (highest - lowest).clamp(min=1e-12)


def sanitize_map(values: FloatArray, *, signed: bool) -> tuple[FloatArray, str | None]:
    """Make a map finite, and non-negative unless it is signed.

    Args:
        values: Raw map, float32 (h, w).
        signed: Whether negative values stay.

    Returns:
        float32 (h, w), finite; and why it shows nothing, a key of `EMPTY_MAPS`, or None if it does.
    """
    lowest, highest = float(values.min()), float(values.max())
    if not (math.isfinite(lowest) and math.isfinite(highest)):
        return np.zeros_like(values), NOT_FINITE
    finished = values if signed else np.maximum(values, 0)
    if lowest == highest == 0:
        return finished, NO_EVIDENCE
    if highest <= 0 and not signed:
        return finished, ALL_NEGATIVE
    largest = max(-lowest, highest)
    return finished, CONSTANT if highest - lowest <= _CONSTANT_WITHIN * largest else None


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class BatchResult:
    """Results for one batch of N images and T targets, off the device."""

    maps: FloatArray
    """Raw maps, (T, N, h, w): maybe negative, maybe not finite."""
    targets: list[Target]
    """T targets: one that explains each object is there for each."""
    objectives: list[Objective]
    """T objectives."""
    best: list[list[int]]
    """Most probable classes of each image, best first."""
    probabilities: FloatArray
    """(N, classes)."""
    values: FloatArray | None
    """Numbers to show beside them, (N, classes); None if there are none."""
    found: ObjectsFound | None
    """Objects of each image, boxes as fractions of the frame; None if the network finds none."""


@dataclasses.dataclass(frozen=True, slots=True)
class Assembler:
    """Assembles explanations; its fields are what all of them share."""

    labels: Sequence[str]
    """Name of each class."""
    targets: Sequence[Target]
    method: str
    target_layer: str
    signed: bool
    """Whether maps keep negative values."""
    are_values: bool = False
    """Whether what counts as probabilities are a regressor's values."""

    def assemble(self, frames: Sequence[Frame], result: BatchResult, region: Region) -> list[Explanation]:
        """Return one explanation for each frame, in order.

        Args:
            frames: The frames of the batch.
            result: What was computed for them.
            region: Part of the frames that the network saw.
        """
        return [self._explanation(frame, row, result, region) for row, frame in enumerate(frames)]

    def _explanation(self, frame: Frame, row: int, result: BatchResult, region: Region) -> Explanation:
        heatmaps, flags, targets = {}, {}, []
        for number in range(len(result.targets)):
            named = self._target(number, row, result)
            if named is None or named.index in heatmaps:  # a class asked for that is also among the best
                continue
            values = result.maps[number][row]
            score = named.probability if named.value is None else named.value
            if result.targets[number].function is None and not math.isfinite(score):
                values = np.full_like(values, np.nan)  # a map of an answer that is none
            heatmaps[named.index], flag = sanitize_map(values, signed=self.signed)
            targets.append(named)
            if flag is not None:
                flags[named.index] = flag
        return Explanation(
            frame_index=frame.index,
            heatmaps=heatmaps,
            targets=tuple(targets),
            predictions=tuple(self._prediction(index, row, result) for index in result.best[row]),
            method=self.method,
            target_layer=self.target_layer,
            region=region,
            flags=flags,
            signed=self.signed,
            instances=() if result.found is None else tuple(instance for _, instance in result.found[row]),
            probabilities=result.probabilities[row],
        )

    def _target(self, number: int, row: int, result: BatchResult) -> Prediction | None:
        """Name what was explained in one image; None if it has fewer objects than another one."""
        target, objective = result.targets[number], result.objectives[number]
        if target.function is not None:
            return Prediction(FUNCTION_INDEX - self.targets.index(target), target.label, math.nan)
        named: Prediction | None = self._prediction(int(objective.classes[row]), row, result)
        if target.objects:
            named = self._object(objective, row, result)
        if named is None or target.against is None:
            return named
        other = self.labels[target.against]
        return dataclasses.replace(named, label=f"{named.label} rather than {other}")

    def _object(self, objective: Objective, row: int, result: BatchResult) -> Prediction | None:
        assert result.found is not None
        assert objective.objects is not None
        (index,) = objective.objects[row] or (None,)
        places = {index: place for place, (index, _) in enumerate(result.found[row])}
        return None if index is None else as_target(result.found[row][places[index]][1], places[index])

    def _prediction(self, index: int, row: int, result: BatchResult) -> Prediction:
        score = float(result.probabilities[row, index])
        value = None if result.values is None else float(result.values[row, index])
        return Prediction.of(index, self.labels[index], score, is_value=self.are_values, value=value)


def in_frame(instances: Sequence[Instance], region: Region) -> tuple[Instance, ...]:
    """Convert boxes from fractions of the network's input to fractions of the frame.

    Args:
        instances: Objects as a model reports them.
        region: Part of the frame that the input covers.
    """
    width, height = region.right - region.left, region.bottom - region.top

    def convert(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        left, top, right, bottom = box
        return (
            region.left + left * width,
            region.top + top * height,
            region.left + right * width,
            region.top + bottom * height,
        )

    return tuple(dataclasses.replace(instance, box=convert(instance.box)) for instance in instances)
