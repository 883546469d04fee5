"""Image files and numbered sequences of them, through Pillow."""

from __future__ import annotations

import dataclasses
import logging
import math
import time
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
import PIL.features
import PIL.Image
import PIL.ImageOps

from streamcam.errors import InvalidArgumentError, SourceError, SourceNotFoundError
from streamcam.frames import Frame, SourceInfo, SourceReport
from streamcam.media.images import Image, image_from_rgb, planar_format, tags_of
from streamcam.media.numbered_files import is_pattern, numbered_files
from streamcam.media.scaling import Resampler
from streamcam.sources.base import ON_WHITE, Source
from streamcam.sources.files import is_file
from streamcam.sources.normalization import FrameFitter
from streamcam.sources.paced import play
from streamcam.sources.settings import SourceSettings

_log = logging.getLogger("streamcam.sources")

_SEQUENCE_RATE = Fraction(25)
"""Images a second where nobody says: FFmpeg's own default."""

_TIME_TOLERANCE_S = 1e-6
"""A time in seconds may be that much off the frame that it means."""

_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"II*\0", b"MM\0*")

_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"avif")
"""Major brands, in the file type box, of still HEIC and AVIF images; sequences of images have others."""


def is_image(path: str | int | Path) -> bool:
    """Return whether a file is a JPEG, PNG, WebP, BMP, TIFF, HEIC or AVIF image, by its first bytes."""
    try:
        head = _head_of(Path(str(path)))
    except (OSError, ValueError):
        return False
    is_webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    is_still = head.startswith(_SIGNATURES) and not _is_animated_png(head)
    return is_still or is_webp or _is_heif(head)


def _head_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4096)


def _is_animated_png(head: bytes) -> bool:
    """Return whether a PNG has an animation control chunk, of several images, before its pixels."""
    _, mark, control = head.partition(b"IDAT")[0].partition(b"acTL")
    return head.startswith(b"\x89PNG") and bool(mark) and int.from_bytes(control[:4], "big") > 1


def _is_heif(head: bytes) -> bool:
    return head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS


def open_image(location: str | int | Path, settings: SourceSettings) -> ImageSource:
    """Open an image file.

    Raises:
        SourceError: if it cannot be decoded, or holds more than one image.
        InvalidArgumentError: if it is to be played.
    """
    path = Path(str(location))
    if settings.real_time:
        raise InvalidArgumentError(f"{str(path)!r} is an image, which cannot be played; render it instead")
    image, notes = _decode_image(path, Resampler())
    return ImageSource(path, image, notes)


def is_sequence(location: str | int | Path) -> bool:
    """Return whether a location stands for numbered images, as ``frames/%05d.png`` does."""
    return not isinstance(location, int) and is_pattern(Path(location)) and not is_file(location)


def open_sequence(location: str | int | Path, settings: SourceSettings) -> Source:
    """Open numbered images as a video, in the order of their numbers.

    Args:
        location: Path with ``%d`` or ``%05d`` in the file's name.
        settings: How they are read; 25 images a second without `rate`.

    Raises:
        SourceNotFoundError: if there are no such files.
        SourceError: if the first one cannot be decoded.
    """
    path = Path(str(location))
    try:
        files = numbered_files(path)
    except OSError as error:
        raise SourceNotFoundError(f"no images {str(path)!r}: {error.strerror}") from error
    if not files:
        raise SourceNotFoundError(f"no images {str(path)!r}; check the path")
    if not settings.real_time:
        return SequenceSource(path, files, settings)
    settings = dataclasses.replace(settings, depth=settings.depth or 8, chroma=settings.chroma or "420")
    return play(lambda: SequenceSource(path, files, settings), loop=settings.loop)


def _decode_image(
    path: Path, resampler: Resampler, depth: int | None = None, chroma: str | None = None
) -> tuple[Image, tuple[str, ...]]:
    """Decode an image file: upright as its EXIF data says, on white where it is transparent.

    Args:
        path: The file.
        resampler: Converts it.
        depth: Bits of a sample; 8 if None.
        chroma: Chroma subsampling; 4:4:4 if None, so that no color detail is lost.

    Returns:
        The image, planar YUV of full range, and notes about how it is read.

    Raises:
        SourceError: if it cannot be decoded, or holds more than one image.
    """
    try:
        with _open_with_pillow(path) as opened:
            if getattr(opened, "n_frames", 1) > 1 and opened.format in ("WEBP", "PNG"):
                raise SourceError(f"{str(path)!r} is an animation, not a single image")
            notes = _notes_of(opened)
            pixels = np.asarray(flatten(PIL.ImageOps.exif_transpose(opened)))
    except SourceError:
        raise
    except Exception as error:  # Pillow's decoders raise what they like: struct.error, EOFError, KeyError...
        raise SourceError(f"{str(path)!r} cannot be decoded as an image ({error})") from error
    return resampler.to_planar(image_from_rgb(pixels), planar_format(chroma or "444", depth or 8)), notes


