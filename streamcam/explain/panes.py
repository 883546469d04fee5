"""The explainer of several panes, which are compared: it runs each network once where their maps allow it."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from streamcam.errors import InvalidArgumentError
from streamcam.explain.cancellation import IsCancelled
from streamcam.explain.compatibility import same_maps_note
from streamcam.explain.explainer import Explainer
from streamcam.explain.methods import HEAD_ONLY, METHODS, parse_method
from streamcam.explain.preparation import choose_layers
from streamcam.explain.questions import MapRequest
from streamcam.explain.targets import resolve_targets
from streamcam.explanations import Explanation
from streamcam.frames import FloatArray, Frame
from streamcam.models import AUTO, Model, spread_stages
from streamcam.panes import Comparison, Pane

if TYPE_CHECKING:
    from streamcam.temporal import Tracker


_SAME_WITHIN = 1e-3
"""Maps that differ by less, with peaks of 1, are the same apart from rounding."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """Maps that are made of one run of a network."""

    model: int
    """Index of the network."""
    maps: Sequence[MapRequest]
    explainer: Explainer


class PaneExplainer:
    """Explains each frame in several ways, which are compared; see `streamcam.compare`.

    Methods that need no more than a layer's output and its gradients share one run of the network, whatever
    their layers and classes; other methods, and other networks, have a run of their own. A map is the same as
    that of an `Explainer` of its own, apart from rounding where layers are compared, which torch then runs.

    Use it in one thread at a time.

    Attributes:
        batch_size: How many frames a batch has.
        comparison: What is compared.
    """

    def __init__(
        self,
        explainers: Explainer | Sequence[Explainer],
        comparison: Comparison | None = None,
        *,
        figures: Mapping[str, str] | None = None,
    ) -> None:
        """Prepare everything that is compared.

        Args:
            explainers: An explainer of each network; its settings hold for all panes, apart from what is
                compared.
            comparison: What is compared.
            figures: Methods, and a figure to show behind the names of their panes.

        Raises:
            StreamcamError: one of its children, if a method, layer or class does not exist, or does not go
                with the network.
        """
        self._figures = figures or {}
        self.comparison = comparison or Comparison()
        self._explainers = [explainers] if isinstance(explainers, Explainer) else list(explainers)
        self._panes = self.comparison.panes()
        networks = max(1, len(self.comparison.models))
        if networks != len(self._explainers):
            raise InvalidArgumentError(
                f"`models` has {networks} names for {len(self._explainers)} explainers; give one for each"
            )
        self._asked = [self._resolve(pane) for pane in self._panes]
        self._groups = list(_group(self._explainers, self._asked))
        self._same: list[str] | None = None
        self.batch_size = max(group.explainer.batch_size for group in self._groups)

    def __repr__(self) -> str:
        names = ", ".join(pane.name for pane in self._panes)
        return f"PaneExplainer({self._explainers!r}, panes=[{names}])"

    @property
    def clip_s(self) -> float:
        """How far from a frame the others of its clip may be, in seconds; 0 for networks of single images."""
        return max(group.explainer.clip_s for group in self._groups)

    @property
    def notes(self) -> list[str]:
        """Notes for the user about the choices made, one sentence each."""
        notes = [note for group in self._groups for note in group.explainer.notes]
        return list(dict.fromkeys([*notes, *(self._same or ())]))

    @property
    def learns_from(self) -> int:
        """As for `Explainer`, like `learn`."""
        return max(group.explainer.learns_from for group in self._groups)

    def learn(self, frames: Sequence[Frame]) -> None:
        """Let what learns from a sample of a video do so."""
        for group in self._groups:
            group.explainer.learn(frames)

    @contextlib.contextmanager
    def cancelled_by(self, is_cancelled: IsCancelled) -> Iterator[None]:
        """As for `Explainer`."""
        with contextlib.ExitStack() as stack:
            for group in self._groups:
                stack.enter_context(group.explainer.cancelled_by(is_cancelled))
            yield

    @contextlib.contextmanager
    def short_batches(self) -> Iterator[None]:
        """As for `Explainer`."""
        with contextlib.ExitStack() as stack:
            for group in self._groups:
                stack.enter_context(group.explainer.short_batches())
            yield

    def explain_frames(
        self, frames: Sequence[Frame], tracker: Tracker | None = None, context: Sequence[Frame] = ()
    ) -> list[Explanation]:
        """Explain frames of a source.

        Args:
            frames: Frames in order.
            tracker: As for `Explainer.explain_frames`, like the context.
            context: Frames around these.

        Returns:
            One explanation for each frame, in order: that of the first pane, with those of the others.
        """
        answers: dict[tuple[int, MapRequest], tuple[Explanation, ...]] = {}
        for group in self._groups:
            own = tracker
            if tracker is not None and group.model > 0:
                own = tracker.for_network(group.model, frames)
            explained = group.explainer.explain_frames(frames, own, context)
            if own is not None and own is not tracker:
                explained = [own.complete(*pair) for pair in zip(frames, explained, strict=True)]
            each = [(explanation, *explanation.others) for explanation in explained]
            for request, column in zip(group.maps, zip(*each, strict=True), strict=True):
                answers[group.model, request] = column
        if self._same is None:
            self._same = _note_same({asked: column[0] for asked, column in answers.items()})
        rows = zip(*(answers[asked] for asked in self._asked), strict=True)
        return [self._name(row) for row in rows]

    def describe(self) -> dict[str, Any]:
        """Describe the networks and what is compared, as `Explainer.describe` does."""
        return {
            **self._explainers[0].describe(),
            "panes": [
                {
                    "model": self._explainers[model].model.name,
                    "weights": self._explainers[model].model.weights,
                    "method": request.method,
                    "target_layer": "+".join(request.layers) or None,
                    "mode": self.comparison.modes[pane.mode] if self.comparison.modes else None,
                }
                for pane, (model, request) in zip(self._panes, self._asked, strict=True)
            ],
        }

    def identity(self, pane: int) -> dict[str, object]:
        """Return all that the explanations of a pane depend on besides the images, as plain values."""
        model, request = self._asked[pane]
        explainer = self._explainers[model]
        name, options = parse_method(request.method)
        return {
            **explainer.identity(),
            "method": name,
            "method's options": repr(options),
            "target layer": "+".join(request.layers),
            "classes": repr(request.targets),
            "batch": self.batch_size,
        }

    def model(self, pane: int) -> Model:
        """Return the network of a pane."""
        return self._explainers[self._asked[pane][0]].model

    def _name(self, row: Sequence[Explanation]) -> Explanation:
        """Name the explanations of one frame, and put them together."""
        first, *others = [
            dataclasses.replace(
                explanation,
                pane=self._name_of(pane, explanation),
                others=(),
            )
            for explanation, pane in zip(row, self._panes, strict=True)
        ]
        return dataclasses.replace(first, others=tuple(others))

    def _name_of(self, pane: Pane, explanation: Explanation) -> str:
        target = explanation.targets[0].label if explanation.targets else ""
        name = pane.named(target, explanation.target_layer)
        figure = self._figures.get(pane.method or "")
        return name if figure is None else f"{name} · {figure}"

    def _resolve(self, pane: Pane) -> tuple[int, MapRequest]:
        """Find the layers and classes of a pane among those of its network."""
        explainer = self._explainers[pane.model]
        settings, prepared = explainer.settings, explainer.prepared
        method = pane.method or settings["method"]
        name, _ = parse_method(method)
        layer = pane.layer or settings["target_layer"]
        if pane.stage is not None:
            place, count = pane.stage
            last = choose_layers(prepared, AUTO, "gradcam")[-1].name
            layer = spread_stages(prepared.probe.layers, last, count)[place]
        layers = tuple(each.name for each in choose_layers(prepared, layer, name))
        targets = explainer.targets
        if pane.class_request is not None:
            targets = resolve_targets(explainer.model, pane.class_request, settings["against"])
        elif pane.rank is not None:
            best = resolve_targets(explainer.model, f"top{pane.rank + 1}", settings["against"])
            targets = best[-1:]
        return pane.model, MapRequest(method, layers, targets)


def _note_same(answers: Mapping[tuple[int, MapRequest], Explanation]) -> list[str]:
    """Say which methods give the same maps of a frame, apart from their scale."""
    notes = []
    for (asked, one), (also, other) in itertools.combinations(answers.items(), 2):
        differs = (asked[0], asked[1].layers, asked[1].targets) != (also[0], also[1].layers, also[1].targets)
        if not differs and one.emptiness is None and one.heatmaps.keys() == other.heatmaps.keys():
            pairs = [(one.heatmaps[index], other.heatmaps[index]) for index in one.heatmaps]
            if all(first.shape == second.shape and _is_same(first, second) for first, second in pairs):
                notes.append(same_maps_note(asked[1].method, also[1].method))
    return notes


def _is_same(first: FloatArray, second: FloatArray) -> bool:
    """Return whether two maps differ by their scale alone."""
    peaks = [max(float(np.abs(heatmap).max()), 1e-30) for heatmap in (first, second)]
    return bool(np.abs(first / np.float32(peaks[0]) - second / np.float32(peaks[1])).max() < _SAME_WITHIN)


def _group(explainers: Sequence[Explainer], asked: Sequence[tuple[int, MapRequest]]) -> Iterator[_Group]:
    """Group what can be made of one run of a network, and prepare the runs."""
    together: dict[tuple[int, object], list[MapRequest]] = {}
    for model, request in dict.fromkeys(asked):
        method = METHODS[parse_method(request.method)[0]]
        is_shared = set(method.needs) <= HEAD_ONLY and not method.is_second_order
        alone = (request.method, request.layers)
        together.setdefault((model, None if is_shared else alone), []).append(request)
    for (model, _), maps in together.items():
        layers = tuple(dict.fromkeys(layer for each in maps for layer in each.layers))
        explainer = explainers[model]
        target_layer = "+".join(layers)
        if (explainer.target_layer, explainer.settings["method"]) != (target_layer, maps[0].method):
            explainer = explainer.variant(method=maps[0].method, target_layer=target_layer or AUTO)
        if len(maps) == 1:
            yield _Group(model, maps, explainer.with_targets(maps[0].targets))
        else:
            yield _Group(model, maps, explainer.with_maps(maps))
