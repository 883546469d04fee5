"""Models: networks with their weights, labels, input and layers."""

from streamcam.models.base import InputSpec, Model, Output
from streamcam.models.classifier import Classifier
from streamcam.models.clip_classifier import ClipClassifier
from streamcam.models.detector import Candidates, Detector
from streamcam.models.families.base import ModelInfo
from streamcam.models.families.bundled import DEFAULT_MODEL
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
