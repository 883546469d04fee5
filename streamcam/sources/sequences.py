"""Many image files as the frames of a video: numbered ones, those of a folder, or those of a pattern."""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import logging
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from streamcam.errors import SourceError, SourceNotFoundError, map_errors
from streamcam.frames import Frame, SourceInfo, SourceReport
from streamcam.media.images import Image, tags_of
from streamcam.media.numbered_files import is_pattern, natural_order, numbered_files
from streamcam.media.scaling import Resampler
from streamcam.sources.base import Source
from streamcam.sources.files import is_file
from streamcam.sources.images import is_image, to_planar
from streamcam.sources.normalization import FrameFitter
from streamcam.sources.paced import play
from streamcam.sources.pixels import StoredImage, choose_limits, read_stored
from streamcam.sources.settings import SourceSettings
from streamcam.sources.slides import SlideShow
from streamcam.sources.transparency import ON_WHITE, make_frame
from streamcam.sources.value_range import ValueRange

_log = logging.getLogger("streamcam.sources")

_SEQUENCE_RATE = Fraction(25)
"""Images a second where nobody says: FFmpeg's own default."""

_TIME_TOLERANCE_S = 1e-6
"""A time in seconds may be that much off the frame that it means."""

_SAMPLES = 9
"""How many images of a sequence, evenly spread, are looked at for the range of its values."""


def is_sequence(location: str | int | Path) -> bool:
    """Return whether a location is many images: ``frames/%05d.png``, a folder, or ``frames/*.png``."""
    if isinstance(location, int) or is_file(location) or not str(location):
        return False
    path = Path(location)
    return is_pattern(path) or is_folder(path) or is_glob(location)


def is_folder(path: Path) -> bool:
    """Return whether there is a folder of that name."""
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a NUL in the name, or a name that is too long
        return False


def is_glob(location: str | int | Path) -> bool:
    """Return whether a location is a pattern of names, as a shell knows them, and no URL."""
    text = str(location)
    return not isinstance(location, int) and glob.has_magic(text) and "://" not in text


def files_matching(location: str | int | Path) -> list[Path]:
    """Find the files whose names match a pattern, in natural order.

    Raises:
        SourceNotFoundError: if there is none.
    """
    pattern = str(location)
    names = glob.glob(pattern, recursive=True)  # noqa: PTH207 - Path.glob knows no absolute patterns
    files = sorted((Path(name) for name in names if is_file(name)), key=natural_order)
    if not files:
        raise SourceNotFoundError(f"no file matches {pattern!r}; check the path")
    return files


def files_in(folder: Path) -> list[Path]:
    """List the files directly in a folder, in natural order; hidden ones are notes of file managers.

    Raises:
        SourceError: if the folder cannot be read.
    """
    with map_errors(
        OSError, to=lambda error: SourceError(f"{str(folder)!r} cannot be read: {_reason(error)}")
    ):
        files = [entry for entry in folder.iterdir() if is_file(entry) and not entry.name.startswith(".")]
    return sorted(files, key=natural_order)


def open_sequence(location: str | int | Path, settings: SourceSettings) -> Source:
    """Open many images as a video, in the order of their numbers or of their names.

    Args:
        location: Path with ``%d`` or ``%05d`` in the file's name, a folder, or a pattern as ``frames/*.png``.
        settings: How they are read; 25 images a second without `rate`. Live, a folder or pattern of names is
            a slide show, as numbered ones are with `slide_s`.

    Raises:
        SourceNotFoundError: if there are no such files.
        SourceError: if the first one cannot be decoded.
    """
    path = Path(str(location))
    return open_images(path, _find_images(path), settings)


def open_images(path: Path, files: ImageFiles, settings: SourceSettings) -> Source:
    """Open images as a video; see `open_sequence`.

    Args:
        path: The location that stands for them.
        files: The images.
        settings: How they are read.

    Raises:
        SourceError: if the first one cannot be decoded.
    """
    if not settings.real_time:
        return SequenceSource(path, files, settings)
    settings = dataclasses.replace(settings, depth=settings.depth or 8, chroma=settings.chroma or "420")
    if files.pages is None and (
        settings.slide_s is not None or (settings.rate is None and not is_pattern(path))
    ):

        def load(file: Path) -> Image:
            return SequenceSource(file, ImageFiles([file]), settings).first_image()

        return SlideShow(
            path, lambda: _find_images(path).paths, load, slide_s=settings.slide_s, loop=settings.loop
        )
    return play(lambda: SequenceSource(path, files, settings), loop=settings.loop)


@dataclasses.dataclass(frozen=True, slots=True)
class ImageFiles:
    """The images that a location stands for."""

    paths: Sequence[Path]
    notes: tuple[str, ...] = ()
    """Messages about what is missing or left out, a sentence each."""
    pages: Sequence[int] | None = None
    """The pages, if it is one file of several images."""

    @property
    def images(self) -> list[tuple[Path, int | None]]:
        """The file of each image, and its page in there."""
        if self.pages is None:
            return [(path, None) for path in self.paths]
        return [(path, page) for path in self.paths for page in self.pages]


