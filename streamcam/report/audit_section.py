"""The section of a report on whether the network rests on the object: verdicts and figures of an audit."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from typing import Any

from streamcam.report.document import format_percent, format_share

_HEADS = ("Frames", "Heat in the region", "Left with another background", "Left without the object", "Score")


def audit_html(record: Mapping[str, Any] | None, input_name: str) -> str:
    """Return the section on a saved audit; nothing without one.

    Args:
        record: The audit, as ``streamcam audit --json`` prints it.
        input_name: The video that the report is on.
    """
    if record is None:
        return ""
    least = record.get("fail_under")
    outcome = "Passed" if record["passed"] else "Failed"
    passed = "" if least is None else f" {outcome}: {least:g} was asked for."
    elsewhere = "" if record["input"] == input_name else f" It is of another input, {record['input']}."
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in record.get("notes", []))
    heads = "".join(f'<th scope="col">{head}</th>' for head in _HEADS)
    return (
        '<section aria-labelledby="audit-title"><h2 id="audit-title">Object or background</h2>'
        f"{''.join(_verdict(one) for one in record['classes'])}"
        f'<p class="hint">Maps by {html.escape(record["method"])}; '
        f"the object is {html.escape(record['roi'])}. "
        "What is left of the class's probability is that of the most harmful of several changes."
        f"{html.escape(passed + elsewhere)}</p>"
        f'<div class="wide"><table><thead><tr><th scope="col">Class</th>{heads}</tr></thead>'
        f"<tbody>{''.join(_rows(record['classes']))}</tbody></table></div>"
        f"{f'<ul>{notes}</ul>' if notes else ''}</section>"
    )


def _verdict(one: Mapping[str, Any]) -> str:
    words = html.escape(f"{one['label']} {one['verdict']}")
    return f"<p><strong>{words}</strong>, score {one['score']:.2f}.</p>"


def _rows(classes: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for one in classes:
        cells = (
            str(one["frames"]),
            format_share(one["heat"]["inside"], one["heat"]["area"]),
            _least(one["without_background"]),
            _least(one["without_object"]),
            f"{one['score']:.2f}",
        )
        row = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
        yield f'<tr><th scope="row">{html.escape(one["label"])}</th>{row}</tr>'


def _least(left: Mapping[str, float]) -> str:
    """Describe what is left by the most harmful change."""
    name = min(left, key=left.__getitem__)
    return f"{format_percent(left[name])} ({name})"
