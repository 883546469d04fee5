"""``streamcam compare``: explain a video or image in several ways, side by side in one output."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import click

from streamcam.cli.command_line import command_line
from streamcam.cli.loading import (
    calibrated_by,
    load_explainers,
    render_settings,
    showing_loading,
)
from streamcam.cli.options import (
    beside_options,
    comparison_options,
    debug_option,
    encoding_options,
    explainer_options,
    localization_options,
    naming_prompts,
    option,
    overlay_options,
    part_options,
    reading_options,
    take_comparison,
    temporal_options,
)
from streamcam.cli.progress import ProgressLine
from streamcam.cli.render import render_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from streamcam.explain import Explainer, PaneExplainer
    from streamcam.panes import Comparison
    from streamcam.pipeline.settings import RenderSettings

_SCORED_FRAMES = 8
"""Frames that figures are of: more take longer than the comparison itself."""


@click.command("compare", short_help="Explain a video or image in several ways, side by side.")
@click.argument("source", metavar="INPUT")
@option(
    "-o", "--output", required=True, metavar="FILE", help="The file to write; its suffix chooses the format."
)
@option("--overwrite", is_flag=True, help="Replace existing output files.")
@option("--resume", is_flag=True, hidden=True, help="Refused, with the way out.")
@beside_options
@comparison_options
@part_options
@reading_options
@explainer_options(live=False)
@overlay_options
@localization_options
@temporal_options(live=False)
@encoding_options
@option(
    "--scores",
    is_flag=True,
    help="Show behind each method's name how faithful its maps are on 8 frames of INPUT: ROAD, as streamcam "
    "evaluate --metrics road.",
)
@option("--quiet", is_flag=True, help="Print nothing unless something is wrong.")
@debug_option
def compare_command(
    *,
    source: str,
    output: str,
    overwrite: bool,
    resume: bool,
    beside: dict[str, Any],
    comparison: dict[str, Any],
    part: dict[str, Any],
    reading: dict[str, Any],
    model: dict[str, Any],
    explainer: dict[str, Any],
    overlay: dict[str, Any],
    localization: dict[str, Any],
    temporal: dict[str, Any],
    encoding: dict[str, Any],
    scores: bool,
    quiet: bool,
) -> int:
    """Explain every frame of INPUT by several methods, layers, networks or classes, side by side.

    Each pane carries its name, and the original is a pane too. Two things with several values each make rows
    and columns: --methods gradcam,eigencam --layers auto:4. INPUT is what render takes.

    --evidence, --annotations and --masks make a file for each pane: put {pane} into the name.
    """
    from streamcam.explain.network_loading import check_by_name
    from streamcam.panes import Comparison
    from streamcam.pipeline.render import plan_render

    compared, model, explainer = take_comparison(comparison, model, explainer)
    prompted = bool(model["prompts"]) and compared["classes"] == model["prompts"]
    panes = Comparison(**compared)
    settings = render_settings(
        part=part,
        reading=reading,
        overlay=overlay,
        localization=localization,
        temporal=temporal,
        encoding=encoding,
        **beside,
        command=command_line(),
        overwrite=overwrite,
        resume=resume,
    )
    names = panes.models or (model["name"],)
    with naming_prompts(prompted):
        for name in names:
            check_by_name(name, {**model, **explainer, "classes": (*explainer["classes"], *panes.classes)})
    judge = _judge(panes, source, settings) if scores else None
    load = functools.partial(_load_panes, panes, model, calibrated_by(explainer, source), judge, prompted)
    with plan_render(source, output, settings, panes) as plan:
        return render_file(plan, load, source, quiet=quiet, at=explainer["at"], models=names)


def _load_panes(
    comparison: Comparison,
    model: dict[str, Any],
    explainer: dict[str, Any],
    judge: Callable[[Explainer, ProgressLine], Mapping[str, str]] | None,
    prompted: bool,
    line: ProgressLine,
) -> PaneExplainer:
    with naming_prompts(prompted):
        methods = [pane.method for pane in comparison.panes() if pane.method is not None]
        explainers = load_explainers(model, explainer, line, comparison.models, methods)
    from streamcam.explain import PaneExplainer

    figures = None if judge is None else judge(explainers[0], line)
    with showing_loading(line):
        return PaneExplainer(explainers, comparison, figures=figures)


def _judge(
    comparison: Comparison, source: str, settings: RenderSettings
) -> Callable[[Explainer, ProgressLine], Mapping[str, str]]:
    """Return a function that finds a figure for each method.

    Raises:
        InvalidArgumentError: if anything but methods is compared.
    """
    from streamcam.errors import InvalidArgumentError
    from streamcam.evaluation.settings import EvaluationSettings

    methods = tuple(dict.fromkeys(pane.method for pane in comparison.panes() if pane.method is not None))
    if len(methods) != len(comparison.panes()):
        raise InvalidArgumentError("`scores` compare methods; leave out other things to compare")
    evaluation = EvaluationSettings(methods, ("road",), _SCORED_FRAMES, source=settings.source)

    def find(explainer: Explainer, line: ProgressLine) -> Mapping[str, str]:
        from streamcam.evaluation import evaluate

        result = evaluate(
            source,
            explainer,
            evaluation,
            on_progress=lambda progress: line.begin(f"scoring: {progress.done} of {progress.total} steps"),
        )
        return {method.name: f"ROAD {method.figures['road'].mean:.2f}" for method in result.methods}

    return find
