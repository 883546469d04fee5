"""The temporal stage: explanations of single frames in, heat that is fit to be shown out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from streamcam.frames import Explanation, FloatArray, Frame, Steadied
from streamcam.temporal.scaling import scale_to_unit
from streamcam.temporal.smoothing import Smoother

_ONLY = -(2**31)
"""The slot of a film in which one class at a time is explained; no class has that index."""


@dataclasses.dataclass(frozen=True, slots=True)
class TemporalSettings:
    """How maps are steadied in time."""

    smoothing_s: float = 0.4
    """Time constant of the smoothing in seconds; 0 turns it off."""


class Steadier:
    """Steadies the explanations of one film, in order. Belongs to one thread."""

    def __init__(self, settings: TemporalSettings | None = None) -> None:
        """Make ready.

        Args:
            settings: How; the defaults if None.

        Raises:
            InvalidArgumentError: if a setting cannot be used.
        """
        self._settings = settings or TemporalSettings()
        self._smoothers = {_ONLY: Smoother(self._settings.smoothing_s)}

    def push(self, frame: Frame, explanation: Explanation) -> list[Steadied]:
        """Take the next frame and its explanation.

        Returns:
            The frames that are ready now, in order: perhaps none yet, perhaps several.
        """
        heats = {
            index: scale_to_unit(heatmap, signed=explanation.signed)
            for index, heatmap in self._smoothed(explanation, frame.time_s).items()
        }
        return [Steadied(frame, heats, explanation.targets, explanation.predictions, explanation)]

    def flush(self) -> list[Steadied]:
        """Return the frames that were still held back, in order; to be called at the end."""
        return []

    def _smoothed(self, explanation: Explanation, time_s: float) -> dict[int, FloatArray]:
        """Smooth each class by itself; a single one is followed even where it is another in every frame."""
        indices = list(explanation.heatmaps)
        slots = indices if len(indices) > 1 else [_ONLY]
        self._smoothers = {
            slot: self._smoothers.get(slot) or Smoother(self._settings.smoothing_s) for slot in slots
        }
        return {
            index: self._smoothers[slot].update(explanation.heatmaps[index], time_s)
            for slot, index in zip(slots, indices, strict=True)
        }


def steady(explained: Iterable[tuple[Frame, Explanation]], steadier: Steadier) -> Iterator[Steadied]:
    """Steady a whole film: every frame comes out once, in order."""
    for frame, explanation in explained:
        yield from steadier.push(frame, explanation)
    yield from steadier.flush()
