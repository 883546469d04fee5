"""Figures of a report, on explanations made by hand."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evidence_files import kept_evidence
from stage_fakes import CAT, explanation_of

from streamcam.errors import InvalidArgumentError
from streamcam.explanations import Explanation, Prediction
from streamcam.frames import Region
from streamcam.report import build_page, summarize
from streamcam.report.pictures import heat_of
from streamcam.report.summary import center_of


def frame(index: int, label: str, confidence: float, cell: int = 0, **fields: Any) -> Explanation:
    """Make a frame at 25 a second whose heat is in one of four cells of a 2x2 map."""
    heatmap = np.zeros((2, 2), np.float32)
    heatmap.flat[cell] = 3
    shown = Prediction(CAT, label, confidence)
    return dataclasses.replace(
        explanation_of(index),
        heatmaps={CAT: heatmap},
        targets=(shown,),
        predictions=(shown,),
        smoothed_predictions=(shown,),
        **fields,
    )


def test_figures_follow_from_the_frames(tmp_path: Path) -> None:
    frames = [frame(index, "cat", 0.9) for index in range(20)]
    frames += [frame(index, "dog", 0.5) for index in range(20, 30)]
    frames += [frame(index, "cat", 0.4, starts_shot=index == 30) for index in range(30, 40)]
    with kept_evidence(tmp_path, frames) as evidence:
        summary = summarize(evidence)
        figures = summary.figures()
        assert (figures["frames"], figures["explained"], figures["label_changes"]) == (40, 40, 1)
        assert figures["duration_s"] == pytest.approx(1.6)
        assert figures["mean_confidence"] == pytest.approx((20 * 0.9 + 10 * 0.5 + 10 * 0.4) / 40)
        cat, dog = figures["classes"]
        assert (cat["label"], cat["share"], cat["least_confidence"]) == ("cat", 0.75, pytest.approx(0.4))
        assert (dog["label"], dog["share"], dog["mean_confidence"]) == ("dog", 0.25, 0.5)
        assert [(one["begin_s"], one["label"]) for one in figures["segments"]] == [
            (0, "cat"),
            (0.8, "dog"),
            (1.2, "cat"),
        ]
        assert [(one["begin_s"], one["end_s"]) for one in figures["shots"]] == [(0, 1.16), (1.2, 1.56)]
        assert figures["command"] == "streamcam render a.mp4"


def test_what_changes_within_a_shot_is_striking(tmp_path: Path) -> None:
    frames = [frame(index, "cat", 0.9) for index in range(50)]
    frames += [frame(index, "cat", 0.2) for index in range(50, 100)]
    frames += [frame(index, "dog", 0.2) for index in range(100, 150)]
    frames += [frame(index, "dog", 0.2, cell=3) for index in range(150, 200)]
    frames += [frame(index, "bird", 0.9, starts_shot=index == 200) for index in range(200, 250)]
    with kept_evidence(tmp_path, frames) as evidence:
        moments = summarize(evidence).moments
    assert [(one.row, one.kind) for one in moments] == [(150, "heat"), (50, "confidence"), (100, "label")]
    assert moments[0].text == "The heat's center moves by 71 % of the frame within 1 s."
    assert moments[1].text == "Confidence in cat falls from 90 % to 20 %."
    assert moments[2].text == "cat becomes dog (20 % to 20 %)."


def test_the_center_of_heat_is_that_of_the_frame() -> None:
    lower_right = frame(0, "cat", 1.0, cell=3)
    assert center_of(lower_right) == (0.75, 0.75)
    cropped = dataclasses.replace(lower_right, region=Region(0.25, 0, 0.75, 1))
    assert center_of(cropped) == (0.625, 0.75)
    assert np.isnan(
        center_of(dataclasses.replace(lower_right, heatmaps={CAT: np.zeros((2, 2), np.float32)}))
    ).all()


def test_heat_drifts_from_where_a_shot_began(tmp_path: Path) -> None:
    frames = [frame(0, "cat", 1.0), frame(1, "cat", 1.0, cell=1), frame(2, "cat", 1.0, cell=0)]
    with kept_evidence(tmp_path, frames) as evidence:
        summary = summarize(evidence)
        assert summary.drift(summary.shots[0]) == pytest.approx(0.5)


def test_evidence_without_explained_frames_is_refused(tmp_path: Path) -> None:
    nothing = dataclasses.replace(explanation_of(0), heatmaps={}, targets=(), predictions=())
    with (
        kept_evidence(tmp_path, [nothing]) as evidence,
        pytest.raises(InvalidArgumentError, match="no explained frame"),
    ):
        summarize(evidence)


def test_the_share_of_the_heat_in_the_center_and_on_what_changes(tmp_path: Path) -> None:
    with kept_evidence(tmp_path, [frame(index, "cat", 0.9) for index in range(60)]) as evidence:
        center, changes = summarize(evidence).figures()["shares"]
    assert (center["name"], changes["name"]) == ("the center", "what changes")
    # Along each side heat is full up to a quarter and falls to zero at three quarters: half is in between.
    assert center["inside"] == pytest.approx((1 / 2) ** 2, abs=0.03)
    assert center["area"] == pytest.approx(0.25)
    # Each frame is noise of its own.
    assert changes["inside"] == pytest.approx(1)
    assert (changes["area"], changes["least_s"]) == (pytest.approx(1), 1.0)


def test_a_class_against_another_is_asked_about_and_shown_both_ways(tmp_path: Path) -> None:
    against = np.array([[3, -2], [0, 0]], np.float32)
    rather = Prediction(CAT, "cat rather than dog", 0.9)
    frames = [
        dataclasses.replace(
            frame(index, "cat", 0.9),
            heatmaps={CAT: against},
            targets=(rather,),
            signed=True,
            method="gradcam",
        )
        for index in range(3)
    ]
    with kept_evidence(tmp_path, frames) as evidence:
        summary = summarize(evidence)
        assert summary.figures()["questions"] == ["What speaks for cat rather than dog?"]
        page = build_page(summary)
    assert "<td>What speaks for cat rather than dog?</td>" in page
    assert "what speaks for dog rather than cat." in page
    np.testing.assert_allclose(heat_of(frames[0], against=True), [[0, 2 / 3], [0, 0]])


def test_both_ways_are_shown_on_one_scale_without_signed_maps(tmp_path: Path) -> None:
    rather = Prediction(CAT, "cat rather than dog", 0.9)
    frames = [
        dataclasses.replace(
            frame(index, "cat", 0.9),
            heatmaps={CAT: np.array([[3, 0], [0, 0]], np.float32)},
            opposites={CAT: np.array([[0, 1.5], [0, 0]], np.float32)},
            targets=(rather,),
            method="gradcam",
        )
        for index in range(3)
    ]
    with kept_evidence(tmp_path, frames) as evidence:
        (first, *_) = evidence.explanations()
        np.testing.assert_array_equal(first.heatmaps[CAT], [[3, 0], [0, 0]])
        np.testing.assert_array_equal(first.opposites[CAT], [[0, 1.5], [0, 0]])
        page = build_page(summarize(evidence))
    assert "what speaks for cat rather than dog; " in page
    assert "what speaks for dog rather than cat." in page
    np.testing.assert_allclose(heat_of(frames[0]), [[1, 0], [0, 0]])
    np.testing.assert_allclose(heat_of(frames[0], against=True), [[0, 0.5], [0, 0]])
