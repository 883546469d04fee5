"""Image files: the one image of a still source."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import PIL.Image

from streamcam.errors import SinkError
from streamcam.explanations import RenderedFrame
from streamcam.files import begin, check_part, commit, discard, part_path
from streamcam.media.images import ByteArray, Image
from streamcam.media.scaling import Resampler
from streamcam.sinks.base import Sink


@dataclasses.dataclass(frozen=True, slots=True)
class ImageFormat:
    """One kind of image file."""

    options: Mapping[str, Any]
    """Arguments for Pillow to save it."""
    holds_alpha: bool = False


_JPEG = ImageFormat({"format": "JPEG", "quality": 95, "subsampling": 0})
IMAGE_SUFFIXES: dict[str, ImageFormat] = {
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".png": ImageFormat({"format": "PNG"}, holds_alpha=True),
    ".webp": ImageFormat({"format": "WEBP", "quality": 95}, holds_alpha=True),
}
"""Suffix of an image file → its row."""


def save_image(rgb: ByteArray, path: Path, *, at: Path | None = None) -> None:
    """Save an image in the format of a suffix.

    Args:
        rgb: uint8 (H, W, 3), or (H, W, 4) with alpha.
        path: Its suffix is one of `IMAGE_SUFFIXES`.
        at: The file to write, if it is another one.

    Raises:
        OSError: if the disk refuses.
        ValueError: if the image is too large for the format.
    """
    PIL.Image.fromarray(rgb).save(at or path, **IMAGE_SUFFIXES[path.suffix.lower()].options)


def open_image_sink(path: Path, *, overwrite: bool) -> ImageSink:
    """Start an image file beside its final name.

    Args:
        path: The file to make; its suffix is one of `IMAGE_SUFFIXES`.
        overwrite: Whether a file that is there at the end is replaced.

    Raises:
        OutputExistsError: if another render is writing it.
        SinkError: if the file cannot be made.
    """
    begin(path)
    return ImageSink(path, overwrite=overwrite)


class ImageSink(Sink):
    """Writes the one image of a still source."""

    def __init__(self, path: Path, *, overwrite: bool) -> None:
        """Take over an unfinished image file; see `open_image_sink`."""
        self._path = path
        self._overwrite = overwrite
        self._image: Image | None = None
        self._is_open = True
        self._is_finished = False

    def write(self, frame: RenderedFrame) -> None:
        """Keep the image until the end.

        Raises:
            SinkError: if it is the second one, or the sink has ended.
        """
        if self._image is not None or not self._is_open:
            raise SinkError(f"{str(self._path)!r} holds one image and was passed a second")
        self._image = frame.image

    def finish(self, *, cut_short: bool = False) -> None:  # noqa: ARG002 - one image is whole or not there
        """Save the image.

        Raises:
            SinkError: if there is none, or it cannot be saved.
        """
        if self._is_finished:
            return
        if self._image is None:
            self.abort()
            raise SinkError(f"{str(self._path)!r} was not written: no image was finished")
        self._is_open = False
        image, self._image = self._image, None
        rgb = Resampler().to_shown(image)
        try:
            check_part(self._path)
            save_image(rgb, self._path, at=part_path(self._path))
        except SinkError:
            discard(self._path)
            raise
        except (OSError, ValueError) as error:  # ValueError: a format's limit on size
            discard(self._path)
            raise SinkError(f"{str(self._path)!r} cannot be written: {error}") from error
        except BaseException:
            discard(self._path)
            raise
        commit(self._path, overwrite=self._overwrite)
        self._is_finished = True

    def abort(self) -> None:
        """Forget the image, and remove the unfinished file."""
        self._image = None
        if self._is_open:
            self._is_open = False
            discard(self._path)
