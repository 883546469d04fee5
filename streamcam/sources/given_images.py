"""Images as people have them: arrays, PIL images, tensors and files."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from streamcam.errors import InvalidArgumentError
from streamcam.frames import Frame
from streamcam.media.images import ByteArray, image_from_rgb
from streamcam.sources.pixels import choose_limits, stored_from
from streamcam.sources.table import open_source

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image as PilImage

    ImageLike = NDArray[np.uint8] | torch.Tensor | PilImage | str | Path
    """RGB array, uint8 (H, W, 3); tensor (3, H, W), uint8 or float 0 to 1; PIL image; or a file's path."""

_ACCEPTED = (
    "an RGB array (uint8, height x width x 3), a PIL image, a tensor (3 x height x width; uint8, or float "
    "from 0 to 1), or a path"
)


def frames_of(images: Any) -> list[Frame]:
    """Convert an image, or several, to frames numbered from 0.

    Args:
        images: One image or a sequence of images; of a video's path the first frame is taken.

    Raises:
        InvalidArgumentError: if one of them is no image.
        SourceError: if a file cannot be read.
    """
    several = isinstance(images, Sequence) and not isinstance(images, str)
    return [frame_of(image, index) for index, image in enumerate(images if several else [images])]


def frame_of(image: Any, index: int = 0) -> Frame:
    """Convert an image to a frame.

    Raises:
        InvalidArgumentError: if it is no image.
        SourceError: if it is a file that cannot be read.
    """
    if isinstance(image, str | Path):
        with open_source(image) as source:
            first = next(iter(source))
        return Frame(first.image, index, index, Fraction(1), first.received_at)
    return Frame(image_from_rgb(_rgb_array(image)), index, index, Fraction(1), time.monotonic())


def _rgb_array(image: Any) -> ByteArray:
    torch = sys.modules.get("torch")  # whoever passes a tensor has imported it
    if torch is not None and isinstance(image, torch.Tensor):
        return _from_tensor(image)
    if isinstance(image, PIL.Image.Image):
        stored = stored_from(image)
        return stored.to_rgb(choose_limits("the image", [stored], None)[0])
    if isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.shape[2:] == (3,) and image.size:
        return image
    raise _refusal(image)


def _from_tensor(image: torch.Tensor) -> ByteArray:
    if image.ndim != 3 or image.shape[0] != 3 or image.numel() == 0:
        raise _refusal(image)
    if image.is_floating_point():
        if not (float(image.min()) >= 0 and float(image.max()) <= 1):
            raise InvalidArgumentError(
                f"a float tensor's values are from 0 to 1, not {float(image.min()):g} to "
                f"{float(image.max()):g}; divide by 255, and do not normalize: that is done for the network"
            )
        image = image.mul(255).round().byte()
    array: NDArray[Any] = image.detach().cpu().permute(1, 2, 0).contiguous().numpy()
    if array.dtype != np.uint8:
        raise _refusal(image)
    return array


def _refusal(image: Any) -> InvalidArgumentError:
    kind = type(image).__name__
    if hasattr(image, "dtype") and hasattr(image, "shape"):
        dtype = str(image.dtype).removeprefix("torch.")
        kind = f"{'array' if isinstance(image, np.ndarray) else kind.lower()} {dtype} {tuple(image.shape)}"
    article = "an" if kind[0] in "aeiou" else "a"
    return InvalidArgumentError(f"{article} {kind} is not an image; pass {_ACCEPTED}")
