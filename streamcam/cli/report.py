"""``streamcam report``: one page on what a network saw in a video, or on what two saw."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from streamcam.cli.command_line import command_line
from streamcam.cli.exit_codes import EXIT_DONE
from streamcam.cli.loading import calibrated_by, load_explainer, render_settings
from streamcam.cli.options import (
    debug_option,
    explainer_options,
    localization_options,
    option,
    part_options,
    reading_options,
    temporal_options,
)
from streamcam.cli.outcome import human_size, print_notes, print_outcome
from streamcam.cli.output import say
from streamcam.cli.render import run_plan
from streamcam.errors import InvalidArgumentError

if TYPE_CHECKING:
    from streamcam.cli.progress import ProgressLine
    from streamcam.cli.signals import SignalCount
    from streamcam.evidence import Evidence
    from streamcam.pipeline.explainers import NetworkExplainer
    from streamcam.pipeline.results import RenderResult
    from streamcam.pipeline.settings import RenderSettings

_OWN_OPTIONS = ("output", "as_json", "evaluation", "audit", "overwrite", "quiet")
"""The options that say nothing about how a video is explained."""


@click.command("report", short_help="Make a page on what the network saw in a video.")
@click.argument("inputs", metavar="INPUT [OTHER]", nargs=-1, required=True)
@option("-o", "--output", metavar="FILE.html", help="The page to write: one file, which needs no network.")
@option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@option(
    "--evaluation",
    metavar="FILE.json",
    help="What streamcam evaluate --json printed of this network: the page shows how faithful its maps are.",
)
@option(
    "--audit",
    metavar="FILE.json",
    help="What streamcam audit --json printed of this network: the page shows what it rests on.",
)
@option("--overwrite", is_flag=True, help="Replace an existing page.")
@part_options
@reading_options
@explainer_options(live=False)
@localization_options
@temporal_options(live=False)
@option("--quiet", is_flag=True, help="Print nothing unless something is wrong.")
@debug_option
@click.pass_context
def report_command(
    context: click.Context,
    *,
    inputs: tuple[str, ...],
    output: str | None,
    as_json: bool,
    evaluation: str | None,
    audit: str | None,
    overwrite: bool,
    part: dict[str, Any],
    reading: dict[str, Any],
    model: dict[str, Any],
    explainer: dict[str, Any],
    localization: dict[str, Any],
    temporal: dict[str, Any],
    quiet: bool,
) -> int:
    """Report on a video: its classes over time, where labels changed or confidence fell, and average heat.

    INPUT is a video, which is explained as streamcam render does, or evidence, which streamcam render INPUT
    --evidence kept. With OTHER, of the same video, the page says what differs between the two networks or
    methods, and where most; one of them is evidence then.
    """
    from streamcam.evidence import open_evidence
    from streamcam.files import check_output
    from streamcam.report.file_names import check_page_name

    if output is None and not as_json:
        raise InvalidArgumentError("nothing to make: give -o report.html for a page, or --json for figures")
    videos = _check_inputs(inputs)
    saved = _read_saved({"evaluation": evaluation, "audit": audit}, inputs, output)
    given = _options_given(context)
    if given and not videos:
        raise InvalidArgumentError(f"{given[0]} is for a video, and {inputs[0]!r} is explained already")
    if output is not None:
        check_page_name(output)
        check_output(output, overwrite=overwrite, inputs=[Path(each) for each in inputs])
    settings = render_settings(
        part=part,
        reading=reading,
        overlay={},
        localization=localization,
        temporal=temporal,
        encoding={"depth": None, "chroma": None},
        command=command_line(),
    )

    def load(line: ProgressLine) -> NetworkExplainer:
        loaded = load_explainer(model, calibrated_by(explainer, videos[0]), line)
        for one in saved.values():
            one.check(loaded.describe()["model"])
        return loaded

    with contextlib.ExitStack() as stack:
        kept = [name for name in inputs if name not in videos]
        evidence, code = {name: stack.enter_context(open_evidence(name)) for name in kept}, EXIT_DONE
        for each in evidence.values():
            for one in saved.values():
                one.check(str(each.header.get("run", {}).get("model")))
        for name in videos:
            explained = _explain(
                name,
                settings,
                load,
                [*evidence.values()],
                quiet=quiet,
                at=explainer["at"],
                model=model["name"],
            )
            result, signals, found = stack.enter_context(explained)
            code = print_outcome(dataclasses.replace(result, output=Path(output or "report")), name, signals)
            if found is None:
                return code
            evidence[name] = found
        _make(
            [evidence[name] for name in inputs],
            [Path(name) for name in inputs],
            output,
            as_json=as_json,
            overwrite=overwrite,
            quiet=quiet,
            saved={kind: one.record for kind, one in saved.items()},
        )
        return code


@dataclasses.dataclass(frozen=True, slots=True)
class _Saved:
    """A saved evaluation or audit."""

    name: str
    verb: str
    """The command that made it."""
    record: dict[str, Any]

    def check(self, model: str) -> None:
        """Refuse it if it is of another network."""
        from streamcam.saved_evaluations import check_network

        check_network(self.record, self.name, model, self.verb)


def _read_saved(names: dict[str, str | None], inputs: Sequence[str], output: str | None) -> dict[str, _Saved]:
    """Read the evaluation and the audit that the page is to show, by the names of their parameters."""
    from streamcam.saved_evaluations import read_audit, read_evaluation

    found = {}
    for kind, verb, read in (
        ("evaluation", "evaluate", read_evaluation),
        ("audit", "audit", read_audit),
    ):
        name = names[kind]
        if name is None:
            continue
        if len(inputs) > 1:
            raise InvalidArgumentError(f"`{kind}` is for a report on one input; leave out the other one")
        if output is None:
            raise InvalidArgumentError(f"`{kind}` is shown on the page; give it a name: -o report.html")
        found[kind] = _Saved(name, verb, read(name))
    return found


def _check_inputs(inputs: Sequence[str]) -> list[str]:
    """Check how many inputs there are, and return those that are to be explained: one at most."""
    from streamcam.evidence import is_evidence
    from streamcam.files import same_file

    if len(inputs) > 2:
        raise InvalidArgumentError(f"a report is on one input, or compares two, not {len(inputs)}")
    if len(inputs) == 2 and same_file(Path(inputs[0]), Path(inputs[1])):
        raise InvalidArgumentError(f"{inputs[1]!r} is given twice; compare two explanations of one video")
    videos = [name for name in inputs if not is_evidence(name)]
    if len(videos) == 2:
        raise InvalidArgumentError(
            f"{videos[0]!r} and {videos[1]!r} are two videos, and a report compares two explanations of one; "
            f"keep one with streamcam render {videos[0]} --evidence FILE.h5, and give that file"
        )
    return videos


def _options_given(context: click.Context) -> list[str]:
    """Return the flags on the command line that say how a video is explained."""
    return [
        parameter.opts[-1]
        for parameter in context.command.params
        if isinstance(parameter, click.Option)
        and parameter.expose_value
        and parameter.name not in _OWN_OPTIONS
        and context.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE
    ]


@contextlib.contextmanager
def _explain(
    source: str,
    settings: RenderSettings,
    load: Callable[[ProgressLine], NetworkExplainer],
    others: Sequence[Evidence],
    *,
    quiet: bool,
    at: Sequence[float] | None,
    model: str,
) -> Iterator[tuple[RenderResult, SignalCount, Evidence | None]]:
    """Explain a video into a temporary file, after a check that it is the one that others explain."""
    from streamcam.evidence import describe_input, open_evidence
    from streamcam.pipeline.render import plan_render
    from streamcam.report import check_one_video

    with tempfile.TemporaryDirectory(prefix="streamcam-") as folder, contextlib.ExitStack() as stack:
        kept = Path(folder) / "evidence.h5"
        plan = stack.enter_context(plan_render(source, kept, settings))
        for other in others:
            inputs = [describe_input(plan.info), other.header.get("input", {})]
            check_one_video([source, str(other.path)], inputs)
        result, signals = stack.enter_context(run_plan(plan, load, quiet=quiet, at=at, models=[model]))
        if not quiet:
            print_notes(result)
        evidence = stack.enter_context(open_evidence(kept)) if result.frames else None
        yield result, signals, evidence


def _make(
    evidence: Sequence[Evidence],
    inputs: Sequence[Path],
    output: str | None,
    *,
    as_json: bool,
    overwrite: bool,
    quiet: bool,
    saved: dict[str, dict[str, Any]],
) -> None:
    """Write the page, and print the figures."""
    from streamcam.report import build_comparison_page, build_page, compare, summarize, write_page
    from streamcam.sinks import output_size

    first, *others = [summarize(each) for each in evidence]
    comparison = compare(first, others[0]) if others else None
    if output is not None:
        text = build_page(first, output, **saved) if comparison is None else build_comparison_page(comparison)
        write_page(output, text, inputs, overwrite=overwrite)
        if not quiet:
            size = human_size(output_size(Path(output)))
            say(f"wrote {click.format_filename(output)} ({size}): {first.frames} frames", err=as_json)
    if as_json:
        figures = first.figures() if comparison is None else comparison.figures()
        say(json.dumps(figures, ensure_ascii=False, indent=1, allow_nan=False))
