"""The state of a live session as plain values, for the page."""

from __future__ import annotations

import math
from pathlib import PurePath
from typing import Any

from streamcam.explanations import Prediction, StabilizedFrame
from streamcam.overlay import COLORMAPS
from streamcam.overlay.label_panel import format_percentage
from streamcam.overlay.overlay import listed_labels, target_colors
from streamcam.session.commands import COMMANDS, LIVE_LAYOUTS, SMOOTHINGS_S, layout_of
from streamcam.session.hud import format_age, hud_of, length_of_recording, statistics_rows
from streamcam.session.outputs import LiveFrame
from streamcam.session.state import LiveState
from streamcam.session.wall import CANVAS
from streamcam.session.wall_painter import places_of


def describe_choices() -> dict[str, Any]:
    """Return what does not change: the commands, and the names to choose from."""
    return {
        "commands": [
            {
                "name": command.name,
                "keys": list(command.keys),
                "key_label": command.key_label,
                "words": command.words,
            }
            for command in COMMANDS
        ],
        "colormaps": list(COLORMAPS),
        "layouts": list(LIVE_LAYOUTS),
        "smoothings_s": list(SMOOTHINGS_S),
    }


def has_labels_beside(live_frame: LiveFrame) -> bool:
    """Return whether the list beside the image says all that labels in it would.

    It does not say which stream or pane they are of, nor what the two colors of evidence mean.
    """
    heat = live_frame.heat
    if live_frame.tiles or heat is None:
        return not live_frame.tiles
    return not heat.others and not heat.explanation.signed


def describe_state(live_frame: LiveFrame) -> dict[str, Any]:
    """Return what the page shows beside the image."""
    state, tiles = live_frame.state, live_frame.tiles
    heat = tiles[0].heat if len(tiles) == 1 else live_frame.heat
    hud, facts, view = hud_of(state), state.facts, state.view
    return {
        "source": _short(state.alone.name) if state.alone is not None else f"{len(state.streams)} streams",
        "messages": list(hud.messages),
        "trouble": hud.trouble,
        "tiles": _describe_tiles(live_frame),
        "is_wall": len(tiles) > 1,
        "lost": all(state.streams[index].notice is not None for index in state.shown),
        "recording": _longest_recording(state),
        "frozen": state.frozen,
        "deletion_shown": view.deletion_shown,
        "deletion": _describe_deletion(state),
        "heat_shown": view.heat_shown,
        "model": None if facts is None else facts.model,
        "method": None if facts is None else facts.method,
        "layer": None if facts is None else facts.layer,
        "methods": [] if facts is None else list(facts.methods),
        "layers": [] if facts is None else list(facts.layers),
        "takes_prompts": facts is not None and facts.takes_prompts,
        "labels_key": None if facts is None else hash(facts.labels),
        "locked": state.request.class_index is not None,
        "colormap": view.overlay.colormap,
        "layout": layout_of(state),
        "opacity": view.overlay.alpha,
        "label_size": view.overlay.label_size,
        "has_labels_beside": has_labels_beside(live_frame),
        "smoothing_s": view.smoothing_s,
        "predictions": _describe_predictions(heat),
        "statistics": [list(row) for row in statistics_rows(state)],
    }


def _describe_deletion(state: LiveState) -> dict[str, Any] | None:
    """Return what is left of the class without the heat, of a stream that is shown alone."""
    deletion = None if state.alone is None else state.alone.deletion
    if deletion is None:
        return None
    return {
        "label": deletion.label,
        "before": format_percentage(deletion.probability),
        "after": format_percentage(deletion.without),
        "age": format_age(state, deletion),
    }


def _describe_tiles(live_frame: LiveFrame) -> list[dict[str, Any]]:
    """Return the names of tiles, what is seen in them, and where they lie, as fractions of the image."""
    (width, height), streams = CANVAS, live_frame.state.streams
    places = places_of(live_frame) if live_frame.tiles else []
    return [
        {
            "name": streams[tile.stream].name,
            "predictions": _describe_predictions(tile.heat),
            "left": place.left / width,
            "top": place.top / height,
            "right": (place.left + place.width) / width,
            "bottom": (place.top + place.bar + place.height) / height,
        }
        for tile, place in zip(live_frame.tiles, places, strict=True)
    ]


def _longest_recording(state: LiveState) -> str | None:
    """Return the length of the longest recording of any stream, shown or not; None where there is none."""
    lengths = [length for stream in state.streams if (length := length_of_recording(stream)) is not None]
    return max(lengths, key=lambda length: (len(length), length), default=None)


def _short(name: str) -> str:
    """Return the name of a file without its folders, which are nobody's business in the room."""
    return name if "://" in name else PurePath(name).name or name


def _describe_predictions(heat: StabilizedFrame | None) -> list[dict[str, Any]]:
    """Return the labels of a frame, and the classes that are explained besides."""
    if heat is None:
        return []
    labels = listed_labels(heat)
    indices = {each.index for each in labels}
    listed = [*labels, *(target for target in heat.targets if target.index not in indices)]
    explained, colors = {target.index for target in heat.targets}, target_colors(heat)
    return [_describe(each, explained, colors) for each in listed]


def _describe(
    prediction: Prediction, targets: set[int], colors: dict[int, tuple[int, int, int]]
) -> dict[str, Any]:
    share, color = prediction.probability, colors.get(prediction.index)
    return {
        "label": prediction.label,
        "probability": share if math.isfinite(share) else None,
        "value": prediction.value,
        "explained": prediction.index in targets,
        "color": None if color is None else "#{:02x}{:02x}{:02x}".format(*color),
    }
