"""Which method to use, and why, from the figures of all."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from streamcam.evaluation.metrics import METRICS
from streamcam.evaluation.results import Judged, MethodResult
from streamcam.evaluation.statistics import Estimate, bootstrap
from streamcam.explain.compatibility import same_maps_note
from streamcam.explain.methods import METHODS
from streamcam.explain.methods.table import PASSES

_DECIDE = ("road", "insertion", "deletion")
"""The metric that decides is the first of these that was computed: ROAD is the one whose changed images look
most like what the network knows, and it needs one map only."""

_FEW_FRAMES = 4
"""From fewer frames than this nobody can be sure that one method is better."""

_EQUAL = 0.9995
"""Rank correlation from which maps are the same, apart from rounding."""

_STILL_THERE = 0.5
"""A method of whose map more is left than this when the network's weights are random does not speak of the
network, whatever its other figures."""


def advise(
    methods: Sequence[MethodResult], judged: Sequence[Judged], metrics: Sequence[str], seed: int
) -> tuple[str | None, str]:
    """Choose the method that is most faithful, and of those that may be as faithful the cheapest.

    Args:
        methods: The figures of every method.
        judged: The values behind them.
        metrics: The metrics that were computed.
        seed: Of the bootstrap.

    Returns:
        The method's name, None if none can be chosen; and the reason in words.
    """
    decisive = next((name for name in _DECIDE if name in metrics), None)
    if decisive is None:
        return None, f"No method is recommended: none of {', '.join(_DECIDE)} was computed."
    refused = [method for method in methods if _is_insane(method)]
    able = [
        method
        for method in methods
        if method not in refused and not math.isnan(method.figures[decisive].mean)
    ]
    if not able:
        return None, " ".join(["No method can be recommended.", *_because(refused)])
    sign = 1 if METRICS[decisive].better == "higher" else -1
    ranked = sorted(able, key=lambda method: -sign * round(method.figures[decisive].mean, 4))
    best, *others = ranked
    looked_at = len({(one.shot, one.frame) for one in judged})
    if decisive == "road" and best.figures[decisive].high <= 0:
        none = f"No method points at what the network uses here: ROAD is {_interval(best.figures[decisive])}"
        return None, " ".join([f"{none} for {best.name}, the best of them.", *_because(refused)])
    equal = [other for other in others if _may_be_equal(best, other, decisive, judged, seed)]
    chosen = min([best, *equal], key=_passes)  # of equal cost the best: the first
    title, figure = METRICS[decisive].title, _interval(chosen.figures[decisive])
    beside = ", ".join(method.name for method in ranked if method in [best, *equal] and method is not chosen)
    if chosen is not best:
        sentence = (
            f"Use {chosen.name}: its {title}, {figure}, is as good as that of {beside} within the "
            "uncertainty of these frames, and it takes the fewest passes."
        )
    elif beside:
        sentence = (
            f"Use {chosen.name}: its {title}, {figure}, is the best; {beside} may be as good, by the "
            "uncertainty of these frames."
        )
    elif others and looked_at < _FEW_FRAMES:
        sentence = (
            f"Use {chosen.name}: its {title}, {chosen.figures[decisive].mean:.3f}, is the best on these "
            f"{looked_at} frames, which are too few to be sure: look at more."
        ).replace("these 1 frames, which are", "this one frame, which is")
    elif others:
        sentence = f"Use {chosen.name}: its {title}, {figure}, is clearly ahead of that of {others[0].name}."
    else:
        sentence = f"Use {chosen.name}: its {title} is {figure}; nothing else was evaluated."
    if decisive == "road" and chosen.figures[decisive].low <= 0:
        sentence += " But chance alone may explain that: look at more frames."
    return chosen.name, " ".join([sentence, *_because(refused)])


def note_equal(names: Sequence[str], agreement: Sequence[Sequence[float]]) -> list[str]:
    """Say which methods give the same maps here.

    Args:
        names: The methods.
        agreement: Mean rank correlation of the maps of any two.
    """
    pairs = [
        (one, other)
        for place, one in enumerate(names)
        for other, value in zip(names[place + 1 :], agreement[place][place + 1 :], strict=True)
        if value > _EQUAL
    ]
    return [same_maps_note(one, other) for one, other in pairs]


def _is_insane(method: MethodResult) -> bool:
    figure = method.figures.get("randomization")
    return figure is not None and figure.mean > _STILL_THERE


def _because(refused: Sequence[MethodResult]) -> list[str]:
    return [
        f"Not {method.name}: {method.figures['randomization'].mean:.2f} of its map's order is left when the "
        "network's weights are random."
        for method in refused
    ]


def _may_be_equal(
    best: MethodResult, other: MethodResult, metric: str, judged: Sequence[Judged], seed: int
) -> bool:
    """Return whether the difference of two methods on the same frames may be 0."""
    values = [_values(method.name, metric, judged) for method in (best, other)]
    both = values[0].keys() & values[1].keys()
    keys = sorted(both)
    differences = [values[0][key] - values[1][key] for key in keys]
    estimate = bootstrap(differences, [key[0] for key in keys], seed)
    return not (estimate.low > 0 or estimate.high < 0)


def _values(method: str, metric: str, judged: Sequence[Judged]) -> Mapping[tuple[int, int, int], float]:
    """Return a method's values by shot, frame and class, where it has them."""
    return {
        (one.shot, one.frame, one.class_index): one.values[metric]
        for one in judged
        if one.method == method and math.isfinite(one.values[metric])
    }


def _interval(estimate: Estimate) -> str:
    return f"{estimate.mean:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def _passes(method: MethodResult) -> int:
    """Return a method's place among the costs of `PASSES`, the cheap ones first; a clock is no judge."""
    return list(PASSES).index(METHODS[method.name.partition(":")[0]].passes)
