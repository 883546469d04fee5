"""The stages linked together: threads, bounded channels, orderly ends."""

from streamcam.pipeline.channel import Channel, ChannelClosedError
from streamcam.pipeline.rendering import Progress, RenderResult, check_outputs, render
from streamcam.pipeline.streaming import ExplainedStream, stream

__all__ = [
    "Channel",
    "ChannelClosedError",
    "ExplainedStream",
    "Progress",
    "RenderResult",
    "check_outputs",
    "render",
    "stream",
]
