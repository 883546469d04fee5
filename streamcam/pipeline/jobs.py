"""The files of a render of many: what is read, and what each output is called."""

from __future__ import annotations

import dataclasses
import glob
import itertools
import os
import string
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from streamcam.errors import InvalidArgumentError, NoDirectoryError, OutputExistsError, SourceNotFoundError
from streamcam.media.containers import CONTAINERS
from streamcam.media.numbered_files import is_pattern
from streamcam.media.stores import find_stored, is_stored, local_path, name_in
from streamcam.media.urls import redact
from streamcam.pipeline.output_locations import (
    OutputLocation,
    identify,
    inside,
    is_there,
    key_of,
    locate,
    name_of,
    next_to,
)
from streamcam.sinks import CLASSES, IMAGE_SUFFIXES, MASK_NAME, is_one_in_a_folder
from streamcam.sources import Location, is_image
from streamcam.sources.fetched import is_standard_input
from streamcam.sources.files import VIDEO_SUFFIXES, is_file
from streamcam.sources.pages import is_paged
from streamcam.sources.sequences import files_in, files_matching, is_folder, is_glob

FIELDS = ("stem", "name", "parent", "number")
"""The fields that stand in braces in the name of the outputs: the input's name without and with its suffix,
the name of its folder, and its place among the inputs, from 1."""


@dataclasses.dataclass(frozen=True, slots=True)
class OutputsBeside:
    """The files beside each output: folders, or names with `FIELDS` in braces."""

    sidecar: str | Path | None = None
    evidence: str | Path | None = None
    masks: str | Path | None = None
    annotations: tuple[str | Path, ...] = ()

    @property
    def templates(self) -> tuple[str | Path, ...]:
        """Those that there are."""
        single = (self.sidecar, self.evidence, self.masks)
        return (*(each for each in single if each is not None), *self.annotations)


@dataclasses.dataclass(frozen=True, slots=True)
class RenderJob:
    """One input of a render of many, and its outputs: paths, or URLs of files in a store."""

    source: Location
    output: OutputLocation
    sidecar: OutputLocation | None = None
    evidence: OutputLocation | None = None
    masks: OutputLocation | None = None
    annotations: tuple[OutputLocation, ...] = ()

    @property
    def outputs(self) -> tuple[OutputLocation, ...]:
        """The files that are made; names with ``%05d`` stand for many."""
        single = (self.sidecar, self.evidence, self.masks)
        return (self.output, *(path for path in single if path is not None), *self.annotations)


def is_for_many(sources: Sequence[Location], output: str | Path) -> bool:
    """Return whether inputs and an output ask for one output for each input.

    So do several inputs, an output that is a folder or ends like one, and one with `FIELDS` in braces.
    """
    return len(sources) > 1 or _is_directory(local_path(output)) or _has_field(str(output))


def refuse_videos_as_one(source: Location, output: str | Path) -> None:
    """Refuse a folder or pattern of videos as the input of a single output: only images become one video.

    Raises:
        InvalidArgumentError: if it is one.
    """
    if isinstance(source, int) or is_file(local_path(source)) or is_stored(source):
        return
    path = Path(local_path(source))
    if is_folder(path):
        files = files_in(path)
    elif is_glob(source) and not is_pattern(path):
        files = files_matching(path)
    else:
        return
    videos = [file for file in files if file.suffix.lower() in VIDEO_SUFFIXES and not is_image(file)]
    if videos and not any(map(is_image, files)):
        folder = Path(output).with_suffix("")
        count = f"{len(videos)} video{'s' if len(videos) > 1 else ''}"
        raise InvalidArgumentError(
            f"{str(source)!r} holds {count}; for an output of each, let the output be a folder: '{folder}/'"
        )


def base_directory(output: str | Path) -> OutputLocation:
    """Return the directory, or folder in a store, that all outputs lie in or under."""
    if _is_directory(output) or not _has_field(str(output)):
        return locate(output)
    parts = str(output).split("/") if is_stored(output) else Path(output).parts
    fixed = list(itertools.takewhile(lambda part: not _has_field(part), parts))
    return "/".join(fixed) if is_stored(output) else Path(*fixed)


