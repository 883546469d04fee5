"""The outcome of a render of many files."""

from __future__ import annotations

import dataclasses

from streamcam.errors import StreamcamError
from streamcam.pipeline.jobs import RenderJob
from streamcam.pipeline.output_locations import OutputLocation
from streamcam.pipeline.results import RenderResult

DONE = "done"
"""Status of an input whose output is whole."""

INTERRUPTED = "interrupted"
"""Status of an input whose render was stopped."""

KEPT = "kept"
"""Status of an input whose output was made by an earlier run from the same file with the same settings."""


@dataclasses.dataclass(frozen=True, slots=True)
class JobResult:
    """The outcome for one input of a render of many."""

    job: RenderJob
    status: str
    """As in the manifest, or ``kept`` where nothing had to be done."""
    frames: int = 0
    """Number of frames in the output."""
    elapsed_s: float = 0.0
    result: RenderResult | None = None
    """The outcome of the render; None where there was none."""
    error: StreamcamError | None = None
    """Why there is no output; None where there is one, or where it was stopped before its first frame."""

    @property
    def messages(self) -> tuple[str, ...]:
        """The error or the notes, a sentence each."""
        if self.error is not None:
            return (str(self.error),)
        return () if self.result is None else self.result.notes


@dataclasses.dataclass(frozen=True, slots=True)
class RenderManyResult:
    """The outcome of a render of many files."""

    jobs: tuple[JobResult, ...]
    """The outcome for each input, in order; those that were not begun are missing."""
    manifest: OutputLocation
    """The file, or its URL in a store, that holds the same."""
    elapsed_s: float
    interrupted: bool
    """Whether it was stopped before the last input."""

    @property
    def complete(self) -> bool:
        """Whether every input has an output that is whole."""
        return not self.interrupted and all(job.status in (DONE, KEPT) for job in self.jobs)


def status_of(result: RenderResult | None, error: StreamcamError | None) -> str:
    """Return the status that a render has in the manifest.

    Args:
        result: The outcome; None where there is none.
        error: Why there is none; None where there is one, and where it was stopped before its first frame.
    """
    if error is not None:
        return "failed"
    if result is None or result.interrupted:
        return INTERRUPTED
    if result.shows_nothing:
        return "empty"
    return DONE if result.complete else "damaged"
