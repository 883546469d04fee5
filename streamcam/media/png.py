"""PNG images in memory, as notebooks show them."""

from __future__ import annotations

import base64
import io

from streamcam.media.images import ByteArray, Image
from streamcam.media.scaling import Resampler


def encode_png(rgb: ByteArray) -> bytes:
    """Return an image, uint8 (H, W, 3) or (H, W), as a PNG file."""
    import PIL.Image

    encoded = io.BytesIO()
    PIL.Image.fromarray(rgb).save(encoded, "png")
    return encoded.getvalue()


def png_url(rgb: ByteArray) -> str:
    """Return an image as the address of a PNG file that holds it."""
    return f"data:image/png;base64,{base64.b64encode(encode_png(rgb)).decode()}"


def png_of(image: Image) -> bytes:
    """Return an image of any format as a PNG file."""
    return encode_png(Resampler().to_rgb(image, image.width, image.height))
