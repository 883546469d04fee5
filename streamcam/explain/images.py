"""Images as people have them: arrays, PIL images, tensors and files."""

from __future__ import annotations

import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from streamcam.errors import InvalidArgumentError
from streamcam.frames import Frame
from streamcam.media.images import image_from_rgb, rgb_array
from streamcam.sources import open_source

if TYPE_CHECKING:
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


def _rgb_array(image: Any) -> NDArray[np.uint8]:
    if isinstance(image, torch.Tensor):
        return _from_tensor(image)
    array = rgb_array(image)
    if array is None:
        raise _refusal(image)
    return array


def _from_tensor(image: torch.Tensor) -> NDArray[np.uint8]:
    if image.ndim != 3 or image.shape[0] != 3 or image.numel() == 0:
        raise _refusal(image)
    if image.is_floating_point():
        if not (float(image.min()) >= 0 and float(image.max()) <= 1):
            raise InvalidArgumentError(
                f"a float tensor's values are from 0 to 1, not {float(image.min()):g} to "
                f"{float(image.max()):g}; divide by 255, and do not normalize: that is done for the network"
            )
        image = image.mul(255).round().to(torch.uint8)
    if image.dtype != torch.uint8:
        raise _refusal(image)
    array: NDArray[np.uint8] = image.detach().cpu().permute(1, 2, 0).contiguous().numpy()
    return array


def _refusal(image: Any) -> InvalidArgumentError:
    kind = type(image).__name__
    if isinstance(image, np.ndarray | torch.Tensor):
        dtype = str(image.dtype).removeprefix("torch.")
        kind = f"{'tensor' if isinstance(image, torch.Tensor) else 'array'} {dtype} {tuple(image.shape)}"
    article = "an" if kind[0] in "aeiou" else "a"
    return InvalidArgumentError(f"cannot explain {article} {kind}; pass {_ACCEPTED}")
