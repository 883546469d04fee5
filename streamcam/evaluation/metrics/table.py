"""The table of metrics: one row each, read by the command line, the documentation and the tests."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Literal

from streamcam.evaluation.metrics.masking import adcc, arcc, coherency, complexity, drop, increase
from streamcam.evaluation.metrics.pointing import energy, pointing
from streamcam.evaluation.metrics.removal import deletion, insertion, road, road_least, road_most
from streamcam.evaluation.metrics.steadiness import randomization, sensitivity, stability

_MAPS_OF_CHANGED = frozenset({"masked_heat", "noisy_maps", "warped_map", "random_maps"})


@dataclasses.dataclass(frozen=True, slots=True)
class Metric:
    """One row of the table of metrics."""

    function: Callable[..., float]
    """A pure function. Its parameters name what it needs: other metrics, or attributes of
    `streamcam.evaluation.metric_inputs.MetricInputs`; those given by keyword have defaults."""
    title: str
    """Its authors' name for it."""
    paper: str | None
    """Address of its publication; None where there is none."""
    better: Literal["higher", "lower", "neither"]
    """Which values speak for a method."""
    meaning: str
    """How to read it, in a sentence."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Its inputs."""
        parameters = inspect.signature(self.function).parameters.values()
        return tuple(each.name for each in parameters if each.kind is not each.KEYWORD_ONLY)

    @property
    def needs_region(self) -> bool:
        """Whether it needs a region that holds the object."""
        return "region" in self.needs

    @property
    def needs_motion(self) -> bool:
        """Whether it compares neighboring frames."""
        return "warped_map" in self.needs

    @property
    def needs_weights(self) -> bool:
        """Whether it replaces the network's weights."""
        return "random_maps" in self.needs


METRICS: dict[str, Metric] = {
    "insertion": Metric(
        insertion,
        "Insertion",
        "https://arxiv.org/abs/1806.07421",
        "higher",
        "How soon the network is sure when the hottest pixels come first into a blurred image.",
    ),
    "deletion": Metric(
        deletion,
        "Deletion",
        "https://arxiv.org/abs/1806.07421",
        "lower",
        "How long it stays sure when the hottest pixels are taken away first.",
    ),
    "drop": Metric(
        drop,
        "Average drop",
        "https://arxiv.org/abs/1710.11063",
        "lower",
        "The share of the probability that is lost when the network sees nothing but the heat.",
    ),
    "increase": Metric(
        increase,
        "Increase in confidence",
        "https://arxiv.org/abs/1710.11063",
        "higher",
        "The share of frames in which it is surer when it sees nothing but the heat.",
    ),
    "road-most": Metric(
        road_most,
        "ROAD, most relevant first",
        "https://arxiv.org/abs/2202.00449",
        "lower",
        "The change of the probability when the hottest pixels are filled in from those around them.",
    ),
    "road-least": Metric(
        road_least,
        "ROAD, least relevant first",
        "https://arxiv.org/abs/2202.00449",
        "higher",
        "The same for the coldest pixels.",
    ),
    "road": Metric(
        road,
        "Combined ROAD",
        "https://arxiv.org/abs/2202.00449",
        "higher",
        "Half of what both differ by: 0 for a map that says nothing, 0.5 at best.",
    ),
    "coherency": Metric(
        coherency,
        "Coherency",
        "https://arxiv.org/abs/2104.10252",
        "higher",
        "Whether the map stays as it is when the network sees nothing but the heat.",
    ),
    "complexity": Metric(
        complexity,
        "Complexity",
        "https://arxiv.org/abs/2104.10252",
        "lower",
        "How much of the image the heat covers.",
    ),
    "adcc": Metric(
        adcc,
        "ADCC",
        "https://arxiv.org/abs/2104.10252",
        "higher",
        "Coherency, complexity and average drop in one figure.",
    ),
    "arcc": Metric(
        arcc,
        "ARCC",
        "https://arxiv.org/abs/2605.14641",
        "higher",
        "Coherency, complexity and ROAD in one figure.",
    ),
    "pointing": Metric(
        pointing,
        "Pointing game",
        "https://arxiv.org/abs/1608.00507",
        "higher",
        "The share of frames whose hottest place is in the region.",
    ),
    "energy": Metric(
        energy,
        "Energy inside",
        "https://arxiv.org/abs/1910.01279",
        "higher",
        "The share of the heat that is in the region.",
    ),
    "sensitivity": Metric(
        sensitivity,
        "Max-sensitivity",
        "https://arxiv.org/abs/1901.09392",
        "lower",
        "How much of the map changes under noise that nobody sees.",
    ),
    "stability": Metric(
        stability,
        "Stability along motion",
        None,
        "higher",
        "Whether heat stays on what it was on, from one frame to the next.",
    ),
    "randomization": Metric(
        randomization,
        "Sanity by random weights",
        "https://arxiv.org/abs/1810.03292",
        "lower",
        "How much of the map is left when the network knows nothing: much of it means an edge detector.",
    ),
}
"""Every metric by name, in the order of tables. To add one: a function and a row."""


def asks_again(name: str) -> bool:
    """Return whether a metric needs further maps: of changed images, or of a changed network."""
    needs = METRICS[name].needs
    return not _MAPS_OF_CHANGED.isdisjoint(needs) or any(
        asks_again(need.replace("_", "-")) for need in needs if need.replace("_", "-") in METRICS
    )
