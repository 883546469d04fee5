"""Crops around objects: the scores and gradients of whole levels, from the places that a head sees."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from streamcam.models.crops import crops, reach


def head(*, channels: int = 3, classes: int = 2, anchors: int = 2) -> nn.Sequential:
    """Two convolutions that see two places in each direction, and a normalization of single places."""
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(4)
    nn.init.normal_(norm.running_mean)  # type: ignore[arg-type]
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3, padding=1), norm, nn.SiLU(), nn.Conv2d(4, anchors * classes, 3, padding=1)
    ).eval()


def by_candidate(planes: torch.Tensor) -> torch.Tensor:
    """Rearrange (N, anchors * classes, h, w) to (N, h * w * anchors, classes)."""
    count, _, height, width = planes.shape
    return planes.view(count, 2, 2, height, width).permute(0, 3, 4, 1, 2).reshape(count, -1, 2)


def test_scores_and_gradients_are_those_of_the_whole_level_at_its_edges_too() -> None:
    classifier = head().double()
    level = torch.randn(3, 9, 12, dtype=torch.float64, requires_grad=True)
    tiny = torch.randn(3, 3, 4, dtype=torch.float64, requires_grad=True)
    whole = [by_candidate(classifier(each.unsqueeze(0)))[0] for each in (level, tiny)]
    cropped = crops(
        [level, tiny],
        [lambda values: by_candidate(classifier(values))] * 2,
        [classifier] * 2,
        [len(each) for each in whole],
        torch.Tensor.double,
    )
    assert cropped is not None
    # Both anchors of the corners, of an edge, of the middle; the last two of the tiny level.
    candidates = [0, 1, 2 * 11, 2 * 96 + 1, 2 * 107 + 1, 2 * 54, 2 * 53 + 1, 216 + 1, 216 + 22]
    parts = cropped(candidates, 20)
    assert parts is not None
    assert [list(part.members) for part in parts] == [[0, 1, 2, 3, 4, 5, 6], [7, 8]]
    assert parts[0].features[0].shape == (3, 5, 5)
    assert parts[1].features[0].shape == (3, 3, 4)
    expected = torch.cat(whole)
    for part in parts:
        for place, member in enumerate(part.members):
            for class_index in range(2):
                own, peer = part.scores[place, class_index], expected[candidates[member], class_index]
                torch.testing.assert_close(own, peer, rtol=0, atol=1e-12)
                ours = torch.autograd.grad(own, (level, tiny), retain_graph=True, materialize_grads=True)
                theirs = torch.autograd.grad(peer, (level, tiny), retain_graph=True, materialize_grads=True)
                for left, right in zip(ours, theirs, strict=True):
                    torch.testing.assert_close(left, right, rtol=0, atol=1e-12)


def test_whole_levels_are_used_where_crops_would_cost_more() -> None:
    classifier = head()
    level = torch.randn(3, 20, 20)
    cropped = crops(
        [level],
        [lambda values: by_candidate(classifier(values))],
        [classifier],
        [800],
        torch.Tensor.float,
    )
    assert cropped is not None
    # A crop has 25 places, which go forward and back; the level has 400, once for every pass.
    assert cropped(list(range(7)), 1) is not None
    assert cropped(list(range(8)), 1) is None
    assert cropped(list(range(8)), 2) is not None


@pytest.mark.parametrize(
    ("layers", "places"),
    [
        ([nn.Conv2d(1, 1, 1)], 0),
        ([nn.Conv2d(1, 1, 3, padding=1), nn.ReLU(), nn.Sequential(nn.Conv2d(1, 1, 5, padding=2))], 3),
        ([nn.Conv2d(1, 1, 3, padding=2, dilation=2)], 2),
        ([nn.Conv2d(1, 1, 3)], None),
        ([nn.Conv2d(1, 1, 3, padding=1, stride=2)], None),
        ([nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect")], None),
        ([nn.Conv2d(1, 1, 3, padding="same")], None),
        ([nn.Conv2d(1, 2, 1), nn.GroupNorm(1, 2)], None),
        ([nn.AdaptiveAvgPool2d(1)], None),
    ],
)
def test_how_far_a_head_sees(layers: list[nn.Module], places: int | None) -> None:
    assert reach(nn.Sequential(*layers)) == places
