"""``streamcam render``: explain a video or image and write the result."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import click

from streamcam.cli.best_method import BEST, load_with_best
from streamcam.cli.cluster import ClusterOptions, load_parts, open_files
from streamcam.cli.command_line import command_line
from streamcam.cli.loading import (
    calibrated_by,
    load_explainer,
    refuse_stills,
    render_settings,
)
from streamcam.cli.options import (
    beside_options,
    debug_option,
    encoding_options,
    explainer_options,
    localization_options,
    option,
    overlay_options,
    part_options,
    reading_options,
    temporal_options,
)
from streamcam.cli.options.values import COUNT_OR_AUTO, NUMBER
from streamcam.cli.outcome import abort_message, print_outcome, print_result, resume_message
from streamcam.cli.progress import ProgressLine, showing_activities
from streamcam.cli.signals import SignalCount, leave, stop_on_signal

if TYPE_CHECKING:
    from streamcam.pipeline.explainers import AnyExplainer
    from streamcam.pipeline.render import RenderPlan
    from streamcam.pipeline.results import RenderResult


@click.command("render", short_help="Explain videos or images and write the results.")
@click.argument("sources", metavar="INPUT...", nargs=-1, required=True)
@option(
    "-o",
    "--output",
    required=True,
    metavar="FILE",
    help="The file to write; its suffix chooses the format; hls:FOLDER for HLS, - for standard output. For "
    "several inputs a folder, or a name that holds {stem}, {name}, {parent} or {number}.",
)
@option("--overwrite", is_flag=True, help="Replace existing output files.")
@option(
    "--jobs",
    type=COUNT_OR_AUTO,
    default="auto",
    metavar="N|auto",
    help="How many of several inputs are rendered beside each other; with --ray, how many workers there are. "
    "[default: auto, which is 1, or a worker for each GPU or machine]",
)
@option(
    "--ray",
    is_flag=False,
    flag_value="local",
    metavar="[ADDRESS]",
    help="Render on the machines of a Ray cluster that share disks, several inputs at a time or parts of "
    "one, which are drawn and encoded there, too, with --resume: host:6379, ray://host:10001, auto for the "
    "one that this machine belongs to; local, or no address, starts one here.",
)
@option(
    "--part-seconds",
    "part_s",
    type=NUMBER,
    default_of="RayCluster",
    metavar="SECONDS",
    help="With --ray and one video: how long the parts are that each worker takes.",
)
@option(
    "--resume",
    is_flag=True,
    help="Save finished work in OUTPUT.parts, and continue from there. Ctrl-C loses no explanations, a crash "
    "those of the last seconds; encoding continues at a multiple of 250 frames.",
)
@beside_options
@part_options
@reading_options
@explainer_options(live=False)
@overlay_options
@localization_options
@temporal_options(live=False)
@encoding_options
@option("--quiet", is_flag=True, help="Print nothing unless something is wrong.")
@debug_option
def render_command(
    *,
    sources: tuple[str, ...],
    output: str,
    overwrite: bool,
    jobs: int | Literal["auto"],
    ray: str | None,
    part_s: float,
    resume: bool,
    beside: dict[str, Any],
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
    """Explain every frame of INPUT and write it with heat and predicted labels on top.

    INPUT is any video that FFmpeg reads, an image, many images (a folder, frames/%05d.png or "frames/*.png"),
    a local HLS or DASH playlist, the URL of a file on a web server, or - for standard input.

    Several inputs, or an output that is a folder, make one output each: render a.mp4 "videos/*.mp4" DIR -o
    out/. A file that fails is reported and the others go on; the same command again does what is missing.
    """
    from streamcam.explain.network_loading import check_by_name
    from streamcam.pipeline.jobs import is_for_many, refuse_videos_as_one
    from streamcam.pipeline.render import plan_render

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
    check_by_name(model["name"], {**model, **explainer})
    cluster = None if ray is None else ClusterOptions(ray, part_s, jobs)
    if is_for_many(sources, output):
        from streamcam.cli.render_many import local_pool, render_files
        from streamcam.pipeline.render_many import plan_many

        with plan_many(sources, output, settings) as many:
            refuse_stills([job.source for job in many.jobs], model["name"])
            if many.jobs:
                explainer = calibrated_by(explainer, str(many.jobs[0].source))
            load_here = functools.partial(load_explainer, model, explainer)
            open_pool = functools.partial(local_pool, load_here, jobs)
            if cluster is not None:
                open_pool = functools.partial(open_files, cluster, model, explainer)
            return render_files(many, open_pool, quiet=quiet)
    refuse_videos_as_one(sources[0], output)
    explainer = calibrated_by(explainer, sources[0])
    with contextlib.ExitStack() as stack:
        plan = stack.enter_context(plan_render(sources[0], output, settings))
        load: Callable[[ProgressLine], AnyExplainer] = functools.partial(load_explainer, model, explainer)
        if explainer["method"] == BEST and cluster is None:
            load = functools.partial(load_with_best, plan, model, explainer, quiet=quiet)
        if cluster is not None:
            load = functools.partial(load_parts, stack, plan, cluster, model, explainer)
        names = [model["name"]]
        return render_file(plan, load, sources[0], quiet=quiet, at=explainer["at"], models=names)


def render_file(
    plan: RenderPlan,
    load: Callable[[ProgressLine], AnyExplainer],
    source: str,
    *,
    quiet: bool,
    activity: str = "explaining",
    at: Sequence[float] | None = None,
    models: Sequence[str] = (),
) -> int:
    """Run the render of one file, and print what became of it.

    Args:
        plan: The render.
        load: Makes the explainer, and shows on the progress line what it does.
        source: The input's name.
        quiet: Whether to print errors only.
        activity: The word for what happens to the first frames.
        at: A place that must lie in the frame, in pixels; None for none.
        models: Names of the networks that will be loaded.

    Returns:
        The exit code.

    Raises:
        InvalidArgumentError: if the place does not, or a network looks at clips and this is a still image,
            before anything is loaded.
    """
    with run_plan(plan, load, quiet=quiet, activity=activity, at=at, models=models) as (result, signals):
        if not quiet:
            print_result(result, plan.settings)
        return print_outcome(result, source, signals)


@contextlib.contextmanager
def run_plan(
    plan: RenderPlan,
    load: Callable[[ProgressLine], AnyExplainer],
    *,
    quiet: bool,
    activity: str = "explaining",
    at: Sequence[float] | None = None,
    models: Sequence[str] = (),
) -> Iterator[tuple[RenderResult, SignalCount]]:
    """Run the render of one file, with progress, and handle signals until the context is left.

    Args:
        plan: As for `render_file`, like all others.
        load: Makes the explainer.
        quiet: Whether to show no progress.
        activity: The word for what happens to the first frames.
        at: A place that must lie in the frame, in pixels; None for none.
        models: Names of the networks that will be loaded.

    Yields:
        The result, and how many signals came.

    Raises:
        InvalidArgumentError: if the place does not, or a network looks at clips and this is a still image,
            before anything is loaded.
    """
    if at is not None:
        from streamcam.frames import check_inside

        check_inside(at, plan.info.width, plan.info.height)
    if plan.info.is_still:
        from streamcam.models.model_names import takes_clips
        from streamcam.pipeline.outputs import check_moving

        for name in filter(takes_clips, models):
            check_moving(plan.info, name)
    resume = plan.settings.resume
    signals = SignalCount()
    with contextlib.ExitStack() as handling:
        with ProgressLine(quiet=quiet) as line:
            line.ending = "keeping what is finished" if resume else "finishing the file"
            departure = abort_message(str(plan.output) if resume else None)
            chosen = load(line)
            line.begin(f"{activity} the first frames")
            others: dict[str, Callable[[str], None]] = {"remark": line.note}
            if plan.info.is_still:  # a video has its frames
                others["progress"] = line.begin
            handling.enter_context(showing_activities(line.begin, others))
            result = plan.run(
                chosen,
                on_progress=line.update,
                on_start=lambda running: handling.enter_context(
                    stop_on_signal(running.stop, line.announce_stop, lambda: leave(line, departure), signals)
                ),
                on_resume=lambda kept: line.print_above(resume_message(str(plan.output), kept)),
            )
        yield result, signals
