"""The explainer of several panes, which are compared: it runs each network once where their maps allow it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from streamcam.errors import InvalidArgumentError
from streamcam.explain.explainer import Explainer
from streamcam.explain.methods import HEAD_ONLY, METHODS, parse_method
from streamcam.explain.targets import Target, resolve_targets
from streamcam.explanations import Explanation
from streamcam.frames import Frame
from streamcam.models import stage_layers
from streamcam.panes import Comparison, Pane

if TYPE_CHECKING:
    from streamcam.temporal import Tracker


@dataclasses.dataclass(frozen=True, slots=True)
class _Asked:
    """What one map, or several panes that show the same map, explains."""

    model: int
    method: str
    layer: str
    """Dotted names of layers, joined by ``+``."""
    targets: tuple[Target, ...]

    @property
    def shares(self) -> bool:
        """Whether its map can be made of a run that others use too."""
        method = METHODS[parse_method(self.method)[0]]
        return set(method.needs) <= HEAD_ONLY and not method.is_second_order


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """What one run of a network answers."""

    model: int
    asked: Sequence[_Asked]
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

    def __init__(self, explainers: Explainer | Sequence[Explainer], comparison: Comparison | None = None) -> None:
        """Prepare everything that is compared.

        Args:
            explainers: An explainer of each network; its settings hold for all panes, apart from what is
                compared.
            comparison: What is compared.

        Raises:
            StreamcamError: one of its children, if a method, layer or class does not exist or does not go with
                the network.
        """
        self.comparison = comparison or Comparison()
        self._explainers = [explainers] if isinstance(explainers, Explainer) else list(explainers)
        self._panes = self.comparison.panes()
        networks = max(1, len(self.comparison.models))
        if networks != len(self._explainers):
            raise InvalidArgumentError(
                f"`models` has {networks} names for {len(self._explainers)} explainers; give one for each"
            )
        self._asked = [self._resolve(pane) for pane in self._panes]
        self._groups = list(self._group())
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
        return list(dict.fromkeys(note for group in self._groups for note in group.explainer.notes))

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
        answers: dict[_Asked, list[Explanation]] = {}
        for group in self._groups:
            own = tracker
            if tracker is not None and group.model > 0:
                own = tracker.for_network(group.model, frames)
            explained = group.explainer.explain_frames(frames, own, context)
            if own is not None and own is not tracker:
                explained = [own.complete(*pair) for pair in zip(frames, explained, strict=True)]
            each = [(explanation, *explanation.others) for explanation in explained]
            for asked, column in zip(group.asked, zip(*each, strict=True), strict=True):
                answers[asked] = list(column)
        rows = zip(*(answers[asked] for asked in self._asked), strict=True)
        return [self._name(row) for row in rows]

    def skip_frames(
        self, frames: Sequence[Frame], tracker: Tracker | None = None, context: Sequence[Frame] = ()
    ) -> None:
        """Take note of frames whose explanations are known already, for clips that hold them."""
        for group in self._groups:
            group.explainer.skip_frames(frames, tracker, context)

    def identity(self) -> dict[str, object]:
        """Return all that explanations depend on besides the images, as plain values."""
        return {
            "panes": repr(self._asked),
            **{
                f"{name} {number}": value
                for number, group in enumerate(self._groups)
                for name, value in group.explainer.identity().items()
            },
        }

    def describe(self) -> dict[str, Any]:
        """Describe the networks and what is compared, as `Explainer.describe` does."""
        return {
            **self._explainers[0].describe(),
            "panes": [
                {
                    "model": self._explainers[asked.model].model.name,
                    "method": asked.method,
                    "target_layer": asked.layer or None,
                    "mode": self.comparison.modes[pane.mode] if self.comparison.modes else None,
                }
                for pane, asked in zip(self._panes, self._asked, strict=True)
            ],
        }

    def _name(self, row: Sequence[Explanation]) -> Explanation:
        """Name the explanations of one frame, and put them together."""
        first, *others = [
            dataclasses.replace(
                explanation,
                pane=pane.named(explanation.targets[0].label if explanation.targets else "", asked.layer),
                others=(),
            )
            for explanation, pane, asked in zip(row, self._panes, self._asked, strict=True)
        ]
        return dataclasses.replace(first, others=tuple(others))

    def _resolve(self, pane: Pane) -> _Asked:
        """Find the layers and classes of a pane among those of its network."""
        explainer = self._explainers[pane.model]
        method = pane.method or explainer.method_request
        layer = pane.layer or explainer.layer_request
        if pane.stage is not None:
            layer = self._stage(explainer, *pane.stage)
        targets = explainer.targets
        if pane.class_request is not None:
            targets = resolve_targets(explainer.model, pane.class_request, None)
        return _Asked(pane.model, method, explainer.find_layers(layer, method), targets)

    def _group(self) -> Iterator[_Group]:
        ...
