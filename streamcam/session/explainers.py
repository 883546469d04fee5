"""Explainers for a live preview, built when they are asked for and kept for a while."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from streamcam.explanations import Explanation
from streamcam.frames import Frame
from streamcam.session.stages import ExplainerFacts, ExplainRequest

if TYPE_CHECKING:
    from streamcam.explain import Explainer
    from streamcam.models import Layer, Model
    from streamcam.temporal import Tracker

_KEPT = 4
"""How many are kept: going back to a method or layer is then immediate. Each holds a network of its own."""

_MOST_DOTS = 1  # layers deeper inside are parts of blocks, hundreds of them


@dataclasses.dataclass
class AimedExplainer:
    """An explainer, and what was wanted of it."""

    explainer: Explainer
    method: str
    """With its options, as it was asked for."""
    layers: tuple[str, ...]
    """The layers to choose from."""
    batch_size: int = 1
    """One image at a time: a second one would have to be waited for."""

    def explain_frames(self, frames: list[Frame], tracker: Tracker | None = None) -> list[Explanation]:
        """Return one explanation for each frame; see `streamcam.Explainer`."""
        return self.explainer.explain_frames(frames, tracker)

    @property
    def facts(self) -> ExplainerFacts:
        """What is true of it now."""
        explainer = self.explainer
        return ExplainerFacts(
            model=explainer.model.name,
            method=self.method,
            layer=explainer.target_layer,
            backend=explainer.backend,
            precision=explainer.precision,
            labels=explainer.model.labels,
            layers=self.layers,
            notes=tuple(explainer.notes),
        )


class LiveExplainers:
    """Builds explainers of one model. Used by one thread, which is also the one that imports torch.

    Attributes:
        methods: The names of the methods to choose from; empty until the first explainer is built.
    """

    def __init__(self, model: Mapping[str, Any], **settings: Any) -> None:
        """Assign; nothing is loaded.

        Args:
            model: Arguments of `streamcam.load_model`.
            settings: Of `streamcam.Explainer`, without method and target_layer.
        """
        self.methods: list[str] = []
        self._model_arguments = model
        self._model: Model | None = None
        self._settings = settings
        self._layers: tuple[str, ...] = ()
        self._built: OrderedDict[tuple[str, str], Explainer] = OrderedDict()

    def make(self, wanted: ExplainRequest) -> AimedExplainer:
        """Return an explainer for what is wanted.

        Raises:
            StreamcamError: if it cannot be had.
        """
        from streamcam.explain import METHODS

        explainer = self._explainer(wanted.method, wanted.layer)
        if not self.methods:
            self.methods.extend(METHODS)
            self._layers = _stages_of(explainer)
        return AimedExplainer(_aimed(explainer, wanted), wanted.method, self._layers)

    def _explainer(self, method: str, layer: str) -> Explainer:
        from streamcam.explain import Explainer
        from streamcam.models import load_model

        if self._model is None:
            any_shape = self._settings.get("fit") == "full"
            self._model = load_model(**self._model_arguments, any_shape=any_shape)
        key = (method, layer)
        if key not in self._built:
            built = Explainer(
                self._model,
                method=method,
                target_layer=layer,
                batch_size=AimedExplainer.batch_size,
                **self._settings,
            )
            self._built[key] = built
            while len(self._built) > _KEPT:
                self._built.popitem(last=False)
        self._built.move_to_end(key)
        return self._built[key]


def _aimed(explainer: Explainer, wanted: ExplainRequest) -> Explainer:
    from streamcam.explain.targets import Target

    if wanted.class_index is not None:
        return explainer.with_targets([Target(class_index=wanted.class_index)])
    if wanted.rank is not None:
        return explainer.with_targets([Target(rank=min(wanted.rank, len(explainer.model.labels) - 1))])
    return explainer


def _stages_of(explainer: Explainer) -> tuple[str, ...]:
    """The layers that are worth going through: the last of each resolution and width, outside of blocks."""
    from streamcam.models import probe_model

    probe = probe_model(explainer.model, explainer.fit, explainer.device)
    return stage_layers(probe.layers, explainer.target_layer)


def stage_layers(layers: Sequence[Layer], always: str) -> tuple[str, ...]:
    """Choose from all layers of a network those that a person would go through.

    Args:
        layers: In the order in which they run.
        always: The name of one that is to be among them, if it is a layer.
    """
    outer = [layer for layer in layers if layer.explains and layer.name.count(".") <= _MOST_DOTS]
    last = {(layer.grid, layer.channels): layer.name for layer in outer}
    return tuple(layer.name for layer in layers if layer.name in last.values() or layer.name == always)
