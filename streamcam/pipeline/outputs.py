"""The outputs of a render: the video or image, and the files beside it."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path

from streamcam.errors import InvalidArgumentError
from streamcam.frames import SourceInfo
from streamcam.pipeline.settings import RenderSettings
from streamcam.sinks import (
    Sink,
    check_output,
    check_resumable,
    holds_objects,
    open_evidence_sink,
    open_mask_sink,
    open_sidecar_sink,
    open_sink,
    same_file,
    shows_images,
)


def open_outputs(
    output: str | Path,
    settings: RenderSettings,
    info: SourceInfo,
    drawn: SourceInfo,
    undo: contextlib.ExitStack,
) -> list[Sink]:
    """Open every file that a render makes.

    Args:
        output: The video or image, or another file of a kind in `SINKS`.
        settings: They name the files beside it.
        info: The input.
        drawn: The same, of the size that frames are drawn at.
        undo: Receives what removes the files again.

    Returns:
        The sinks, that of `output` first.

    Raises:
        StreamcamError: one of its children, if a file cannot be made, or two are the same.
    """
    _check_names(output, settings, info)
    sinks: list[Sink] = []
    for sink in _open_each(output, settings, info, drawn):
        undo.callback(sink.abort)
        sinks.append(sink)
    return sinks


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
    """Check that a comparison makes images and raw maps only: other files keep one explanation of a frame.

    Raises:
        InvalidArgumentError: if anything else is asked for.
    """
    kept = [f"`{name}`" for name, _ in settings.locations if name != "sidecar"]
    if settings.resume:
        kept.append("`resume=True`")
    if not shows_images(output):
        kept.append(repr(str(output)))
    if kept:
        raise InvalidArgumentError(
            f"a comparison has several explanations of each frame, and {kept[0]} keeps one; leave it out"
        )


def _open_each(
    output: str | Path, settings: RenderSettings, info: SourceInfo, drawn: SourceInfo
) -> Iterator[Sink]:
    overwrite = settings.overwrite
    main = open_sink(output, drawn, settings=settings.encoder, overwrite=overwrite)
    yield main
    if settings.resume:
        check_resumable(main)
    for name, location in settings.locations:
        if name == "sidecar":
            yield open_sidecar_sink(location, info, overwrite=overwrite)
        elif name == "evidence":
            yield open_evidence_sink(location, info, overwrite=overwrite)
        elif name == "masks":
            yield open_mask_sink(location, info, overwrite=overwrite)
        else:
            yield open_sink(location, info, overwrite=overwrite)


def _check_names(output: str | Path, settings: RenderSettings, info: SourceInfo) -> None:
    """Check, before anything is opened, what the openers do not."""
    for location in settings.annotations:
        if not holds_objects(location):
            raise InvalidArgumentError(
                f"`annotations` {str(location)!r} is of no such kind; use boxes.json for COCO, boxes.xml for "
                "CVAT, or labels/%05d.txt for YOLO"
            )
    named = [("output", Path(output)), *settings.locations]
    for (first, one), (second, other) in itertools.combinations(named, 2):
        if same_file(one, other):
            raise InvalidArgumentError(
                f"the {second} {str(other)!r} is the {first} itself; give it another name"
            )
    for path in (settings.sidecar, settings.evidence):
        if path is not None:
            check_output(path, overwrite=settings.overwrite, inputs=(info.path, *info.files))
