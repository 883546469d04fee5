"""Options that commands share.

Options that belong together reach a command as one dict of keyword arguments: ``explainer`` for
`streamcam.Explainer`, ``overlay`` for `OverlaySettings`, and so on.
"""

from streamcam.cli.options.comparison import comparison_options, naming_prompts, take_comparison
from streamcam.cli.options.declaring import debug_option, grouped, option
from streamcam.cli.options.explainer import (
    explainer_options,
    exported_explainer_options,
    fit_option,
    model_options,
    named_model_options,
    own_model_options,
    prepared_explainer_options,
    shape_option,
)
from streamcam.cli.options.localization import localization_options
from streamcam.cli.options.media import beside_options, encoding_options, part_options, reading_options
from streamcam.cli.options.overlay import overlay_options
from streamcam.cli.options.temporal import strength_options, temporal_options
from streamcam.cli.options.values import (
    CLASS_NAME,
    COUNT_FROM_0,
    NUMBER,
    read_above_zero,
    read_names,
    read_rate,
    read_size,
)

__all__ = [
    "CLASS_NAME",
    "COUNT_FROM_0",
    "NUMBER",
    "beside_options",
    "comparison_options",
    "debug_option",
    "encoding_options",
    "explainer_options",
    "exported_explainer_options",
    "fit_option",
    "grouped",
    "localization_options",
    "model_options",
    "named_model_options",
    "naming_prompts",
    "option",
    "overlay_options",
    "own_model_options",
    "part_options",
    "prepared_explainer_options",
    "read_above_zero",
    "read_names",
    "read_rate",
    "read_size",
    "reading_options",
    "shape_option",
    "strength_options",
    "take_comparison",
    "temporal_options",
]
