"""How it looks."""

from __future__ import annotations

from typing import Any

from streamcam.cli.options.declaring import gathered, option
from streamcam.cli.options.values import NUMBER


def _with_labels(values: dict[str, Any]) -> dict[str, Any]:
    without_labels = values.pop("no_labels")
    return {**values, "labels": not without_labels}


overlay_options = gathered(
    "overlay",
    option(
        "--colormap",
        default="turbo",
        show_default=True,
        metavar="NAME",
        help="jet (as in the papers), turbo, inferno, viridis and the others of OpenCV.",
    ),
    option(
        "--alpha",
        type=NUMBER,
        default=0.45,
        show_default=True,
        help="Weight of the heat: 0 shows none, 1 shows only heat.",
    ),
    option("--no-labels", is_flag=True, help="Leave the predicted labels out of the image."),
    to=_with_labels,
)
"""How it looks: what `OverlaySettings` takes."""
