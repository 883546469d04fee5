"""Audits: whether a network rests on the object or leans on the background, shown by changing either."""

from __future__ import annotations

from streamcam.audits.interventions import INTERVENTIONS
from streamcam.audits.records import as_junit, as_record
from streamcam.audits.verdicts import AuditResult, AuditSettings, ClassAudit, audit

__all__ = [
    "INTERVENTIONS",
    "AuditResult",
    "AuditSettings",
    "ClassAudit",
    "as_junit",
    "as_record",
    "audit",
]
