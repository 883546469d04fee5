"""Animated WebP and AVIF files, through Pillow: FFmpeg reads no animated WebP."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import PIL.Image

from streamcam.errors import SourceError
from streamcam.frames import SourceInfo, SourceReport
from streamcam.media.animation_files import plays_of
from streamcam.media.filters import retime
from streamcam.media.images import Image, image_from_rgb, planar_format, tags_of
from streamcam.media.scaling import Resampler
from streamcam.sources.base import Source
from streamcam.sources.color_profiles import to_srgb
from streamcam.sources.files import DecodedFileSource, is_file
from streamcam.sources.normalization import FrameFitter
from streamcam.sources.paced import play
from streamcam.sources.pixels import flatten
from streamcam.sources.settings import SourceSettings
from streamcam.sources.transparency import ON_WHITE

_TIME_BASE = Fraction(1, 1000)

_UNTIMED_MS = 100
"""How long browsers show an image that has no duration."""


def is_animation(location: str | int | Path) -> bool:
    """Return whether a location is a WebP or AVIF file of several images."""
    if not is_file(location):
        return False
    try:
        with Path(str(location)).open("rb") as file:
            head = file.read(32)
        is_webp = head[8:16] == b"WEBPVP8X" and head[20] & 2
        if not is_webp and head[4:12] != b"ftypavis":
            return False
        with PIL.Image.open(str(location)) as opened:
            return getattr(opened, "n_frames", 1) > 1
    except Exception:  # not readable, cut off, or what Pillow's decoders raise
        return False


def open_animation(location: str | int | Path, settings: SourceSettings) -> Source:
    """Open an animated WebP or AVIF file as a video.

    Raises:
        SourceError: if its first image cannot be decoded, or none is left between start and end.
    """
    path = Path(str(location))
    if not settings.real_time:
        return AnimationSource(path, settings)
    settings = dataclasses.replace(settings, depth=settings.depth or 8, chroma=settings.chroma or "420")
    return play(lambda: AnimationSource(path, settings), loop=settings.loop)


class AnimationSource(DecodedFileSource):
    """The images of one animated file, each at its own time."""

    def __init__(self, path: Path, settings: SourceSettings) -> None:
        """Open the file and decode the first image of the part.

        Args:
            path: The file.
            settings: How it is read.

        Raises:
            SourceError: if it cannot be decoded, or no image is left between start and end.
        """
        self._path = path
        self._settings = settings
        self._resampler = Resampler()
        self._fitter = FrameFitter(self._resampler, settings.size)
        self._format = planar_format(
            settings.chroma or "444", settings.depth or 8, alpha=settings.keeps_alpha
        )
        self._has_alpha = False
        self._profile_note: str | None = None
        self._damaged = 0
        self._first_duration_ms = _UNTIMED_MS
        self._opened = PIL.Image.open(path)
        self._images = self._timed_images()
        try:
            first = next(self._images, None)
            if first is None:
                raise SourceError(f"{str(path)!r} has no image in the part asked for; check `start_s`")
        except BaseException:
            self._opened.close()
            raise
        self._first = first
        is_whole = settings.start_s is None and settings.end_s is None and settings.rate is None
        self._info = SourceInfo(
            name=str(path),
            path=None,
            width=first.width,
            height=first.height,
            pixel_format=first.format.name,
            time_base=1 / settings.rate if settings.rate else _TIME_BASE,
            rate=settings.rate or Fraction(1000, self._first_duration_ms),
            frame_count=getattr(self._opened, "n_frames", None) if is_whole else None,
            start_s=settings.start_s,
            end_s=settings.end_s,
            plays=plays_of(path),
            color=tags_of(first),
        )

    def report(self) -> SourceReport:
        """Return how many images were read, and whether the file ends too early."""
        read, given = self._count_frames()
        notes = tuple(note for note in (ON_WHITE if self._has_alpha else None, self._profile_note) if note)
        return SourceReport(read, packets_damaged=self._damaged, notes=notes, frames_given=given)

    def close(self) -> None:
        """Close the file; it yields no more frames."""
        super().close()
        self._opened.close()

    def _timed_images(self) -> Generator[Image, None, None]:
        """Yield the images of the part, at the rate asked for."""
        images, rate = self._part_images(), self._settings.rate
        yield from images if rate is None else retime(images, _TIME_BASE, rate)

    def _part_images(self) -> Iterator[Image]:
        """Decode the images of the part, with their times and durations."""
        start_ms = round(1000 * (self._settings.start_s or 0.0))
        end_ms = math.inf if self._settings.end_s is None else round(1000 * self._settings.end_s)
        begin_ms = 0
        for number in range(getattr(self._opened, "n_frames", 1)):
            try:
                self._opened.seek(number)
                self._opened.load()
            except Exception as error:  # Pillow's decoders raise what they like
                if not number:
                    raise SourceError(
                        f"{str(self._path)!r} cannot be decoded as an animation ({error})"
                    ) from error
                self._damaged += 1
                return  # every image is drawn on the one before
            duration_ms = round(self._opened.info.get("duration", 0)) or _UNTIMED_MS
            if begin_ms >= end_ms:
                return
            if begin_ms >= start_ms:
                if not self._frames_read:
                    self._first_duration_ms = duration_ms
                if not self._settings.keeps_alpha:
                    self._has_alpha = self._has_alpha or _is_transparent(self._opened)
                shown, self._profile_note = to_srgb(self._opened, self._opened.info.get("icc_profile"))
                pixels = shown.convert("RGBA") if self._settings.keeps_alpha else flatten(shown)
                planar = self._resampler.to_format(image_from_rgb(np.asarray(pixels)), self._format)
                image = self._fitter.fit(planar, Fraction(1), begin_ms / 1000)
                image.pts, image.time_base = begin_ms, _TIME_BASE
                image.duration = round(min(duration_ms, end_ms - begin_ms))
                self._frames_read += 1
                yield image
            begin_ms += duration_ms


def _is_transparent(image: PIL.Image.Image) -> bool:
    """Return whether an image is transparent anywhere."""
    return image.mode == "RGBA" and int(np.asarray(image.getchannel("A")).min()) < 255