def _notes_of(image: PIL.Image.Image) -> tuple[str, ...]:
    """Describe what of an image file is left out."""
    notes = []
    pages = getattr(image, "n_frames", 1)
    if image.format == "TIFF" and pages > 1:
        notes.append(f"the file holds {pages} pages; the first is used")
    if image.has_transparency_data:
        notes.append(ON_WHITE)
    return tuple(notes)


def _open_with_pillow(path: Path) -> PIL.Image.Image:
    """Open an image file; HEIC with pillow-heif, which puts the tiles of phones' photos together.

    Raises:
        SourceError: if what decodes it is not installed.
    """
    head = _head_of(path)
    if not _is_heif(head):
        return PIL.Image.open(path)
    brands = head[8 : int.from_bytes(head[:4], "big")]
    if b"avif" in brands:
        if not PIL.features.check("avif"):
            raise SourceError(
                f"{str(path)!r} is an AVIF image, which needs a newer Pillow: pip install -U pillow"
            )
        return PIL.Image.open(path)
    try:
        import pillow_heif
    except ImportError as error:
        raise SourceError(
            f'{str(path)!r} is a HEIC image, which needs pillow-heif: pip install "streamcam[heic]"'
        ) from error
    return pillow_heif.open_heif(path).to_pillow()


def flatten(image: PIL.Image.Image) -> PIL.Image.Image:
    """Bring an image to 8-bit RGB, on white where it is transparent."""
    if image.mode.startswith("I;16"):  # Pillow would cut all values above 255 off
        return PIL.Image.fromarray((np.asarray(image) / 257).round().astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise ValueError("its values have no known range; convert it to 8 or 16 bits first")
    if not image.has_transparency_data:
        return image.convert("RGB")
    layered = image.convert("RGBA")
    return PIL.Image.alpha_composite(PIL.Image.new("RGBA", layered.size, "white"), layered).convert("RGB")


class ImageSource(Source):
    """A single image, as one frame."""

    def __init__(self, path: Path, image: Image, notes: tuple[str, ...] = ()) -> None:
        """Describe an image that was decoded.

        Args:
            path: File that the image came from.
            image: Pixels as yuv444p, full range.
            notes: Messages about how it is read.
        """
        self._image = image
        self._info = SourceInfo(
            name=str(path),
            path=path,
            width=image.width,
            height=image.height,
            pixel_format=image.format.name,
            time_base=Fraction(1, 25),
            frame_count=1,
            color=tags_of(image),
            is_still=True,
            notes=notes,
        )

    @property
    def info(self) -> SourceInfo:
        """Description of the image."""
        return self._info

    def __iter__(self) -> Iterator[Frame]:
        """Yield the image."""
        if not self.stop_flag.is_set():
            yield Frame(self._image, 0, 0, self._info.time_base, time.monotonic())

    def report(self) -> SourceReport:
        """Return that the image was read: it was decoded whole, or the source would not have opened."""
        return SourceReport(frames_read=1)


class SequenceSource(Source):
    """Numbered images as the frames of a video.

    An image that cannot be decoded costs its own frame and nothing else: it is counted.
    """

    def __init__(self, path: Path, files: Mapping[int, Path], settings: SourceSettings) -> None:
        """Decode the first image.

        Args:
            path: Pattern that stands for the images.
            files: Number → image file, in order.
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
        self._files = [
            (position, file)
            for position, file in enumerate(files.values())
            if start_s <= position / self._rate < end_s
        ]
        if not self._files:
            raise SourceError(
                f"{str(path)!r} has {len(files)} images, none of them in the part asked for; check `start_s`"
            )
        self._missing = max(files) - min(files) + 1 - len(files)
        self._damaged = 0
        self._notes: dict[str, None] = {}  # a set in order
        self._count = 0
        self._first: Image | None = self._decode(*self._files[0])
        self._info = SourceInfo(
            name=str(path),
            path=None,
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
        for position, path in self._files:
            if self.stop_flag.is_set():
                return
            image, self._first = self._first, None
            try:
                image = image or self._decode(position, path)
            except SourceError as error:
                _log.info("left out: %s", error)
                self._damaged += 1
                continue
            yield Frame(image, self._count, position, self._info.time_base, time.monotonic())
            self._count += 1

    def report(self) -> SourceReport:
        """Return how many images were read and how many could not be."""
        notes = [*([self._fitter.change] if self._fitter.change else []), *self._notes]
        if self._missing:
            notes.append(f"the numbers of the images have gaps: {self._missing} are missing")
        return SourceReport(self._count, packets_damaged=self._damaged, notes=tuple(notes))

    def _decode(self, position: int, path: Path) -> Image:
        image, notes = _decode_image(path, self._resampler, self._settings.depth, self._settings.chroma)
        self._notes.update(dict.fromkeys(notes))
        return self._fitter.fit(image, Fraction(1), float(position / self._rate))
