"""The table of outputs, `SINKS`, and `open_sink`, which finds the row for a location and opens it."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Collection
from pathlib import Path

from streamcam.errors import InvalidArgumentError
from streamcam.evidence.format import SUFFIXES
from streamcam.files import check_output
from streamcam.frames import SourceInfo
from streamcam.media.containers import CONTAINERS
from streamcam.media.encoders import EncoderSettings
from streamcam.media.images import has_alpha
from streamcam.media.numbered_files import is_pattern
from streamcam.sinks.annotations.coco import open_coco_sink
from streamcam.sinks.annotations.cvat import CvatSink
from streamcam.sinks.annotations.yolo import open_yolo_sink
from streamcam.sinks.base import Sink
from streamcam.sinks.evidence import open_evidence_sink
from streamcam.sinks.hls import open_hls_sink
from streamcam.sinks.image import IMAGE_SUFFIXES, open_image_sink
from streamcam.sinks.publication import PROTOCOLS, hls_folder
from streamcam.sinks.sequence import is_sequence, open_sequence_sink
from streamcam.sinks.sidecar import open_sidecar_sink
from streamcam.sinks.standard_output import is_standard_output, open_standard_output
from streamcam.sinks.video import open_video_sink

_log = logging.getLogger("streamcam.sinks")


@dataclasses.dataclass(frozen=True, slots=True)
class SinkSettings:
    """The settings that openers of outputs read."""

    encoder: EncoderSettings = dataclasses.field(default_factory=EncoderSettings)
    """How a video is encoded."""
    overwrite: bool = False
    """Whether existing files may be replaced."""


Opener = Callable[[str, SourceInfo, SinkSettings], Sink]
"""Opens an output: its location, the source of the frames, the settings → the sink."""


@dataclasses.dataclass(frozen=True, slots=True)
class SinkKind:
    """One kind of output: a row of `SINKS`."""

    name: str
    keys: Collection[str]
    """Suffixes of its files (``".mp4"``), or schemes of its URLs (``"rtmp:"``), in lower case."""
    open: Opener
    example: str
    """A location of this kind (``"frames/%05d.png"``), for messages, the docs and the tests."""
    takes: Callable[[str, SourceInfo], bool] = lambda _location, _info: True
    """Whether an output of this location and input is of this kind, where several have the same suffix."""
    alpha_keys: Collection[str] | None = None
    """Those of the keys whose outputs hold an alpha channel; None where they show no images."""
    annotates: bool = False
    """Whether it holds the objects of frames, or boxes around their heat, rather than images or maps."""


def _open_image(location: str, _info: SourceInfo, settings: SinkSettings) -> Sink:
    return open_image_sink(Path(location), overwrite=settings.overwrite)


def _open_sequence(location: str, info: SourceInfo, settings: SinkSettings) -> Sink:
    return open_sequence_sink(Path(location), info, settings.encoder, overwrite=settings.overwrite)


def _open_video(location: str, info: SourceInfo, settings: SinkSettings) -> Sink:
    return open_video_sink(Path(location), info, settings.encoder, overwrite=settings.overwrite)


def _open_hls(location: str, info: SourceInfo, settings: SinkSettings) -> Sink:
    return open_hls_sink(location, info, settings.encoder, overwrite=settings.overwrite)


def _open_sidecar(location: str, info: SourceInfo, settings: SinkSettings) -> Sink:
    return open_sidecar_sink(Path(location), info, overwrite=settings.overwrite)


def _open_coco(location: str, info: SourceInfo, settings: SinkSettings) -> Sink:
    return open_coco_sink(Path(location), info, overwrite=settings.overwrite)


def _open_cvat(location: str, _info: SourceInfo, settings: SinkSettings) -> Sink:
    return CvatSink.open(Path(location), overwrite=settings.overwrite)


def _open_yolo(location: str, info: SourceInfo, settings: SinkSettings) -> Sink:
    return open_yolo_sink(Path(location), info, settings.encoder, overwrite=settings.overwrite)


def _open_evidence(location: str, info: SourceInfo, settings: SinkSettings) -> Sink:
    return open_evidence_sink(Path(location), info, overwrite=settings.overwrite)


_FOLDERS = [f"{scheme}:" for scheme, row in PROTOCOLS.items() if row.file_options is not None]
_ALPHA_IMAGES = [suffix for suffix, row in IMAGE_SUFFIXES.items() if row.holds_alpha]
_ALPHA_VIDEOS = [suffix for suffix, row in CONTAINERS.items() if row.alpha_codecs]

SINKS: list[SinkKind] = [
    SinkKind(
        "image",
        IMAGE_SUFFIXES,
        _open_image,
        "heat.png",
        lambda _location, info: info.is_still,
        _ALPHA_IMAGES,
    ),
    SinkKind(
        "numbered images",
        IMAGE_SUFFIXES,
        _open_sequence,
        "frames/%05d.png",
        lambda location, info: is_sequence(Path(location)) and not info.is_still,
        _ALPHA_IMAGES,
    ),
    SinkKind(
        "video",
        CONTAINERS,
        _open_video,
        "heat.mp4",
        lambda _location, info: not info.is_still,
        _ALPHA_VIDEOS,
    ),
    SinkKind(
        "HLS",
        _FOLDERS,
        _open_hls,
        "hls:folder",
        lambda _location, info: not info.is_still,
        (),
    ),
    SinkKind("raw maps", (".jsonl",), _open_sidecar, "raw.jsonl"),
    SinkKind("COCO annotations", (".json",), _open_coco, "boxes.json", annotates=True),
    SinkKind("CVAT annotations", (".xml",), _open_cvat, "boxes.xml", annotates=True),
    SinkKind(
        "YOLO labels",
        (".txt",),
        _open_yolo,
        "labels/%05d.txt",
        lambda location, _info: is_pattern(Path(location)),
        annotates=True,
    ),
    SinkKind("evidence", SUFFIXES, _open_evidence, "evidence.h5"),
]
"""Every kind of output. The first row that has the location's suffix or scheme and takes the location wins:
one appended for a suffix that is here already is not reached, unless it is inserted before that row."""


def open_sink(
    location: str | Path,
    info: SourceInfo,
    *,
    settings: EncoderSettings | None = None,
    overwrite: bool = False,
) -> Sink:
    """Open an output of the kind that its suffix or scheme names in `SINKS`, or standard output.

    Args:
        location: The file to make; ``out/%05d.png`` makes one image a frame; ``"-"`` is standard output.
        info: The source of the frames: their size and timing, and the audio to copy.
        settings: How to encode a video; the defaults if None.
        overwrite: Whether an existing file may be replaced.

    Raises:
        OutputExistsError: if the file exists, or is the input.
        SinkError: if it cannot be written there.
        InvalidArgumentError: if the suffix names no known kind, or one that does not fit the input, or one
            without alpha where the frames have it.
    """
    if is_standard_output(location):
        return open_standard_output(info, settings or EncoderSettings())
    if settings is not None and settings.container is not None:
        raise InvalidArgumentError(
            f"`container` is for standard output; the name {str(location)!r} says what it is"
        )
    location, key = str(location), _key_of(location)
    if not key.endswith(":"):
        check_output(location, overwrite=overwrite, inputs=(info.path, *info.files))
    kinds = [kind for kind in SINKS if key in kind.keys]
    for kind in kinds:
        if kind.takes(location, info):
            _log.debug("a %s output is of kind %r", key, kind.name)
            if has_alpha(info.pixel_format) and kind.alpha_keys is not None and key not in kind.alpha_keys:
                raise _alpha_refusal(location, info)
            return kind.open(location, info, SinkSettings(settings or EncoderSettings(), overwrite))
    raise _refusal(location, info, kinds)


def output_path(location: str | Path) -> Path:
    """Return where an output lies: the file, or the folder behind a scheme.

    Raises:
        NoDirectoryError: if there is no directory for the folder.
    """
    return hls_folder(str(location)) if is_one_in_a_folder(location) else Path(location)


def is_one_in_a_folder(location: str | Path) -> bool:
    """Return whether an output is a video that fills a folder, as ``hls:folder`` is."""
    return _key_of(location) in _FOLDERS


def _key_of(location: str | Path) -> str:
    """Return what `SinkKind.keys` may hold of a location: its scheme, or else its suffix."""
    scheme, colon, rest = str(location).partition(":")
    key = f"{scheme.lower()}:"
    is_url = colon and (rest.startswith("//") or any(key in kind.keys for kind in SINKS))
    return key if is_url else Path(location).suffix.lower()


def holds_objects(location: str | Path) -> bool:
    """Return whether an output of this name holds objects or boxes around heat, not images or maps."""
    key = _key_of(location)
    return any(kind.annotates for kind in SINKS if key in kind.keys)


def shows_images(location: str | Path) -> bool:
    """Return whether an output of this name may be images or a video; true of unknown names."""
    kinds = [kind for kind in SINKS if _key_of(location) in kind.keys]
    return not kinds or any(kind.alpha_keys is not None for kind in kinds)


def _alpha_refusal(location: str, info: SourceInfo) -> InvalidArgumentError:
    """Say which outputs could hold the alpha channel that is to be kept."""
    ways = "; ".join(
        f"{kind.name} ({' '.join(kind.alpha_keys)})"
        for kind in SINKS
        if kind.alpha_keys and kind.takes(kind.example, info)
    )
    name = location if "://" in location else Path(location).name
    return InvalidArgumentError(
        f"{name!r} cannot hold an alpha channel; use one of: {ways}; or leave `alpha_channel` out"
    )


def _refusal(location: str, info: SourceInfo, kinds: list[SinkKind]) -> InvalidArgumentError:
    """Say why no row of the table takes an output, and which ones take the input."""
    name = location if "://" in location else Path(location).name
    source = "an image" if info.is_still else "a video"
    ways = ", ".join(kind.example for kind in SINKS if kind.takes(kind.example, info))
    if kinds:
        return InvalidArgumentError(
            f"{name!r} is of kind {kinds[0].name!r}, which cannot be made from {source}; use a name "
            f"like one of: {ways}"
        )
    return InvalidArgumentError(
        f"cannot tell from {name!r} what to make from {source}; use a name like one of: {ways}"
    )
