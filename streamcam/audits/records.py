"""Audits as files: JSON for programs, and JUnit's XML for continuous integration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import streamcam
from streamcam.audits.verdicts import AuditResult, ClassAudit

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
    }


def _class_record(one: ClassAudit) -> dict[str, Any]:
    return {
        "index": one.index,
        "label": one.label,
        "frames": one.frames,
        "probability": round(one.probability, _DIGITS),
        "inside": round(one.inside, _DIGITS),
        "area": round(one.area, _DIGITS),
        "lowest_s": round(one.lowest_s, 6),
        "without_background": {name: round(left, _DIGITS) for name, left in one.without_background.items()},
        "without_object": {name: round(left, _DIGITS) for name, left in one.without_object.items()},
        "score": round(one.score, _DIGITS),
        "verdict": one.verdict,
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
        yield f"<system-out>{escape(describe(one))}</system-out>"
        yield "</testcase>"
    yield "</testsuite>"


def describe(one: ClassAudit) -> str:
    """Describe what a class rests on, in a sentence."""
    return (
        f"{one.label} {one.verdict}: {one.inside:.0%} of its heat is inside the region ({one.area:.0%} of "
        f"the frame); {one.on_object:.0%} of its probability is left with another background, and "
        f"{one.on_background:.0%} without the object"
    )
