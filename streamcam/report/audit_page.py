"""The page of an audit: HTML with everything in it, as that of a report."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from streamcam.report.document import assemble, format_percent, format_share, format_time
from streamcam.report.pictures import data_url

if TYPE_CHECKING:
    from streamcam.audits.verdicts import AuditResult, ClassAudit, HeatShare, WorstFrame


PARTS = ("Background", "Object")
"""The part that is changed, while the other stays."""


def build_audit_page(result: AuditResult, fail_under: float | None) -> str:
    """Return the page as HTML.

    Args:
        result: The audit.
        fail_under: The score that every class has to reach; None if there is none.
    """
    first = result.classes[0]
    ways = list(first.without_background)
    return assemble(
        "audit.html",
        title=Path(result.input).name,
        subject="object or background",
        introduction="Does the network rest on the object, or does it lean on the background?",
        verdicts="".join([*(_verdict(one, fail_under) for one in result.classes), *_notes(result)]),
        facts="".join(_facts(result, fail_under)),
        parts="".join(f'<th scope="colgroup" colspan="{len(ways)}">{part} changed</th>' for part in PARTS),
        changes="".join(f'<th scope="col">{name.capitalize()}</th>' for _ in PARTS for name in ways),
        rows="".join(_rows(result, _left)),
        heat="".join(_rows(result, _heat)),
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


def _notes(result: AuditResult) -> Iterator[str]:
    for note in result.notes:
        yield f'<p class="hint">{html.escape(note)}.</p>'


def _rows(result: AuditResult, cells_of: Callable[[ClassAudit], list[str]]) -> Iterator[str]:
    for one in result.classes:
        parts = [
            _row(each, f"{format_time(scene.begin_s)} to {format_time(scene.end_s)}", cells_of(each))
            for scene in result.scenes
            for each in scene.classes
            if each.index == one.index
        ]
        if len(parts) > 1:
            yield _row(one, "All frames", cells_of(one))
        yield from parts


def _left(one: ClassAudit) -> list[str]:
    left = [*one.without_background.values(), *one.without_object.values()]
    return [str(one.frames), f"{one.score:.2f}", *map(format_percent, left)]


def _heat(one: ClassAudit) -> list[str]:
    return [_format_share(share) for share in (one.heat, one.center, one.motion)]


def _row(one: ClassAudit, where: str, cells: list[str]) -> str:
    return (
        f'<tr><th scope="row">{html.escape(one.label)}</th><td class="span">{where}</td>'
        f"{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
    )


def _format_share(share: HeatShare | None) -> str:
    if share is None:
        return "nothing moved"
    return format_share(share.inside, share.area)


def _named(picture: str) -> str:
    return "As filmed, with its heat" if picture == "heat" else picture.capitalize()


def _worst(worst: WorstFrame) -> str:
    cards = "".join(
        f'<figure><img src="{data_url(each.jpeg)}" alt="{each.name}" loading="lazy"><figcaption>'
        f"{_named(each.name)}: {format_percent(each.probability)} probable</figcaption></figure>"
        for each in worst.pictures
    )
    title = f"{html.escape(worst.label)} at {format_time(worst.time_s)}"
    return f'<h3>{title}, score {worst.score:.2f}</h3><div class="cards changes">{cards}</div>'
