"""Options for finding where the heat lies."""

from __future__ import annotations

from streamcam.cli.options.declaring import grouped, option
from streamcam.cli.options.values import COUNT_FROM_0, NUMBER

localization_options = grouped(
    "localization",
    option("--boxes", is_flag=True, help="Find and draw boxes around the heat, numbered over time."),
    option(
        "--box-threshold",
        "threshold",
        type=NUMBER,
        default_of="LocalizationSettings",
        metavar="0..1",
        help="Heat of at least this share of the frame's strongest is inside.",
    ),
    option(
        "--box-components",
        "components",
        default_of="LocalizationSettings",
        metavar="NAME",
        help="Which connected areas of heat get a box: largest, or all for several objects.",
    ),
    option(
        "--roi",
        metavar="REGION",
        help="Show and write how much of the heat is inside a region: LEFT,TOP,RIGHT,BOTTOM or X,Y,X,Y,X,Y "
        "in pixels, mask.png, boxes by frame (boxes.jsonl, or boxes.json in COCO's format), class:person for "
        "detected objects, segment for the box around the heat, center, or motion.",
    ),
    option(
        "--points",
        type=COUNT_FROM_0,
        default_of="LocalizationSettings",
        metavar="NUMBER",
        help="Find and draw this many of the strongest places of the heat.",
    ),
)
"""The fields of `LocalizationSettings`."""
