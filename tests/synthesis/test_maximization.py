"""Images made for classes and channels of networks that are known by heart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from toy_models import clip_colors

import streamcam
from streamcam.errors import InvalidArgumentError, ModelError, UnknownNameError
from streamcam.models import Classifier, InputSpec, Model
from streamcam.synthesis import MaximizedImage, MaximizeSettings, draw_sheet, maximize


class Tints(nn.Module):
    """How much more red than green there is, and the other way round: (N, 3, H, W) → logits (N, 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 2, 1)
        with torch.no_grad():
            self.features.weight.copy_(torch.tensor([[1.0, -1, 0], [-1, 1, 0]]).view(2, 3, 1, 1))
            self.features.bias.zero_()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return 40 * self.features(images).mean(dim=(2, 3))


def tints() -> Classifier:
    spec = InputSpec((64, 48), 48, (0.0,) * 3, (1.0,) * 3)
    return Classifier("tints", Tints(), ("red", "green"), spec, "by hand")


def make(model: Model | None = None, **settings: Any) -> list[MaximizedImage]:
    return maximize(model or tints(), MaximizeSettings(**{"steps": 30, **settings}))


def test_a_class_that_is_red_gives_a_red_image() -> None:
    (image,) = make(classes=["red"])
    assert image.name == "red"
    assert image.pixels.shape == (56, 74, 3)
    red, green, blue = image.pixels.reshape(-1, 3).mean(axis=0)
    assert red > green + 15
    assert blue < red
    assert image.probability is not None
    assert image.probability > 0.9
    assert image.least_probability is not None
    assert 0.9 < image.least_probability <= image.probability


def test_a_class_named_twice_is_made_once() -> None:
    images = make(classes=["red", 0], channels=["features:1", "features:1"], steps=1)
    assert [image.name for image in images] == ["red", "features:1"]


def test_channels_have_images_after_the_classes() -> None:
    red_image, channel = make(classes=["red"], channels=["features:1"])
    assert (red_image.name, channel.name) == ("red", "features:1")
    red, green, _ = channel.pixels.reshape(-1, 3).mean(axis=0)
    assert green > red + 5, "the second channel is green less red"
    assert channel.probability is None


def test_the_same_seed_gives_the_same_image() -> None:
    first, again, other = (make(classes=[0], steps=4, seed=seed)[0].pixels for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_an_image_that_is_begun_with_stays_near() -> None:
    start = np.full((96, 64, 3), (80, 90, 60), np.uint8)
    start[40:56, 24:40] = (60, 60, 200)
    (image,) = make(classes=["red"], start=start)
    assert image.pixels.shape == (56, 74, 3), "the middle of a tall image is cut to the shape of the input"
    assert image.probability is not None
    assert image.probability > 0.9
    assert image.pixels[28, 37, 2] > image.pixels[5, 5, 2] + 30, "the blue square is still there"


def test_the_images_so_far_are_there_after_every_step() -> None:
    seen: list[tuple[int, float | None]] = []
    maximize(
        tints(),
        MaximizeSettings(["red"], steps=30),
        on_step=lambda step, images: seen.append((step, images()[0].probability)),
    )
    assert [step for step, _ in seen] == list(range(1, 31))
    first, last = seen[0][1], seen[-1][1]
    assert first is not None
    assert last is not None
    assert first < 0.5 < last


def test_the_network_is_left_as_it_was() -> None:
    model = tints()
    model.module.train()
    make(model, classes=["red"], channels=["features:0"], steps=1)
    assert model.module.training
    assert all(each.requires_grad and each.grad is None for each in model.module.parameters())
    assert not any(part._forward_hooks for part in model.module.modules())


def test_several_images_lie_in_a_grid_with_names() -> None:
    pixels = np.full((55, 73, 3), 128, np.uint8)
    sheet = draw_sheet([MaximizedImage(name, pixels, 0.5) for name in ("a", "b", "c")])
    assert (sheet.width, sheet.height, sheet.format.name) == (148, 112, "yuv420p")


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({}, InvalidArgumentError, "nothing to make: name a class"),
        ({"classes": ["cat"]}, UnknownNameError, "unknown class 'cat'"),
        ({"channels": ["features"]}, InvalidArgumentError, "'features' is no channel: give LAYER:NUMBER"),
        ({"channels": ["features:2"]}, InvalidArgumentError, "features has the channels 0 to 1"),
        ({"channels": ["nowhere:2"]}, UnknownNameError, "unknown layer 'nowhere'"),
        ({"classes": [0], "steps": 0}, InvalidArgumentError, "`steps` counts from 1, not 0"),
    ],
)
def test_what_cannot_be_made_is_refused_in_a_line(
    settings: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        make(**settings)


def test_networks_of_clips_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"looks at clips, .* maximizing needs a network that"):
        make(clip_colors(), classes=[0])


@pytest.mark.slow
def test_two_classes_of_the_default_network_are_recognized_from_elsewhere_too() -> None:
    images = maximize(streamcam.load_model(), MaximizeSettings(["espresso", "goldfish"], steps=64))
    for image in images:
        assert image.least_probability is not None
        assert image.least_probability > 0.9, image.name


class Asleep(Tints):
    """`Tints` behind a ReLU that is zero for all that is nearly gray, and for its second channel always."""

    def __init__(self, relu: nn.Module) -> None:
        super().__init__()
        self.relu = relu
        with torch.no_grad():
            self.features.bias.copy_(torch.tensor([-0.25, -2.0]))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.relu(self.features(images)).mean(dim=(2, 3))


@pytest.mark.parametrize("relu", [nn.ReLU(), nn.ReLU(inplace=True), nn.ReLU6()], ids=["new", "in place", "6"])
def test_a_channel_that_is_zero_at_first_is_woken(relu: nn.Module) -> None:
    spec = InputSpec((64, 48), 48, (0.0,) * 3, (1.0,) * 3)
    model = Classifier("asleep", Asleep(relu), ("red", "green"), spec, "by hand")
    woken, dead = make(model, channels=["relu:0", "relu:1"], steps=60)
    red, green, _ = woken.pixels.reshape(-1, 3).mean(axis=0) / 255
    assert woken.answer is not None
    assert not woken.is_dead
    assert woken.answer > 0.05
    assert red > green + 0.1
    assert (dead.answer, dead.is_dead) == (0, True)


class Silent(Tints):
    """Answers NaN."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images) * torch.nan


def test_a_network_that_answers_nan_is_named() -> None:
    spec = InputSpec((64, 48), 48, (0.0,) * 3, (1.0,) * 3)
    with pytest.raises(ModelError, match="silent answers NaN, so nothing can be maximized"):
        make(Classifier("silent", Silent(), ("red", "green"), spec, "by hand"), classes=["red"])
