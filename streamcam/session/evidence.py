"""Evidence of a live session: every explanation, in a file that `streamcam.open_evidence` reads."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from streamcam.errors import SinkError, StreamcamError
from streamcam.explanations import RenderedFrame, StabilizedFrame
from streamcam.session.events import EvidenceKept, OutputFailed
from streamcam.session.outputs import PATIENCE_S, Emit, LiveFrame, Output, QueueWorker, describe
from streamcam.session.threads import Explained
from streamcam.sinks import EvidenceSink, open_evidence_sink
from streamcam.sources import Source

_WAITING = 64
"""Explanations that may wait for the disk; a network gives fewer in a second."""


class LiveEvidence(Output):
    """An evidence file of what is explained while a session runs: a row for each explanation.

    What was written before the process is killed can be read, as from a render.
    """

    may_block = False

    def __init__(
        self,
        path: Path,
        source: Source,
        settings: Mapping[str, Any],
        *,
        command: str | None = None,
        overwrite: bool = False,
    ) -> None:
        """Describe the file, which is made with the first explanation.

        Args:
            path: Checked with `streamcam.files.check_output`.
            source: Where the frames come from.
            settings: How the session runs, as plain values.
            command: The command line that asked for it.
            overwrite: Whether a file that is there at the end is replaced.
        """
        self._path = path
        self._source = source
        self._settings = settings
        self._command = command
        self._overwrite = overwrite
        self._emit: Emit = lambda _event: None
        self._sink: EvidenceSink | None = None
        self._worker: QueueWorker[Explained] | None = None
        self._last = -1
        self._written = 0
        self._began_s = self._ended_s = 0.0
        self._notes: tuple[str, ...] = ()

    def start(self, emit: Emit) -> None:
        """Start the thread that writes."""
        self._emit = emit
        self._worker = QueueWorker(
            "evidence", self._write, capacity=_WAITING, failed=self._fail, finish=self._finish
        )

    def write(self, live_frame: LiveFrame) -> None:
        """Do nothing: explanations come by themselves."""

    def take(self, explained: Explained) -> None:
        """Keep an explanation, without waiting."""
        if self._worker is not None and explained.explanation.is_explained:
            self._worker.put(explained)

    def counts(self) -> dict[str, int]:
        """Return how many explanations were written and left out."""
        dropped = 0 if self._worker is None else self._worker.dropped
        return {"evidence": self._written, "evidence_dropped": dropped}

    def close(self) -> None:
        """Complete the file."""
        if self._worker is not None and not self._worker.join(PATIENCE_S):
            self._emit(OutputFailed(f"{str(self._path)!r} was not finished: its disk does not answer"))
        self._worker = None

    def _write(self, explained: Explained) -> None:
        frame = explained.frame
        if frame.index <= self._last:  # a frozen frame that is explained again
            return
        self._last = frame.index
        if self._sink is None:
            self._sink = self._open(explained)
            self._began_s = frame.received_at
        self._ended_s, self._notes = frame.received_at, explained.facts.notes
        stabilized = StabilizedFrame(frame, {}, (), (), explained.explanation)
        self._sink.write(RenderedFrame(frame.image, frame.pts, frame.time_base, stabilized))
        self._written += 1

    def _open(self, explained: Explained) -> EvidenceSink:
        facts = explained.facts
        sink = open_evidence_sink(self._path, self._source.info, overwrite=self._overwrite)
        network = {"model": facts.model, "weights": facts.weights}
        sink.describe(
            {**network, "method": facts.method, "target_layer": facts.layer or None, "is_live": True}
        )
        sink.identify(
            {**network, "backend": facts.backend, "precision": facts.precision},
            self._settings,
            facts.labels,
            self._command,
        )
        return sink

    def _finish(self) -> None:
        if self._sink is None:
            self._emit(OutputFailed(f"{str(self._path)!r} was not written: nothing was explained"))
            return
        elapsed_s = self._ended_s - self._began_s
        self._sink.conclude({"notes": list(self._notes), "elapsed_s": elapsed_s or None})
        self._sink.finish()
        self._emit(EvidenceKept(self._path, self._written))

    def _fail(self, error: BaseException) -> None:
        if self._sink is not None:
            with contextlib.suppress(SinkError):
                self._sink.abort()
        is_known = isinstance(error, StreamcamError)
        problem = str(error) if is_known else f"{str(self._path)!r} was given up ({describe(error)})"
        self._emit(OutputFailed(problem, self._path))
