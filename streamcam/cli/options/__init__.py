"""The options of the commands: the same word means the same thing everywhere.

Options that belong together reach a command as one dict, which is what the thing that they are for takes:
``explainer`` for `streamcam.Explainer`, ``overlay`` for `OverlaySettings`, and so on.
"""

from streamcam.cli.options.declaring import debug_option, debugging, gathered, option
from streamcam.cli.options.explainer import explainer_options, fit_option, own_model_options
from streamcam.cli.options.media import encoding_options, part_options, reading_options
from streamcam.cli.options.overlay import overlay_options
from streamcam.cli.options.temporal import temporal_options
from streamcam.cli.options.values import NUMBER, read_above_zero, read_rate, read_size

__all__ = [
    "NUMBER",
    "debug_option",
    "debugging",
    "encoding_options",
    "explainer_options",
    "fit_option",
    "gathered",
    "option",
    "overlay_options",
    "own_model_options",
    "part_options",
    "read_above_zero",
    "read_rate",
    "read_size",
    "reading_options",
    "temporal_options",
]
