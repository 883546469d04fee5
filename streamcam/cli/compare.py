"""``streamcam compare``: explain a video or image in several ways, side by side in one output."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import click

from streamcam.cli.options import (
    comparison_options,
    debug_option,
    encoding_options,
    explainer_options,
    localization_options,
    option,
    overlay_options,
    part_options,
    reading_options,
    take_comparison,
    temporal_options,
)
from streamcam.cli.progress import ProgressLine, showing_activities
from streamcam.cli.render import render_file
from streamcam.frames import check_inside
from streamcam.panes import Comparison

if TYPE_CHECKING:
    from streamcam.explain import PaneExplainer


@click.command("compare", short_help="Explain a video or image in several ways, side by side.")
@click.argument("source", metavar="INPUT")
@option(
    "-o", "--output", required=True, metavar="FILE", help="The file to write; its suffix chooses the format."
)
@option("--overwrite", is_flag=True, help="Replace existing output files.")
@option(
    "--sidecar",
    metavar="FILE.jsonl",
    help="Also write raw maps and predictions of every pane, one JSON object per frame.",
)
@comparison_options
@part_options
@reading_options
@explainer_options(live=False)
@overlay_options
@localization_options
@temporal_options(live=False)
@encoding_options
@option("--quiet", is_flag=True, help="Print nothing unless something is wrong.")
@debug_option
def compare_command(
    *,
    source: str,
    output: str,
    overwrite: bool,
    sidecar: str | None,
    comparison: dict[str, Any],
    part: dict[str, Any],
    reading: dict[str, Any],
    model: dict[str, Any],
    explainer: dict[str, Any],
    overlay: dict[str, Any],
    localization: dict[str, Any],
    temporal: dict[str, Any],
    encoding: dict[str, Any],
    quiet: bool,
) -> int:
    """Explain every frame of INPUT by several methods, layers, networks or classes, side by side.

    Each pane carries its name, and the original is a pane too. Two things with several values each make rows
    and columns: --methods gradcam,eigencam --layers auto:4. INPUT is what render takes.
    """
    from streamcam.localization import LocalizationSettings
    from streamcam.media.encoders import EncoderSettings
    from streamcam.overlay import OverlaySettings
    from streamcam.pipeline.render import plan_render
    from streamcam.pipeline.settings import RenderSettings
    from streamcam.sources import SourceSettings
    from streamcam.temporal import TemporalSettings

    compared, model, explainer = take_comparison(comparison, model, explainer)
    panes = Comparison(**compared)
    settings = RenderSettings(
        source=SourceSettings(**part, **reading, depth=encoding["depth"], chroma=encoding["chroma"]),
        temporal=TemporalSettings(**temporal),
        overlay=OverlaySettings(**overlay),
        localization=LocalizationSettings(**localization),
        encoder=EncoderSettings(**encoding),
        sidecar=sidecar,
        overwrite=overwrite,
    )
    load = functools.partial(_load_panes, panes, model, explainer)
    with plan_render(source, output, settings, panes) as plan:
        if explainer["at"] is not None:
            check_inside(explainer["at"], plan.info.width, plan.info.height)
        return render_file(plan, load, source, output, quiet=quiet)


def _load_panes(
    comparison: Comparison, model: dict[str, Any], explainer: dict[str, Any], line: ProgressLine
) -> PaneExplainer:
    """Load the networks; only now the slow import: mistakes in files and settings were reported by now."""
    line.begin(f"loading {', '.join(comparison.models) or model['name']}")
    from streamcam.explain import Explainer, PaneExplainer
    from streamcam.models import load_model

    any_shape = explainer["fit"] == "full"
    networks = [
        load_model(**{**model, "name": name}, any_shape=any_shape)
        for name in comparison.models or (model["name"],)
    ]
    with showing_activities(line.begin):
        return PaneExplainer([Explainer(network, **explainer) for network in networks], comparison)
