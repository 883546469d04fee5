"""The summary of a live session."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from streamcam.session.events import (
    Event,
    EvidenceKept,
    ImageSaved,
    OutputFailed,
    PublicationEnded,
    RecordingFinished,
)
from streamcam.session.statistics import Counts


@dataclasses.dataclass(frozen=True, slots=True)
class LiveResult:
    """Summary of a live session."""

    statistics: Counts
    """Counts of all streams together."""
    elapsed_s: float
    """Seconds from the first frame to the end; 0 if there was none."""
    recordings: tuple[RecordingFinished, ...]
    publications: tuple[PublicationEnded, ...]
    saved: tuple[Path, ...]
    """Images and evidence that were saved."""
    problems: tuple[str, ...]
    """Failures of outputs, and of streams among several, a sentence each."""
    notes: tuple[str, ...]
    """Remarks on the explanations for the user, a sentence each."""
    streams: tuple[tuple[str, Counts], ...]
    """Name and counts of each stream."""


def summarize(
    events: Sequence[Event], streams: Sequence[tuple[str, Counts]], elapsed_s: float, notes: tuple[str, ...]
) -> LiveResult:
    """Sum a session up.

    Args:
        events: What its outputs reported.
        streams: Name of each stream, and its numbers of the whole session.
        elapsed_s: Seconds from the first frame to the end.
        notes: Remarks on the explanations.
    """
    return LiveResult(
        statistics=Counts.sum(counts for _, counts in streams),
        elapsed_s=elapsed_s,
        recordings=tuple(event for event in events if isinstance(event, RecordingFinished)),
        publications=tuple(event for event in events if isinstance(event, PublicationEnded)),
        saved=tuple(event.path for event in events if isinstance(event, ImageSaved | EvidenceKept)),
        problems=tuple(event.problem for event in events if isinstance(event, OutputFailed)),
        notes=notes,
        streams=tuple(streams),
    )