def _find_images(path: Path) -> ImageFiles:
    """Find the images of a pattern or folder.

    Raises:
        SourceNotFoundError: if there is none.
        SourceError: if the folder cannot be read.
    """
    if is_folder(path):
        images = _images_among(files_in(path))
        if not images.paths:
            raise SourceNotFoundError(
                f"{str(path)!r} is a directory without images; give a video or image file"
            )
        return images
    if not is_pattern(path):
        images = _images_among(files_matching(path))
        if not images.paths:
            raise SourceNotFoundError(
                f"{str(path)!r} matches files that are no images; give one video at a time"
            )
        return images
    with map_errors(
        OSError,
        ValueError,
        to=lambda error: SourceNotFoundError(f"no images {str(path)!r}: {_reason(error)}"),
    ):
        numbered = numbered_files(path)
    if not numbered:
        raise SourceNotFoundError(f"no images {str(path)!r}; check the path")
    missing = max(numbered) - min(numbered) + 1 - len(numbered)
    notes = (f"the numbers of the images have gaps: {missing} are missing",) if missing else ()
    return ImageFiles(list(numbered.values()), notes)


def _images_among(files: Sequence[Path]) -> ImageFiles:
    images = [file for file in files if is_image(file)]
    others = len(files) - len(images)
    return ImageFiles(images, (f"{others} files that are no images are left out",) if others else ())


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


class SequenceSource(Source):
    """Image files as the frames of a video.

    An image that cannot be decoded costs its own frame and nothing else: it is counted.
    """

    def __init__(self, path: Path, files: ImageFiles, settings: SourceSettings) -> None:
        """Decode the first image.

        Args:
            path: Pattern or folder that stands for the images.
            files: The images, in order.
            settings: How they are read.

        Raises:
            SourceError: if the first image cannot be decoded, or none is left between start and end.
        """
        self._path = path
        self._settings = settings
        self._rate = settings.rate or _SEQUENCE_RATE
        self._resampler = Resampler()
        self._fitter = FrameFitter(self._resampler, settings.size)
        start_s = (settings.start_s or 0.0) - _TIME_TOLERANCE_S
        end_s = (settings.end_s or math.inf) - _TIME_TOLERANCE_S
        images = files.images
        self._files = [
            (position, *image)
            for position, image in enumerate(images)
            if start_s <= position / self._rate < end_s
        ]
        if not self._files:
            raise SourceError(
                f"{str(path)!r} has {len(images)} images, none of them in the part asked for; check `start_s`"
            )
        self._files_notes = files.notes
        self._damaged = 0
        self._notes: dict[str, None] = {}  # a set in order
        self._count = 0
        stored = read_stored(*self._files[0][1:])
        self._limits, notes = self._choose_limits(stored)
        self._notes.update(dict.fromkeys(notes))
        self._first: Image | None = self._convert(self._files[0][0], stored)
        self._info = SourceInfo(
            name=str(path),
            path=None,
            files=tuple(files.paths),
            width=self._first.width,
            height=self._first.height,
            pixel_format=self._first.format.name,
            time_base=1 / self._rate,
            rate=self._rate,
            frame_count=len(self._files),
            duration_s=float(len(self._files) / self._rate),
            start_s=settings.start_s,
            end_s=settings.end_s,
            color=tags_of(self._first),
        )

    @property
    def info(self) -> SourceInfo:
        """Description of the sequence."""
        return self._info

    def __iter__(self) -> Iterator[Frame]:
        """Yield one frame for each image."""
        for position, path, page in self._files:
            if self.stop_flag.is_set():
                return
            image, self._first = self._first, None
            try:
                image = image or self._decode(position, path, page)
            except SourceError as error:
                _log.info("left out: %s", error)
                self._damaged += 1
                continue
            yield make_frame(image, self._count, position, self._info.time_base)
            self._count += 1

    def first_image(self) -> Image:
        """Return the first image, where the frames are not iterated over."""
        assert self._first is not None
        return self._first

    def report(self) -> SourceReport:
        """Return how many images were read and how many could not be."""
        notes = [*([self._fitter.change] if self._fitter.change else []), *self._notes, *self._files_notes]
        return SourceReport(self._count, packets_damaged=self._damaged, notes=tuple(notes))

    def _decode(self, position: int, path: Path, page: int | None) -> Image:
        return self._convert(position, read_stored(path, page))

    def _convert(self, position: int, stored: StoredImage) -> Image:
        self._notes.update(dict.fromkeys(stored.notes))
        limits = self._limits
        if limits is None and stored.values is not None:  # behind images of 8 bits
            limits, _ = choose_limits(self._path, [stored], None)
        if stored.has_alpha and not self._settings.keeps_alpha:
            self._notes[ON_WHITE] = None
        image = to_planar(
            stored,
            limits,
            self._resampler,
            self._settings.depth,
            self._settings.chroma,
            alpha=self._settings.keeps_alpha,
        )
        return self._fitter.fit(image, Fraction(1), float(position / self._rate))

    def _choose_limits(self, first: StoredImage) -> tuple[ValueRange | None, tuple[str, ...]]:
        """Choose one range for the values of all images, so that their brightness does not flicker."""
        images = [first]
        if first.values is not None and self._settings.range is None:
            step = max(1, len(self._files) // _SAMPLES)
            for _, path, page in self._files[step::step]:
                with contextlib.suppress(SourceError):  # counted when its turn comes
                    images.append(read_stored(path, page))
        return choose_limits(self._path, images, self._settings.range)
