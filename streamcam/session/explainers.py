"""Explainers for a live session, built when they are asked for and kept for a while."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from streamcam.errors import StreamcamError
from streamcam.explanations import Explanation
from streamcam.frames import FloatArray, Frame
from streamcam.panes import COMPARED_METHODS, Comparison
from streamcam.pipeline.cancelling import cancelled_by
from streamcam.session.calibration import FirstFrames
from streamcam.session.state import ExplainerFacts, ExplainRequest

if TYPE_CHECKING:
    from streamcam.explain import Explainer, PaneExplainer
    from streamcam.explain.compiled.explainer import CompiledExplainer
    from streamcam.explain.targets import Target
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

BuildExplainer = Callable[[str, str], "Explainer | CompiledExplainer"]
"""Builds the explainer for a method and a target layer."""


@dataclasses.dataclass
class SessionExplainer:
    """An explainer for one request of a session."""

    explainer: Explainer | CompiledExplainer
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

    def cancelled_by(self, is_cancelled: Callable[[], bool]) -> contextlib.AbstractContextManager[None]:
        """As for `streamcam.Explainer`."""
        return cancelled_by(self.panes or self.explainer, is_cancelled)

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

    def probabilities_without(self, frame: Frame, heatmap: FloatArray) -> FloatArray:
        """Return the probabilities of a frame without its hottest part; see `streamcam.Explainer`."""
        return self.explainer.probabilities_without(frame, heatmap)

    @property
    def facts(self) -> ExplainerFacts:
        """Facts about the explainer at this moment: another backend may have taken over."""
        explainer = self.explainer
        waiting = () if self.first_frames is None else (self.first_frames.note,)
        return ExplainerFacts(
            model=explainer.model.name,
            method=self.method,
            layer=explainer.target_layer,
            backend=explainer.backend,
            precision=explainer.precision,
            labels=tuple(explainer.model.labels),
            layers=self.layers,
            methods=self.methods,
            notes=(*explainer.notes, *waiting),
            panes=self.compared,
            takes_prompts=explainer.model.takes_prompts,
            weights=explainer.model.weights,
        )


class Explainers:
    """Returns explainers for requests: an `ExplainerFor`. Used by one thread.

    That thread imports torch for what is not compiled.
    """

    def __init__(self, build: BuildExplainer, first_frames: FirstFrames | None = None) -> None:
        """Remember how explainers are built; nothing is loaded.

        Args:
            build: Builds the explainer for a method and a target layer.
            first_frames: Collects what it calibrates int8 by; once there are enough, it builds again.
        """
        self._build = build
        self._first_frames = first_frames
        self._offered: tuple[tuple[str, ...], tuple[str, ...]] | None = None
        self._built: OrderedDict[tuple[str, str], Explainer | CompiledExplainer] = OrderedDict()
        self._default_names: dict[tuple[str, str], tuple[str, str]] = {}
        self._last_prompted: tuple[Explainer, tuple[str, ...], Explainer] | None = None

    def __call__(self, request: ExplainRequest) -> SessionExplainer:
        """Return an explainer for a request.

        Raises:
            StreamcamError: if the model does not load, or the request does not go with it.
        """
        chosen = self._choose(request)
        if self._first_frames is not None and self._first_frames.are_awaited:
            chosen.first_frames, chosen.renew = self._first_frames, lambda: self._renewed(request)
        return chosen

    def _choose(self, request: ExplainRequest) -> SessionExplainer:
        explainer = self._explainer_of(request.method, request.layer)
        if self._offered is None:
            self._offered = _offers_of(explainer)
        layers, methods = self._offered
        method = explainer.method if request.method == "auto" else request.method
        if request.prompts is None and request.panes is None:
            targets = _targets_of(request, len(explainer.model.labels))
            aimed = explainer if targets is None else explainer.with_targets(targets)
            return SessionExplainer(aimed, method, layers, methods)
        in_torch = _in_torch(explainer)
        if request.prompts is not None:
            in_torch = self._prompted(in_torch, request.prompts)
        targets = _targets_of(request, len(in_torch.model.labels))
        in_torch = in_torch if targets is None else in_torch.with_targets(targets)
        panes = None if request.panes is None else in_torch.in_panes(PANES[request.panes](method))
        return SessionExplainer(in_torch, method, layers, methods, panes, compared=request.panes)

    def _explainer_of(self, method: str, layer: str) -> Explainer | CompiledExplainer:
        """Return the explainer of a method and layer: the one of ``"auto"`` where that chose the same."""
        key = self._default_names.get((method, layer), (method, layer))
        if key not in self._built:
            explainer = self._built[key] = self._build(*key)
            if layer == "auto":
                self._default_names[method, explainer.target_layer] = key
            if method == "auto":
                self._default_names[explainer.method, layer] = key
                self._default_names[explainer.method, explainer.target_layer] = key
            while len(self._built) > _KEPT:
                self._built.popitem(last=False)
        self._built.move_to_end(key)
        return self._built[key]

    def _renewed(self, request: ExplainRequest) -> SessionExplainer:
        """Return an explainer in int8, or as before with a note where the network cannot be quantized."""
        before, names = dict(self._built), dict(self._default_names)
        self._built.clear()
        self._default_names.clear()
        try:
            return self(request)
        except StreamcamError as error:
            _logger.warning("%s", error)
            self._first_frames = None
            for explainer in before.values():
                explainer.notes.append(str(error))
            self._built.update(before)
            self._default_names.update(names)
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

    @functools.cache
    def network() -> Model:
        from streamcam.explain.network_loading import load_network

        return load_network(model, present()) if isinstance(model, Mapping) else model

    def present() -> dict[str, Any]:
        return settings if first_frames is None else {**settings, **first_frames.settings}

    def build(method: str, layer: str) -> Explainer | CompiledExplainer:
        chosen = {
            **present(),
            "method": method,
            "target_layer": layer,
            "batch_size": live_batch_size(streams),
        }
        if isinstance(model, Mapping):
            from streamcam.explain.compiled.loading import load_explainer
            from streamcam.models.model_names import is_explainer_file

            if is_explainer_file(model.get("name")):
                del chosen["batch_size"]  # settled when it was exported
            return load_explainer(model, chosen, network)
        from streamcam.explain import Explainer

        return Explainer(model, **chosen)

    return build


def build_from_explainer(explainer: Explainer, streams: int = 1) -> BuildExplainer:
    """Build explainers like one that is there, which is used itself for its own method and layer."""

    def build(method: str, layer: str) -> Explainer:
        if (method, layer) == (explainer.method, explainer.target_layer or "auto"):
            return explainer
        return explainer.variant(method=method, target_layer=layer, batch_size=live_batch_size(streams))

    return build


def live_batch_size(streams: int) -> int | Literal["auto"]:
    """Return how many frames are explained at once: of a single stream the first would wait for a second.

    Shorter batches are filled up, and those of a wall have 1, 2, 4 … frames.
    """
    return "auto" if streams > 3 else min(streams, 2)


def _targets_of(request: ExplainRequest, classes: int) -> list[Target] | None:
    """Return what is asked for, of a number of classes; None for what the explainer is set up for."""
    from streamcam.explain.targets import Target

    if request.class_index is not None:
        return [Target(class_index=request.class_index)]
    if request.rank is not None:
        return [Target(rank=min(request.rank, classes - 1))]
    return None


def _in_torch(explainer: Explainer | CompiledExplainer) -> Explainer:
    from streamcam.explain.compiled.explainer import CompiledExplainer

    return explainer.in_torch() if isinstance(explainer, CompiledExplainer) else explainer


def _offers_of(explainer: Explainer | CompiledExplainer) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the layers and the methods to choose from."""
    from streamcam.explain.compiled.explainer import CompiledExplainer

    if isinstance(explainer, CompiledExplainer):
        return explainer.layers, explainer.methods
    from streamcam.explain import METHODS
    from streamcam.models import stage_layers

    return stage_layers(explainer.prepared.probe.layers, explainer.target_layer), tuple(METHODS)
