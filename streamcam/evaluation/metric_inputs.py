"""The inputs of metrics, computed when a metric asks for them."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from streamcam.evaluation.heat import as_heat, blur
from streamcam.evaluation.metrics import METRICS
from streamcam.evaluation.metrics.steadiness import RADIUS, SAMPLES
from streamcam.explain.changed_inputs import ChangedInputs
from streamcam.frames import FloatArray, Region
from streamcam.localization.grid import place_on_frame
from streamcam.temporal.flow import FlowEstimator, compute_displacement, upsample, upsampling_factor, warp
from streamcam.temporal.sampling import SampledFrame


class SampleInputs:
    """The inputs that all methods share: of one class in one frame."""

    def __init__(
        self,
        sample: SampledFrame,
        class_index: int,
        network: ChangedInputs,
        region: NDArray[np.bool_] | None,
        seed: int,
    ) -> None:
        """Choose the frame and the class.

        Args:
            sample: The frame.
            class_index: The class.
            network: Answers and explains.
            region: The region that holds the object, bool (rows, columns); None if unknown.
            seed: Of noise.
        """
        self.sample = sample
        self.class_index = class_index
        self.network = network
        self.region = region
        self._seed = seed
        self._noisy_maps: dict[str, list[FloatArray]] = {}
        self._previous_maps: dict[str, FloatArray] = {}

    @functools.cached_property
    def image(self) -> FloatArray:
        """The network's input, float32 (C, H, W)."""
        return self.network.prepare(self.sample.frame)

    @functools.cached_property
    def blurred(self) -> FloatArray:
        """The same, blurred."""
        return blur(self.image)

    @functools.cached_property
    def _answers(self) -> FloatArray:
        return self.score([self.image, self.blurred, np.zeros_like(self.image)])

    @property
    def probability(self) -> float:
        """The probability of the class."""
        return float(self._answers[0])

    @property
    def blurred_probability(self) -> float:
        """That in the blurred image."""
        return float(self._answers[1])

    @property
    def blank_probability(self) -> float:
        """That in an image of the mean color."""
        return float(self._answers[2])

    def score(self, images: Iterable[FloatArray]) -> FloatArray:
        """Return the probability of the class in each of several images."""
        return self.network.probabilities(images)[:, self.class_index]

    def noisy_maps(self, method: str, methods: Sequence[str]) -> list[FloatArray]:
        """Return the maps of noisy images; those of several methods are made together."""
        if method not in self._noisy_maps:
            generator = np.random.default_rng(self._seed)
            noisy = [
                self.image + generator.uniform(-RADIUS, RADIUS, self.image.shape).astype(np.float32)
                for _ in range(SAMPLES)
            ]
            self._noisy_maps |= self.network.maps(methods, noisy, self.class_index)
        return self._noisy_maps[method]

    def previous_map(self, method: str, methods: Sequence[str]) -> FloatArray:
        """Return the raw map of the frame before, likewise."""
        if method not in self._previous_maps:
            assert self.sample.previous is not None
            image = self.network.prepare(self.sample.previous)
            found = self.network.maps(methods, [image], self.class_index)
            self._previous_maps |= {name: maps[0] for name, maps in found.items()}
        return self._previous_maps[method]


class MetricInputs:
    """The inputs of metrics for one method, class and frame. The parameters of a metric name them."""

    def __init__(
        self,
        shared: SampleInputs,
        method: str,
        raw_map: FloatArray,
        together: Sequence[str],
        random_maps: Sequence[FloatArray] = (),
    ) -> None:
        """Take the map that is judged.

        Args:
            shared: What all methods share.
            method: The method, as `ChangedInputs` knows it.
            raw_map: Its map, float32 (h, w), not negative.
            together: Methods whose maps of changed images are made together with its own.
            random_maps: Maps of the network with random weights, if they are known.
        """
        self.shared = shared
        self.method = method
        self.raw_map = raw_map
        self.random_maps = random_maps
        self._together = together
        self._values: dict[str, float] = {}

    @functools.cached_property
    def heat(self) -> FloatArray | None:
        """The map on the network's input, float32 (H, W) from 0 to 1; None if it shows nothing."""
        return as_heat(self.raw_map, self._size)

    @property
    def image(self) -> FloatArray:
        """The network's input, float32 (C, H, W)."""
        return self.shared.image

    @property
    def blurred(self) -> FloatArray:
        """The same, blurred."""
        return self.shared.blurred

    @property
    def probability(self) -> float:
        """The probability of the class."""
        return self.shared.probability

    @property
    def blurred_probability(self) -> float:
        """That in the blurred image."""
        return self.shared.blurred_probability

    @property
    def blank_probability(self) -> float:
        """That in an image of the mean color."""
        return self.shared.blank_probability

    def score(self, images: Iterable[FloatArray]) -> FloatArray:
        """Return the probability of the class in each of several images."""
        return self.shared.score(images)

    @functools.cached_property
    def masked(self) -> FloatArray:
        """The image through its map, float32 (C, H, W)."""
        assert self.heat is not None
        return self.image * self.heat

    @functools.cached_property
    def masked_probability(self) -> float:
        """The probability of the class in that."""
        return float(self.score([self.masked])[0])

    @functools.cached_property
    def masked_heat(self) -> FloatArray:
        """The heat of that; zero where nothing is left of it."""
        found = self.shared.network.maps([self.method], [self.masked], self.shared.class_index)
        heat = as_heat(found[self.method][0], self._size)
        return np.zeros(self._size, np.float32) if heat is None else heat

    @property
    def noisy_maps(self) -> list[FloatArray]:
        """Raw maps of the image with noise."""
        return self.shared.noisy_maps(self.method, self._together)

    @property
    def upsampled_map(self) -> FloatArray:
        """The raw map, as fine as the one that is warped."""
        return upsample(self.raw_map)

    @functools.cached_property
    def warped_map(self) -> FloatArray:
        """The raw map of the frame before, upsampled and moved along the optical flow to this one."""
        sample = self.shared.sample
        assert sample.before is not None
        flow = FlowEstimator().estimate(sample.thumbnail, sample.before)
        cell = upsampling_factor(self.raw_map.shape)
        displacement = compute_displacement(flow, self.upsampled_map, self._seen, cell)
        return warp(upsample(self.shared.previous_map(self.method, self._together)), displacement)

    @functools.cached_property
    def grid(self) -> FloatArray:
        """The raw map on the whole frame, float32 (rows, columns)."""
        frame = self.shared.sample.frame.image
        return place_on_frame(self.raw_map, self._seen, (frame.width, frame.height))

    @property
    def region(self) -> NDArray[np.bool_] | None:
        """The region that holds the object, bool (rows, columns)."""
        return self.shared.region

    def value(self, metric: str) -> float:
        """Return the value of a metric, a name in `METRICS`; NaN where it has none here."""
        if metric not in self._values:
            self._values[metric] = self._compute(metric)
        return self._values[metric]

    def _compute(self, metric: str) -> float:
        row = METRICS[metric]
        sample = self.shared.sample
        has_none = (
            self.heat is None
            or (row.needs_region and self.region is None)
            or (row.needs_motion and sample.previous is None)
            or (row.needs_weights and not self.random_maps)
        )
        if has_none:
            return math.nan
        arguments = {}
        for need in row.needs:
            name = need.replace("_", "-")
            arguments[need] = self.value(name) if name in METRICS else getattr(self, need)
        return row.function(**arguments)

    @property
    def _size(self) -> tuple[int, int]:
        return self.image.shape[1], self.image.shape[2]

    @property
    def _seen(self) -> Region:
        return self.shared.network.region(self.shared.sample.frame)
