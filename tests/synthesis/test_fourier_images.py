"""Images given by their spectrum, and views of images."""

from __future__ import annotations

import pytest
import torch

from streamcam.synthesis.fourier import FourierImages
from streamcam.synthesis.views import fixed_view, random_views

CPU = torch.device("cpu")


def test_an_image_is_kept_by_its_spectrum() -> None:
    image = torch.rand(3, 20, 31, generator=torch.Generator().manual_seed(0)) * 0.9 + 0.05
    images = FourierImages.of(image, 2)
    torch.testing.assert_close(images.pixels(), image.expand(2, -1, -1, -1), atol=1e-4, rtol=0)


def test_random_images_are_nearly_gray_and_the_same_for_a_seed() -> None:
    first, again, other = (FourierImages.random(2, (32, 24), seed, CPU).pixels() for seed in (1, 1, 2))
    assert first.shape == (2, 3, 24, 32)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert (first - 0.5).abs().max() < 0.2


def test_steps_in_the_spectrum_reach_every_pixel() -> None:
    images = FourierImages.random(1, (32, 24), 0, CPU)
    images.pixels()[0, 0, 3, 5].backward()
    assert images.spectrum.grad is not None
    assert (images.spectrum.grad.abs().amax(dim=(0, 4)) > 0).float().mean() > 0.9


def test_a_view_of_the_middle_is_cut_out() -> None:
    image = torch.arange(3 * 12 * 16).reshape(1, 3, 12, 16).float()
    torch.testing.assert_close(fixed_view(image, (8, 6)), image[:, :, 3:9, 4:12])


def test_a_view_can_be_moved_and_scaled() -> None:
    image = torch.arange(3 * 12 * 16).reshape(1, 3, 12, 16).float()
    torch.testing.assert_close(fixed_view(image, (8, 6), moved=(0.25, -0.5)), image[:, :, 0:6, 6:14])
    twice = fixed_view(image, (8, 6), scale=2)
    torch.testing.assert_close(twice, torch.nn.functional.avg_pool2d(image, 2))


def test_random_views_differ_and_stay_near_the_middle() -> None:
    ramp = torch.linspace(0, 1, 60).expand(1, 3, 40, 60)
    generator = torch.Generator().manual_seed(0)
    means = torch.stack([random_views(ramp, (48, 32), generator).mean() for _ in range(20)])
    assert means.std() > 0.01
    assert means.mean() == pytest.approx(0.5, abs=0.05)


def test_a_view_that_is_turned_keeps_its_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    """A square of a wide image, turned by a right angle, is a square."""
    monkeypatch.setattr("streamcam.synthesis.views._DEGREES", 90.0)
    monkeypatch.setattr("streamcam.synthesis.views._ZOOM", 0.0)
    monkeypatch.setattr("streamcam.synthesis.views._JITTER", 0.0)
    monkeypatch.setattr(torch, "rand", lambda *shape, generator: torch.ones(shape))  # noqa: ARG005
    image = torch.zeros(1, 1, 20, 40)
    image[..., 8:12, 16:24] = 1  # twice as wide as high
    turned = random_views(image, (20, 20), torch.Generator())
    rows, columns = (turned[0, 0] > 0.5).nonzero().T
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (6, 13, 8, 11)
