"""Temporal stage: smooth heatmaps, hold labels and find shots between explaining and drawing."""

from streamcam.temporal.objects import ObjectTracker
from streamcam.temporal.panes import PaneStabilizer
from streamcam.temporal.recording import RecordingTracker, Relevance, TrackerCall, replay
from streamcam.temporal.settings import LIVE_MODE, MODES, SCALES, TemporalSettings, check_live
from streamcam.temporal.stabilizer import Stabilizer, stabilize
from streamcam.temporal.together import TogetherTracker
from streamcam.temporal.tracker import Tracker

__all__ = [
    "LIVE_MODE",
    "MODES",
    "SCALES",
    "ObjectTracker",
    "PaneStabilizer",
    "RecordingTracker",
    "Relevance",
    "Stabilizer",
    "TemporalSettings",
    "TogetherTracker",
    "Tracker",
    "TrackerCall",
    "check_live",
    "replay",
    "stabilize",
]
