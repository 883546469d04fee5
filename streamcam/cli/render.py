"""``streamcam render``: explain a video or image and write the result."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import click

from streamcam.cli.command_line import command_line
from streamcam.cli.loading import calibrated_by, load_explainer, render_settings
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
from streamcam.cli.options.values import COUNT_OR_AUTO
from streamcam.cli.outcome import abort_message, print_outcome, print_result, resume_message
from streamcam.cli.progress import ProgressLine, showing_activities
from streamcam.cli.signals import SignalCount, leave, stop_on_signal
from streamcam.errors import InvalidArgumentError

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
    help="The file to write; its suffix chooses the format. For several inputs a folder, or a name that "
    "holds {stem}, {name}, {parent} or {number}.",
)
@option("--overwrite", is_flag=True, help="Replace existing output files.")
@option(
    "--jobs",
    type=COUNT_OR_AUTO,
    default="auto",
    metavar="N|auto",
    help="Of several inputs: how many are rendered beside each other. [default: auto, which is 1]",
)
@option(
    "--ray",
    is_flag=False,
    flag_value="local",
    metavar="[ADDRESS]",
    help="Render several inputs on the machines of a Ray cluster that share disks: host:6379, "
    "ray://host:10001, auto for the one that this machine belongs to; local, or no address, starts one here.",
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
    from streamcam.pipeline.jobs import is_for_many
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
    if is_for_many(sources, output):
        from streamcam.cli.render_many import local_pool, ray_pool, render_files
        from streamcam.pipeline.render_many import plan_many

        with plan_many(sources, output, settings) as many:
            if many.jobs:
                explainer = calibrated_by(explainer, str(many.jobs[0].source))
            open_pool = functools.partial(
                local_pool, functools.partial(load_explainer, model, explainer), jobs
            )
            if ray is not None:
                open_pool = functools.partial(ray_pool, ray, model, explainer, jobs)
            return render_files(many, open_pool, quiet=quiet)
    if ray is not None:
        raise InvalidArgumentError("`cluster` renders several files, each on one machine; give a folder")
    load = functools.partial(load_explainer, model, calibrated_by(explainer, sources[0]))
    with plan_render(sources[0], output, settings) as plan:
        return render_file(plan, load, sources[0], output, quiet=quiet, at=explainer["at"])


def render_file(
    plan: RenderPlan,
    load: Callable[[ProgressLine], AnyExplainer],
    source: str,
    output: str,
    *,
    quiet: bool,
    activity: str = "explaining",
    at: Sequence[float] | None = None,
) -> int:
    """Run the render of one file, and print what became of it.

    Args:
        plan: The render.
        load: Makes the explainer, and shows on the progress line what it does.
        source: The input's name.
        output: The output's name.
        quiet: Whether to print errors only.
        activity: The word for what happens to the first frames.
        at: A place that must lie in the frame, in pixels; None for none.

    Returns:
        The exit code.

    Raises:
        InvalidArgumentError: if the place does not, before anything is loaded.
    """
    with run_plan(plan, load, output, quiet=quiet, activity=activity, at=at) as (result, signals):
        if not quiet:
            print_result(result, plan.settings)
        return print_outcome(result, source, signals)


@contextlib.contextmanager
def run_plan(
    plan: RenderPlan,
    load: Callable[[ProgressLine], AnyExplainer],
    output: str,
    *,
    quiet: bool,
    activity: str = "explaining",
    at: Sequence[float] | None = None,
) -> Iterator[tuple[RenderResult, SignalCount]]:
    """Run the render of one file, with progress, and handle signals until the context is left.

    Args:
        plan: As for `render_file`, like all others.
        load: Makes the explainer.
        output: The output's name.
        quiet: Whether to show no progress.
        activity: The word for what happens to the first frames.
        at: A place that must lie in the frame, in pixels; None for none.

    Yields:
        The result, and how many signals came.

    Raises:
        InvalidArgumentError: if the place does not, before anything is loaded.
    """
    if at is not None:
        from streamcam.frames import check_inside

        check_inside(at, plan.info.width, plan.info.height)
    resume = plan.settings.resume
    signals = SignalCount()
    with contextlib.ExitStack() as handling:
        with ProgressLine(quiet=quiet) as line:
            line.ending = "keeping what is finished" if resume else "finishing the file"
            departure = abort_message(output if resume else None)
            chosen = load(line)
            line.begin(f"{activity} the first frames")
            counted = {"progress": line.begin} if plan.info.is_still else None  # a video has its frames
            handling.enter_context(showing_activities(line.begin, counted))
            result = plan.run(
                chosen,
                on_progress=line.update,
                on_start=lambda running: handling.enter_context(
                    stop_on_signal(running.stop, line.announce_stop, lambda: leave(line, departure), signals)
                ),
                on_resume=lambda kept: line.print_above(resume_message(output, kept)),
            )
        yield result, signals
