"""Evidence: what a network answered in every frame of a video, kept in one file.

Reading it needs neither torch nor the network. Names are imported when they are first used: a render that
keeps no evidence needs no HDF5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamcam.lazy_names import import_lazily

if TYPE_CHECKING:
    from streamcam.evidence.inputs import describe_input, tell_apart
    from streamcam.evidence.reader import Evidence, is_evidence, open_evidence
    from streamcam.evidence.tables import TableEncoder, from_tables
    from streamcam.evidence.writer import EvidenceWriter

__all__ = [
    "Evidence",
    "EvidenceWriter",
    "TableEncoder",
    "describe_input",
    "from_tables",
    "is_evidence",
    "open_evidence",
    "tell_apart",
]

_HOMES = {
    "Evidence": "streamcam.evidence.reader",
    "EvidenceWriter": "streamcam.evidence.writer",
    "TableEncoder": "streamcam.evidence.tables",
    "describe_input": "streamcam.evidence.inputs",
    "from_tables": "streamcam.evidence.tables",
    "is_evidence": "streamcam.evidence.reader",
    "open_evidence": "streamcam.evidence.reader",
    "tell_apart": "streamcam.evidence.inputs",
}
"""Public name → the module it comes from."""

if not TYPE_CHECKING:  # type checkers are to complain about names that are not there
    __getattr__ = import_lazily(__name__, _HOMES)
