"""Sections of a report's page: the player of the video, the paths of boxes, the speed by stage."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from streamcam.report.document import format_percent, format_time
from streamcam.report.videos import PlayedVideo

MOST_TRACKS = 20
"""More boxes are counted only."""
_STAGES = {
    "decode": "Decoding",
    "explain": "The network and its maps",
    "draw": "Smoothing and drawing",
    "write": "Encoding and writing",
}


def video_html(videos: Sequence[PlayedVideo]) -> str:
    """Return the player of the first of some videos; nothing if there are none."""
    if not videos:
        return ""
    return (
        f'<video id="player" src="{videos[0].url}" controls playsinline preload="metadata" '
        'aria-label="The video"></video>'
    )


def choice_html(videos: Sequence[PlayedVideo]) -> str:
    """Return what chooses among videos, and says that one is missing."""
    options = "".join(
        f'<option value="{one.url}" data-begins="{one.begins_s:.6f}" data-heat="{int(one.has_heat)}">'
        f"{'with heat, as rendered' if one.has_heat else 'as filmed'}</option>"
        for one in videos
    )
    if not videos:
        return ""
    return (
        f'<label>Play <select id="choice">{options}</select></label>'
        '<p id="problem" class="hint" hidden>The video does not lie beside this page any more, or '
        "this browser cannot play it; pictures stand for it.</p>"
    )


def paths_html(tracks: Sequence[dict[str, Any]]) -> str:
    """Return the section on the paths of boxes, as `Summary.figures` has them; nothing without one."""
    if not tracks:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{html.escape(one["label"])} #{one["number"]}</th>'
        f"<td>{format_time(one['begin_s'])} to {format_time(one['end_s'])}</td><td>{one['frames']}</td>"
        f"<td>{format_percent(one['moved'])} of the frame</td></tr>"
        for one in tracks[:MOST_TRACKS]
    )
    more = len(tracks) - MOST_TRACKS
    rest = f'<p class="hint">{more} more were seen in fewer frames.</p>' if more > 0 else ""
    return (
        '<section aria-labelledby="paths-title"><h2 id="paths-title">Paths of boxes</h2>'
        '<p class="hint">The center of each box, from the left edge of the frame (0 %) to the right (100 %). '
        "The chosen moment above shows the boxes and where they came from.</p>"
        '<div id="paths" role="img" aria-label="Center of each box over time; how far it moves is below">'
        "</div>"
        '<div class="wide"><table><thead><tr><th scope="col">Box</th><th scope="col">From, to</th>'
        '<th scope="col">Frames</th><th scope="col">Moves by up to</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{rest}</section>"
    )


def stages_html(figures: dict[str, Any]) -> str:
    """Return how long each stage worked, from the figures of a summary."""
    stages: dict[str, float] = figures["stage_s"]
    if not stages:
        return "<p>This evidence does not hold how long the stages took.</p>"
    frames = figures["frames"]
    rows = "".join(
        f'<tr><th scope="row">{_STAGES.get(name, html.escape(name))}</th><td>{taken:.2f} s</td>'
        f"<td>{1000 * taken / frames:.1f} ms</td></tr>"
        for name, taken in stages.items()
    )
    return (
        '<p class="hint">Stages work beside each other, in threads of their own; the slowest sets the pace.'
        "</p>"
        '<div class="wide"><table><thead><tr><th scope="col">Stage</th><th scope="col">Worked for</th>'
        f'<th scope="col">For each frame</th></tr></thead><tbody>{rows}</tbody></table></div>'
    )
