"""From an image file to RGB: which library reads it, its depth, orientation, profile and transparency."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.features
import PIL.Image
import PIL.ImageOps
from numpy.typing import NDArray

from streamcam.errors import InvalidArgumentError, SourceError, map_errors
from streamcam.media.images import ByteArray
from streamcam.sources.color_profiles import to_srgb
from streamcam.sources.value_range import (
    ValueRange,
    choose_range,
    describe_range,
    float_range,
    stretch_to_bytes,
)

_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"avif")
"""Major brands, in the file type box, of still HEIC and AVIF images; sequences of images have others."""

_ORIENTATION, _BITS, _PHOTOMETRIC = 0x0112, 258, 262
"""Tags of EXIF and TIFF."""

_WHITE_IS_ZERO = 0
"""The photometric interpretation of a negative."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class StoredImage:
    """An image as its file stores it, upright."""

    pixels: PIL.Image.Image | None
    """An image of 8 bits a sample or fewer, in sRGB; None for a deeper one."""
    values: NDArray[Any] | None = None
    """The values of a deeper image: (H, W) or RGB (H, W, 3), integers or floats; None for others."""
    opacity: NDArray[np.float32] | None = None
    """The opacity of `values`, (H, W), from 0 to 1; None where there is none."""
    container: ValueRange | None = None
    """The ends of what `values` could hold; None if that says nothing of what they hold."""
    profile: bytes | None = None
    """The ICC profile of `values` in color; None where there is none."""
    notes: tuple[str, ...] = ()
    """Messages about what of the file is left out or changed."""

    @property
    def has_alpha(self) -> bool:
        """Whether it has an alpha channel."""
        return self.opacity is not None or (self.pixels is not None and self.pixels.has_transparency_data)

    def to_rgb(self, limits: ValueRange | None, *, alpha: bool = False) -> ByteArray:
        """Bring the image to 8-bit RGB.

        Args:
            limits: Which of `values` are shown as black and as white; None for an image without them.
            alpha: Whether its alpha is kept; it is shown on white if not.

        Returns:
            uint8 (H, W, 3), or (H, W, 4) with alpha.
        """
        if self.pixels is not None:
            return np.asarray(self.pixels.convert("RGBA") if alpha else flatten(self.pixels))
        assert self.values is not None
        assert limits is not None
        gray_or_rgb = stretch_to_bytes(self.values, limits)
        if gray_or_rgb.ndim == 2:
            rgb = np.stack([gray_or_rgb] * 3, -1)
        else:
            rgb = np.asarray(to_srgb(PIL.Image.fromarray(gray_or_rgb), self.profile)[0])
        if alpha:
            opacity = np.ones(rgb.shape[:2]) if self.opacity is None else self.opacity
            return np.dstack([rgb, (255 * opacity).round().astype(np.uint8)])
        if self.opacity is None:
            return rgb
        return (255 + (rgb - np.float32(255)) * self.opacity[..., None]).round().astype(np.uint8)


def stored_from(image: PIL.Image.Image) -> StoredImage:
    """Wrap an image in memory; its file's orientation and color profile are not applied."""
    if not _has_deep_values(image.mode):
        return StoredImage(image)
    values = np.asarray(image)
    return _deep_image(values, _container_of(values, image.mode, "", {}), ())


def is_heif(head: bytes) -> bool:
    """Return whether a file's first bytes are those of a still HEIC or AVIF image."""
    return head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS


def read_head(path: Path) -> bytes:
    """Read the first bytes of a file, which say what kind of image it is."""
    with path.open("rb") as file:
        return file.read(4096)


def read_stored(path: Path, page: int | None = None) -> StoredImage:
    """Decode an image file.

    Args:
        path: The file.
        page: Which page of a TIFF file, from 0; the first, with a note on the others, if None.

    Raises:
        SourceError: if it cannot be decoded, or holds more than one image.
    """
    try:
        with _open_with_pillow(path) as opened:
            if getattr(opened, "n_frames", 1) > 1 and opened.format in ("WEBP", "PNG"):
                raise SourceError(f"{str(path)!r} is an animation, not a single image")
            notes = _notes_of(opened) if page is None else ()
            if page:
                opened.seek(page)
            stored = _read_deep(opened, path, page or 0) or _read_shallow(opened)
            return dataclasses.replace(stored, notes=(*notes, *stored.notes))
    except SourceError:
        raise
    except Exception as error:  # Pillow's decoders raise what they like: struct.error, EOFError, KeyError...
        values = _decode_with_opencv(path, page or 0)  # of float32 in color, which Pillow does not know
        if values is not None and values.dtype.kind == "f":
            return _deep_image(values, float_range(values), ())
        raise SourceError(f"{str(path)!r} cannot be decoded as an image ({error})") from error


