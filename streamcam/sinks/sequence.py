"""Videos as numbered files: images, or what a subclass writes for each frame."""

from __future__ import annotations

from pathlib import Path

from streamcam.errors import InvalidArgumentError, OutputExistsError, SinkError, map_errors
from streamcam.explanations import RenderedFrame
from streamcam.files import begin_directory, end_directory, leave_directory, sink_error
from streamcam.frames import SourceInfo
from streamcam.media.encoders import EncoderSettings
from streamcam.media.numbered_files import is_pattern, numbered_files, numbered_name
from streamcam.media.scaling import Resampler
from streamcam.sinks.base import Sink
from streamcam.sinks.image import IMAGE_SUFFIXES, save_image

_FIRST = 1
"""The number of the first image, as FFmpeg counts."""


def is_sequence(path: Path) -> bool:
    """Return whether a name is a pattern for many images, as ``out/%05d.png`` is."""
    return path.suffix.lower() in IMAGE_SUFFIXES and is_pattern(path)


def _check_sequence(path: Path, info: SourceInfo, settings: EncoderSettings, *, overwrite: bool) -> None:
    given = (settings.codec, settings.preset, settings.crf, settings.chroma)
    if any(value is not None for value in given) or settings.depth == 10:
        raise InvalidArgumentError(
            f"{path.name!r} stands for many files: they have no `codec`, `crf`, `preset`, `chroma` and "
            "`depth=10`"
        )
    existing = numbered_files(path)
    inputs = {file.resolve() for file in info.files}
    if any(file.resolve() in inputs for file in existing.values()):
        raise OutputExistsError(f"{str(path)!r} names the input itself; give the output another name")
    if existing and not overwrite:
        raise OutputExistsError(
            f"{str(next(iter(existing.values())))!r} exists already; give `overwrite=True` to replace it"
        )


def sequence_size(path: Path) -> int:
    """Add up the bytes of the files that match a pattern."""
    return sum(image.stat().st_size for image in numbered_files(path).values())


def open_sequence_sink(
    path: Path, info: SourceInfo, settings: EncoderSettings, *, overwrite: bool
) -> SequenceSink:
    """Start numbered images; see `begin_sequence`."""
    return SequenceSink(
        path, info, begin_sequence(path, info, settings, overwrite=overwrite), overwrite=overwrite
    )


def begin_sequence(path: Path, info: SourceInfo, settings: EncoderSettings, *, overwrite: bool) -> Path:
    """Check that numbered files can be made, and make a directory for them beside their final place.

    Returns:
        The directory.

    Raises:
        InvalidArgumentError: if there are settings that only videos have.
        OutputExistsError: if there is an image of that pattern already, or of the input, or another render is
            writing them.
        SinkError: if the directory cannot be made.
    """
    _check_sequence(path, info, settings, overwrite=overwrite)
    return begin_directory(path.with_name(path.name + ".parts"), path)


class SequenceSink(Sink):
    """Writes every image as an image file, numbered from 1.

    They gather in a directory beside their final place, ``NAME.parts``, and are moved when all are there.
    """

    def __init__(self, path: Path, info: SourceInfo, part: Path, *, overwrite: bool) -> None:
        """Take over an empty directory of images; see `open_sequence_sink`.

        Args:
            path: Its name holds ``%d`` or ``%05d``, and its suffix is one of `IMAGE_SUFFIXES`.
            info: The source of the images.
            part: The directory in which they gather.
            overwrite: Whether images that are there at the end are replaced.
        """
        self._path = path
        self._info = info
        self._part = part
        self._overwrite = overwrite
        self._resampler = Resampler()
        self._written: list[Path] = []
        self._is_open = True
        self._is_finished = False

    @property
    def notes(self) -> tuple[str, ...]:
        """The loss of times and audio."""
        rate = f", nominally {float(self._info.rate):g} a second" if self._info.rate else ""
        return (f"images have neither times nor audio: one is written per frame{rate}",)

    def write(self, frame: RenderedFrame) -> None:
        """Save one image.

        Raises:
            SinkError: if it cannot be saved, or the sink has ended.
        """
        if not self._is_open:
            raise SinkError(f"{str(self._path)!r} is closed already")
        self._add(numbered_name(self._path, len(self._written) + _FIRST), frame)

    def _add(self, name: str, frame: RenderedFrame) -> None:
        try:
            self.save(frame, self._part / name)
        except (OSError, ValueError) as error:  # ValueError: a format's limit on size
            raise SinkError(f"{str(self._path.with_name(name))!r} cannot be written: {error}") from error
        self._written.append(self._part / name)

    def save(self, frame: RenderedFrame, path: Path) -> None:
        """Write the file of one frame.

        Raises:
            OSError: if the disk refuses.
            ValueError: if it cannot hold the frame.
        """
        save_image(self._resampler.to_shown(frame.image), path)

    def add_file(self, name: str, text: str) -> None:
        """Add a text file that lies beside the numbered ones.

        Raises:
            SinkError: if the disk refuses.
        """
        if not self._is_open or not self._written:
            return  # `finish` says why
        path = self._part / name
        with map_errors(
            OSError, to=lambda error: sink_error(self._path.with_name(name), "cannot be written", error)
        ):
            path.write_text(text, encoding="utf-8")
        self._written.append(path)

    def finish(self, *, cut_short: bool = False) -> None:  # noqa: ARG002 - every image is whole
        """Move the images to their final place; those of an earlier run are removed first.

        Raises:
            SinkError: if there is none, or they cannot be moved.
        """
        if self._is_finished:
            return
        if not self._written or not self._is_open:
            self.abort()
            raise SinkError(f"{str(self._path)!r} was not written: no image was finished")
        self._is_open = False
        former_images = numbered_files(self._path).values()
        if former_images and not self._overwrite:
            leave_directory(self._part)
            raise OutputExistsError(
                f"{str(next(iter(former_images)))!r} appeared meanwhile and is not replaced; the complete "
                f"images are in {str(self._part)!r}: move them, or give `overwrite=True` next time"
            )
        try:
            for former in former_images:
                former.unlink()
            for file in self._written:
                file.replace(self._path.with_name(file.name))
            end_directory(self._part)
        except OSError as error:
            leave_directory(self._part)
            raise SinkError(f"the images in {str(self._part)!r} cannot be moved: {error.strerror}") from error
        self._is_finished = True

    def abort(self) -> None:
        """Remove what was written, unless it is finished."""
        if self._is_open:
            self._is_open = False
            end_directory(self._part)
