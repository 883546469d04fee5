"""Cuts: hard ones are found at once, and nothing else is taken for one."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray

from streamcam.temporal.shots import CutDetector, is_other_shot

View = NDArray[np.uint8]

SIZE = (192, 108)


def photograph(name: str) -> View:
    image = getattr(skimage.data, name)()
    gray = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(gray, SIZE, interpolation=cv2.INTER_AREA), np.uint8)


CAT, COFFEE, CAMERA, ROCKET = (photograph(name) for name in ("chelsea", "coffee", "camera", "rocket"))
BLACK = np.full_like(CAT, 16)


def mixed(one: View, other: View, share: float) -> View:
    return np.asarray(cv2.addWeighted(one, 1 - share, other, share, 0), np.uint8)


def cuts_in(views: list[View], rate: float = 25) -> list[int]:
    detector = CutDetector()
    return [number for number, view in enumerate(views) if detector.update(view, number / rate)]


def test_hard_cuts_are_found_on_their_own_frame() -> None:
    assert cuts_in([CAT] * 5 + [COFFEE] * 5 + [CAMERA] + [ROCKET] * 3 + [CAT]) == [5, 10, 11, 14]


def test_a_video_does_not_begin_with_a_cut() -> None:
    assert cuts_in([CAT]) == []


def test_hard_cuts_to_black_and_from_it_are_cuts() -> None:
    assert cuts_in([CAT] * 3 + [BLACK] * 3 + [ROCKET] * 3) == [3, 6]


@pytest.mark.parametrize("frames", [12, 25, 50])
def test_fades_are_no_cuts(frames: int) -> None:
    shares = [number / frames for number in range(frames + 1)]
    dissolve = [mixed(CAT, COFFEE, share) for share in shares]
    to_black = [mixed(COFFEE, BLACK, share) for share in shares]
    from_black = [mixed(BLACK, ROCKET, share) for share in shares]
    assert cuts_in(dissolve + to_black + [BLACK] * 5 + from_black) == []


def test_flickering_exposure_is_no_cut() -> None:
    gains = np.random.default_rng(3).uniform(0.7, 1.3, 40)
    assert cuts_in([(CAT * gain).clip(0, 255).astype(np.uint8) for gain in gains]) == []


def test_noise_is_no_cut() -> None:
    chance = np.random.default_rng(5)
    for image in (CAMERA, BLACK):
        noisy = [image + chance.normal(0, 12, image.shape) for _ in range(20)]
        assert cuts_in([view.clip(0, 255).astype(np.uint8) for view in noisy]) == []


@pytest.mark.parametrize("speed", [2, 4, 8])
def test_motion_of_the_camera_is_no_cut(speed: int) -> None:
    """Up to a twenty-fourth of the image's width a frame: past in a second."""
    wide = np.asarray(cv2.resize(CAMERA, (480, 270), interpolation=cv2.INTER_CUBIC), np.uint8)
    views = [wide[80:188, left : left + 192] for left in range(0, 280, speed)]
    assert cuts_in(views) == []


def test_a_cut_stands_out_from_restless_footage_only_by_more() -> None:
    """Shaken more and more, up to a sixteenth of its width, an image changes as much as at some cuts."""
    wide = np.asarray(cv2.resize(ROCKET, (480, 270), interpolation=cv2.INTER_CUBIC), np.uint8)
    steady = [wide[80:188, 40:232]] * 3
    growing = [wide[80:188, left : left + 192] for left in (40, 46, 40, 48, 40, 50, 40, 52, 40)]
    assert cuts_in(steady + growing) == []
    assert cuts_in([*steady, *growing, COFFEE]) == [12]


def test_frames_that_do_not_follow_each_other_can_be_compared() -> None:
    assert is_other_shot(CAT, COFFEE)
    assert not is_other_shot(CAT, mixed(CAT, BLACK, 0.3))


def test_views_of_other_sizes_can_be_compared() -> None:
    square = np.asarray(cv2.resize(CAT, (192, 192)), np.uint8)
    assert cuts_in([CAT, square, CAT]) == []
