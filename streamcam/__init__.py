"""streamcam: see, live and on video, where a neural network looks.

The public names are imported when they are first used: ``import streamcam`` loads neither torch nor cv2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamcam.lazy_names import import_lazily

if TYPE_CHECKING:
    from streamcam.audits import AuditResult, AuditSettings, audit
    from streamcam.cluster import RayCluster
    from streamcam.errors import StreamcamError
    from streamcam.evaluation import EvaluationResult, EvaluationSettings, evaluate
    from streamcam.evidence import Evidence, open_evidence
    from streamcam.explain import METHODS, Explainer
    from streamcam.explain.exported.opening import open_explainer
    from streamcam.explain.exported.writing import export_explainer
    from streamcam.explanations import Explanation, Instance, Prediction
    from streamcam.frames import Frame, Region
    from streamcam.localization import LocalizationSettings
    from streamcam.media.encoders import EncoderSettings
    from streamcam.models import Candidates, Classifier, Detector, InputSpec, Model, Output, load_model
    from streamcam.overlay import Overlay, OverlaySettings
    from streamcam.panes import Comparison
    from streamcam.pipeline.compare import compare
    from streamcam.pipeline.many_results import JobResult, RenderManyResult
    from streamcam.pipeline.render import RenderPlan, plan_render, render
    from streamcam.pipeline.render_many import render_many
    from streamcam.pipeline.restyle import restyle
    from streamcam.pipeline.results import RenderResult
    from streamcam.pipeline.settings import RenderSettings
    from streamcam.pipeline.stream import stream
    from streamcam.session.live import live
    from streamcam.session.prepare import Preparation, prepare
    from streamcam.session.settings import LiveSettings, StreamSettings
    from streamcam.sinks import open_sink
    from streamcam.sources import SourceSettings, open_source
    from streamcam.synthesis import MaximizedImage, MaximizeSettings, maximize
    from streamcam.temporal import TemporalSettings

__version__ = "0.1.0"

_HOMES = {
    "METHODS": "streamcam.explain",
    "Explainer": "streamcam.explain",
    "Classifier": "streamcam.models",
    "AuditResult": "streamcam.audits",
    "MaximizeSettings": "streamcam.synthesis",
    "MaximizedImage": "streamcam.synthesis",
    "maximize": "streamcam.synthesis",
    "AuditSettings": "streamcam.audits",
    "audit": "streamcam.audits",
    "RayCluster": "streamcam.cluster",
    "Candidates": "streamcam.models",
    "Comparison": "streamcam.panes",
    "Detector": "streamcam.models",
    "InputSpec": "streamcam.models",
    "Model": "streamcam.models",
    "Output": "streamcam.models",
    "load_model": "streamcam.models",
    "StreamcamError": "streamcam.errors",
    "EvaluationResult": "streamcam.evaluation",
    "EvaluationSettings": "streamcam.evaluation",
    "evaluate": "streamcam.evaluation",
    "Evidence": "streamcam.evidence",
    "open_evidence": "streamcam.evidence",
    "export_explainer": "streamcam.explain.exported.writing",
    "open_explainer": "streamcam.explain.exported.opening",
    "Explanation": "streamcam.explanations",
    "Instance": "streamcam.explanations",
    "Frame": "streamcam.frames",
    "Prediction": "streamcam.explanations",
    "Region": "streamcam.frames",
    "Overlay": "streamcam.overlay",
    "OverlaySettings": "streamcam.overlay",
    "RenderPlan": "streamcam.pipeline.render",
    "RenderResult": "streamcam.pipeline.results",
    "RenderSettings": "streamcam.pipeline.settings",
    "plan_render": "streamcam.pipeline.render",
    "render": "streamcam.pipeline.render",
    "restyle": "streamcam.pipeline.restyle",
    "JobResult": "streamcam.pipeline.many_results",
    "RenderManyResult": "streamcam.pipeline.many_results",
    "render_many": "streamcam.pipeline.render_many",
    "stream": "streamcam.pipeline.stream",
    "EncoderSettings": "streamcam.media.encoders",
    "compare": "streamcam.pipeline.compare",
    "LocalizationSettings": "streamcam.localization",
    "live": "streamcam.session.live",
    "Preparation": "streamcam.session.prepare",
    "prepare": "streamcam.session.prepare",
    "LiveSettings": "streamcam.session.settings",
    "StreamSettings": "streamcam.session.settings",
    "open_sink": "streamcam.sinks",
    "TemporalSettings": "streamcam.temporal",
    "SourceSettings": "streamcam.sources",
    "open_source": "streamcam.sources",
}
"""Public name → the module it comes from."""

__all__ = [
    "METHODS",
    "AuditResult",
    "AuditSettings",
    "Candidates",
    "Classifier",
    "Comparison",
    "Detector",
    "EncoderSettings",
    "EvaluationResult",
    "EvaluationSettings",
    "Evidence",
    "Explainer",
    "Explanation",
    "Frame",
    "InputSpec",
    "Instance",
    "JobResult",
    "LiveSettings",
    "LocalizationSettings",
    "MaximizeSettings",
    "MaximizedImage",
    "Model",
    "Output",
    "Overlay",
    "OverlaySettings",
    "Prediction",
    "Preparation",
    "RayCluster",
    "Region",
    "RenderManyResult",
    "RenderPlan",
    "RenderResult",
    "RenderSettings",
    "SourceSettings",
    "StreamSettings",
    "StreamcamError",
    "TemporalSettings",
    "__version__",
    "audit",
    "compare",
    "evaluate",
    "export_explainer",
    "live",
    "load_model",
    "maximize",
    "open_evidence",
    "open_explainer",
    "open_sink",
    "open_source",
    "plan_render",
    "prepare",
    "render",
    "render_many",
    "restyle",
    "stream",
]


if not TYPE_CHECKING:  # type checkers are to complain about names that are not there
    __getattr__ = import_lazily(__name__, _HOMES)
