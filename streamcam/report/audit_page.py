"""The page of an audit: HTML with everything in it, as that of a report."""

from __future__ import annotations

import html
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from streamcam.report.document import assemble, format_percent, format_time
from streamcam.report.pictures import data_url

if TYPE_CHECKING:
    from streamcam.audits.verdicts import AuditResult, ClassAudit, HeatShare, WorstFrame


def build_audit_page(result: AuditResult, fail_under: float | None) -> str:
    """Return the page as HTML.

    Args:
        result: The audit.
        fail_under: The score that every class has to reach; None if there is none.
    """
    first = result.classes[0]
    parts = ("background", "object")
    names = [f"{part} {name}" for part in parts for name in first.without_background]
    return assemble(
        "audit.html",
        title=Path(result.input).name,
        subject="object or background",
        introduction="Does the network rest on the object, or does it lean on the background?",
        verdicts="".join(_verdict(one, fail_under) for one in result.classes),
        facts="".join(_facts(result, fail_under)),
        changes="".join(f'<th scope="col">{name.capitalize()}</th>' for name in names),
        rows="".join(_rows(result)),
        pictures="".join(map(_worst, result.worst)),
    )


def _verdict(one: ClassAudit, fail_under: float | None) -> str:
    failed = fail_under is not None and one.score < fail_under
    below = f" <strong>This is below {fail_under:g}.</strong>" if failed else ""
    return (
        f"<p><strong>{html.escape(f'{one.label} {one.verdict}')}</strong>, score {one.score:.2f}: "
        f"{format_percent(one.on_object)} of its probability is left with another background, and "
        f"{format_percent(one.on_background)} without the object.{below}</p>"
    )


def _facts(result: AuditResult, fail_under: float | None) -> Iterator[str]:
    facts = {"Input": result.input, "Network": result.model, "Method": result.method, "Region": result.roi}
    if fail_under is not None:
        passed = "passed" if result.score >= fail_under else "failed"
        facts["Least score"] = f"{fail_under:g}: {passed} with {result.score:.2f}"
    for name, text in facts.items():
        yield f'<tr><th scope="row">{name}</th><td>{html.escape(text)}</td></tr>'


def _rows(result: AuditResult) -> Iterator[str]:
    for one in result.classes:
        parts = [
            _row(each, f"{format_time(scene.begin_s)} to {format_time(scene.end_s)}")
            for scene in result.scenes
            for each in scene.classes
            if each.index == one.index
        ]
        if len(parts) > 1:
            yield _row(one, "All frames")
        yield from parts


def _row(one: ClassAudit, where: str) -> str:
    left = [*one.without_background.values(), *one.without_object.values()]
    shares = [one.heat, one.center, one.motion]
    cells = [str(one.frames), f"{one.score:.2f}", *map(format_percent, left), *map(_format_share, shares)]
    return (
        f'<tr><th scope="row">{html.escape(one.label)}</th><td class="span">{where}</td>'
        f"{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
    )


def _format_share(share: HeatShare | None) -> str:
    if share is None:
        return "nothing moved"
    return f"{format_percent(share.inside)} ({format_percent(share.area)} of the frame)"


def _worst(worst: WorstFrame) -> str:
    cards = "".join(
        f'<figure><img src="{data_url(each.jpeg)}" alt="{each.name}" loading="lazy"><figcaption>'
        f"{each.name.capitalize()}: {format_percent(each.probability)}</figcaption></figure>"
        for each in worst.pictures
    )
    title = f"{html.escape(worst.label)} at {format_time(worst.time_s)}"
    return f'<h3>{title}, score {worst.score:.2f}</h3><div class="cards changes">{cards}</div>'
