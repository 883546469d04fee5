"""Judging methods: every metric of every method for every class and frame, and their means."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from streamcam.evaluation.metric_inputs import MetricInputs, SampleInputs
from streamcam.evaluation.results import Judged, MethodResult
from streamcam.evaluation.statistics import bootstrap, rank_correlation
from streamcam.explain.changed_inputs import ChangedInputs, EvaluatedMethod
from streamcam.explanations import Prediction
from streamcam.frames import FloatArray
from streamcam.temporal.sampling import SampledFrame

RANDOM_SHARES = (0.1, 0.25, 0.5, 0.75, 1.0)
"""Shares of layers whose weights are replaced, from the network's end."""

_RANDOMIZED = 3
"""For how many subjects: no backend has the random weights, so the network runs in torch."""

_COMPARED_SIDE = 24
"""Cells along the shorter side of the grid on which the maps of two methods are compared."""


@dataclasses.dataclass(frozen=True, slots=True)
class EvaluationProgress:
    """How far an evaluation is."""

    done: int
    """Steps: a method on a frame, or a network with random weights on a frame."""
    total: int
    left_s: float | None
    """Seconds that are left, by how long each kind of step took so far; None if unknown."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A class in a frame."""

    sample: SampledFrame
    target: Prediction
    region: NDArray[np.bool_] | None
    """Where the object is, bool (rows, columns) evenly on the frame; None if unknown."""


class _Steps:
    """Counts steps of several kinds, and how long they take."""

    def __init__(self, planned: Mapping[str, int], on_progress: Callable[[EvaluationProgress], None]) -> None:
        self._planned = planned
        self._on_progress = on_progress
        self._spent: dict[str, list[float]] = {kind: [] for kind in planned}

    @contextlib.contextmanager
    def step(self, kind: str) -> Iterator[None]:
        """Do one step inside of the context."""
        started = time.perf_counter()
        yield
        self._spent[kind].append(time.perf_counter() - started)
        left_s = None
        if all(self._spent.values()):
            left_s = sum(
                statistics.fmean(spent) * (self._planned[kind] - len(spent))
                for kind, spent in self._spent.items()
            )
        done = sum(map(len, self._spent.values()))
        self._on_progress(EvaluationProgress(done, sum(self._planned.values()), left_s))


