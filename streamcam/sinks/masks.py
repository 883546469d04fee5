"""Masks: for each frame, which pixels belong to objects or heat, in white on black and without loss."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import PIL.Image

from streamcam.errors import InvalidArgumentError
from streamcam.explanations import RenderedFrame
from streamcam.files import check_output
from streamcam.frames import SourceInfo
from streamcam.media.encoders import EncoderSettings
from streamcam.media.images import ByteArray, blank_like, coding_of, planes_of
from streamcam.media.numbered_files import is_pattern
from streamcam.sinks.base import Sink
from streamcam.sinks.sequence import SequenceSink, begin_sequence
from streamcam.sinks.shapes import annotated_size, annotations_of, pixel_mask
from streamcam.sinks.video import open_video_sink

MASK_NAME = "%05d.png"
"""The images of a folder of masks."""

_VIDEO_SUFFIX = ".mkv"
_WHITE = 255
_FORMAT = "yuv420p"
"""Of a video of masks, whatever the format of the input: its luma alone matters."""


def open_mask_sink(path: Path, info: SourceInfo, *, overwrite: bool) -> Sink:
    """Start the masks of a video or an image.

    Args:
        path: A directory for images numbered from 1, which is made if it is not there; a pattern for them, as
            in ``masks/%05d.png``; or a lossless video, as in ``masks.mkv``.
        info: The source of the frames.
        overwrite: Whether files that are there at the end are replaced.

    Raises:
        InvalidArgumentError: if it is none of these.
        OutputExistsError: if it exists, or another render is writing it.
        SinkError: if it cannot be made.
    """
    suffix = path.suffix.lower()
    if suffix == _VIDEO_SUFFIX and not info.is_still:
        check_output(path, overwrite=overwrite, inputs=(info.path, *info.files))
        settings = EncoderSettings(codec="ffv1", no_audio=True)
        plain = dataclasses.replace(info, pixel_format=_FORMAT, hdr_metadata=None)
        return MaskVideoSink(open_video_sink(path, plain, settings, overwrite=overwrite))
    made = None
    if not suffix:
        check_output(path.with_name(f"{path.name}.check"), overwrite=True, inputs=())
        made = None if path.exists() else path
        path.mkdir(exist_ok=True)
        path /= MASK_NAME
    elif suffix != ".png" or not is_pattern(path):
        raise InvalidArgumentError(
            f"{path.name!r} cannot hold masks, which are lossless: use a folder, masks/{MASK_NAME} or, for a "
            "video, masks.mkv"
        )
    part = begin_sequence(path, info, EncoderSettings(), overwrite=overwrite)
    return MaskSequenceSink(path, info, part, made=made, overwrite=overwrite)


def mask_of(frame: RenderedFrame) -> ByteArray:
    """Return the mask of a frame, uint8 (height, width): 255 where it belongs to an object or its heat."""
    size = annotated_size(frame)
    mask = np.zeros((size[1], size[0]), np.uint8)
    for instance in annotations_of(frame):
        mask[pixel_mask(instance, size)] = _WHITE
    return mask


class MaskSequenceSink(SequenceSink):
    """A gray PNG image a frame, numbered from 1."""

    def __init__(
        self, path: Path, info: SourceInfo, part: Path, *, made: Path | None, overwrite: bool
    ) -> None:
        """Take over an empty directory; see `open_mask_sink`.

        Args:
            path: The pattern of the images.
            info: The source of the frames.
            part: The directory in which they gather.
            made: The directory that was made for them, and goes if they do.
            overwrite: Whether images that are there at the end are replaced.
        """
        super().__init__(path, info, part, overwrite=overwrite)
        self._made = made

    @property
    def notes(self) -> tuple[str, ...]:
        """Nothing: masks are all that is asked for."""
        return ()

    def save(self, frame: RenderedFrame, path: Path) -> None:
        """Write the mask of one frame.

        Raises:
            OSError: if the disk refuses.
        """
        PIL.Image.fromarray(mask_of(frame)).save(path, "PNG")

    def abort(self) -> None:
        """Remove what was written, unless it is finished."""
        super().abort()
        if self._made is not None and not any(self._made.iterdir()):
            self._made.rmdir()
            self._made = None


class MaskVideoSink(Sink):
    """A lossless video: luma is white or black of its range."""

    def __init__(self, video: Sink) -> None:
        """Take over the sink of a video.

        Args:
            video: Takes the masks as images.
        """
        self._video = video

    def write(self, frame: RenderedFrame) -> None:
        """Write the mask of one frame."""
        source = frame.image if frame.stabilized is None else frame.stabilized.frame.image
        image = blank_like(source, pixel_format=_FORMAT)
        is_white = mask_of(frame) > 0
        coding = coding_of(image)
        black, white = (coding.encode_rgb(np.full(3, level, np.float32)) for level in (0, _WHITE))
        luma, *chroma = planes_of(image)
        luma[:] = np.where(is_white, round(float(white[0])), round(float(black[0])))
        for plane, level in zip(chroma, black[1:], strict=True):
            plane[:] = round(float(level))
        self._video.write(RenderedFrame(image, frame.pts, frame.time_base, None, frame.duration))

    def finish(self, *, cut_short: bool = False) -> None:
        """Complete the video."""
        self._video.finish(cut_short=cut_short)

    def abort(self) -> None:
        """Remove what was written."""
        self._video.abort()
