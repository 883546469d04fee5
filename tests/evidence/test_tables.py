"""Explanations as tables: what comes back is what went in."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from stage_fakes import CAT, DOG, explanation_of

from streamcam.evidence import TableEncoder, from_tables
from streamcam.evidence.tables import read_texts
from streamcam.explanations import Explanation, Instance, Prediction
from streamcam.frames import Region

CAT_SEEN, DOG_SEEN = Prediction(CAT, "cat", math.pi / 4), Prediction(DOG, "Dogge, dänisch\n2", 1e-9)
RICH = Explanation(
    frame_index=4,
    heatmaps={
        DOG: np.array([[0.1, -2e-30], [3e30, 0]], np.float32),
        CAT: np.arange(6, dtype=np.float32)[None, ::2],
    },
    targets=(DOG_SEEN, CAT_SEEN),
    predictions=(CAT_SEEN, DOG_SEEN),
    method="hirescam",
    target_layer="layer4+layer3",
    region=Region(-1 / 3, 0.0, 4 / 3, 1.0),
    flags={CAT: "all negative"},
    signed=True,
    starts_shot=True,
    smoothed_predictions=(DOG_SEEN, CAT_SEEN),
    probabilities=np.array([0.1, 0.9], np.float32),
)


def assert_same(one: Explanation, other: Explanation) -> None:
    for field in dataclasses.fields(Explanation):
        if field.name not in ("heatmaps", "probabilities", "instances"):
            assert getattr(one, field.name) == getattr(other, field.name)
    np.testing.assert_array_equal(one.probabilities, other.probabilities)
    assert list(one.heatmaps) == list(other.heatmaps)
    for index, heatmap in one.heatmaps.items():
        np.testing.assert_array_equal(heatmap, other.heatmaps[index])
        assert other.heatmaps[index].dtype == np.float32


def test_explanations_come_back_as_they_were() -> None:
    skipped = dataclasses.replace(explanation_of(5), heatmaps={}, targets=(), predictions=())
    given = [explanation_of(3), RICH, skipped]
    for one, back in zip(given, from_tables(TableEncoder().encode(given)), strict=True):
        assert_same(one, back)


def test_texts_stand_once_and_keep_their_numbers() -> None:
    encoder = TableEncoder()
    first, second = encoder.encode([explanation_of(0)]), encoder.encode([explanation_of(1), RICH])
    assert read_texts(first["texts"]) == ["cat", "dog", "fake", "nowhere"]
    assert read_texts(second["texts"]) == ["Dogge, dänisch\n2", "all negative", "hirescam", "layer4+layer3"]
    texts = read_texts(np.concatenate([first["texts"], second["texts"]]))
    assert_same(from_tables(second, texts)[1], RICH)


def test_a_probability_that_is_none_comes_back() -> None:
    function = Prediction(-1, "function", math.nan)
    explanation = dataclasses.replace(
        explanation_of(0), heatmaps={-1: np.zeros((1, 1), np.float32)}, targets=(function,)
    )
    (back,) = from_tables(TableEncoder().encode([explanation]))
    assert math.isnan(back.targets[0].probability)
    assert list(back.heatmaps) == [-1]


def test_objects_come_back_with_boxes_masks_and_numbers() -> None:
    mask = np.array([[True, False, True], [False, True, True], [True, True, False]])
    found = (
        Instance(1, "dog", 0.75, (0.1, 0.2, 0.3, 0.4)),
        Instance(2, "cat", 0.5, (0.0, 0.0, 1.0, 1.0), mask, track_id=7),
        Instance(2, "cat", 0.25, (0.0, 0.0, 1.0, 1.0), ~mask, is_region=True),
    )
    explanation = dataclasses.replace(explanation_of(3), instances=found)
    (back,) = from_tables(TableEncoder().encode([explanation]))
    for one, other in zip(found, back.instances, strict=True):
        assert (
            dataclasses.replace(one, mask=None).__repr__() == dataclasses.replace(other, mask=None).__repr__()
        )
    assert [one.mask is None for one in back.instances] == [True, False, False]
    np.testing.assert_array_equal(back.instances[1].mask, mask)
    np.testing.assert_array_equal(back.instances[2].mask, ~mask)


def test_tables_that_end_too_early_are_refused() -> None:
    tables = TableEncoder().encode([RICH])
    with pytest.raises(ValueError, match="heatmaps ends too early"):
        from_tables({**tables, "heatmaps": tables["heatmaps"][:-1]})
