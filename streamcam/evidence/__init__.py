"""Evidence: what a network answered in every frame of a video, kept in one file.

Reading it needs neither torch nor the network.
"""

from __future__ import annotations

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
