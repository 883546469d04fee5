"""Audits as files: JSON for programs, and JUnit's XML for continuous integration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import streamcam
from streamcam.audits.verdicts import AuditResult, ClassAudit, HeatShare, WorstFrame

_DIGITS = 4


def as_record(result: AuditResult, fail_under: float | None) -> dict[str, Any]:
    """Return an audit as a JSON object.

    Args:
        result: The audit.
        fail_under: The score that every class has to reach; None if there is none.
    """
    return {
        "streamcam": streamcam.__version__,
        "input": result.input,
        "model": result.model,
        "method": result.method,
        "roi": result.roi,
        "score": round(result.score, _DIGITS),
        "fail_under": fail_under,
        "passed": fail_under is None or result.score >= fail_under,
        "classes": [_class_record(each) for each in result.classes],
        "scenes": [
            {
                "begin_s": round(scene.begin_s, 6),
                "end_s": round(scene.end_s, 6),
                "classes": [_class_record(each) for each in scene.classes],
            }
            for scene in result.scenes
        ],
        "worst": [_worst_record(each) for each in result.worst],
        "notes": list(result.notes),
    }


def _class_record(one: ClassAudit) -> dict[str, Any]:
    return {
        "index": one.index,
        "label": one.label,
        "frames": one.frames,
        "probability": round(one.probability, _DIGITS),
        "heat": _share_record(one.heat),
        "center": _share_record(one.center),
        "motion": None if one.motion is None else _share_record(one.motion),
        "lowest_s": round(one.lowest_s, 6),
        "without_background": {name: round(left, _DIGITS) for name, left in one.without_background.items()},
        "without_object": {name: round(left, _DIGITS) for name, left in one.without_object.items()},
        "score": round(one.score, _DIGITS),
        "verdict": one.verdict,
    }


def _share_record(share: HeatShare) -> dict[str, float]:
    return {"inside": round(share.inside, _DIGITS), "area": round(share.area, _DIGITS)}


def _worst_record(worst: WorstFrame) -> dict[str, Any]:
    return {
        "label": worst.label,
        "time_s": round(worst.time_s, 6),
        "score": round(worst.score, _DIGITS),
        "probabilities": {each.name: round(each.probability, _DIGITS) for each in worst.pictures},
    }


def as_junit(result: AuditResult, fail_under: float | None) -> str:
    """Return an audit as JUnit XML: a test case for each class, which fails below the score.

    Args:
        result: The audit.
        fail_under: As for `as_record`.
    """
    return "\n".join(_junit_lines(result, fail_under)) + "\n"


def _junit_lines(result: AuditResult, fail_under: float | None) -> Iterator[str]:
    least = fail_under or 0.0
    failures = sum(one.score < least for one in result.classes)
    yield '<?xml version="1.0" encoding="utf-8"?>'
    yield f'<testsuite name="streamcam audit" tests="{len(result.classes)}" failures="{failures}" errors="0">'
    for one in result.classes:
        suite = quoteattr(f"{result.model} on {result.input}")
        yield f"<testcase classname={suite} name={quoteattr(one.label)}>"
        if one.score < least:
            message = f"{one.label} {one.verdict}: score {one.score:.2f}, below {least:g}"
            yield f"<failure message={quoteattr(message)}></failure>"
        yield f"<system-out>{escape(f'{one.sentence}; {one.whereabouts}')}</system-out>"
        yield "</testcase>"
    yield "</testsuite>"
