"""Occlusion: what is covered, what is made of it, and that it finds what a network looks at."""

from __future__ import annotations

import itertools
import logging

import numpy as np
import pytest
import torch
from color_networks import by_object
from peers import require_peer
from torch import nn

from streamcam.explain import Explainer
from streamcam.explain.hooks import HookedNetwork
from streamcam.explain.method_inputs import MethodInputs
from streamcam.explain.methods.occlusion import count_occlusions, occlusion
from streamcam.explain.objectives import Objective
from streamcam.explain.scorers import ImageScorer
from streamcam.explanations import UNTRUSTED_METHODS
from streamcam.models import Classifier, InputSpec, Layer
from streamcam.models.labels import numbered_labels
from streamcam.models.layouts import Layout


class _PixelSums(nn.Module):
    """Class 0 is the sum of all pixels, class 1 its negative."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Identity()

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        sums = self.layer(batch).sum(dim=(1, 2, 3))
        return torch.stack([sums, -sums], dim=1)


def _scorer(inputs: torch.Tensor, classes: list[int]) -> ImageScorer:
    height, width = inputs.shape[2:]
    spec = InputSpec(4, 4, (0.5,), (0.5,))
    classifier = Classifier("test", _PixelSums().eval(), numbered_labels(2), spec, "none")
    layer = Layer("layer", "Identity", tuple(inputs.shape), Layout("nchw", (height, width)), True)
    network = HookedNetwork(classifier, [layer])
    return MethodInputs(
        network, inputs, network.run(inputs), 0, Objective(torch.tensor(classes))
    ).image_scorer


COUNTING = torch.arange(16.0).view(1, 1, 4, 4)


def test_a_cell_holds_what_the_score_loses_when_it_is_covered() -> None:
    # The sums of 0 1 4 5, of 2 3 6 7, of 8 9 12 13 and of 10 11 14 15.
    found = occlusion(_scorer(COUNTING, [0]), patch=2, stride=2)
    assert found.tolist() == [[[10.0, 18.0], [42.0, 50.0]]]


def test_every_image_is_asked_about_its_own_class() -> None:
    found = occlusion(_scorer(COUNTING.repeat(2, 1, 1, 1), [0, 1]), patch=2, stride=2)
    assert found.tolist() == [[[10.0, 18.0], [42.0, 50.0]], [[-10.0, -18.0], [-42.0, -50.0]]]


def test_a_patch_larger_than_its_cell_is_centerd_on_it_and_cut_at_the_edges() -> None:
    # Rows and columns 0 to 2 round the first cell, 1 to 3 round the second.
    found = occlusion(_scorer(COUNTING, [0]), patch=4, stride=2)
    whole = COUNTING[0, 0]
    expected = [
        [whole[:3, :3].sum(), whole[:3, 1:].sum()],
        [whole[1:, :3].sum(), whole[1:, 1:].sum()],
    ]
    np.testing.assert_allclose(found[0], expected)


def test_a_patch_smaller_than_its_cell_is_centerd_on_it() -> None:
    found = occlusion(_scorer(torch.arange(36.0).view(1, 1, 6, 6), [0]), patch=1, stride=3)
    assert found.tolist() == [[[7.0, 10.0], [25.0, 28.0]]]


def test_cells_are_of_one_size_where_the_side_is_no_multiple_of_the_stride() -> None:
    # Five columns make three cells, with their middles at 5/6, 15/6 and 25/6; two rows make one.
    image = torch.tensor([[[[1.0, 2.0, 4.0, 8.0, 16.0], [0.0, 0.0, 0.0, 0.0, 0.0]]]])
    found = occlusion(_scorer(image, [0]), patch=2, stride=2)
    assert found.tolist() == [[[1.0 + 2.0, 4.0 + 8.0, 8.0 + 16.0]]]


@pytest.mark.parametrize(("height", "width", "stride"), [(64, 96, 16), (50, 33, 16), (7, 7, 16), (9, 8, 1)])
def test_the_grid_has_a_cell_for_every_stride_begun(height: int, width: int, stride: int) -> None:
    found = occlusion(_scorer(torch.ones(1, 1, height, width), [0]), patch=16, stride=stride)
    assert found.shape == (1, -(-height // stride), -(-width // stride))
    assert (found > 0).all()


def test_the_peak_is_where_the_evidence_is() -> None:
    class Brightness(nn.Module):
        """Class 0 is how bright the brightest place is, whatever its color."""

        def __init__(self) -> None:
            super().__init__()
            self.pool = nn.AvgPool2d(8)
            self.layer = nn.Conv2d(3, 6, 1, bias=False)
            nn.init.constant_(self.layer.weight, 1 / 3)

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.layer(self.pool(batch)).amax(dim=(2, 3))
            return logits[:, :4]

    image = np.full((96, 128, 3), 110, np.uint8)
    image[64:80, 32:48] = 255
    classifier = Classifier("test", Brightness().eval(), numbered_labels(4), InputSpec(96, 96), "none")
    explainer = Explainer(classifier, method="occlusion:patch=16,stride=8", classes=0, fit="full")
    explanation = explainer.explain([image])[0]
    heatmap = explanation.heatmaps[0]
    rows, columns = heatmap.shape
    row, column = np.unravel_index(heatmap.argmax(), heatmap.shape)
    assert 64 / 96 <= (row + 0.5) / rows <= 80 / 96
    assert 32 / 128 <= (column + 0.5) / columns <= 48 / 128
    far = heatmap[: rows // 2, columns // 2 :]
    assert np.abs(far).max() < 1e-5


def _as_captum(patch: int, stride: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return our cells and captum's pixels of an image whose sides are multiples of the stride."""
    require_peer("captum")
    from captum.attr import Occlusion

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(
            nn.Conv2d(3, 8, 5, padding=2), nn.Tanh(), nn.Flatten(), nn.Linear(8 * 48 * 64, 3)
        )
    image = torch.randn(1, 3, 48, 64, generator=torch.Generator().manual_seed(1))
    spec = InputSpec((64, 48), 48, (0.5,) * 3, (0.5,) * 3)
    classifier = Classifier("test", network.eval(), numbered_labels(3), spec, "none")
    layer = Layer("1", "Tanh", (1, 8, 48, 64), Layout("nchw", (48, 64)), True)
    hooked = HookedNetwork(classifier, [layer])
    objective = Objective(torch.tensor([2]))
    scorer = MethodInputs(hooked, image, hooked.run(image), 0, objective).image_scorer
    theirs = Occlusion(network).attribute(
        image, (3, patch, patch), strides=(3, stride, stride), baselines=0, target=2, perturbations_per_eval=8
    )
    return occlusion(scorer, patch=patch, stride=stride)[0], theirs[0, 0].detach()


