"""An output for one pane of a comparison."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from streamcam.explanations import RenderedFrame
from streamcam.sinks.base import Sink

PANE = "{pane}"
"""Stands in names of files for the name of a pane."""


def pane_path(path: Path, name: str) -> Path:
    """Return the path of a pane's file."""
    return Path(str(path).replace(PANE, name))


class PaneSink(Sink):
    """Passes one of several explanations of each frame to a sink that keeps one.

    Attributes:
        sink: That sink.
        pane: Which pane it is of, from 0.
    """

    def __init__(self, sink: Sink, pane: int) -> None:
        """Wrap a sink.

        Args:
            sink: Takes one explanation of each frame.
            pane: Which one, from 0.
        """
        self.sink = sink
        self.pane = pane

    @property
    def notes(self) -> tuple[str, ...]:
        """Those of the sink."""
        return self.sink.notes

    def describe(self, run: Mapping[str, Any]) -> None:
        """Pass on what computed the pane."""
        self.sink.describe(
            {name: value for name, value in run.items() if name != "panes"} | run["panes"][self.pane]
        )

    def write(self, frame: RenderedFrame) -> None:
        """Pass on the pane's explanation."""
        stabilized = frame.stabilized
        if stabilized is not None:
            pane = (stabilized, *stabilized.others)[self.pane]
            explanation = dataclasses.replace(pane.explanation, others=())
            stabilized = dataclasses.replace(pane, explanation=explanation, others=())
        self.sink.write(dataclasses.replace(frame, stabilized=stabilized))

    def finish(self, *, cut_short: bool = False) -> None:
        """Complete the file."""
        self.sink.finish(cut_short=cut_short)

    def abort(self) -> None:
        """Remove what was written."""
        self.sink.abort()
