"""Metrics equal those of pytorch-grad-cam, openvino_xai and quantus on the same maps and images."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
import torch
from color_networks import Colors
from numpy.typing import NDArray
from peers import require_peer, scaled_as_pytorch_grad_cam
from torch import nn

from streamcam.evaluation.heat import as_heat
from streamcam.evaluation.metrics.masking import adcc, arcc, coherency, complexity, drop, increase
from streamcam.evaluation.metrics.pointing import pointing
from streamcam.evaluation.metrics.removal import PERCENTILES, deletion, insertion, road, road_least, road_most
from streamcam.evaluation.metrics.steadiness import sensitivity

Array = NDArray[np.float32]
CLASS = 0
pytestmark = pytest.mark.filterwarnings("ignore")  # of the peers
EXACT: dict[str, Any] = {"noise": 0, "tolerance": 1e-7}


class Probabilities(nn.Module):
    """A network by hand with its softmax: pytorch-grad-cam's targets read what the network answers."""

    def __init__(self) -> None:
        super().__init__()
        self.network = Colors(30, 10, -2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network(images).softmax(dim=1)


NETWORK = Probabilities().eval()


def score(images: Iterable[Array]) -> Array:
    with torch.no_grad():
        answers = NETWORK(torch.from_numpy(np.stack(list(images))))
    return np.asarray(answers[:, CLASS].numpy(), np.float32)


@pytest.fixture(scope="module")
def image() -> Array:
    generator = np.random.default_rng(0)
    smooth = np.kron(generator.random((3, 6, 8)), np.ones((8, 8)))
    return np.asarray(smooth + 0.1 * generator.random(smooth.shape), np.float32)


@pytest.fixture(scope="module")
def raw_map() -> Array:
    return np.random.default_rng(1).random((6, 8), np.float32)


@pytest.fixture(scope="module")
def heat(raw_map: Array, image: Array) -> Array:
    found = as_heat(raw_map, image.shape[1:])  # type: ignore[arg-type]
    assert found is not None
    return found


@pytest.fixture(scope="module")
def probability(image: Array) -> float:
    return float(score([image])[0])


def peer_score(metric: Callable[..., Any], image: Array, heat: Array, **others: Any) -> float:
    """Return what one of pytorch-grad-cam's metrics says of the class."""
    target = lambda output: output[CLASS]  # noqa: E731
    return float(metric(torch.from_numpy(image[None]), heat[None], [target], NETWORK, **others)[0])


def test_heat_is_scaled_as_by_pytorch_grad_cam(raw_map: Array, heat: Array) -> None:
    np.testing.assert_allclose(heat, scaled_as_pytorch_grad_cam(raw_map, (64, 48)), atol=1e-5)


def test_road_equals_that_of_pytorch_grad_cam(
    image: Array, heat: Array, probability: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = require_peer("pytorch_grad_cam.metrics.road")
    monkeypatch.setattr(torch, "randn_like", torch.zeros_like)  # its noise has no setting here
    percentiles = list(PERCENTILES)
    most = road_most(heat, image, score, probability, **EXACT)
    least = road_least(heat, image, score, probability, **EXACT)
    assert most == pytest.approx(
        peer_score(peer.ROADMostRelevantFirstAverage(percentiles), image, heat), abs=1e-4
    )
    assert least == pytest.approx(
        peer_score(peer.ROADLeastRelevantFirstAverage(percentiles), image, heat), abs=1e-4
    )
    assert road(least, most) == pytest.approx(
        peer_score(peer.ROADCombined(percentiles), image, heat), abs=1e-4
    )
    assert abs(most) > 0.01


def test_confidence_equals_that_of_pytorch_grad_cam(image: Array, heat: Array, probability: float) -> None:
    peer = require_peer("pytorch_grad_cam.metrics.cam_mult_image")
    masked = float(score([image * heat])[0])
    # Not divided by the probability there, as it is in the paper.
    expected = peer_score(peer.DropInConfidence(), image, heat) / probability
    assert drop(probability, masked) == pytest.approx(expected, abs=1e-4)
    assert increase(probability, masked) == peer_score(peer.IncreaseInConfidence(), image, heat)


def test_arcc_and_its_parts_equal_those_of_pytorch_grad_cam(
    image: Array, heat: Array, probability: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = require_peer("pytorch_grad_cam.metrics.arcc")
    monkeypatch.setattr(torch, "randn_like", torch.zeros_like)
    other = np.asarray(np.roll(heat, 5, axis=1) ** 2, np.float32)

    def explain(**_: object) -> Array:
        return other[None]

    simple = complexity(heat)
    coherent = coherency(heat, other)
    assert simple == pytest.approx(float(peer.Complexity()(heat[None])[0]), abs=1e-5)
    assert coherent == pytest.approx(peer_score(peer.Coherency(), image, heat, base_method=explain), abs=1e-5)
    combined = road(*(each(heat, image, score, probability, **EXACT) for each in (road_least, road_most)))
    expected = peer_score(peer.ARCC(explain, list(PERCENTILES)), image, heat)
    assert arcc(coherent, simple, combined) == pytest.approx(expected, abs=1e-4)


def test_insertion_deletion_and_adcc_follow_the_formulas_of_openvino_xai(
    image: Array, heat: Array, probability: float
) -> None:
    # openvino_xai 1.1.0 cannot be imported beside this OpenVINO: its formulas, written down here.
    steps = 30
    order = np.unravel_index(np.argsort(-heat.flatten()), heat.shape)
    inserted, deleted = [], []
    for step in range(steps + 1):
        count = int(step * heat.size / steps)
        places = order[0][:count], order[1][:count]
        black, left = np.zeros_like(image), image.copy()
        black[:, places[0], places[1]] = image[:, places[0], places[1]]
        left[:, places[0], places[1]] = 0
        inserted.append(float(score([black])[0]))
        deleted.append(float(score([left])[0]))

    def area(values: list[float]) -> float:
        return (sum(values) - values[0] / 2 - values[-1] / 2) / (len(values) - 1)

    black, nothing = np.zeros_like(image), float(score([np.zeros_like(image)])[0])
    found = insertion(heat, image, black, score, probability, nothing, steps=steps)
    assert found == pytest.approx(area(inserted), abs=1e-4)
    found = deletion(heat, image, score, probability, nothing, steps=steps)
    assert found == pytest.approx(area(deleted), abs=1e-4)
    lost = max(0.0, probability - float(score([image * heat])[0])) / probability
    expected = 3 / (1 / 0.9 + 1 / (1 - heat.sum() / heat.size) + 1 / (1 - lost))
    assert adcc(0.9, complexity(heat), lost) == pytest.approx(float(expected), abs=1e-4)


def test_max_sensitivity_equals_that_of_quantus(image: Array) -> None:
    quantus = require_peer("quantus")
    maps: list[Array] = []

    def explain(*, inputs: Array, **_: object) -> Array:
        found = np.abs(inputs).sum(axis=1, keepdims=True) ** 2
        maps.append(found[0, 0].copy())
        return np.asarray(found, np.float32)

    base = explain(inputs=image[None])
    metric = quantus.MaxSensitivity(
        nr_samples=5,
        norm_denominator=lambda **_: float(np.linalg.norm(base)),  # quantus divides by the size of the image
        disable_warnings=True,
    )
    maps.clear()
    expected = metric(
        model=NETWORK,
        x_batch=image[None],
        y_batch=np.array([CLASS]),
        a_batch=base,
        explain_func=explain,
        device="cpu",
    )
    assert len(maps) >= 5
    assert sensitivity(base[0, 0], maps[-5:]) == pytest.approx(expected[0], abs=1e-4)


@pytest.mark.parametrize("inside", [True, False])
def test_the_pointing_game_equals_that_of_quantus(heat: Array, inside: bool) -> None:
    quantus = require_peer("quantus")
    region = np.zeros(heat.shape, np.bool_)
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    region[max(0, row - 2) : row + 3, max(0, column - 2) : column + 3] = True
    region = region if inside else ~region
    metric = quantus.PointingGame(disable_warnings=True, normalise=False, abs=False)
    expected = metric(
        model=NETWORK,
        x_batch=np.zeros((1, 3, *heat.shape), np.float32),
        y_batch=np.array([CLASS]),
        a_batch=heat[None, None],
        s_batch=region[None, None],
        device="cpu",
    )
    assert pointing(heat, region) == float(expected[0])
