"""The outputs of a render: the video or image, and the files beside it."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from streamcam.errors import InvalidArgumentError
from streamcam.files import check_output, same_file
from streamcam.frames import SourceInfo
from streamcam.pipeline.settings import RenderSettings
from streamcam.sinks import (
    PANE,
    PaneSink,
    Sink,
    check_resumable,
    holds_objects,
    open_evidence_sink,
    open_mask_sink,
    open_sidecar_sink,
    open_sink,
    pane_path,
    shows_images,
)


def open_outputs(
    output: str | Path,
    settings: RenderSettings,
    info: SourceInfo,
    drawn: SourceInfo,
    undo: contextlib.ExitStack,
    panes: Sequence[str] = (),
) -> list[Sink]:
    """Open every file that a render makes.

    Args:
        output: The video or image, or another file of a kind in `SINKS`.
        settings: They name the files beside it.
        info: The input.
        drawn: The same, of the size that frames are drawn at.
        undo: Receives what removes the files again.
        panes: A name of each pane, for files, if several explanations are compared.

    Returns:
        The sinks, that of `output` first.

    Raises:
        StreamcamError: one of its children, if a file cannot be made, or two are the same.
    """
    beside = list(_beside(settings, panes))
    _check_names(output, settings, info, beside)
    sinks: list[Sink] = []
    for sink in _open_each(output, settings, info, drawn, beside):
        undo.callback(sink.abort)
        sinks.append(sink)
    return sinks


def check_moving(info: SourceInfo, model: str) -> None:
    """Refuse a still image for a network that looks at clips.

    Args:
        info: What is explained.
        model: Name of the network.

    Raises:
        InvalidArgumentError: if it is a still image.
    """
    if info.is_still:
        raise still_refusal(info.name, model)


def still_refusal(
    name: str,
    model: str,
    kind: str = "a still image",
    instead: str = "give it a video, or images in a row as frames/%05d.png",
) -> InvalidArgumentError:
    """Build the error for images in which nothing moves and a network that looks at clips.

    Args:
        name: Name of the image, or of the images.
        model: Name of the network.
        kind: What that is, in words.
        instead: What to do, in words.
    """
    return InvalidArgumentError(
        f"{model} looks at clips, several frames at once, and {name!r} is {kind}; {instead}"
    )


def check_boxes(output: Path, settings: RenderSettings, model: str) -> None:
    """Check that files of objects have something to hold, for a network that finds no objects.

    Raises:
        InvalidArgumentError: if they have not, because no boxes are put around the heat.
    """
    if settings.localization.boxes:
        return
    needing = [location for name, location in settings.locations if name in ("annotations", "masks")]
    if holds_objects(output):
        needing.append(output)
    if needing:
        raise InvalidArgumentError(
            f"{model} finds no objects to write to {str(needing[0])!r}; with `boxes=True` it holds boxes "
            "around the heat"
        )


def check_comparison(output: Path, settings: RenderSettings) -> None:
    """Check that a comparison makes images and raw maps, and other files for each pane.

    Raises:
        InvalidArgumentError: if anything is asked for that keeps one explanation of a frame.
    """
    several = "a comparison has several explanations of each frame, and"
    if settings.resume:
        raise InvalidArgumentError(
            f"{several} `resume=True` keeps one; compare parts of the video instead, "
            "with `start_s` and `end_s`"
        )
    if not shows_images(output):
        raise InvalidArgumentError(
            f"{several} {str(output)!r} keeps one; write a video, and such files beside it"
        )
    for name, location in settings.locations:
        if name != "sidecar" and PANE not in str(location):
            example = location.with_name(f"{location.stem}-{PANE}{location.suffix}")
            raise InvalidArgumentError(
                f"{several} `{name}` keeps one: put {PANE} into its name, as in {str(example)!r}, for a file "
                "for each pane"
            )


@dataclasses.dataclass(frozen=True, slots=True)
class _Beside:
    """A file beside the main output."""

    name: str
    """That of its setting."""
    path: Path
    pane: int | None = None
    """Which pane it is of; None if it is of all."""


def _beside(settings: RenderSettings, panes: Sequence[str]) -> Iterator[_Beside]:
    for name, location in settings.locations:
        if name == "sidecar" or not panes:
            yield _Beside(name, location)
        else:
            for number, pane in enumerate(panes):
                yield _Beside(name, pane_path(location, pane), number)


def _open_each(
    output: str | Path,
    settings: RenderSettings,
    info: SourceInfo,
    drawn: SourceInfo,
    beside: Sequence[_Beside],
) -> Iterator[Sink]:
    main = open_sink(output, drawn, settings=settings.encoder, overwrite=settings.overwrite)
    yield main
    if settings.resume:
        check_resumable(main)
    for one in beside:
        sink = _open_beside(one, info, overwrite=settings.overwrite)
        yield sink if one.pane is None else PaneSink(sink, one.pane)


def _open_beside(one: _Beside, info: SourceInfo, *, overwrite: bool) -> Sink:
    if one.name == "sidecar":
        return open_sidecar_sink(one.path, info, overwrite=overwrite)
    if one.name == "evidence":
        return open_evidence_sink(one.path, info, overwrite=overwrite)
    if one.name == "masks":
        return open_mask_sink(one.path, info, overwrite=overwrite)
    return open_sink(one.path, info, overwrite=overwrite)


def _check_names(
    output: str | Path, settings: RenderSettings, info: SourceInfo, beside: Sequence[_Beside]
) -> None:
    """Check, before anything is opened, what the openers do not."""
    for location in settings.annotations:
        if not holds_objects(location):
            raise InvalidArgumentError(
                f"`annotations` {str(location)!r} is of no such kind; use boxes.json for COCO, boxes.xml for "
                "CVAT, or labels/%05d.txt for YOLO"
            )
    named = [("output", Path(output)), *((one.name, one.path) for one in beside)]
    for (first, one), (second, other) in itertools.combinations(named, 2):
        if same_file(one, other):
            raise InvalidArgumentError(
                f"the {second} {str(other)!r} is the {first} itself; give it another name"
            )
    for each in beside:
        if each.name in ("sidecar", "evidence"):
            check_output(each.path, overwrite=settings.overwrite, inputs=(info.path, *info.files))
