from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np
import pytest
from media_factory import info_of, make_image

from streamcam.explanations import Explanation, Prediction
from streamcam.frames import FloatArray, Frame, Region


def explanation(heatmap: FloatArray, *, target: int = 3) -> Explanation:
    cat = Prediction(target, "cat", 0.5)
    return Explanation(0, {3: heatmap}, (cat,), (cat,), "grad-cam", "layer4", Region())


def test_a_frame_tells_its_time_in_seconds() -> None:
    frame = Frame(make_image(16, 16), index=7, pts=1001, time_base=Fraction(1, 30000), received_at=0.0)
    assert frame.time_s == pytest.approx(1001 / 30000)


def test_a_frame_cannot_be_changed() -> None:
    frame = Frame(make_image(16, 16), 0, 0, Fraction(1, 25), 0.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        frame.pts = 1  # type: ignore[misc]


@pytest.mark.parametrize("edges", [(0.5, 0.0, 0.5, 1.0), (0.0, 0.9, 1.0, 0.1)])
def test_a_region_has_an_inside(edges: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match=r"left < right and top < bottom"):
        Region(*edges)


def test_a_region_may_reach_beyond_the_frame() -> None:
    assert Region(0.0, -0.25, 1.0, 1.25).top == -0.25


def test_a_frame_that_was_left_out_has_an_explanation_without_maps() -> None:
    explained = explanation(np.ones((7, 12), np.float32))
    without_objects = dataclasses.replace(explained, heatmaps={}, targets=())
    skipped = dataclasses.replace(without_objects, predictions=())
    assert [each.is_explained for each in (explained, without_objects, skipped)] == [True, True, False]


def test_an_explanation_holds_raw_maps() -> None:
    assert explanation(np.ones((7, 12), np.float32)).heatmaps[3].shape == (7, 12)


@pytest.mark.parametrize(
    ("heatmap", "named"),
    [
        (np.ones((7, 12), np.float64), r"float64 \(7, 12\)"),
        (np.ones((1, 7, 12), np.float32), r"\(1, 7, 12\)"),
    ],
)
def test_an_explanation_refuses_other_maps(heatmap: FloatArray, named: str) -> None:
    with pytest.raises(ValueError, match=rf"map of class 3 is .*{named}"):
        explanation(heatmap)


def test_an_explanation_names_the_class_of_every_map() -> None:
    with pytest.raises(ValueError, match=r"the same classes in the same order"):
        explanation(np.ones((7, 12), np.float32), target=4)


def test_an_output_begins_where_the_video_does_or_where_it_was_asked_to() -> None:
    assert info_of().begin_s == 0
    assert info_of(origin_s=1.4).begin_s == 1.4
    assert info_of(origin_s=1.4, start_s=3.4).begin_s == 3.4


def test_an_explanation_is_printed_on_one_line_without_its_arrays() -> None:
    shown = repr(explanation(np.zeros((7, 12), np.float32)))
    assert shown == (
        "Explanation(frame_index=0, method='grad-cam', targets=[cat], heatmaps={3: 7x12}, instances=0)"
    )
