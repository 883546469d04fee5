"""Images as people have them: arrays, PIL images, tensors and files; and what is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from streamcam.errors import InvalidArgumentError, SourceNotFoundError
from streamcam.sources.given_images import frame_of, frames_of

RGB = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)


def kinds(folder: Path) -> list[Any]:
    Image.fromarray(RGB).save(folder / "image.png")
    tensor = torch.from_numpy(RGB).permute(2, 0, 1)
    path = folder / "image.png"
    return [RGB, Image.fromarray(RGB), tensor, tensor / 255, (tensor / 255).double(), path, str(path)]


def test_every_kind_of_image_is_taken(tmp_path: Path) -> None:
    for image in kinds(tmp_path):
        (frame,) = frames_of(image)
        difference = frame.image.to_ndarray(format="rgb24").astype(int) - RGB
        if not isinstance(image, str | Path):  # whose pixels are kept as YUV
            assert not difference.any()
        assert (frame.image.width, frame.image.height) == (8, 6)


def test_several_are_numbered_in_order(tmp_path: Path) -> None:
    assert [frame.index for frame in frames_of(kinds(tmp_path))] == list(range(7))
    assert frames_of([]) == []


NO_IMAGES = [
    (np.zeros((4, 4), np.uint8), r"an array uint8 \(4, 4\) is not an image; pass an RGB array"),
    (np.zeros((4, 4, 3), np.float32), r"an array float32 \(4, 4, 3\) is not an image"),
    (np.zeros((0, 4, 3), np.uint8), r"an array uint8 \(0, 4, 3\) is not an image"),
    (torch.zeros(4, 4, 3), r"a tensor float32 \(4, 4, 3\) is not an image"),
    (torch.zeros(3, 4, 4, dtype=torch.int64), r"a tensor int64 \(3, 4, 4\) is not an image"),
    (torch.full((3, 4, 4), 200.0), "values are from 0 to 1, not 200 to 200; divide by 255"),
    (torch.full((3, 4, 4), -1.0), "values are from 0 to 1, not -1 to -1"),
    (7, "an int is not an image; pass .* or a path"),
    (None, "a NoneType is not an image"),
]


@pytest.mark.parametrize(("value", "message"), NO_IMAGES)
def test_what_is_no_image_is_named(value: object, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        frame_of(value)


def test_a_path_to_nothing_is_named() -> None:
    with pytest.raises(SourceNotFoundError, match=r"cat\.jpg"):
        frame_of("cat.jpg")
