"""From frames to a network's input: where pixels land, on which scale, and in which colors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from streamcam.errors import InvalidArgumentError
from streamcam.models import FITS, Classifier, InputSpec
from streamcam.models.preprocessing import Preprocessor
from streamcam.sources.given_images import frame_of

CPU = torch.device("cpu")
PLAIN = InputSpec(64, 64, mean=(0.0,) * 3, std=(1.0,) * 3)

Image = NDArray[np.uint8]


def model(spec: InputSpec) -> Classifier:
    return Classifier("none", nn.Identity(), ("a", "b"), spec, "none")


def halves(width: int, height: int) -> Image:
    """Red at the left, blue at the right."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : width // 2, 0] = 255
    image[:, width // 2 :, 2] = 255
    return image


def pixels(image: Image, fit: str, spec: InputSpec = PLAIN) -> NDArray[np.uint8]:
    (made,) = Preprocessor(model(spec), fit, CPU).pixels([frame_of(image, 0)])
    return made


@pytest.mark.parametrize(
    ("fit", "shape"), [("full", (64, 128)), ("stretch", (64, 64)), ("crop", (64, 64)), ("pad", (64, 64))]
)
def test_the_left_stays_at_the_left(fit: str, shape: tuple[int, int]) -> None:
    made = pixels(halves(256, 128), fit)
    assert made.shape == (*shape, 3)
    middle, quarter = shape[0] // 2, shape[1] // 4
    assert made[middle, quarter].tolist() == pytest.approx([255, 0, 0], abs=8)
    assert made[middle, -quarter].tolist() == pytest.approx([0, 0, 255], abs=8)


def test_padding_has_the_mean_color() -> None:
    spec = InputSpec(64, 64, mean=(0.2, 0.4, 0.6), std=(1.0,) * 3)
    made = pixels(halves(128, 64), "pad", spec)
    assert made[0, 0].tolist() == [51, 102, 153]
    assert made[-1, -1].tolist() == [51, 102, 153]
    assert made[16:48].min() == 0  # the frame itself


def test_padding_of_a_gray_network_has_the_mean_gray() -> None:
    made = pixels(halves(128, 64), "pad", InputSpec(64, 64, mean=(0.4,), std=(1.0,)))
    assert made[0, 0].tolist() == [102, 102, 102]


def test_the_network_sees_normalised_planes() -> None:
    spec = InputSpec(64, 64, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    preprocessor = Preprocessor(model(spec), "stretch", CPU)
    batch = preprocessor.prepare(preprocessor.pixels([frame_of(halves(64, 64), 0)] * 2))
    assert (batch.shape, batch.dtype, batch.is_contiguous()) == ((2, 3, 64, 64), torch.float32, True)
    assert batch[0, :, 32, 8].tolist() == pytest.approx([2.0, -2.0, -2.0], abs=0.15)


def test_the_network_sees_pixels_in_the_order_that_its_device_likes() -> None:
    usual, other = (
        Preprocessor(model(InputSpec(64, 64)), "stretch", CPU, order)
        for order in (torch.contiguous_format, torch.channels_last)
    )
    pixels = usual.pixels([frame_of(halves(64, 64), 0)])
    batch = other.prepare(torch.from_numpy(pixels))
    assert batch.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(batch, usual.prepare(pixels), rtol=0, atol=0)


def test_a_gray_network_sees_one_plane() -> None:
    preprocessor = Preprocessor(model(InputSpec(64, 64, mean=(0.0,), std=(1.0,))), "stretch", CPU)
    batch = preprocessor.prepare(preprocessor.pixels([frame_of(halves(64, 64), 0)]))
    assert batch.shape == (1, 1, 64, 64)
    assert batch[0, 0, 32, [8, 56]].tolist() == pytest.approx([0.299, 0.114], abs=0.02)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", [(2, 2), (1, 1), (640, 3), (3, 640)])
def test_frames_of_any_shape_are_taken(fit: str, size: tuple[int, int]) -> None:
    width, height = size
    image = np.full((height, width, 3), 200, np.uint8)
    made = pixels(image, fit)
    assert made.max() == pytest.approx(200, abs=3)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        None,
    ],
)
def test_what_is_no_image_is_refused(image: Image) -> None:
    with pytest.raises(InvalidArgumentError, match=r"is not an image; pass an RGB array"):
        frame_of(image, 0)
