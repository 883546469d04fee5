"""The stages linked together: threads, bounded channels, orderly ends."""

from streamcam.pipeline.channel import Channel, ChannelClosedError
from streamcam.pipeline.controls import BINDINGS, View
from streamcam.pipeline.figures import StatsFile
from streamcam.pipeline.live import LivePreview, LiveResult
from streamcam.pipeline.live_settings import LiveSettings
from streamcam.pipeline.live_stages import ExplainerFacts, Wanted
from streamcam.pipeline.rendering import Progress, RenderResult, check_outputs, render
from streamcam.pipeline.resuming import Kept
from streamcam.pipeline.streaming import ExplainedStream, stream

__all__ = [
    "BINDINGS",
    "Channel",
    "ChannelClosedError",
    "ExplainedStream",
    "ExplainerFacts",
    "Kept",
    "LivePreview",
    "LiveResult",
    "LiveSettings",
    "Progress",
    "RenderResult",
    "StatsFile",
    "View",
    "Wanted",
    "check_outputs",
    "render",
    "stream",
]
