"""``streamcam audit``: whether a network rests on the object or leans on the background."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streamcam.cli.exit_codes import EXIT_DONE, EXIT_FAILED
from streamcam.cli.flags import name_flags
from streamcam.cli.loading import calibrated_by, load_explainer
from streamcam.cli.options import (
    NUMBER,
    debug_option,
    explainer_options,
    option,
    part_options,
    reading_options,
)
from streamcam.cli.options.values import COUNT
from streamcam.cli.output import say, write_figures
from streamcam.cli.progress import ProgressLine
from streamcam.cli.tables import print_table

if TYPE_CHECKING:
    from streamcam.audits import AuditResult, ClassAudit


@click.command("audit", short_help="Find out whether a network leans on the background.")
@click.argument("source", metavar="INPUT")
@option(
    "--roi",
    default_of="AuditSettings",
    metavar="REGION",
    help="Where the object is: LEFT,TOP,RIGHT,BOTTOM or X,Y,X,Y,X,Y in pixels, mask.png, boxes by frame "
    "(boxes.jsonl, or boxes.json in COCO's format), class:person for detected objects, segment for the box "
    "around the heat, center, or motion.",
)
@option(
    "--frames",
    type=COUNT,
    default_of="AuditSettings",
    metavar="NUMBER",
    help="How many frames to look at, evenly over the video.",
)
@option(
    "--fail-under",
    type=NUMBER,
    metavar="0..1",
    help="Exit with 1 if the score of a class is lower: 1 is all on the object, 0 all on the background.",
)
@option("-o", "--output", metavar="FILE.html", help="Write a page with figures and pictures: one file.")
@option(
    "--pictures",
    metavar="DIR",
    help="Save the frames that lean most, with heat and with every change, as JPEG files.",
)
@option("--json", "as_json", is_flag=True, help="Print the figures as JSON instead of a table.")
@option("--junit", metavar="FILE.xml", help="Write a test case for each class, for continuous integration.")
@option("--overwrite", is_flag=True, help="Replace an existing page and pictures.")
@part_options
@reading_options
@explainer_options(live=False)
@option("--quiet", is_flag=True, help="Print nothing unless something is wrong.")
@debug_option
def audit_command(
    *,
    source: str,
    roi: str,
    frames: int,
    fail_under: float | None,
    output: str | None,
    pictures: str | None,
    as_json: bool,
    junit: str | None,
    overwrite: bool,
    part: dict[str, Any],
    reading: dict[str, Any],
    model: dict[str, Any],
    explainer: dict[str, Any],
    quiet: bool,
) -> int:
    """Find out whether the classes of INPUT rest on the object or on the background.

    The background is blurred, replaced by gray, shuffled and inpainted while the object stays, then the other
    way round; what happens to the probability of each class is the proof.
    """
    from streamcam.models.kinds import check_takes_images
    from streamcam.models.model_names import kind_of

    check_takes_images(kind_of(model["name"]), model["name"], "an audit")
    from streamcam.audits import AuditSettings, as_junit, as_record, audit
    from streamcam.errors import InvalidArgumentError
    from streamcam.files import check_output
    from streamcam.localization.regions import read_region
    from streamcam.report.file_names import check_page_name
    from streamcam.sources import SourceSettings, open_source

    if fail_under is not None and not 0 <= fail_under <= 1:
        raise InvalidArgumentError(f"`fail_under` is a score from 0 to 1, not {fail_under:g}")
    settings = AuditSettings(roi, frames, SourceSettings(**part, **reading))
    settings.check()
    if junit is not None:
        check_output(junit, overwrite=True, inputs=())
    if output is not None:
        check_page_name(output)
        check_output(output, overwrite=overwrite, inputs=())
    if pictures is not None:
        _check_folder(Path(pictures), overwrite=overwrite)
    with open_source(source, settings.source) as opened, ProgressLine(quiet=quiet) as line:
        read_region(roi, opened.info)  # before the slow import
        chosen = load_explainer(model, calibrated_by(explainer, source), line)
        result = audit(
            opened,
            chosen,
            settings,
            on_progress=lambda done, count: line.begin(f"changing frame {done} of {count}"),
        )
    if junit is not None:
        write_figures(junit, as_junit(result, fail_under))
    if output is not None:
        from streamcam.report import build_audit_page, write_page

        write_page(output, build_audit_page(result, fail_under), [], overwrite=overwrite)
    if pictures is not None:
        _save_pictures(result, Path(pictures))
    if as_json:
        click.echo(json.dumps(as_record(result, fail_under), ensure_ascii=False, indent=2))
    elif not quiet:
        _print(result)
        for name in filter(None, (output, pictures)):
            say(f"wrote {click.format_filename(name)}")
    return _outcome(result, fail_under)


def _check_folder(folder: Path, *, overwrite: bool) -> None:
    """Check a folder for pictures: a fresh one whose parent is there, or an empty one unless overwritten."""
    from streamcam.errors import OutputExistsError
    from streamcam.files import check_output

    if not folder.is_dir():
        check_output(folder, overwrite=False, inputs=())
    elif any(folder.iterdir()) and not overwrite:
        raise OutputExistsError(
            f"{str(folder)!r} is not empty; `overwrite` saves pictures beside what is there"
        )


def _save_pictures(result: AuditResult, folder: Path) -> None:
    from streamcam.errors import SinkError, map_errors
    from streamcam.files import unfinished

    with map_errors(
        OSError,
        to=lambda error: SinkError(
            f"{str(folder)!r} cannot take pictures: {getattr(error, 'strerror', error)}"
        ),
    ):
        folder.mkdir(exist_ok=True)
        for worst in result.worst:
            label = re.sub(r"\W+", "-", worst.label).strip("-")
            for picture in worst.pictures:
                name = f"{label}_{worst.time_s:.2f}s_{picture.name.replace(' ', '-')}.jpg"
                with unfinished(folder / name) as part:
                    part.write_bytes(picture.jpeg)


def _print(result: AuditResult) -> None:
    for note in result.notes:
        say(f"note: {name_flags(note)}")
    columns = ("class", "frames", "heat inside", "area", "background changed", "object changed", "score")
    print_table(columns, [_row(one) for one in result.classes], numbers=columns[1:])
    for one in result.classes:
        say(one.sentence)
        say(f"{one.label}: {one.whereabouts}")
    if len(result.scenes) > 1:
        headers = ("scene", "class", "frames", "heat inside", "score", "verdict")
        rows = [
            (f"{scene.begin_s:.2f} s to {scene.end_s:.2f} s", *_scene_row(one))
            for scene in result.scenes
            for one in scene.classes
        ]
        print_table(headers, rows, numbers=headers[2:5])


def _scene_row(one: ClassAudit) -> tuple[str, ...]:
    return one.label, str(one.frames), f"{one.heat.inside:.0%}", f"{one.score:.2f}", one.verdict


def _row(one: ClassAudit) -> tuple[str, ...]:
    return (
        one.label,
        str(one.frames),
        f"{one.heat.inside:.0%}",
        f"{one.heat.area:.0%}",
        _worst(one.without_background),
        _worst(one.without_object),
        f"{one.score:.2f}",
    )


def _worst(left: Any) -> str:
    """Describe what is left by the most harmful intervention."""
    name = min(left, key=left.__getitem__)
    return f"{left[name]:.0%} ({name})"


def _outcome(result: AuditResult, fail_under: float | None) -> int:
    if fail_under is None or result.score >= fail_under:
        return EXIT_DONE
    failed = [one.label for one in result.classes if one.score < fail_under]
    say(f"streamcam: error: below {fail_under:g}: {', '.join(failed)}", err=True)
    return EXIT_FAILED
