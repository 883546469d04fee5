"""The section of a report on how faithful methods are: the advice, the figures, and a picture of them."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_BETTER = {"higher": "higher is better", "lower": "lower is better"}
_WIDTH, _ROW = 260, 22
"""Size of a panel and of one method in it, in pixels."""


def evaluation_html(record: Mapping[str, Any] | None, input_name: str) -> str:
    """Return the section on a saved evaluation; nothing without one.

    Args:
        record: The evaluation, as ``streamcam evaluate --json`` prints it.
        input_name: The video that the report is on.
    """
    if record is None:
        return ""
    shots = record["shots"]
    where = f"{record['frames']} frames of {shots} {'shot' if shots == 1 else 'shots'}"
    elsewhere = "" if record["input"] == input_name else f" It is on another input, {record['input']}."
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in record.get("notes", []))
    return (
        '<section aria-labelledby="evaluation-title"><h2 id="evaluation-title">How faithful the maps are</h2>'
        f"<p><strong>{html.escape(record['advice'])}</strong></p>"
        f'<p class="hint">Evaluated on {html.escape(where)}; each bar is a 95 % confidence interval.'
        f"{html.escape(elsewhere)}</p>"
        f'<div class="cards panels">{"".join(_panels(record))}</div>'
        f'<div class="wide"><table><thead><tr><th scope="col">Figure</th><th scope="col">Good is</th>'
        f"{''.join(_heads(record['methods']))}</tr></thead><tbody>{''.join(_rows(record))}</tbody></table></div>"
        f"{f'<ul>{notes}</ul>' if notes else ''}</section>"
    )


def _heads(methods: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    for method in methods:
        yield f'<th scope="col">{html.escape(method["name"])}</th>'


def _rows(record: Mapping[str, Any]) -> Iterable[str]:
    for metric, better in record["metrics"].items():
        cells = "".join(f"<td>{_figure(method['figures'].get(metric))}</td>" for method in record["methods"])
        good = {"higher": "high", "lower": "low"}.get(better, "")
        yield f'<tr><th scope="row">{_title(record, metric)}</th><td>{good}</td>{cells}</tr>'
    costs = "".join(f"<td>{_number(method.get('cost_s'))}</td>" for method in record["methods"])
    yield f'<tr><th scope="row">Seconds a map</th><td>low</td>{costs}</tr>'


def _panels(record: Mapping[str, Any]) -> Iterable[str]:
    """Yield a picture of each figure: for each method its mean and confidence interval."""
    for metric, better in record["metrics"].items():
        figures = {
            method["name"]: found
            for method in record["methods"]
            if (found := method["figures"].get(metric)) is not None and found["mean"] is not None
        }
        if not figures:
            continue
        lows = [_edge(one, "low") for one in figures.values()]
        highs = [_edge(one, "high") for one in figures.values()]
        least, span = min(lows), max(max(highs) - min(lows), 1e-9)
        marks = "".join(
            _mark(name, one, (least, span), place) for place, (name, one) in enumerate(figures.items())
        )
        height = _ROW * len(figures) + 4
        title = _title(record, metric)
        yield (
            f'<figure><svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{title}, see the table">'
            f"{marks}</svg><figcaption>{title}, {min(lows):.3g} to {max(highs):.3g}; "
            f"{_BETTER.get(better, 'neither is better')}</figcaption></figure>"
        )


def _mark(name: str, figure: Mapping[str, float], scale: tuple[float, float], place: int) -> str:
    least, span = scale
    low, mean, high = (
        110 + 140 * (value - least) / span
        for value in (_edge(figure, "low"), figure["mean"], _edge(figure, "high"))
    )
    y = _ROW * place + _ROW / 2 + 2
    return (
        f'<text x="0" y="{y + 4:.0f}">{html.escape(name[:16])}</text>'
        f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y:.0f}" y2="{y:.0f}"></line>'
        f'<circle cx="{mean:.1f}" cy="{y:.0f}" r="4"></circle>'
    )


def _edge(figure: Mapping[str, float | None], name: str) -> float:
    """Return an end of the confidence interval; the mean where there is none."""
    value = figure[name]
    mean = figure["mean"]
    assert mean is not None
    return mean if value is None else value


def _title(record: Mapping[str, Any], metric: str) -> str:
    return html.escape(record.get("titles", {}).get(metric, metric))


def _figure(figure: Mapping[str, float | None] | None) -> str:
    if figure is None or figure["mean"] is None:
        return ""
    low, high = _edge(figure, "low"), _edge(figure, "high")
    return f"{figure['mean']:.3f} ±{(high - low) / 2:.3f}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
