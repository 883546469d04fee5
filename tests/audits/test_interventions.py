"""Changing a part of an image, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from streamcam.audits import INTERVENTIONS


def noise() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def part() -> NDArray[np.bool_]:
    mask = np.zeros((48, 64), np.bool_)
    mask[8:40, 16:48] = True
    return mask


@pytest.mark.parametrize("name", INTERVENTIONS)
def test_the_rest_of_the_image_stays_as_it_is(name: str) -> None:
    image, before = noise(), noise()
    changed = INTERVENTIONS[name](image, part())
    np.testing.assert_array_equal(changed[~part()], before[~part()])
    assert (changed[part()] != before[part()]).mean() > 0.5
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("name", INTERVENTIONS)
def test_all_of_an_image_can_be_changed_and_nothing(name: str) -> None:
    assert INTERVENTIONS[name](noise(), np.ones((48, 64), np.bool_)).shape == (48, 64, 3)
    np.testing.assert_array_equal(INTERVENTIONS[name](noise(), np.zeros((48, 64), np.bool_)), noise())


def test_replacing_leaves_gray() -> None:
    assert (INTERVENTIONS["replaced"](noise(), part())[part()] == 128).all()


def test_shuffling_keeps_the_colors() -> None:
    before, after = (
        np.sort(image[part()].ravel()) for image in (noise(), INTERVENTIONS["shuffled"](noise(), part()))
    )
    np.testing.assert_array_equal(before, after)


def test_blurring_takes_contrast() -> None:
    middle = INTERVENTIONS["blurred"](noise(), part())[16:32, 24:40]
    assert middle.std() < 0.2 * noise()[16:32, 24:40].std()


def test_inpainting_fills_with_what_is_around() -> None:
    image = np.full((48, 64, 3), (30, 200, 30), np.uint8)
    image[part()] = (220, 30, 30)
    filled = INTERVENTIONS["inpainted"](image, part())
    np.testing.assert_allclose(filled[part()], np.broadcast_to((30, 200, 30), (32 * 32, 3)), atol=6)
