"""Where the views of a layout lie."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from media_factory import make_clip, paint_quadrants
from stage_fakes import FakeExplainer
from video_runs import read_video, render_with

from streamcam.media.images import planes_of
from streamcam.overlay import LAYOUTS, Overlay, OverlaySettings
from streamcam.overlay.layouts import Rectangle, arrange, measure_canvas
from streamcam.overlay.views import VIEWS


def test_every_layout_consists_of_views() -> None:
    assert {view for views in LAYOUTS.values() for view in views} == set(VIEWS)


@pytest.mark.parametrize(
    ("size", "layout", "canvas"),
    [
        ((640, 360), "mask", (640, 360)),
        ((65, 49), "heat", (65, 49)),
        ((640, 360), "side-by-side", (1280, 360)),
        ((65, 49), "side-by-side", (132, 49)),  # the second view starts at an even column
    ],
)
def test_the_size_of_a_canvas(size: tuple[int, int], layout: str, canvas: tuple[int, int]) -> None:
    assert measure_canvas(*size, layout) == canvas
    assert Overlay(OverlaySettings(layout=layout)).measure(*size) == canvas


@pytest.mark.parametrize(
    ("size", "canvas", "views", "rectangles"),
    [
        ((64, 48), (64, 48), 1, [Rectangle(0, 0, 64, 48)]),
        ((65, 49), (65, 49), 1, [Rectangle(0, 0, 65, 49)]),
        ((65, 49), (132, 49), 2, [Rectangle(0, 0, 65, 49), Rectangle(66, 0, 65, 49)]),
        ((64, 48), (128, 200), 2, [Rectangle(0, 4, 128, 96), Rectangle(0, 100, 128, 96)]),
        ((64, 48), (200, 48), 2, [Rectangle(36, 0, 64, 48), Rectangle(100, 0, 64, 48)]),
        ((64, 48), (32, 48), 1, [Rectangle(0, 12, 32, 24)]),
    ],
)
def test_views_are_as_large_as_the_canvas_lets_them(
    size: tuple[int, int], canvas: tuple[int, int], views: int, rectangles: list[Rectangle]
) -> None:
    assert arrange(size, canvas, views) == rectangles


@pytest.mark.parametrize("size", [(64, 48), (66, 50)])
def test_a_render_side_by_side_holds_the_frame_and_the_overlay(tmp_path: Path, size: tuple[int, int]) -> None:
    clip = make_clip(tmp_path / "clip.mkv", frames=3, size=size, codec="ffv1", paint=paint_quadrants)
    settings = OverlaySettings(layout="side-by-side")
    outputs = {}
    for name, overlay in (("both", settings), ("one", dataclasses.replace(settings, layout="overlay"))):
        render_with(clip, tmp_path / f"{name}.mkv", FakeExplainer(), overlay=overlay)
        outputs[name], info, _ = read_video(tmp_path / f"{name}.mkv")
        assert (info.width, info.height) == (size[0] * (2 if name == "both" else 1), size[1])
    frames, _, _ = read_video(clip)
    for number, frame in enumerate(frames):
        shown = (outputs["both"][number], outputs["one"][number], frame)
        both, one, before = (planes_of(each.image)[0] for each in shown)
        # The encoder is lossy.
        assert np.abs(both[:, : size[0]].astype(int) - before).mean() < 4
        assert np.abs(both[:, size[0] :].astype(int) - one).mean() < 4
        assert np.abs(both[:, size[0] :].astype(int) - before).mean() > 8
