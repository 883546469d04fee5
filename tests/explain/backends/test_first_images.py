"""What a first image may decide: whether the conversion is right, not the precision of all that follow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from streamcam.explain import Explainer
from streamcam.explain.backends.backbone import OpenVinoBackbone
from streamcam.explain.backends.split_network import SplitNetwork
from streamcam.explain.hooks import evaluating
from streamcam.models import Classifier, InputSpec
from streamcam.models.check_images import check_images
from streamcam.models.labels import numbered_labels

Images = NDArray[Any]
BLACK = np.zeros((1, 64, 64, 3), np.uint8)


def clear_network() -> Classifier:
    """Its best class leads clearly, so that a few percent change no label but many probabilities."""
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(8, 3),
    ).eval()
    with torch.no_grad():
        network[0].bias.fill_(2.0)
    return Classifier("clear", network, numbered_labels(3), InputSpec(64), "a seed")


class Rounded(OpenVinoBackbone):
    """Computes features of some images a little too large, as a format of fewer bits might."""

    def __init__(self, exact: OpenVinoBackbone, is_rounded: Callable[[Images], bool]) -> None:
        super().__init__(exact.model, exact._scale, exact._device, "bf16")
        self._exact, self._is_rounded = exact, is_rounded

    def run(self, images: Images, batch_size: int) -> tuple[NDArray[np.float32], ...]:
        features = self._exact.run(images, batch_size)
        if not self._is_rounded(images):
            return features
        maps = features[0].copy()
        maps[:, ::2] *= np.float32(1.08)
        return (maps, *features[1:])


@pytest.fixture
def split() -> SplitNetwork:
    torch.manual_seed(0)
    model = clear_network()
    with torch.no_grad():
        model.module[-1].weight.mul_(8)  # type: ignore[operator, union-attr]
    split = Explainer(model, target_layer="1", precision="fp32", backend="openvino").runner.split
    assert split is not None
    return split


def shows_nothing(images: Images) -> bool:
    return bool(images[0].std() < 1)


def is_odd(images: Images) -> bool:
    return bool((images[0] == 255).any(axis=-1).all())


ODD = np.full((1, 64, 64, 3), 255, np.uint8)
ODD[..., 1:] = np.random.default_rng(0).integers(0, 256, (64, 64, 2))


@pytest.mark.parametrize(
    ("first", "is_rounded"), [(BLACK, shows_nothing), (ODD, is_odd)], ids=["black", "odd"]
)
def test_the_first_image_does_not_decide_the_precision(
    split: SplitNetwork, first: Images, is_rounded: Callable[[Images], bool]
) -> None:
    exact = split._candidates[-1]
    split._candidates.insert(0, Rounded(exact, is_rounded))
    assert is_rounded(first)
    assert not is_rounded(check_images(64, 64, 1))
    with evaluating(split._model.module):
        assert split.backbone_for(first)[0].precision == "bf16"


def test_a_black_image_hides_nothing(split: SplitNetwork) -> None:
    exact = split._candidates[-1]
    split._candidates.insert(0, Rounded(exact, lambda images: not shows_nothing(images)))
    with evaluating(split._model.module):
        assert split.backbone_for(BLACK)[0] is exact
