"""Options for the look of heat and labels."""

from __future__ import annotations

from typing import Any

from streamcam.cli.options.declaring import grouped, option
from streamcam.cli.options.values import NUMBER


def _with_labels(values: dict[str, Any]) -> dict[str, Any]:
    without_labels = values.pop("no_labels")
    return {**values, "labels": not without_labels}


overlay_options = grouped(
    "overlay",
    option(
        "--colormap",
        default_of="OverlaySettings",
        metavar="NAME",
        help="turbo, jet (as in the papers), inferno, viridis or any other color map of OpenCV.",
    ),
    option(
        "--alpha",
        type=NUMBER,
        default_of="OverlaySettings",
        help="Opacity of the heat: 0 is invisible, 1 hides the image.",
    ),
    option("--no-labels", is_flag=True, help="Do not draw the predicted labels."),
    to=_with_labels,
)
"""The fields of `OverlaySettings`."""
