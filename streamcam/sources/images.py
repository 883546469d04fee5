"""Image files, through Pillow and OpenCV."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from streamcam.errors import InvalidArgumentError
from streamcam.frames import Frame, SourceInfo, SourceReport
from streamcam.media.images import Image, image_from_rgb, planar_format, tags_of
from streamcam.media.scaling import Resampler
from streamcam.sources.base import Source
from streamcam.sources.pixels import StoredImage, choose_limits, is_heif, read_head, read_stored
from streamcam.sources.settings import SourceSettings
from streamcam.sources.transparency import ON_WHITE, make_frame
from streamcam.sources.value_range import ValueRange

_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"II*\0", b"MM\0*")


def is_image(path: str | int | Path) -> bool:
    """Return whether a file is a JPEG, PNG, WebP, BMP, TIFF, HEIC or AVIF image, by its first bytes."""
    try:
        head = read_head(Path(str(path)))
    except (OSError, ValueError):
        return False
    is_webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    is_still = head.startswith(_SIGNATURES) and not _is_animated_png(head)
    return is_still or is_webp or is_heif(head)


def _is_animated_png(head: bytes) -> bool:
    """Return whether a PNG has an animation control chunk, of several images, before its pixels."""
    _, mark, control = head.partition(b"IDAT")[0].partition(b"acTL")
    return head.startswith(b"\x89PNG") and bool(mark) and int.from_bytes(control[:4], "big") > 1


def open_image(location: str | int | Path, settings: SourceSettings) -> ImageSource:
    """Open an image file.

    Raises:
        SourceError: if it cannot be decoded, or holds more than one image.
        InvalidArgumentError: if it is to be played, or has no values that the range is for.
    """
    path = Path(str(location))
    if settings.real_time:
        raise InvalidArgumentError(f"{str(path)!r} is an image, which cannot be played; render it instead")
    stored = read_stored(path)
    limits, notes = choose_limits(path, [stored], settings.range)
    keeps_alpha = settings.keeps_alpha and stored.has_alpha
    alpha_notes = (ON_WHITE,) if stored.has_alpha and not keeps_alpha else ()
    image = to_planar(stored, limits, Resampler(), alpha=keeps_alpha)
    return ImageSource(path, image, (*stored.notes, *alpha_notes, *notes))


def to_planar(
    stored: StoredImage,
    limits: ValueRange | None,
    resampler: Resampler,
    depth: int | None = None,
    chroma: str | None = None,
    *,
    alpha: bool = False,
) -> Image:
    """Convert an image to planar YUV of full range.

    Args:
        stored: The image.
        limits: Which values of a deep image are shown as black and as white.
        resampler: Converts it.
        depth: Bits of a sample; 8 if None.
        chroma: Chroma subsampling; 4:4:4 if None, so that no color detail is lost.
        alpha: Whether its alpha is kept; it is shown on white if not.
    """
    pixel_format = planar_format(chroma or "444", depth or 8, alpha=alpha)
    return resampler.to_format(image_from_rgb(stored.to_rgb(limits, alpha=alpha)), pixel_format)


class ImageSource(Source):
    """A single image, as one frame."""

    def __init__(self, path: Path, image: Image, notes: tuple[str, ...] = ()) -> None:
        """Describe an image that was decoded.

        Args:
            path: File that the image came from.
            image: Pixels as yuv444p, or yuva444p where alpha is kept, full range.
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
            yield make_frame(self._image, 0, 0, self._info.time_base)

    def report(self) -> SourceReport:
        """Return that the image was read: it was decoded whole, or the source would not have opened."""
        return SourceReport(frames_read=1)
