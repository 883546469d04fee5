"""``streamcam prepare``: convert and compile networks, so that later starts take a second."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from streamcam.cli.defaults import defaults_of
from streamcam.cli.flags import name_flags
from streamcam.cli.loading import chosen_method
from streamcam.cli.options import (
    debug_option,
    named_model_options,
    option,
    prepared_explainer_options,
    shape_option,
)
from streamcam.cli.options.values import COUNT, read_model, read_names
from streamcam.cli.outcome import human_size
from streamcam.cli.output import say
from streamcam.cli.progress import ProgressLine, showing_activities

if TYPE_CHECKING:
    from streamcam.session.prepare import Preparation


def _read_models(
    context: click.Context, parameter: click.Parameter, names: tuple[str, ...]
) -> tuple[str, ...]:
    return tuple(read_model(context, parameter, name) for name in names)


@click.command("prepare", short_help="Convert and compile networks, so that later starts take a second.")
@click.argument("models", metavar="[MODEL]...", nargs=-1, callback=_read_models)
@option(
    "--methods",
    callback=read_names,
    metavar="NAMES",
    help="Methods that will be used, with commas between them. [default: auto, which is gradcam]",
)
@shape_option
@option(
    "--streams",
    type=COUNT,
    default=1,
    show_default=True,
    metavar="NUMBER",
    help="How many sources live sessions will show at once.",
)
@named_model_options
@prepared_explainer_options
@option("--quiet", is_flag=True, help="Print nothing unless something is wrong.")
@debug_option
def prepare_command(
    *,
    models: tuple[str, ...],
    methods: tuple[str, ...] | None,
    shapes: list[tuple[int, int]],
    streams: int,
    model: dict[str, Any],
    explainer: dict[str, Any],
    quiet: bool,
) -> None:
    """Convert and compile each MODEL (the built-in one if there is none), and keep the result.

    Renders and live sessions with the same model and settings then import no PyTorch and show heat after a
    second or two, until somebody chooses a method or layer that was not prepared. Networks that PyTorch has
    to run are named, with the reason.
    """
    from streamcam.explain.backends.cache import LIMIT_BYTES, cache_directory, used
    from streamcam.models.geometry import SHAPES
    from streamcam.session.prepare import prepare

    if methods is not None and len(methods) > 1:  # none is prepared before a misspelt one is refused
        from streamcam.explain.methods import parse_method

        for method in methods:
            if method != "auto":
                parse_method(chosen_method(method))
    kept: list[Preparation] = []
    for name in models or (defaults_of("load_model")["name"],):
        for method in methods or ("auto",):
            with ProgressLine(quiet=quiet) as line:
                line.begin(f"loading {name}")
                with showing_activities(line.begin):
                    preparation = prepare(
                        name,
                        method=chosen_method(method, name),
                        shapes=shapes or SHAPES,
                        streams=streams,
                        loading=model,
                        **explainer,
                    )
            kept.append(preparation)
            if not quiet:
                for text in _describe(preparation, explainer["calibration"]):
                    say(text)
                for note in preparation.notes:
                    say(f"note: {name_flags(note)}", err=True)
    dropped = [f"{each.model} with {each.method}" for each in kept if not each.is_kept]
    if dropped:
        say(
            f"note: the cache holds {human_size(LIMIT_BYTES)}, so {', '.join(dropped)} had to go for what "
            "was prepared later; prepare fewer",
            err=True,
        )
    if not quiet:
        directory = cache_directory()
        say(f"{click.format_filename(directory)} has {human_size(used(directory)[1])}")


def _describe(preparation: Preparation, calibration: str | None) -> list[str]:
    """Return a line for what is ready, and one for each reason why not all is.

    Args:
        preparation: What was prepared.
        calibration: The video that int8 is calibrated by, if any.
    """
    heading = f"{preparation.model} with {preparation.method}"
    is_quantized = preparation.precision == "int8"
    size = human_size(preparation.size_bytes)
    chosen_by = f" ({size}), for --precision int8 --calibrate {calibration}" if is_quantized else f" ({size})"
    lines = []
    if preparation.sizes:
        inputs = ", ".join(f"{width}x{height}" for width, height in preparation.sizes)
        at_once = " and ".join(map(str, preparation.batch_sizes))
        ready = f"ready for inputs of {inputs}, {at_once} at once"
        lines.append(f"{heading}: {ready}, in {preparation.precision}{chosen_by}")
    runs = "PyTorch runs it"
    if is_quantized and not preparation.sizes:
        lines.append(f"{heading}: the network up to its target layer is kept in int8{chosen_by}")
        runs = "PyTorch runs what follows"
    lines += [f"{heading}: {runs}, because {reason}" for reason in preparation.reasons]
    return lines