def test_patches_side_by_side_are_those_of_captum() -> None:
    cells, pixels = _as_captum(patch=16, stride=16)
    ours = cells.repeat_interleave(16, dim=0).repeat_interleave(16, dim=1)
    torch.testing.assert_close(ours, pixels, atol=1e-4, rtol=0)


def test_overlapping_patches_are_those_of_captum_which_averages_them_over_pixels() -> None:
    """Ours begin one stride before the edge, cut off there; all that lie inside are captum's."""
    cells, pixels = _as_captum(patch=24, stride=8)
    total, count = torch.zeros(2, 48, 64)
    for row, column in itertools.product(range(1, 5), range(1, 7)):
        window = slice(8 * (row - 1), 8 * (row - 1) + 24), slice(8 * (column - 1), 8 * (column - 1) + 24)
        total[window] += cells[row, column]
        count[window] += 1
    torch.testing.assert_close(total / count, pixels, atol=1e-4, rtol=0)


def test_the_cost_is_known_before_it_starts(caplog: pytest.LogCaptureFixture) -> None:
    assert count_occlusions((5, 2), {"patch": 2, "stride": 2}) == 3
    image = torch.tensor([[[[1.0, 2.0, 4.0, 8.0, 16.0], [0.0, 0.0, 0.0, 0.0, 0.0]]]])
    with caplog.at_level(logging.INFO, logger="streamcam.explain"):
        occlusion(_scorer(image, [0]), patch=2, stride=2)
    assert [record.getMessage() for record in caplog.records] == ["run 3 of 3"]


def test_the_cost_is_said_before_it_starts(caplog: pytest.LogCaptureFixture) -> None:
    settings = {"target_layer": "features", "backend": "torch", "precision": "fp32"}
    with caplog.at_level(logging.INFO, logger="streamcam.explain"):
        for method in ("occlusion:stride=8", "gradcam"):
            Explainer(by_object(), method=method, fit="stretch", **settings)
    assert [record.getMessage() for record in caplog.records if hasattr(record, "cost")] == [
        "occlusion runs the network 48 times for each frame and class (patch=32,stride=8)"
    ]


def test_what_to_know_of_a_map_is_noted() -> None:
    settings = {"target_layer": "features", "backend": "torch", "precision": "fp32"}
    guided = Explainer(by_object(), method="guided-backprop", **settings)
    assert UNTRUSTED_METHODS["guided-backprop"] in guided.notes
    rather = Explainer(by_object(), classes=["thing"], against="other", **settings)
    assert "the heat shows what speaks for thing rather than other" in rather.notes
    ranked = Explainer(by_object(), against="other", **settings)
    assert "the heat shows what speaks for the most probable class rather than other" in ranked.notes
