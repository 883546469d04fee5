"""Color profiles of images: their colors, converted to the sRGB of ordinary screens."""

from __future__ import annotations

import functools
import io
from typing import Any

import PIL.Image
from PIL import ImageCms

_MODES = {"L": "RGB", "RGB": "RGB", "RGBA": "RGBA", "CMYK": "RGB"}
"""Mode of an image whose profile can be used → its mode in sRGB."""


def to_srgb(image: PIL.Image.Image, profile: bytes | None) -> tuple[PIL.Image.Image, str | None]:
    """Convert the colors of an image from those of its profile to sRGB.

    Args:
        image: 8-bit image.
        profile: An ICC profile; None if its file brings none.

    Returns:
        The image, which is the same one where there is nothing to convert, and a note about it.
    """
    if not profile:
        return image, None
    if image.mode in ("P", "PA", "LA"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    if image.mode not in _MODES:
        return image, None
    try:
        transform, name = _transform_of(profile, image.mode)
        if transform is None:
            return image, None
        return transform.apply(image), f"colors are converted from {name!r} to sRGB"
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image, "the image's color profile cannot be read; its colors are taken for sRGB"


@functools.lru_cache(maxsize=4)
def _transform_of(profile: bytes, mode: str) -> tuple[Any, str]:
    """Return what converts from a profile to sRGB, and its name; None in place of the first if it is sRGB."""
    opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    name = ImageCms.getProfileDescription(opened).strip()
    if name.startswith("sRGB"):
        return None, name
    return ImageCms.buildTransform(opened, ImageCms.createProfile("sRGB"), mode, _MODES[mode]), name
