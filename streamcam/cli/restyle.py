"""``streamcam restyle``: draw a video again from its evidence, without the network."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import click
from click.core import ParameterSource

from streamcam.cli.options import (
    CLASS_NAME,
    COUNT_FROM_0,
    debug_option,
    encoding_options,
    localization_options,
    option,
    overlay_options,
    part_options,
    strength_options,
)
from streamcam.cli.render import render_file
from streamcam.errors import UnknownNameError


@click.command("restyle", short_help="Draw a video again from its evidence, without the network.")
@click.argument("source", metavar="INPUT")
@click.argument("evidence", metavar="EVIDENCE")
@option(
    "-o", "--output", required=True, metavar="FILE", help="The file to write; its suffix chooses the format."
)
@option("--overwrite", is_flag=True, help="Replace existing output files.")
@option("--resume", is_flag=True, help="Save finished work in OUTPUT.parts, and continue from there.")
@option(
    "--class",
    "class_names",
    multiple=True,
    type=CLASS_NAME,
    metavar="NAME|INDEX",
    help="Show the maps of this class only; repeat it for several. [default: all that were kept]",
)
@option(
    "--top-k",
    type=COUNT_FROM_0,
    metavar="NUMBER",
    help="How many predicted labels to show; 0 for none. [default: all that were kept]",
)
@part_options
@overlay_options
@localization_options
@strength_options
@encoding_options
@option("--quiet", is_flag=True, help="Print nothing unless something is wrong.")
@debug_option
@click.pass_context
def restyle_command(
    context: click.Context,
    *,
    source: str,
    evidence: str,
    output: str,
    overwrite: bool,
    resume: bool,
    class_names: tuple[int | str, ...],
    top_k: int | None,
    part: dict[str, Any],
    overlay: dict[str, Any],
    localization: dict[str, Any],
    temporal: dict[str, Any],
    encoding: dict[str, Any],
    quiet: bool,
) -> int:
    """Draw INPUT again with other colors, smoothing, layout, labels or classes.

    EVIDENCE is what streamcam render INPUT --evidence kept. Neither the network nor torch is loaded, and the
    result is what a render with these options would make. Options of the look and of the smoothing that are
    not given stay as they were in that render.
    """
    from streamcam.evidence import open_evidence
    from streamcam.media.encoders import EncoderSettings
    from streamcam.pipeline.restyle import plan_restyle, settings_of
    from streamcam.sources import SourceSettings

    given = {
        parameter.name
        for parameter in context.command.params
        if parameter.name and context.get_parameter_source(parameter.name) is not ParameterSource.DEFAULT
    }
    with open_evidence(evidence) as kept:
        then = settings_of(kept)
        settings = dataclasses.replace(
            then,
            source=SourceSettings(**part, depth=encoding["depth"], chroma=encoding["chroma"]),
            overlay=_changed(then.overlay, overlay, given),
            localization=_changed(then.localization, localization, given),
            temporal=_changed(then.temporal, temporal, given),
            encoder=EncoderSettings(**encoding),
            overwrite=overwrite,
            resume=resume,
        )
        try:
            plan, explainer = plan_restyle(source, kept, output, settings, class_names, top_k)
        except UnknownNameError as error:
            raise UnknownNameError(f"{error} (--class NAME, or --target top5)") from error
        with plan:
            return render_file(plan, lambda _line: explainer, source, quiet=quiet, activity="drawing")


def _changed(settings: Any, values: Mapping[str, Any], given: set[str]) -> Any:
    """Change the fields whose options were given; ``--no-labels`` is that of ``labels``."""
    changes = {name: value for name, value in values.items() if name in given or f"no_{name}" in given}
    return dataclasses.replace(settings, **changes)


for _parameter in restyle_command.params:
    if isinstance(_parameter, click.Option) and _parameter.show_default:
        _parameter.show_default = False  # what is not given stays as it was
