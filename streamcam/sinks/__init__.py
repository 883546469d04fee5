"""Where rendered frames go: videos, images, memory; and files of raw maps and evidence."""

from __future__ import annotations

from pathlib import Path

from streamcam.media.numbered_files import is_pattern
from streamcam.media.stores import is_stored, size_of_stored
from streamcam.sinks.annotations.yolo import CLASSES
from streamcam.sinks.base import Sink
from streamcam.sinks.browser_video import BrowserEncoder, browser_codecs
from streamcam.sinks.evidence import EvidenceSink, open_evidence_sink
from streamcam.sinks.image import IMAGE_SUFFIXES, ImageSink, open_image_sink
from streamcam.sinks.masks import MASK_NAME, open_mask_sink
from streamcam.sinks.memory import MemorySink
from streamcam.sinks.pane import PANE, PaneSink, pane_path
from streamcam.sinks.publication import PROTOCOLS, Publication, check_publication
from streamcam.sinks.recording import Recording, check_recording
from streamcam.sinks.resume.encoder import EncodedSegment, LocalSegmentEncoder, SegmentEncoder
from streamcam.sinks.resume.segments import (
    FRAMES_PER_SEGMENT,
    Segment,
    SegmentStore,
    locked_store,
    open_store,
    parts_path,
)
from streamcam.sinks.resume.sink import ResumableSink, check_resumable, make_resumable
from streamcam.sinks.sequence import SequenceSink, sequence_size
from streamcam.sinks.sidecar import SidecarSink, open_sidecar_sink
from streamcam.sinks.standard_output import is_standard_output
from streamcam.sinks.table import (
    SINKS,
    Opener,
    SinkKind,
    SinkSettings,
    holds_objects,
    is_one_in_a_folder,
    open_sink,
    output_path,
    shows_images,
)
from streamcam.sinks.text import TextSink
from streamcam.sinks.video import VideoSink

__all__ = [
    "CLASSES",
    "FRAMES_PER_SEGMENT",
    "IMAGE_SUFFIXES",
    "MASK_NAME",
    "PANE",
    "PROTOCOLS",
    "SINKS",
    "BrowserEncoder",
    "EncodedSegment",
    "EvidenceSink",
    "ImageSink",
    "LocalSegmentEncoder",
    "MemorySink",
    "Opener",
    "PaneSink",
    "Publication",
    "Recording",
    "ResumableSink",
    "Segment",
    "SegmentEncoder",
    "SegmentStore",
    "SequenceSink",
    "SidecarSink",
    "Sink",
    "SinkKind",
    "SinkSettings",
    "TextSink",
    "VideoSink",
    "browser_codecs",
    "check_publication",
    "check_recording",
    "check_resumable",
    "holds_objects",
    "is_one_in_a_folder",
    "is_standard_output",
    "locked_store",
    "make_resumable",
    "open_evidence_sink",
    "open_image_sink",
    "open_mask_sink",
    "open_sidecar_sink",
    "open_sink",
    "open_store",
    "output_path",
    "output_size",
    "pane_path",
    "parts_path",
    "shows_images",
]


def output_size(path: Path | str) -> int:
    """Return how many bytes a finished output takes on the disk, or in a store."""
    if is_stored(path):
        return size_of_stored(str(path)) or 0
    path = Path(path)
    if path.is_dir():
        return sum(file.stat().st_size for file in path.iterdir())
    return sequence_size(path) if is_pattern(path) and not path.exists() else path.stat().st_size
