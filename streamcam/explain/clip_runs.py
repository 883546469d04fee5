"""Run a network on the clips of a video, each once, and give each frame its slice of its clip's map."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from streamcam.explain.batch import BatchRun, MapMaker
from streamcam.explain.clips import Clip, ClipBuffer, ClipTiming, Pixels
from streamcam.explain.objectives import Objective
from streamcam.frames import FloatArray, Frame
from streamcam.models.preprocessing import Preprocessor

if TYPE_CHECKING:
    from streamcam.temporal import Tracker


class ClipRunner:
    """Runs a network on the clips that explain frames. Belongs to one thread."""

    def __init__(self, timing: ClipTiming, preprocessor: Preprocessor) -> None:
        """Begin with no frames.

        Args:
            timing: How a video is cut into clips.
            preprocessor: Makes the network's input.
        """
        self.timing = timing
        self._preprocessor = preprocessor
        self._buffer = ClipBuffer(timing)
        self._last_run: ClipRun | None = None

    def see(self, frames: Sequence[Frame], tracker: Tracker | None, context: Sequence[Frame]) -> None:
        """Add frames, and those around them, to what clips are cut from.

        Args:
            frames: Frames in order.
            tracker: Knows the cuts; None if there are none.
            context: All frames from the first of these on; these alone if empty.
        """
        self._buffer.begin(frames[0])
        for frame in filter(self._buffer.is_new, context or frames):
            (pixels,) = self._preprocessor.pixels([frame])
            self._buffer.add(frame, pixels, starts_shot=tracker is not None and tracker.is_cut(frame))

    def clip_of(self, frame: Frame) -> Clip:
        """Return the clip that explains a frame that was seen."""
        return self._buffer.clip_of(frame)

    def pads(self, frames: Sequence[Frame]) -> bool:
        """Return whether the clip that explains one of frames that were seen begins before its shot."""
        return any(self._buffer.is_padded(self._buffer.clip_of(frame)) for frame in frames)

    def run(self, frames: Sequence[Frame], run_network: Callable[[Pixels], BatchRun]) -> BatchRun:
        """Run the network on the clip of frames that share it, unless that was the last one.

        Args:
            frames: Frames of one clip.
            run_network: Runs the network on a batch of clips, uint8 (N, T, H, W, 3).
        """
        clip = self._buffer.clip_of(frames[0])
        if self._last_run is None or self._last_run.clip != clip:
            self._last_run = None  # its memory is needed
            run = run_network(self._buffer.pixels(clip)[None])
            self._last_run = ClipRun(clip, self.timing.length, run)
        return self._last_run.explaining([self._buffer.position(frame) for frame in frames])


class ClipRun:
    """A clip that the network has been run on, as a `BatchRun` of the frames that it explains."""

    def __init__(self, clip: Clip, length: int, run: BatchRun) -> None:
        """Take over the run.

        Args:
            clip: The clip.
            length: T, the number of its frames.
            run: The run of a batch of this clip alone.
        """
        self.clip = clip
        self._length = length
        self._run = run
        self._volumes: dict[Hashable, FloatArray] = {}
        self._objectives: dict[Hashable, Objective] = {}
        self._positions: Sequence[float] = ()

    def explaining(self, positions: Sequence[float]) -> ClipRun:
        """Choose the frames that are explained, by their places in the clip."""
        self._positions = positions
        return self

    @property
    def scores(self) -> torch.Tensor:
        """As in `BatchRun`: those of the clip for each frame."""
        return self._run.scores.expand(len(self._positions), -1)

    @property
    def probabilities(self) -> torch.Tensor | None:
        """As in `BatchRun`: those of the clip for each frame."""
        probabilities = self._run.probabilities
        return None if probabilities is None else probabilities.expand(len(self._positions), -1)

    @property
    def instances(self) -> None:
        """As in `BatchRun`: there are none."""
        return None

    def maps(self, objectives: Sequence[Objective], map_maker: MapMaker | None = None) -> FloatArray:
        """As in `BatchRun`: of each frame its slice of the clip's map, interpolated in time."""
        return np.stack([self._slices(objective, map_maker) for objective in objectives])

    def _slices(self, objective: Objective, map_maker: MapMaker | None) -> FloatArray:
        classes = objective.classes.tolist()
        return np.stack(
            [
                slice_at(self._volume(objective, class_index, map_maker), position, self._length)
                for class_index, position in zip(classes, self._positions, strict=True)
            ]
        )

    def _volume(self, objective: Objective, class_index: int, map_maker: MapMaker | None) -> FloatArray:
        """Return the map of the whole clip, float32 (t, h, w)."""
        explained = (class_index, objective.against, objective.function)
        if explained not in self._objectives:
            alone = dataclasses.replace(objective, classes=torch.tensor([class_index]))
            self._objectives[explained] = alone
        key = (explained, id(map_maker))
        if key not in self._volumes:
            self._volumes[key] = self._run.maps([self._objectives[explained]], map_maker)[0, 0]
        return self._volumes[key]


def slice_at(volume: FloatArray, position: float, length: int) -> FloatArray:
    """Return a clip's map at one of its frames, interpolated linearly between moments.

    Args:
        volume: The map, float32 (t, h, w), whose t moments are spread evenly over the clip.
        position: Place of the frame in the clip, from 0 to `length` - 1.
        length: T, the number of frames in the clip.

    Returns:
        float32 (h, w).
    """
    moments = len(volume)
    at = min(max((position + 0.5) * moments / length - 0.5, 0.0), moments - 1.0)
    before = math.floor(at)
    after, part = min(before + 1, moments - 1), np.float32(at - before)
    return np.asarray((1 - part) * volume[before] + part * volume[after], np.float32)
