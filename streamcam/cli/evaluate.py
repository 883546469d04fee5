"""``streamcam evaluate``: how faithful methods are to what a network does on a video."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import click

from streamcam.cli.exit_codes import EXIT_DONE
from streamcam.cli.flags import name_flags
from streamcam.cli.loading import calibrated_by, load_explainers
from streamcam.cli.options import (
    debug_option,
    explainer_options,
    option,
    part_options,
    read_names,
    reading_options,
)
from streamcam.cli.options.values import COUNT, COUNT_FROM_0
from streamcam.cli.output import say, write_figures
from streamcam.cli.progress import ProgressLine, clock
from streamcam.cli.tables import print_table

if TYPE_CHECKING:
    from streamcam.evaluation import EvaluationProgress, EvaluationResult


@click.command("evaluate", short_help="Find out how faithful methods are on your video.")
@click.argument("source", metavar="INPUT")
@option(
    "--methods",
    callback=read_names,
    metavar="NAMES",
    help="Methods to evaluate, with commas between them; streamcam methods lists all. "
    "[default: gradcam,hirescam,gradcam++,eigencam]",
)
@option(
    "--metrics",
    callback=read_names,
    metavar="NAMES",
    help="Metrics to compute, with commas between them. [default: all that can be had, without those that "
    "need further maps of methods of many passes]",
)
@option(
    "--frames",
    type=COUNT,
    default_of="EvaluationSettings",
    metavar="NUMBER",
    help="How many frames to look at, evenly over the shots of the video.",
)
@option(
    "--seed",
    type=COUNT_FROM_0,
    default_of="EvaluationSettings",
    metavar="NUMBER",
    help="Of everything that is left to chance: which frames, noise, random weights, confidence intervals.",
)
@option(
    "--roi",
    metavar="REGION",
    help="Where the object is, for the pointing game and energy inside: LEFT,TOP,RIGHT,BOTTOM or "
    "X,Y,X,Y,X,Y in pixels, mask.png, boxes by frame (boxes.jsonl, or boxes.json in COCO's format), "
    "class:person for detected objects, or center.",
)
@option("--json", "as_json", is_flag=True, help="Print the figures as JSON instead of a table.")
@option("--csv", metavar="FILE.csv", help="Write every value, a line for each method, frame and class.")
@option("--plot", metavar="FILE.png|svg", help="Draw the figures with their uncertainty.")
@part_options
@reading_options
@explainer_options(live=False)
@option("--quiet", is_flag=True, help="Print nothing unless something is wrong.")
@debug_option
def evaluate_command(
    *,
    source: str,
    methods: tuple[str, ...] | None,
    metrics: tuple[str, ...] | None,
    frames: int,
    seed: int,
    roi: str | None,
    as_json: bool,
    csv: str | None,
    plot: str | None,
    part: dict[str, Any],
    reading: dict[str, Any],
    model: dict[str, Any],
    explainer: dict[str, Any],
    quiet: bool,
) -> int:
    """Find out how faithful methods are to what the network does on INPUT, and which one to use.

    The network is asked about images that were changed by each map: the hottest pixels put in or taken away,
    everything else hidden, noise, the next frame, and about the same image with random weights.
    """
    from streamcam.models.kinds import check_takes_images
    from streamcam.models.model_names import kind_of

    check_takes_images(kind_of(model["name"]), model["name"], "an evaluation")
    from streamcam.evaluation.plot import check_plot
    from streamcam.evaluation.records import as_csv, as_record
    from streamcam.evaluation.settings import EvaluationSettings, check_metrics, check_source
    from streamcam.files import check_output
    from streamcam.localization.regions import read_region
    from streamcam.panes import COMPARED_METHODS
    from streamcam.sources import SourceSettings, open_source

    check_metrics(metrics or (), roi)
    if methods is None:
        methods = COMPARED_METHODS if explainer["method"] == "auto" else (explainer["method"],)
    elif explainer["method"] != "auto":
        from streamcam.errors import InvalidArgumentError

        raise InvalidArgumentError("--methods and --method cannot be combined; leave one out")
    settings = EvaluationSettings(
        methods, metrics or (), frames, seed, roi, SourceSettings(**part, **reading)
    )
    for name in filter(None, (csv, plot)):
        check_output(name, overwrite=True, inputs=())
    if plot is not None:
        check_plot(plot)
    with open_source(source, settings.source) as opened, ProgressLine(quiet=quiet) as line:
        check_source(opened, settings)
        if roi is not None:
            read_region(roi, opened.info)
        settings.check()  # the slow imports begin here
        (chosen,) = load_explainers(model, {**calibrated_by(explainer, source), "method": "auto"}, line)
        from streamcam.evaluation import evaluate

        line.begin("choosing frames")
        result = evaluate(
            opened, chosen, settings, on_progress=lambda progress: line.begin(_describe(progress))
        )
    if csv is not None:
        write_figures(csv, as_csv(result))
    if plot is not None:
        from streamcam.evaluation.plot import plot as draw

        draw(result, plot)
    if as_json:
        click.echo(json.dumps(as_record(result), ensure_ascii=False, indent=2))
    elif not quiet:
        _print(result)
    return EXIT_DONE


def _describe(progress: EvaluationProgress) -> str:
    left = "" if progress.left_s is None else f" · {clock(progress.left_s)} left"
    return f"evaluating: {progress.done} of {progress.total} steps{left}"


def _print(result: EvaluationResult) -> None:
    from streamcam.evaluation.metrics import METRICS
    from streamcam.evaluation.records import describe_figure

    names = [method.name for method in result.methods]
    rows = [
        (metric, METRICS[metric].better, *(describe_figure(one.figures[metric]) for one in result.methods))
        for metric in result.metrics
    ]
    rows.append(("seconds a map", "lower", *(f"{one.cost_s:.3f}" for one in result.methods)))
    if any(one.empty for one in result.methods):
        rows.append(("empty maps", "lower", *(str(one.empty) for one in result.methods)))
    print_table(("metric", "better", *names), rows, numbers=names)
    if len(names) > 1:
        say("")
        agreement = [
            (name, *("" if math.isnan(value) else f"{value:.2f}" for value in row))
            for name, row in zip(names, result.agreement, strict=True)
        ]
        print_table(("agreement", *names), agreement, numbers=names)
    shots = f"{result.shots} shot{'s' if result.shots != 1 else ''}"
    frames = f"{result.frames} frame{'s' if result.frames != 1 else ''}"
    say(f"\n{frames}; the video has {shots}; ± is half of the 95 % confidence interval")
    for note in result.notes:
        say(f"note: {name_flags(note)}")
    say(result.advice)
