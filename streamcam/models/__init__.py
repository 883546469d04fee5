"""Models: networks with their weights, labels, input and layers.

Names are imported when they are first used: geometry and labels need no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamcam.lazy_names import import_lazily

if TYPE_CHECKING:
    from streamcam.models.base import InputSpec, Model, Output
    from streamcam.models.classifier import Classifier
    from streamcam.models.clip_classifier import ClipClassifier
    from streamcam.models.default_model import DEFAULT_MODEL
    from streamcam.models.detector import Candidates, Detector
    from streamcam.models.families.base import ModelInfo
    from streamcam.models.geometry import FITS, Geometry, fit_geometry
    from streamcam.models.layers import Layer, probe_layers
    from streamcam.models.loading import known_models, load_model
    from streamcam.models.probing import Probe, probe_arranged, probe_model
    from streamcam.models.refusals import refuse_layers
    from streamcam.models.segmenter import Segmenter
    from streamcam.models.stages import spread_stages, stage_layers
    from streamcam.models.target_layers import AUTO, choose_target_layers, default_layer

__all__ = [
    "AUTO",
    "DEFAULT_MODEL",
    "FITS",
    "Candidates",
    "Classifier",
    "ClipClassifier",
    "Detector",
    "Geometry",
    "InputSpec",
    "Layer",
    "Model",
    "ModelInfo",
    "Output",
    "Probe",
    "Segmenter",
    "choose_target_layers",
    "default_layer",
    "fit_geometry",
    "known_models",
    "load_model",
    "probe_arranged",
    "probe_layers",
    "probe_model",
    "refuse_layers",
    "spread_stages",
    "stage_layers",
]

_HOMES = {
    "AUTO": "streamcam.models.target_layers",
    "Candidates": "streamcam.models.detector",
    "Classifier": "streamcam.models.classifier",
    "ClipClassifier": "streamcam.models.clip_classifier",
    "DEFAULT_MODEL": "streamcam.models.default_model",
    "Detector": "streamcam.models.detector",
    "FITS": "streamcam.models.geometry",
    "Geometry": "streamcam.models.geometry",
    "InputSpec": "streamcam.models.base",
    "Layer": "streamcam.models.layers",
    "Model": "streamcam.models.base",
    "ModelInfo": "streamcam.models.families.base",
    "Output": "streamcam.models.base",
    "Probe": "streamcam.models.probing",
    "Segmenter": "streamcam.models.segmenter",
    "choose_target_layers": "streamcam.models.target_layers",
    "default_layer": "streamcam.models.target_layers",
    "fit_geometry": "streamcam.models.geometry",
    "known_models": "streamcam.models.loading",
    "load_model": "streamcam.models.loading",
    "probe_arranged": "streamcam.models.probing",
    "probe_layers": "streamcam.models.layers",
    "probe_model": "streamcam.models.probing",
    "refuse_layers": "streamcam.models.refusals",
    "spread_stages": "streamcam.models.stages",
    "stage_layers": "streamcam.models.stages",
}
"""Public name → the module it comes from."""

if not TYPE_CHECKING:  # type checkers are to complain about names that are not there
    __getattr__ = import_lazily(__name__, _HOMES)
