"""Images that were changed after they were prepared, scored and explained."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import streamcam
from streamcam.explain.changed_inputs import ChangedInputs
from streamcam.frames import Frame

METHODS = ("gradcam", "hirescam", "eigencam", "guided-backprop")
CAT = 285


@pytest.fixture(scope="module")
def cat() -> Iterator[Frame]:
    with streamcam.open_source("media/cat.jpg") as source:
        yield next(iter(source))


@pytest.fixture(scope="module")
def in_openvino() -> ChangedInputs:
    return ChangedInputs(streamcam.Explainer(precision="fp32"), METHODS)


def test_openvino_and_torch_say_the_same_of_a_changed_image(cat: Frame, in_openvino: ChangedInputs) -> None:
    in_torch = ChangedInputs(streamcam.Explainer(precision="fp32", backend="torch"), METHODS)
    image = in_openvino.prepare(cat)
    changed = [image, image * np.float32(0.5), np.roll(image, 40, axis=2)]
    ours, torch_s = in_openvino.probabilities(changed), in_torch.probabilities(changed)
    np.testing.assert_allclose(ours, torch_s, atol=1e-4)
    maps, expected = (each.maps(METHODS, changed, CAT) for each in (in_openvino, in_torch))
    for method in METHODS:
        for found, right in zip(maps[method], expected[method], strict=True):
            np.testing.assert_allclose(found, right, atol=1e-3 * right.max())


def test_the_image_as_it_is_is_explained_as_an_explainer_does(cat: Frame, in_openvino: ChangedInputs) -> None:
    explainer = streamcam.Explainer(precision="fp32", classes=CAT)
    (explanation,) = explainer.explain_frames([cat])
    found = in_openvino.maps(["gradcam"], [in_openvino.prepare(cat)], CAT)["gradcam"][0]
    np.testing.assert_allclose(found, explanation.heatmaps[CAT], atol=1e-3 * found.max())
    assert in_openvino.region(cat) == explanation.region


def test_random_weights_come_from_the_top_and_go_again(cat: Frame, in_openvino: ChangedInputs) -> None:
    image = in_openvino.prepare(cat)
    module = in_openvino.model.module
    before = {name: tensor.detach().clone() for name, tensor in module.named_parameters()}
    first, *_, last = before
    with in_openvino.randomized(seed=0) as randomize:
        whole = randomize(0.0).maps(["gradcam"], [image], CAT)["gradcam"][0]
        randomize(0.01)
        now = dict(module.named_parameters())
        assert not now[last].equal(before[last])
        assert now[first].equal(before[first])
        changed = randomize(1.0).maps(["gradcam"], [image], CAT)["gradcam"][0]
        assert not now[first].equal(before[first])
        assert float(now[first].detach().mean()) == pytest.approx(
            float(before[first].detach().mean()), abs=0.05
        )
    assert all(tensor.equal(before[name]) for name, tensor in module.named_parameters())
    found = in_openvino.maps(["gradcam"], [image], CAT)["gradcam"][0]
    np.testing.assert_allclose(whole, found, atol=1e-3 * found.max())
    assert np.abs(changed - found).max() > 0.1 * found.max()