def list_jobs(
    sources: Sequence[Location],
    output: str | Path,
    beside: OutputsBeside | None = None,
    *,
    left_out: Iterable[OutputLocation] = (),
) -> list[RenderJob]:
    """List the inputs, and name the outputs of each.

    Args:
        sources: Files, URLs, numbered images, folders (every video and image directly in them), and patterns
            such as ``videos/*.mp4`` (every file that matches). What occurs twice is read once.
        output: A folder, or a name with `FIELDS` in braces, as ``out/{stem}-heat.mp4``, also in a store, as
            ``s3://bucket/out/``. In a folder an output is called as its input is; one of a kind that is read
            and not written becomes MP4 or PNG.
        beside: The same for the files beside each output. Masks are images in a folder for each input, unless
            their name ends in ``.mkv``; annotations need a name that tells their kind.
        left_out: Files in folders and among those that match which are no inputs.

    Raises:
        SourceNotFoundError: if a folder or pattern has no files.
        InvalidArgumentError: if two outputs would have one name, or an output's name cannot be made.
        OutputExistsError: if an output would replace an input.
    """
    found = list(_unique(_expand(sources, [key_of(path) for path in left_out])))
    beside = beside or OutputsBeside()
    for template in (output, *beside.templates):
        _check_template(template, found)
    for template in beside.annotations:
        if not Path(template).suffix:
            raise InvalidArgumentError(
                f"`annotations` {str(template)!r} tells no kind; for several inputs use a name as "
                f"{template}/{{stem}}.json, {{stem}}.xml or {{stem}}/%05d.txt"
            )
    jobs = [_make_job(source, number, output, beside) for number, source in enumerate(found, start=1)]
    _refuse_clashes(jobs)
    return jobs


def _make_job(source: Location, number: int, output: str | Path, beside: OutputsBeside) -> RenderJob:
    def name(template: str | Path | None, suffix: str) -> OutputLocation | None:
        return None if template is None else _name_output(template, source, number, suffix)

    masks = name(beside.masks, "")
    return RenderJob(
        source,
        _name_output(output, source, number, _suffix_for(source)),
        sidecar=name(beside.sidecar, ".jsonl"),
        evidence=name(beside.evidence, ".h5"),
        masks=masks if masks is None or Path(str(beside.masks)).suffix else inside(masks, MASK_NAME),
        annotations=tuple(_name_output(each, source, number, "") for each in beside.annotations),
    )


def _expand(sources: Sequence[Location], left_out: Sequence[str]) -> Iterator[Location]:
    for source in sources:
        source = local_path(source)
        if isinstance(source, int) or is_file(source) or is_pattern(Path(source)):
            yield source
            continue
        if is_stored(source):
            yield from (url for url in _stored(str(source)) if key_of(url) not in left_out)
            continue
        path = Path(source)
        if is_folder(path):
            files = [
                file
                for file in files_in(path)
                if key_of(file) not in left_out and (file.suffix.lower() in VIDEO_SUFFIXES or is_image(file))
            ]
            if not files:
                raise SourceNotFoundError(f"{str(source)!r} is a directory without videos and images")
            yield from files
        elif is_glob(source):
            yield from (file for file in files_matching(source) if key_of(file) not in left_out)
        else:
            yield source  # a URL, or a name that is reported when its turn comes


def _stored(url: str) -> Iterator[str]:
    """Yield the videos and images of a folder in a store, the files that match a pattern, or the file."""
    if url.endswith("/"):
        files = [file for file in find_stored(url, is_folder=True) if _is_seen(name_in(file))]
        if not files:
            raise SourceNotFoundError(f"{redact(url)!r} holds no videos and images")
    elif glob.has_magic(url):
        files = find_stored(url)
        if not files:
            raise SourceNotFoundError(f"no file matches {redact(url)!r}; check the bucket and the path")
    else:
        files = [url]
    yield from files


def _is_seen(name: str) -> bool:
    """Return whether a file of this name is looked for in a folder."""
    return Path(name).suffix.lower() in VIDEO_SUFFIXES | set(IMAGE_SUFFIXES)


def _unique(sources: Iterable[Location]) -> Iterator[Location]:
    seen = set()
    for source in sources:
        key = source if isinstance(source, int) else key_of(source)
        if key not in seen:
            seen.add(key)
            yield source


def _is_directory(output: str | Path) -> bool:
    text = str(output)
    if is_one_in_a_folder(text):
        return False
    return text.endswith((os.sep, os.altsep or os.sep)) or is_folder(Path(text))


def _fields(template: str) -> list[str]:
    """Return what stands in braces in a template; nothing where a brace is not closed."""
    try:
        return [field for _, field, _, _ in string.Formatter().parse(template) if field is not None]
    except ValueError:
        return []


def _has_field(template: str) -> bool:
    return any(field in FIELDS for field in _fields(template))


