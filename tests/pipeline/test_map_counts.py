"""Counts of a video's maps that show nothing, and what is said of them."""

from __future__ import annotations

import numpy as np
import pytest

from streamcam.empty_maps import ALL_NEGATIVE, EMPTY_MAPS, NO_EVIDENCE, NOTHING_FOUND, WAY_TO_HIDDEN
from streamcam.explanations import Explanation, Prediction
from streamcam.frames import Region
from streamcam.pipeline.map_counts import MapCounts


def explained(flags: dict[int, str], *, classes: int = 2, pane: str = "", **settings: object) -> Explanation:
    targets = tuple(Prediction(index, f"class {index}", 0.5) for index in range(classes))
    return Explanation(
        frame_index=0,
        heatmaps={index: np.ones((2, 2), np.float32) for index in range(classes)},
        targets=targets,
        predictions=(Prediction(9, "other", 0.5),),
        method="gradcam",
        target_layer="features",
        region=Region(0, 0, 1, 1),
        flags=flags,
        pane=pane,
        **settings,  # type: ignore[arg-type]
    )


def notes_of(*explanations: Explanation) -> list[str]:
    counts = MapCounts()
    for explanation in explanations:
        counts.add(explanation)
    assert counts.explained == len(explanations)
    return counts.notes


@pytest.mark.parametrize(
    ("flags", "notes"),
    [
        ([{}, {}], []),
        ([{1: ALL_NEGATIVE}, {}], []),
        ([{1: ALL_NEGATIVE}, {0: NO_EVIDENCE}], []),
        ([{1: ALL_NEGATIVE}] * 2, [f"no map shows anything for class 1: {EMPTY_MAPS[ALL_NEGATIVE]}"]),
        (
            [{0: NO_EVIDENCE, 1: NO_EVIDENCE}, {}],
            [f"the map of 1 of 2 explained frames shows nothing: {EMPTY_MAPS[NO_EVIDENCE]}"],
        ),
        (
            [{0: NO_EVIDENCE, 1: NO_EVIDENCE}] * 2,
            [f"the map of 2 of 2 explained frames shows nothing: {EMPTY_MAPS[NO_EVIDENCE]}"],
        ),
    ],
)
def test_a_class_is_named_whose_map_shows_nothing_in_any_frame(
    flags: list[dict[int, str]], notes: list[str]
) -> None:
    assert notes_of(*map(explained, flags)) == notes


def test_a_pane_is_named_whose_map_shows_nothing_in_any_frame() -> None:
    blank = explained({0: ALL_NEGATIVE}, classes=1, pane="layercam")
    fine = explained({}, classes=1, pane="gradcam", others=(blank,))
    assert notes_of(fine, fine) == [f"no map shows anything for layercam: {EMPTY_MAPS[ALL_NEGATIVE]}"]


def test_six_of_many_are_not_all_named() -> None:
    (note,) = notes_of(explained(dict.fromkeys(range(1, 8), NO_EVIDENCE), classes=8))
    assert note.startswith(
        "no map shows anything for class 1, class 2, class 3, class 4, class 5 and 2 more: no place"
    )


def test_where_each_object_is_explained_and_there_is_none_nothing_was_found() -> None:
    nothing = explained({}, classes=0)
    assert nothing.emptiness == NOTHING_FOUND
    assert notes_of(nothing) == [
        f"the map of 1 of 1 explained frames shows nothing: {EMPTY_MAPS[NOTHING_FOUND]}",
        "no object reached `confidence` where nothing was found; the best one had 0.50 (other)",
    ]


def test_a_regressor_s_frames_are_counted_whose_evidence_is_mostly_negative() -> None:
    assert notes_of(explained({}, hidden=0.8), explained({}, hidden=0.3), explained({}, hidden=0.6)) == [
        f"in 2 of 3 explained frames {WAY_TO_HIDDEN}"
    ]
