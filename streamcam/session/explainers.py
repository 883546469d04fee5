"""Explainers for a live session, built when they are asked for and kept for a while."""

from __future__ import annotations

import dataclasses
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from streamcam.errors import StreamcamError
from streamcam.explanations import Explanation
from streamcam.frames import Frame
from streamcam.panes import COMPARED_METHODS, Comparison
from streamcam.session.calibration import FirstFrames
from streamcam.session.state import ExplainerFacts, ExplainRequest

if TYPE_CHECKING:
    from streamcam.explain import Explainer, PaneExplainer
    from streamcam.models import Model
    from streamcam.temporal import Tracker

_logger = logging.getLogger("streamcam.session")

_KEPT = 4
"""How many explainers are kept: going back to a method or layer is then immediate. Each holds a network."""

PANES: dict[str, Callable[[str], Comparison]] = {
    "methods": lambda _method: Comparison(methods=COMPARED_METHODS),
    "layers": lambda method: Comparison(methods=(method,), layers=("auto:4",)),
}
"""Name of what a live session compares side by side → the comparison, for the method in use."""

BuildExplainer = Callable[[str, str], "Explainer"]
"""Builds the explainer for a method and a target layer."""


@dataclasses.dataclass
class SessionExplainer:
    """An explainer for one request of a session."""

    explainer: Explainer
    method: str
    """Name of the method, with its options."""
    layers: tuple[str, ...]
    """Target layers to choose from."""
    methods: tuple[str, ...]
    """Methods to choose from."""
    panes: PaneExplainer | None = None
    """Explains in its place where something is compared."""
    compared: str | None = None
    """Name in `PANES` of what is compared."""
    first_frames: FirstFrames | None = None
    """Collects what int8 is calibrated by."""
    renew: Callable[[], SessionExplainer] | None = None
    """Returns the explainer that follows once they are complete."""

    @property
    def batch_size(self) -> int:
        """How many frames, of as many streams, are explained at once at most."""
        return (self.panes or self.explainer).batch_size

    @property
    def clip_s(self) -> float:
        """Length of the network's clips in seconds; 0 if it takes single images."""
        return self.explainer.clip_s

    def explain_frames(
        self, frames: list[Frame], tracker: Tracker | None = None, context: Sequence[Frame] = ()
    ) -> list[Explanation]:
        """Return one explanation for each frame; see `streamcam.Explainer`."""
        if self.first_frames is not None and self.renew is not None:
            self.first_frames.see(frames)
            if not self.first_frames.are_awaited:
                self.first_frames = None
                renewed = self.renew()
                self.explainer, self.panes = renewed.explainer, renewed.panes
        return (self.panes or self.explainer).explain_frames(frames, tracker, context)

    @property
    def facts(self) -> ExplainerFacts:
        """Facts about the explainer at this moment: another backend may have taken over."""
        explainer = self.explainer
        return ExplainerFacts(
            model=explainer.model.name,
            method=self.method,
            layer=explainer.target_layer,
            backend=explainer.backend,
            precision=explainer.precision,
            labels=tuple(explainer.model.labels),
            layers=self.layers,
            methods=self.methods,
            notes=tuple(explainer.notes),
            panes=self.compared,
            takes_prompts=explainer.model.takes_prompts,
            weights=explainer.model.weights,
        )


