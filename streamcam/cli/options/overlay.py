"""Options for the look of heat and labels."""

from __future__ import annotations

from typing import Any

from streamcam.cli.options.declaring import grouped, option
from streamcam.cli.options.values import NUMBER


def _to_settings(values: dict[str, Any]) -> dict[str, Any]:
    """Turn the flags that switch parts off into the settings that switch them on."""
    switches = {part: not values.pop(f"no_{part}") for part in ("labels", "boxes")}
    return {**values, **switches}


overlay_options = grouped(
    "overlay",
    option(
        "--layout",
        default_of="OverlaySettings",
        metavar="NAME",
        help="overlay, side-by-side (the frame as filmed, and the overlay), heat, mask (what the network did "
        "not use is darkened), spotlight (it is blurred), contours, swipe (a line wanders between the frame "
        "as filmed and the overlay) or original.",
    ),
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
        help="Opacity of full heat: 0 is invisible, 1 hides the image.",
    ),
    option(
        "--blend",
        default_of="OverlaySettings",
        metavar="NAME",
        help="ramp (opacity follows the strength of the heat, and the rest stays as it was filmed) or even "
        "(the same opacity everywhere, as in the papers).",
    ),
    option(
        "--legend", is_flag=True, help="Draw what the colors mean: from weak heat to strong, or which class."
    ),
    option(
        "--opacity-from-confidence",
        is_flag=True,
        help="Multiply the opacity of heat by the probability of the class that it is of.",
    ),
    option(
        "--caption",
        default_of="OverlaySettings",
        show_default=False,
        metavar="TEXT",
        help="Write words at the lower edge that say what is shown.",
    ),
    option(
        "--label-size",
        type=NUMBER,
        default_of="OverlaySettings",
        metavar="FACTOR",
        help="Size of all text on the image, 0.5 to 4 times what suits the image.",
    ),
    option(
        "--label-position",
        default_of="OverlaySettings",
        metavar="CORNER",
        help="Corner of the labels: top-left, top-right, bottom-left or bottom-right.",
    ),
    option("--no-labels", is_flag=True, help="Do not draw the predicted labels."),
    option(
        "--no-boxes", is_flag=True, help="Draw no boxes, neither around detected objects nor around heat."
    ),
    to=_to_settings,
)
"""The fields of `OverlaySettings`."""
