"""Audits: whether a network rests on the object or leans on the background, shown by changing either."""

from __future__ import annotations

from streamcam.audits.auditor import AuditSettings, audit
from streamcam.audits.interventions import INTERVENTIONS
from streamcam.audits.records import as_junit, as_record
from streamcam.audits.verdicts import AuditResult, ClassAudit, HeatShare

__all__ = [
    "INTERVENTIONS",
    "AuditResult",
    "AuditSettings",
    "ClassAudit",
    "HeatShare",
    "as_junit",
    "as_record",
    "audit",
]
