"""Sources of frames: files, cameras, network streams, and files played at their own pace."""

from __future__ import annotations

from streamcam.sources.base import Source, StopFlag
from streamcam.sources.files import check_input_file
from streamcam.sources.frame_times import FrameTimes, read_frame_times
from streamcam.sources.images import is_image
from streamcam.sources.in_step import FramesInStep
from streamcam.sources.lent_camera import LentCamera
from streamcam.sources.settings import SourceSettings
from streamcam.sources.synthetic import SyntheticSource
from streamcam.sources.table import SOURCES, Location, SourceKind, is_still, open_source
from streamcam.sources.v4l2 import CameraInfo, list_cameras

__all__ = [
    "SOURCES",
    "CameraInfo",
    "FrameTimes",
    "FramesInStep",
    "LentCamera",
    "Location",
    "Source",
    "SourceKind",
    "SourceSettings",
    "StopFlag",
    "SyntheticSource",
    "check_input_file",
    "is_image",
    "is_still",
    "list_cameras",
    "open_source",
    "read_frame_times",
]