class Jury:
    """Judges all methods of a network on all subjects."""

    def __init__(
        self,
        network: ChangedInputs,
        metrics: tuple[str, ...],
        left_out: Mapping[str, frozenset[str]],
        seed: int,
        on_progress: Callable[[EvaluationProgress], None],
    ) -> None:
        """Take what is to be judged.

        Args:
            network: Explains by every method.
            metrics: Names in `METRICS`.
            left_out: Method → metrics that it is spared.
            seed: Of noise, random weights and the bootstrap.
            on_progress: Called after every step.
        """
        self._network = network
        self._metrics = metrics
        self._left_out = left_out
        self._seed = seed
        self._on_progress = on_progress
        self._names = [method.name for method in network.methods]
        self._compared: list[list[FloatArray | None]] = []
        self._random: dict[str, dict[float, list[float]]] = {name: {} for name in self._names}

    def judge(self, subjects: Sequence[Subject]) -> list[Judged]:
        """Return every method's values for every subject."""
        sanity = [name for name in self._names if "randomization" not in self._left_out[name]]
        sanity = sanity if "randomization" in self._metrics else []
        count = min(_RANDOMIZED, len(subjects)) if sanity else 0
        numbers = [int((part + 0.5) * len(subjects) / count) for part in range(count)]
        planned = {name: len(subjects) for name in self._names}
        if sanity:
            planned["random weights"] = len(RANDOM_SHARES) * count
        steps = _Steps(planned, self._on_progress)
        random_maps = self._randomize({number: subjects[number] for number in numbers}, sanity, steps)
        self._warm_up(subjects[0])
        found: list[Judged] = []
        for number, subject in enumerate(subjects):
            shared = self._inputs(subject)
            raw_maps = []
            for method in self._names:
                with steps.step(method):
                    started = time.perf_counter()
                    raw_map = self._explain(shared, method)
                    cost_s = time.perf_counter() - started
                    raw_maps.append(raw_map)
                    random = random_maps.get((method, number), [])
                    inputs = MetricInputs(shared, method, raw_map, self._together(method), random)
                    found.append(self._judge(subject, inputs, cost_s))
                    self._note_random(method, raw_map, random)
            self._compare(shared, raw_maps)
        return found

    def conclude(self, method: EvaluatedMethod, judged: Sequence[Judged]) -> MethodResult:
        """Return the means of a method.

        Args:
            method: One of the network's.
            judged: The values of all methods.
        """
        own = [one for one in judged if one.method == method.name]
        shots = [one.shot for one in own]
        return MethodResult(
            method.name,
            method.target_layer,
            {name: bootstrap([one.values[name] for one in own], shots, self._seed) for name in self._metrics},
            cost_s=statistics.median(one.cost_s for one in own),
            empty=sum(one.is_empty for one in own),
            randomization={
                share: statistics.fmean(values) for share, values in self._random[method.name].items()
            },
        )

    def agreement(self) -> tuple[tuple[float, ...], ...]:
        """Return the mean rank correlation of the maps of any two methods, in their order."""
        count = len(self._names)

        def mean(row: int, column: int) -> float:
            pairs = [(maps[row], maps[column]) for maps in self._compared]
            values = [
                rank_correlation(one, other) for one, other in pairs if one is not None and other is not None
            ]
            return statistics.fmean(values) if values else math.nan

        return tuple(tuple(mean(row, column) for column in range(count)) for row in range(count))

    def _inputs(self, subject: Subject) -> SampleInputs:
        return SampleInputs(subject.sample, subject.target.index, self._network, subject.region, self._seed)

    def _explain(self, shared: SampleInputs, method: str) -> FloatArray:
        return self._network.maps([method], [shared.image], shared.class_index)[method][0]

    def _warm_up(self, subject: Subject) -> None:
        """Explain once by each quick method, so that compiling counts for none of them."""
        shared = self._inputs(subject)
        for method in self._names:
            if not self._left_out[method]:
                self._explain(shared, method)

    def _together(self, method: str) -> list[str]:
        """Return the methods whose maps of changed images are made with those of a method."""
        quick = [name for name in self._names if not self._left_out[name]]
        return quick if method in quick else [method]

    def _judge(self, subject: Subject, inputs: MetricInputs, cost_s: float) -> Judged:
        left_out = self._left_out[inputs.method]
        frame = subject.sample.frame
        return Judged(
            method=inputs.method,
            frame=frame.index,
            time_s=frame.time_s,
            shot=subject.sample.shot,
            class_index=subject.target.index,
            label=subject.target.label,
            probability=inputs.probability,
            values={name: math.nan if name in left_out else inputs.value(name) for name in self._metrics},
            is_empty=inputs.heat is None,
            cost_s=cost_s,
        )

    def _randomize(
        self, subjects: Mapping[int, Subject], methods: Sequence[str], steps: _Steps
    ) -> dict[tuple[str, int], list[FloatArray]]:
        """Return maps of the network with ever more random weights, by method and number of the subject."""
        found: dict[tuple[str, int], list[FloatArray]] = {}
        if not subjects:
            return found
        with self._network.randomized(self._seed) as randomize:
            for share in RANDOM_SHARES:
                network = randomize(share)
                for number, subject in subjects.items():
                    with steps.step("random weights"):
                        shared = self._inputs(subject)
                        maps = network.maps(methods, [shared.image], shared.class_index)
                        for name in methods:
                            found.setdefault((name, number), []).append(maps[name][0])
        return found

    def _note_random(self, method: str, raw_map: FloatArray, random_maps: Sequence[FloatArray]) -> None:
        for share, other in zip(RANDOM_SHARES, random_maps, strict=False):
            self._random[method].setdefault(share, []).append(rank_correlation(raw_map, other))

    def _compare(self, shared: SampleInputs, raw_maps: Sequence[FloatArray]) -> None:
        """Keep the maps of all methods on one grid."""
        rows, columns = shared.image.shape[1:]
        scale = _COMPARED_SIDE / min(rows, columns)
        size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
        self._compared.append(
            [
                np.asarray(cv2.resize(raw_map, size, interpolation=cv2.INTER_LINEAR), np.float32)
                if np.isfinite(raw_map).all()
                else None
                for raw_map in raw_maps
            ]
        )
