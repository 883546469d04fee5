"""``streamcam export``: write a network with its explanation into one file, for machines without PyTorch."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from streamcam.cli.defaults import defaults_of
from streamcam.cli.exit_codes import EXIT_DONE
from streamcam.cli.flags import name_flags
from streamcam.cli.loading import load_explainers
from streamcam.cli.options import (
    debug_option,
    exported_explainer_options,
    exported_model_options,
    option,
)
from streamcam.cli.options.values import read_model
from streamcam.cli.outcome import human_size
from streamcam.cli.output import say
from streamcam.cli.progress import ProgressLine, showing_activities

_SHAPE = re.compile(r"(\d{1,6})[:x](\d{1,6})")


def _read_shapes(
    _context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]
) -> list[tuple[int, int]]:
    shapes = []
    for text in texts:
        match = _SHAPE.fullmatch(text.strip().lower())
        if match is None or not int(match[1]) or not int(match[2]):
            raise click.BadParameter(f"{text!r} is no shape of frames; write 16:9 or 640x480")
        shapes.append((int(match[1]), int(match[2])))
    return shapes


@click.command("export", short_help="Write a network for machines without PyTorch.")
@click.argument(
    "model_name", metavar="[MODEL]", default=defaults_of("load_model")["name"], callback=read_model
)
@option("-o", "--output", required=True, metavar="FILE.explain", help="The file to write.")
@option("--overwrite", is_flag=True, help="Replace an existing file.")
@option(
    "--shape",
    "shapes",
    multiple=True,
    callback=_read_shapes,
    metavar="W:H",
    help="A shape of frames to explain, as 16:9 or 640x480, for --fit full. Repeat it. "
    "[default: 16:9, 4:3, 1:1, 3:4 and 9:16]",
)
@option(
    "--format",
    default_of="export_explainer",
    metavar="NAME",
    help="Format of the graphs in it: openvino, or onnx, which other programs run too.",
)
@exported_model_options
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
    from streamcam.sinks import check_output, output_size

    if explainer["precision"] == "int8":
        raise InvalidArgumentError(
            "`precision='int8'` depends on a video and cannot be exported; leave it out"
        )
    check_export(output, shapes, format)
    check_output(output, overwrite=overwrite, inputs=())
    with ProgressLine(quiet=quiet) as line:
        settings = {**explainer, "device": "cpu", "reference": None}
        (chosen,) = load_explainers({**model, "name": model_name}, settings, line)
        from streamcam.explain.exported.writing import SHAPES, export_explainer

        with showing_activities(line.begin):
            description = export_explainer(
                chosen, output, shapes=shapes or SHAPES, format=format, overwrite=overwrite
            )
    if not quiet:
        for note in chosen.notes:
            say(f"note: {name_flags(note)}", err=True)
        size = human_size(output_size(Path(output)))
        say(f"wrote {click.format_filename(output)} ({size}): {description}")
    return EXIT_DONE