def choose_limits(
    path: str | Path, images: Sequence[StoredImage], asked: ValueRange | None
) -> tuple[ValueRange | None, tuple[str, ...]]:
    """Choose which values of images of more than 8 bits are shown as black and as white.

    Args:
        path: Their file or pattern, or other words for them, for messages.
        images: One image, or some of a sequence.
        asked: The range asked for; None to choose one.

    Returns:
        The range, None if the images have no more than 8 bits, and notes about it.

    Raises:
        InvalidArgumentError: if a range is asked for, and the images have no more than 8 bits.
        SourceError: if the images hold no numbers.
    """
    deep = [image for image in images if image.values is not None]
    values = [image.values for image in deep if image.values is not None]
    if not deep:
        if asked is not None:
            raise InvalidArgumentError(
                f"{str(path)!r} has samples of 8 bits; `range` is for values of more, so leave it out"
            )
        return None, ()
    if asked is not None:
        return asked, ()
    container = None if None in [image.container for image in deep] else deep[0].container
    with map_errors(ValueError, to=lambda error: SourceError(f"{str(path)!r} shows nothing: {error}")):
        limits, is_own = choose_range(values, container)
    if is_own:
        return limits, (describe_range(limits),)
    bits = int(max(limits)).bit_length()
    return limits, (f"samples of {bits} bits are reduced to 8",) if bits > 8 else ()


def flatten(image: PIL.Image.Image) -> PIL.Image.Image:
    """Bring an image of 8 bits a sample to RGB, on white where it is transparent."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    layered = image.convert("RGBA")
    return PIL.Image.alpha_composite(PIL.Image.new("RGBA", layered.size, "white"), layered).convert("RGB")


def _read_shallow(opened: PIL.Image.Image) -> StoredImage:
    profile = opened.info.get("icc_profile")
    image, note = to_srgb(PIL.ImageOps.exif_transpose(opened), profile)
    image.load()
    return StoredImage(image, notes=() if note is None else (note,))


def _read_deep(opened: PIL.Image.Image, path: Path, page: int) -> StoredImage | None:
    """Read an image of more than 8 bits a sample; None if it has no more."""
    # How samples are stored; known until the image is loaded.
    coded = " ".join(str(tile[3]) for tile in getattr(opened, "tile", ()))
    if opened.mode in ("RGB", "RGBA", "LA") and ";16" in coded:  # of which Pillow cuts off the lower 8 bits
        values = _decode_with_opencv(path, page)
        if values is None or values.dtype != np.uint16:
            return None
        container: ValueRange | None = (0, 65535)
    elif _has_deep_values(opened.mode):
        tags = getattr(opened, "tag_v2", {})
        values = np.asarray(opened)
        container = _container_of(values, opened.mode, coded, tags)
    else:
        return None
    if opened.format != "TIFF":  # which Pillow and OpenCV turn themselves
        values = _turn(values, opened.getexif().get(_ORIENTATION, 1))
    image = _deep_image(values, container, ())
    profile = opened.info.get("icc_profile")
    if profile is None or opened.mode not in ("RGB", "RGBA"):
        return image
    _, note = to_srgb(PIL.Image.new("RGB", (1, 1)), profile)
    return dataclasses.replace(image, profile=profile, notes=() if note is None else (note,))


def _has_deep_values(mode: str) -> bool:
    """Return whether Pillow gives the values of a mode with all their bits."""
    return mode in ("I", "F") or mode.startswith("I;16")


def _container_of(values: NDArray[Any], mode: str, coded: str, tags: Any) -> ValueRange | None:
    """Return the ends of what gray values could hold, the first one higher in a negative."""
    if mode == "F":
        return float_range(values)
    is_short = mode.startswith("I;16") or "I;16B" in coded  # as older versions of Pillow open PNG
    if not is_short:
        return None
    highest = (1 << int(tags.get(_BITS, (16,))[0])) - 1
    return (highest, 0) if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO else (0, highest)


def _deep_image(values: NDArray[Any], container: ValueRange | None, notes: tuple[str, ...]) -> StoredImage:
    opacity = None
    if values.ndim == 3 and values.shape[2] == 4:
        highest = np.iinfo(values.dtype).max if values.dtype.kind == "u" else 1
        opacity = values[..., 3].astype(np.float32) / np.float32(highest)
        values = values[..., :3]
    if values.ndim == 3:
        values = values[..., ::-1]  # OpenCV's order is blue, green, red
    return StoredImage(None, values, opacity, container, notes=notes)


def _decode_with_opencv(path: Path, page: int) -> NDArray[Any] | None:
    """Decode an image file with as many bits as it has; None if OpenCV cannot."""
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # its words on a damaged file
    try:
        if page:
            images = cv2.imreadmulti(str(path), page, 1, flags=cv2.IMREAD_UNCHANGED)[1]
            return images[0] if images else None
        return cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None


def _turn(values: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn and mirror an image as EXIF's orientation says, from 1 (upright) to 8."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    rows = -1 if orientation in (3, 4, 7, 8) else 1
    columns = -1 if orientation in (2, 3, 6, 7) else 1
    return values[::rows, ::columns]


def _notes_of(image: PIL.Image.Image) -> tuple[str, ...]:
    """Describe what of an image file is left out."""
    notes = []
    pages = getattr(image, "n_frames", 1)
    if image.format == "TIFF" and pages > 1:
        notes.append(f"the file holds {pages} pages; the first is used")
    return tuple(notes)


def _open_with_pillow(path: Path) -> PIL.Image.Image:
    """Open an image file; HEIC with pillow-heif, which puts the tiles of phones' photos together.

    Raises:
        SourceError: if what decodes it is not installed.
    """
    head = read_head(path)
    if not is_heif(head):
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
