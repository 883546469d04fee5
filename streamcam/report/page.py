"""The page of a report: HTML with everything in it, which needs no network."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from streamcam.explanations import RATHER_THAN, UNTRUSTED_METHODS, Explanation
from streamcam.frames import FloatArray
from streamcam.media.images import ByteArray
from streamcam.overlay.colormaps import COLORMAPS, lookup_table
from streamcam.report.audit_section import audit_html
from streamcam.report.document import assemble, format_percent, format_share, format_time, tells_much
from streamcam.report.evaluation import evaluation_html
from streamcam.report.pictures import Album, data_url, draw_heat, heat_of
from streamcam.report.sections import MOST_TRACKS, choice_html, paths_html, stages_html, video_html
from streamcam.report.summary import Shot, Summary, best_of, plain
from streamcam.report.tracks import Box
from streamcam.report.videos import find_videos

MOST_POINTS = 2000
"""Longer videos are shown with every second, third … explained frame."""
_MOST_SHOTS = 24
_MOST_CLASSES = 6
_MOST_CELLS = 24
"""Finer maps are shown with this many rows and columns."""
_FIRST_COLORS = ("#0b6bcb", "#c2410c", "#15803d", "#7c3aed", "#be185d", "#a16207")
"""Of the classes; each is legible on white and, lightened, on black."""


def build_page(
    summary: Summary,
    page: str | Path | None = None,
    evaluation: Mapping[str, Any] | None = None,
    audit: Mapping[str, Any] | None = None,
) -> str:
    """Return the page as HTML.

    Args:
        summary: The findings.
        page: Where it is going to lie, from where it plays videos that are found; None if it plays none.
        evaluation: Of the network's methods, as ``streamcam evaluate --json`` prints it.
        audit: Of the network, as ``streamcam audit --json`` prints it.

    Raises:
        SourceError: if the evidence is damaged.
    """
    figures = summary.figures()
    name_of_input = str(figures["input"].get("name"))
    album = Album(list(summary.evidence.thumbnails()))
    name = str(figures["settings"].get("overlay", {}).get("colormap", "turbo"))
    colors = lookup_table(name if name in COLORMAPS else "turbo")
    videos = [] if page is None else list(find_videos(summary.evidence, Path(page)))
    data = {**_timeline(summary, album), "colors": base64.b64encode(colors.tobytes()).decode("ascii")}
    return assemble(
        "page.html",
        title=Path(str(figures["input"].get("name", "video"))).name,
        subject="where the network looked",
        introduction="Where a neural network looked, and what it saw.",
        script="report.js",
        data=data,
        plays_videos=bool(videos),
        video=video_html(videos),
        choice=choice_html(videos),
        paths=paths_html(figures["tracks"]),
        stages=stages_html(figures),
        evaluation=evaluation_html(evaluation, name_of_input),
        audit=audit_html(audit, name_of_input),
        facts=_rows(list_facts(figures)),
        moments=_moments(summary, album, colors),
        averages="".join(_average_cards(summary, album, colors)),
        classes="".join(_class_rows(figures["classes"])),
        warnings=_list(figures["warnings"], "streamcam had nothing to warn of."),
        command=html.escape(figures["command"] or "The evidence was kept from Python."),
        settings=html.escape(json.dumps(figures["settings"], indent=1, ensure_ascii=False)),
        identity=html.escape(json.dumps(figures["identity"], indent=1, ensure_ascii=False)),
    )


def list_facts(figures: dict[str, Any]) -> Iterable[tuple[str, str]]:
    """Yield names and texts of what was run, from the figures of a summary."""
    run, given = figures["run"], figures["input"]
    yield "Input", f"{given.get('name')}, {given.get('width')}x{given.get('height')}"
    yield "Network", f"{run.get('model')}, weights: {run.get('weights')}"
    yield "Method", f"{run.get('method')} at {run.get('target_layer') or 'no layer'}"
    if run.get("method") in UNTRUSTED_METHODS:
        yield "Warning", UNTRUSTED_METHODS[run["method"]]
    for question in figures["questions"]:
        yield "Question", question
    yield "Length", f"{format_time(figures['duration_s'])}, {figures['frames']} frames"
    yield "Explained", f"{figures['explained']} frames"
    yield "Mean confidence", format_percent(figures["mean_confidence"])
    for share in figures["shares"]:
        least = f"; least at {format_time(share['least_s'])}: {format_percent(share['least'])}"
        text = format_share(share["inside"], share["area"])
        yield f"Heat in {share['name']}", text + (least if tells_much(share["area"]) else "")
    shots = len(figures["shots"])
    yield "Label changes", f"{figures['label_changes']} within {shots} {'shot' if shots == 1 else 'shots'}"
    if figures["fps"]:
        yield "Speed", f"{figures['fps']:.1f} frames a second, {figures['elapsed_s']:.1f} s in all"
    if not figures["is_complete"]:
        yield "Incomplete", "The render was stopped before the end."


def _rows(facts: Iterable[tuple[str, str]]) -> str:
    return "".join(
        f'<tr><th scope="row">{html.escape(name)}</th><td>{html.escape(text)}</td></tr>'
        for name, text in facts
    )


def _class_rows(classes: Sequence[dict[str, Any]]) -> Iterable[str]:
    for one in classes:
        yield (
            f'<tr><th scope="row">{html.escape(one["label"])}</th><td>{format_percent(one["share"])}</td>'
            f"<td>{format_percent(one['mean_confidence'])}</td><td>{format_percent(one['least_confidence'])}</td></tr>"
        )


def _list(lines: Sequence[str], otherwise: str) -> str:
    if not lines:
        return f"<p>{otherwise}</p>"
    return f"<ul>{''.join(f'<li>{html.escape(line)}</li>' for line in lines)}</ul>"


def _moments(summary: Summary, album: Album, colors: ByteArray) -> str:
    cards = "".join(_moment_cards(summary, album, colors))
    return f'<ul class="cards">{cards}</ul>' if cards else "<p>Nothing changes suddenly.</p>"


def _moment_cards(summary: Summary, album: Album, colors: ByteArray) -> Iterable[str]:
    for moment in summary.moments:
        explanation = summary.explanations[moment.row]
        shot = next(one for one in summary.shots if one.begin <= moment.row < one.end)
        first = summary.explanations[shot.begin].frame_index
        place = album.nearest(explanation.frame_index, first)
        picture = draw_heat(album.image(place), heat_of(explanation), explanation.region, colors)
        time = format_time(summary.times_s[moment.row])
        yield (
            f'<li><button type="button" class="card" data-row="{moment.row}">'
            f'<img src="{picture}" alt="" loading="lazy"><span><strong>{time}</strong> '
            f"{html.escape(moment.text)}</span></button></li>"
        )


def _average_cards(summary: Summary, album: Album, colors: ByteArray) -> Iterable[str]:
    whole = Shot(0, len(summary.explanations))
    named = [("Whole video", whole)]
    if len(summary.shots) > 1:
        named += [(f"Shot {number}", shot) for number, shot in enumerate(summary.shots[:_MOST_SHOTS], 1)]
    for name, shot in named:
        explanations = summary.explanations[shot.begin : shot.end]
        heat = _average_heat(explanations)
        if heat is None:
            continue
        drift = summary.drift(shot)
        moves = (
            "no heat"
            if drift is None
            else f"the heat's center moves by up to {format_percent(drift)} of the frame"
        )
        span = f"{format_time(summary.times_s[shot.begin])} to {format_time(summary.times_s[shot.end - 1])}"
        pair = _opposed(explanations)
        if pair is None:
            picture = _draw_average(heat, explanations, album, colors)
            yield _average_card(picture, name, f"{span}: {moves}")
            continue
        other = _average_heat(explanations, against=True)
        assert other is not None  # both are made of the same maps
        peak = max(float(heat.max()), float(other.max()))  # so that the weaker one is drawn weaker
        for one, label, also in ((heat, pair[0], f"; {moves}"), (other, pair[1], "")):
            picture = _draw_average(one, explanations, album, colors, peak)
            yield _average_card(picture, name, f"{span}: what speaks for {label}{also}")


def _average_card(picture: str, name: str, words: str) -> str:
    return (
        f'<figure><img src="{picture}" alt="Average heat: {name}, {html.escape(words)}" loading="lazy">'
        f"<figcaption><strong>{name}</strong>, {html.escape(words)}.</figcaption></figure>"
    )


def _average_heat(explanations: Sequence[Explanation], *, against: bool = False) -> FloatArray | None:
    """Return the average heat of frames; None if their maps differ in shape, or there are none."""
    maps = [heat_of(one, against=against) for one in explanations if one.heatmaps]
    if len({heat.shape for heat in maps}) != 1:
        return None
    heat: FloatArray = np.mean(maps, axis=0, dtype=np.float32)
    return heat


def _draw_average(
    heat: FloatArray,
    explanations: Sequence[Explanation],
    album: Album,
    colors: ByteArray,
    peak: float | None = None,
) -> str:
    """Draw average heat on the first of the frames; its own peak is the strongest if None."""
    peak = float(heat.max()) if peak is None else peak
    place = album.nearest(explanations[0].frame_index, explanations[0].frame_index)
    shown: FloatArray = heat / np.float32(peak) if peak > 0 else heat
    return draw_heat(album.image(place), shown, explanations[0].region, colors)


def _opposed(explanations: Sequence[Explanation]) -> tuple[str, str] | None:
    """Name what maps of one class rather than another show, and what their opposites do; None elsewhere."""
    labels = {target.label for one in explanations for target in one.targets}
    if len(labels) != 1 or RATHER_THAN not in (label := labels.pop()):
        return None
    if not any(one.signed or one.opposites for one in explanations):
        return None
    name, _, other = label.partition(RATHER_THAN)
    return label, f"{other}{RATHER_THAN}{name}"


def _timeline(summary: Summary, album: Album) -> dict[str, Any]:
    """Return what the script shows of each explained frame, or of every second, third …"""
    step = -(-len(summary.explanations) // MOST_POINTS)
    striking = {moment.row for moment in summary.moments}
    rows = [row for row in range(len(summary.explanations)) if row % step == 0 or row in striking]
    labels = [one["label"] for one in summary.classes() if one["label"] != "nothing"][:_MOST_CLASSES]
    firsts = {
        row: summary.explanations[shot.begin] for shot in summary.shots for row in range(shot.begin, shot.end)
    }
    boxes = _boxes_by_row(summary)
    frames = []
    for row in rows:
        explanation = summary.explanations[row]
        shown = explanation.smoothed_predictions or explanation.predictions
        heat = _coarse(heat_of(explanation))
        region = explanation.region
        frames.append(
            {
                "row": row,
                "labels": [[one.label, plain(_shown_number(one))] for one in shown[:5]],
                "target": ", ".join(target.label for target in explanation.targets),
                "heat": base64.b64encode((heat * 255).round().astype(np.uint8).tobytes()).decode("ascii"),
                "shape": list(heat.shape),
                "region": [region.left, region.top, region.right, region.bottom],
                "boxes": boxes.get(row, []),
                "picture": album.nearest(explanation.frame_index, firsts[row].frame_index),
            }
        )
    return {
        "times": [plain(summary.times_s[row]) for row in rows],
        "series": [
            {"label": label, "color": color, "values": [_value_of(summary, row, label) for row in rows]}
            for label, color in zip(labels, _FIRST_COLORS, strict=False)
        ],
        "paths": [
            {
                "label": f"{track.label} #{track.number}",
                "number": track.number,
                "color": color,
                "values": [_center_of(track.boxes.get(row)) for row in rows],
            }
            for track, color in zip(summary.tracks, _FIRST_COLORS, strict=False)
        ],
        "centers": [[plain(summary.centers[row][axis]) for row in rows] for axis in (0, 1)],
        "frames": frames,
        "pictures": [data_url(file) for file in album.files],
    }


def _boxes_by_row(summary: Summary) -> dict[int, list[Any]]:
    """Return for each row its boxes: number, name, and the four edges."""
    boxes: dict[int, list[Any]] = {}
    for track in summary.tracks[:MOST_TRACKS]:
        for row, box in track.boxes.items():
            edges = [round(edge, 4) for edge in box]
            boxes.setdefault(row, []).append([track.number, track.labels[row], *edges])
    return boxes


def _center_of(box: Box | None) -> float | None:
    return None if box is None else plain((box[0] + box[2]) / 2)


def _value_of(summary: Summary, row: int, label: str) -> float | None:
    """Return the confidence in a class where it is among those that were shown."""
    explanation = summary.explanations[row]
    for one in explanation.smoothed_predictions or explanation.predictions:
        if one.label == label:
            return plain(_shown_number(one))
    best = best_of(explanation)
    return plain(_shown_number(best)) if best is not None and best.label == label else None


def _shown_number(prediction: Any) -> float:
    is_value = prediction.value is not None and not np.isfinite(prediction.probability)
    return float(prediction.value if is_value else prediction.probability)


def _coarse(heat: Any) -> Any:
    """Average a fine map to at most `_MOST_CELLS` rows and columns."""
    steps = [max(1, side // _MOST_CELLS) for side in heat.shape]
    rows, columns = (side // step * step for side, step in zip(heat.shape, steps, strict=True))
    blocks = heat[:rows, :columns].reshape(rows // steps[0], steps[0], columns // steps[1], steps[1])
    return blocks.mean(axis=(1, 3))
