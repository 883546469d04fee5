"""Still images, through Pillow."""

from __future__ import annotations

import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps

from streamcam.errors import InvalidArgumentError, SourceError
from streamcam.frames import Frame, SourceInfo, SourceReport
from streamcam.media.images import Image, image_from_rgb, tags_of
from streamcam.media.scaling import Resampler
from streamcam.sources.base import Source
from streamcam.sources.settings import SourceSettings

_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"II*\0", b"MM\0*")


def is_image(path: str | int | Path) -> bool:
    """Return whether a file is a JPEG, PNG, WebP, BMP or TIFF, by its first bytes."""
    try:
        with Path(str(path)).open("rb") as file:
            head = file.read(12)
    except (OSError, ValueError):
        return False
    return head.startswith(_SIGNATURES) or (head[:4] == b"RIFF" and head[8:] == b"WEBP")


def open_image(location: str | int | Path, settings: SourceSettings) -> ImageSource:
    """Read an image: upright as its EXIF data says, on white where it is transparent.

    Raises:
        SourceError: if it cannot be decoded, or holds more than one image.
        InvalidArgumentError: if it is to be played.
    """
    path = Path(str(location))
    if settings.real_time:
        raise InvalidArgumentError(f"{str(path)!r} is an image, which cannot be played; render it instead")
    try:
        with PIL.Image.open(path) as opened:
            if getattr(opened, "n_frames", 1) > 1 and opened.format in ("WEBP", "PNG"):
                raise SourceError(
                    f"{str(path)!r} is an animation; convert it to a video first (ffmpeg -i INPUT video.mp4)"
                )
            pixels = np.asarray(_flatten(PIL.ImageOps.exif_transpose(opened)))
    except SourceError:
        raise
    except Exception as error:  # Pillow's decoders raise what they like: struct.error, EOFError, KeyError...
        raise SourceError(f"{str(path)!r} cannot be decoded as an image ({error})") from error
    # 4:4:4, so that a still image loses no colour detail.
    image = Resampler().to_planar(image_from_rgb(pixels), "yuv444p")
    return ImageSource(path, image)


def _flatten(image: PIL.Image.Image) -> PIL.Image.Image:
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

    def __init__(self, path: Path, image: Image) -> None:
        """Describe an image that was decoded.

        Args:
            path: File that the image came from.
            image: Pixels as yuv444p, full range.
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
            colour=tags_of(image),
            is_still=True,
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
