"""``streamcam export``: write a network with its explanation into one file, for machines without PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from streamcam.cli.defaults import defaults_of
from streamcam.cli.exit_codes import EXIT_DONE
from streamcam.cli.flags import name_flags
from streamcam.cli.loading import load_explainers, showing_loading
from streamcam.cli.options import (
    debug_option,
    exported_explainer_options,
    named_model_options,
    option,
    shape_option,
)
from streamcam.cli.options.values import read_model
from streamcam.cli.outcome import human_size
from streamcam.cli.output import say
from streamcam.cli.progress import ProgressLine


@click.command("export", short_help="Write a network for machines without PyTorch.")
@click.argument(
    "model_name", metavar="[MODEL]", default=defaults_of("load_model")["name"], callback=read_model
)
@option("-o", "--output", required=True, metavar="FILE.explain", help="The file to write.")
@option("--overwrite", is_flag=True, help="Replace an existing file.")
@shape_option
@option(
    "--format",
    default_of="export_explainer",
    metavar="NAME",
    help="Format of the graphs in it: openvino, or onnx, which other programs run too.",
)
@named_model_options
@exported_explainer_options
@option("--quiet", is_flag=True, help="Print nothing unless something is wrong.")
@debug_option
def export_command(
    *,
    model_name: str,
    output: str,
    overwrite: bool,
    shapes: list[tuple[int, int]],
    format: str,
    model: dict[str, Any],
    explainer: dict[str, Any],
    quiet: bool,
) -> int:
    """Write a network, its gradients and a method into one file, which runs without PyTorch.

    MODEL is what --model takes; the built-in network if it is left out. The file is checked against PyTorch,
    and goes where the network's name goes: streamcam render video.mp4 -o heat.mp4 --model net.explain
    """
    from streamcam.errors import InvalidArgumentError
    from streamcam.explain.exported.container import check_export
    from streamcam.files import check_output
    from streamcam.models.kinds import check_takes_images
    from streamcam.models.model_names import kind_of
    from streamcam.sinks import output_size

    if explainer["precision"] == "int8":
        raise InvalidArgumentError(
            "`precision='int8'` is checked by one video and on one processor, and cannot be exported; leave "
            "it out"
        )
    check_takes_images(kind_of(model_name), model_name, "an export")
    check_export(output, shapes, format)
    check_output(output, overwrite=overwrite, inputs=())
    with ProgressLine(quiet=quiet) as line:
        settings = {**explainer, "device": "cpu", "reference": None}
        (chosen,) = load_explainers({**model, "name": model_name}, settings, line)
        from streamcam.explain.exported.writing import export_explainer
        from streamcam.models.geometry import SHAPES

        with showing_loading(line):
            description = export_explainer(
                chosen, output, shapes=shapes or SHAPES, format=format, overwrite=overwrite
            )
    if not quiet:
        for note in chosen.notes:
            say(f"note: {name_flags(note)}", err=True)
        size = human_size(output_size(Path(output)))
        say(f"wrote {click.format_filename(output)} ({size}): {description}")
    return EXIT_DONE
