"""Names for the explainers that a render works with, for type checkers."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from streamcam.explain import Explainer, PaneExplainer
    from streamcam.explain.compiled.explainer import CompiledExplainer
    from streamcam.explain.compiled.record import CompiledModel
    from streamcam.models import Model
    from streamcam.pipeline.evidence_explainer import EvidenceExplainer, KeptModel
    from streamcam.pipeline.parts.explainer import PartedExplainer

    NetworkExplainer: TypeAlias = Explainer | CompiledExplainer
    """Runs a network."""

    LoneExplainer: TypeAlias = NetworkExplainer | EvidenceExplainer | PartedExplainer
    """Explains each frame in one way."""

    AnyExplainer: TypeAlias = LoneExplainer | PaneExplainer
    """Explains each frame in one way, or in several that are compared."""

    AnyModel: TypeAlias = Model | CompiledModel | KeptModel
    """A network, or its description where it does not run in torch."""
