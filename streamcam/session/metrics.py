"""Metrics of a live session for Prometheus, on a port of their own."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from streamcam.errors import InvalidArgumentError, SinkError
from streamcam.session.outputs import Emit, LiveFrame, Output
from streamcam.session.state import LiveState, StreamState

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

_COUNTERS: dict[str, tuple[str, Callable[[StreamState], float]]] = {
    "frames_read": ("Frames that the source sent.", lambda stream: stream.statistics.captured),
    "frames_shown": ("Different frames that were shown.", lambda stream: stream.statistics.shown),
    "frames_explained": ("Explanations that were finished.", lambda stream: stream.statistics.explained),
    "frames_dropped": (
        "Frames that were read and never shown, because newer ones had come.",
        lambda stream: stream.statistics.dropped,
    ),
    "reconnections": ("How often frames came again after trouble.", lambda stream: stream.reconnections),
}
"""Name of a counter → what it says, and how it is read; each has a value for every stream."""

_GAUGES: dict[str, tuple[str, Callable[[StreamState, float], float]]] = {
    "stream_up": (
        "1 while the stream sends frames, 0 while it is in trouble or has ended.",
        lambda stream, _now_s: float(stream.has_begun and stream.notice is None and not stream.has_ended),
    ),
    "silence_seconds": (
        "Seconds since the last frame arrived.",
        lambda stream, now_s: now_s - stream.frame_at_s,
    ),
    "frame_age_seconds": (
        "From the arrival of the last frame until it was shown.",
        lambda stream, _now_s: stream.statistics.frame_age_ms / 1000,
    ),
    "heat_age_seconds": (
        "From the arrival of the last explained frame until its heat was shown.",
        lambda stream, _now_s: stream.statistics.heat_age_ms / 1000,
    ),
}
"""Name of a gauge → what it says, and how it is read at a time."""


class Metrics(Output):
    """Numbers of every stream, for Prometheus to fetch; and the memory of the process, on Linux."""

    may_block = False

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        """Describe where they are served.

        Args:
            port: The port; 0 for any that is free.
            host: The address to listen on.

        Raises:
            InvalidArgumentError: if prometheus-client is not installed.
        """
        try:
            import prometheus_client
        except ModuleNotFoundError as error:
            raise InvalidArgumentError(
                f"metrics need {error.name}: install it with pip install 'streamcam[metrics]'"
            ) from error
        self.port = port
        self._host = host
        self._client = prometheus_client
        self._state: LiveState | None = None
        self._stop: Callable[[], None] = lambda: None

    def start(self, emit: Emit) -> None:  # noqa: ARG002
        """Begin to serve.

        Raises:
            SinkError: if the port cannot be used.
        """
        registry = self._client.CollectorRegistry()
        self._client.ProcessCollector(registry=registry)
        registry.register(self)
        try:
            server, thread = self._client.start_http_server(self.port, self._host, registry)
        except OSError as error:
            raise SinkError(
                f"`metrics_port={self.port}` cannot be used on {self._host}: {error.strerror or error}"
            ) from error
        self.port = server.server_port

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        self._stop = stop

    def write(self, live_frame: LiveFrame) -> None:
        """Take note of the state."""
        self._state = live_frame.state

    def close(self) -> None:
        """End the server."""
        stop, self._stop = self._stop, lambda: None
        stop()

    def collect(self) -> Iterator[Metric]:
        """Return all numbers, as prometheus-client asks for them; in the server's thread."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        state = self._state
        streams = () if state is None else state.streams
        for name, (words, read) in _COUNTERS.items():
            counter = CounterMetricFamily(f"streamcam_{name}", words, labels=["stream"])
            for stream in streams:
                counter.add_metric([stream.name], read(stream))
            yield counter
        for name, (words, read_at) in _GAUGES.items():
            gauge = GaugeMetricFamily(f"streamcam_{name}", words, labels=["stream"])
            for stream in streams:
                value = read_at(stream, state.now_s if state is not None else 0.0)
                if not math.isnan(value):
                    gauge.add_metric([stream.name], value)
            yield gauge