class Explainers:
    """Returns explainers for requests: an `ExplainerFor`. Used by one thread, which imports torch."""

    def __init__(self, build: BuildExplainer, first_frames: FirstFrames | None = None) -> None:
        """Remember how explainers are built; nothing is loaded.

        Args:
            build: Builds the explainer for a method and a target layer.
            first_frames: Collects what it calibrates int8 by; once there are enough, it builds again.
        """
        self._build = build
        self._first_frames = first_frames
        self._layers: tuple[str, ...] | None = None
        self._built: OrderedDict[tuple[str, str], Explainer] = OrderedDict()
        self._last_prompted: tuple[Explainer, tuple[str, ...], Explainer] | None = None

    def __call__(self, request: ExplainRequest) -> SessionExplainer:
        """Return an explainer for a request.

        Raises:
            StreamcamError: if the model does not load, or the request does not go with it.
        """
        from streamcam.explain import METHODS

        key = (request.method, request.layer)
        if key not in self._built:
            self._built[key] = self._build(*key)
            while len(self._built) > _KEPT:
                self._built.popitem(last=False)
        self._built.move_to_end(key)
        explainer = self._built[key]
        if self._layers is None:
            self._layers = _stages_of(explainer)
        if request.prompts is not None:
            explainer = self._prompted(explainer, request.prompts)
        aimed = _aim(explainer, request)
        method = explainer.method if request.method == "auto" else request.method
        panes = None if request.panes is None else aimed.in_panes(PANES[request.panes](method))
        chosen = SessionExplainer(aimed, method, self._layers, tuple(METHODS), panes, compared=request.panes)
        if self._first_frames is not None and self._first_frames.are_awaited:
            chosen.first_frames, chosen.renew = self._first_frames, lambda: self._renewed(request)
        return chosen

    def _renewed(self, request: ExplainRequest) -> SessionExplainer:
        """Return an explainer in int8, or as before with a note where the network cannot be quantized."""
        before = dict(self._built)
        self._built.clear()
        try:
            return self(request)
        except StreamcamError as error:
            _logger.warning("%s", error)
            self._first_frames = None
            for explainer in before.values():
                explainer.notes.append(str(error))
            self._built.update(before)
            return self(request)

    def _prompted(self, explainer: Explainer, prompts: tuple[str, ...]) -> Explainer:
        """Return the explainer of other prompts: the last one where only its target changes."""
        if self._last_prompted is None or self._last_prompted[:2] != (explainer, prompts):
            self._last_prompted = (explainer, prompts, explainer.with_prompts(prompts))
        return self._last_prompted[2]


def build_from_model(
    model: Model | Mapping[str, Any],
    streams: int = 1,
    first_frames: FirstFrames | None = None,
    **settings: Any,
) -> BuildExplainer:
    """Build explainers of one model, which is loaded for the first of them.

    Args:
        model: A model, or the arguments of `streamcam.load_model`.
        streams: How many streams share them.
        first_frames: Calibrates int8; until it has enough frames, the precision is chosen as usual.
        settings: Of `streamcam.Explainer`, without method and target layer.
    """
    loaded: list[Model] = []

    def build(method: str, layer: str) -> Explainer:
        from streamcam.explain import Explainer
        from streamcam.models import load_model

        if not loaded:
            if isinstance(model, Mapping):
                any_shape, compares = settings.get("fit") == "full", settings.get("reference") is not None
                loaded.append(load_model(**model, any_shape=any_shape, compares=compares))
            else:
                loaded.append(model)
        return Explainer(
            loaded[0],
            method=method,
            target_layer=layer,
            batch_size=_batch_size(streams),
            **settings | ({} if first_frames is None else first_frames.settings),
        )

    return build


def build_from_explainer(explainer: Explainer, streams: int = 1) -> BuildExplainer:
    """Build explainers like one that is there, which is used itself for its own method and layer."""

    def build(method: str, layer: str) -> Explainer:
        if (method, layer) == (explainer.method, explainer.target_layer or "auto"):
            return explainer
        return explainer.variant(method=method, target_layer=layer, batch_size=_batch_size(streams))

    return build


def _batch_size(streams: int) -> int | Literal["auto"]:
    """Return how many frames are explained at once: of a single stream the first would wait for a second."""
    return 1 if streams == 1 else "auto"


def _aim(explainer: Explainer, request: ExplainRequest) -> Explainer:
    from streamcam.explain.targets import Target

    if request.class_index is not None:
        return explainer.with_targets([Target(class_index=request.class_index)])
    if request.rank is not None:
        return explainer.with_targets([Target(rank=min(request.rank, len(explainer.model.labels) - 1))])
    return explainer


def _stages_of(explainer: Explainer) -> tuple[str, ...]:
    """Return the layers worth choosing from: the last of each resolution and width, outside of blocks."""
    from streamcam.models import probe_model, stage_layers

    probe = probe_model(explainer.model, explainer.fit, explainer.device)
    return stage_layers(probe.layers, explainer.target_layer)
