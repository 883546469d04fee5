"""From what was computed for a batch to one explanation for each of its frames."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from streamcam.explain.maps import finish_map
from streamcam.explain.targets import FUNCTION_INDEX, Target
from streamcam.explanations import Explanation, Prediction
from streamcam.frames import FloatArray, Frame, Region


@dataclasses.dataclass(frozen=True, slots=True)
class BatchResult:
    """What was computed for one batch of N images and T targets, off the device."""

    maps: FloatArray
    """(T, N, h, w), raw: perhaps negative, perhaps not finite."""
    classes: list[list[int]]
    """T lists of the N images' classes."""
    best: list[list[int]]
    """For each image its most probable classes, best first."""
    probabilities: FloatArray
    """(N, classes)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Assembler:
    """Puts explanations together; its fields are what all of them share."""

    labels: Sequence[str]
    """One for each class."""
    targets: Sequence[Target]
    method: str
    target_layer: str
    signed: bool
    """Whether maps keep negative values."""

    def assemble(self, frames: Sequence[Frame], result: BatchResult, region: Region) -> list[Explanation]:
        """Return one explanation for each frame, in order.

        Args:
            frames: The batch.
            result: What was computed for it.
            region: The part of the frames that the network saw.
        """
        return [self._explanation(frame, row, result, region) for row, frame in enumerate(frames)]

    def _explanation(self, frame: Frame, row: int, result: BatchResult, region: Region) -> Explanation:
        heatmaps, flags, targets = {}, {}, []
        for number, target in enumerate(self.targets):
            named = self._target(number, target, row, result)
            if named.index in heatmaps:  # a class asked for by name that is also among the best
                continue
            heatmaps[named.index], flag = finish_map(result.maps[number][row], signed=self.signed)
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
        )

    def _target(self, number: int, target: Target, row: int, result: BatchResult) -> Prediction:
        """Name what was explained in one image."""
        if target.function is not None:
            return Prediction(FUNCTION_INDEX - number, target.label, math.nan)
        named = self._prediction(result.classes[number][row], row, result)
        if target.against is None:
            return named
        rival = self.labels[target.against]
        return dataclasses.replace(named, label=f"{named.label} rather than {rival}")

    def _prediction(self, index: int, row: int, result: BatchResult) -> Prediction:
        return Prediction(index, self.labels[index], float(result.probabilities[row, index]))