def _check_template(output: str | Path, sources: Sequence[Location]) -> None:
    """Refuse one name for many outputs, and fields that do not exist."""
    text, known = str(output), ", ".join(f"{{{field}}}" for field in FIELDS)
    if text == "-":
        raise InvalidArgumentError(f"standard output is one stream for {len(sources)} inputs; give a folder")
    if is_one_in_a_folder(text):
        raise InvalidArgumentError(f"{text!r} is one video for {len(sources)} inputs; render one at a time")
    if _is_directory(output):
        return
    for field in _fields(text):
        if field not in FIELDS:
            raise InvalidArgumentError(
                f"{text!r}: {{{field}}} stands for nothing; the fields of a name are {known}"
            )
    if is_stored(text) and _has_field(text.split("/")[2]):
        raise InvalidArgumentError(f"{text!r}: a bucket has no fields in its name; put them behind it")
    if Path(text).suffix and not _has_field(text):
        raise InvalidArgumentError(
            f"{text!r} is one file for {len(sources)} inputs; give a folder, as in out/, or a name with one "
            f"of {known}, as in out/{{stem}}-heat{Path(text).suffix}"
        )


def _name_output(template: str | Path, source: Location, number: int, suffix: str) -> OutputLocation:
    name = _file_name(source)
    if _is_directory(template) or not _has_field(str(template)):
        return inside(template, f"{name.stem}{suffix}")
    values = {
        "stem": name.stem,
        "name": name.name,
        "parent": _parent_name(source),
        "number": number,
    }
    try:
        return locate(str(template).format_map(values))
    except ValueError as error:
        raise InvalidArgumentError(f"{str(template)!r} is no name for outputs: {error}") from error


def _parent_name(source: Location) -> str:
    """Return the name of the folder that a source lies in; none of a camera, and of a URL that is no file."""
    if is_stored(source):
        return name_in(str(source).rpartition("/")[0])
    if isinstance(source, int) or "://" in str(source):
        return ""
    return Path(source).absolute().parent.name


def _file_name(source: Location) -> Path:
    """Return a name for a source: of numbered images that of their folder, ``stdin`` for standard input."""
    if isinstance(source, int):
        return Path(f"camera{source}")
    if is_standard_input(source):
        return Path("stdin")
    if is_stored(source):
        return Path(name_in(str(source)))
    if "://" in str(source):
        url = urlsplit(str(source))
        return Path(Path(unquote(url.path)).name or url.hostname or "url")
    path = Path(source)
    return Path(path.absolute().parent.name or "images") if is_pattern(path) else Path(path.name)


def _suffix_for(source: Location) -> str:
    suffix = _file_name(source).suffix.lower()
    if is_file(str(source)) and is_image(source) and not is_paged(source):
        return suffix if suffix in IMAGE_SUFFIXES else ".png"
    is_elsewhere = "://" in str(source)  # where only the name tells
    return suffix if suffix in CONTAINERS or (is_elsewhere and suffix in IMAGE_SUFFIXES) else ".mp4"


def _refuse_clashes(jobs: Sequence[RenderJob]) -> None:
    """Refuse outputs that would replace each other, or an input."""
    inputs = {identify(job.source) for job in jobs if not isinstance(job.source, int)}
    owners: dict[str, Location] = {}
    for job in jobs:
        # Labels of YOLO have a list of classes beside them.
        lists = [next_to(path, CLASSES) for path in job.annotations if is_pattern(Path(name_of(path)))]
        for output in (*job.outputs, *lists):
            if identify(output) in inputs:
                raise OutputExistsError(
                    f"{str(output)!r} is an input; give another folder or name for the outputs"
                )
            if key_of(output) in owners:
                raise InvalidArgumentError(
                    f"{str(owners[key_of(output)])!r} and {str(job.source)!r} would both be written to "
                    f"{str(output)!r}; use {{parent}}, {{name}} or {{number}} in the name of the outputs"
                )
            owners[key_of(output)] = job.source


def refuse_existing(jobs: Sequence[RenderJob], earlier: Sequence[OutputLocation], *, overwrite: bool) -> None:
    """Refuse to replace what no earlier run has made.

    Raises:
        OutputExistsError: if an output is there that is none of `earlier`.
        SinkError: if a store cannot be asked.
    """
    if overwrite:
        return
    made = {key_of(path) for path in earlier}
    existing = [
        path for job in jobs if key_of(job.output) not in made for path in job.outputs if is_there(path)
    ]
    if existing:
        others = f" and {len(existing) - 1} others" if len(existing) > 1 else ""
        verb = "exist" if len(existing) > 1 else "exists"
        raise OutputExistsError(
            f"{str(existing[0])!r}{others} {verb} already; give another name, or `overwrite=True`"
        )


def make_directories(jobs: Sequence[RenderJob]) -> None:
    """Make the directories that outputs lie in; a store needs none.

    Raises:
        NoDirectoryError: if one cannot be made.
    """
    for directory in {output.parent for job in jobs for output in job.outputs if isinstance(output, Path)}:
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise NoDirectoryError(f"no directory {str(directory)!r}: {error.strerror}") from error
