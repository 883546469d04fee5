"""The page of a comparison: HTML with everything in it, as that of a report."""

from __future__ import annotations

import html
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from streamcam.media.images import ByteArray
from streamcam.overlay.colormaps import lookup_table
from streamcam.report.comparison import Comparison
from streamcam.report.document import assemble, format_percent, format_time
from streamcam.report.page import MOST_POINTS, list_facts
from streamcam.report.pictures import Album, draw_heat, heat_of
from streamcam.report.summary import plain


def build_comparison_page(comparison: Comparison) -> str:
    """Return the page as HTML.

    Raises:
        SourceError: if the evidence is damaged.
    """
    figures = comparison.figures()
    return assemble(
        "comparison.html",
        title=Path(str(figures["first"]["input"].get("name", "video"))).name,
        subject="two explanations",
        introduction="Two explanations of one video, A and B.",
        script="comparison.js",
        data=_chart(comparison),
        facts="".join(_fact_rows(figures)),
        figures="".join(_figure_rows(figures)),
        differences="".join(_cards(comparison, lookup_table("turbo"))),
    )


def _fact_rows(figures: dict[str, Any]) -> Iterable[str]:
    first, second = (dict(list_facts(figures[name])) for name in ("first", "second"))
    for name in {**first, **second}:
        cells = "".join(f"<td>{html.escape(facts.get(name, ''))}</td>" for facts in (first, second))
        yield f'<tr><th scope="row">{html.escape(name)}</th>{cells}</tr>'


def _figure_rows(figures: dict[str, Any]) -> Iterable[str]:
    similarity = figures["mean_similarity"]
    rows = {
        "Frames compared": str(figures["frames"]),
        "Same class first": format_percent(figures["agreement"]),
        "Mean correlation of heat": "no heat" if similarity is None else f"{similarity:.2f}",
        "Mean difference of confidence": format_percent(figures["mean_confidence_difference"]),
    }
    for name, text in rows.items():
        yield f'<tr><th scope="row">{name}</th><td>{text}</td></tr>'


def _cards(comparison: Comparison, colors: ByteArray) -> Iterable[str]:
    albums = [Album(list(each.evidence.thumbnails())) for each in (comparison.first, comparison.second)]
    for difference in comparison.differences():
        pictures = []
        for album, explanation, name in zip(
            albums, comparison.explanations(difference.pair), "AB", strict=True
        ):
            image = album.image(album.nearest(explanation.frame_index, 0))
            picture = draw_heat(image, heat_of(explanation), explanation.region, colors)
            pictures.append(f'<img src="{picture}" alt="Heat of {name}" loading="lazy">')
        time = format_time(comparison.times_s[difference.pair])
        yield (
            f"<li><div>{''.join(pictures)}</div><p><strong>{time}</strong> "
            f"{html.escape(difference.text)}</p></li>"
        )


def _chart(comparison: Comparison) -> dict[str, Any]:
    step = -(-len(comparison.rows) // MOST_POINTS)
    confidence = comparison.confidence
    columns = [comparison.similarity, confidence[:, 0], confidence[:, 1]]
    return {
        "times": [plain(time) for time in comparison.times_s[::step]],
        "series": [[plain(value) for value in column[::step]] for column in columns],
    }
