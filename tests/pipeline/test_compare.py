"""Comparisons from a file to a file: one decode, one encode, a pane for each map."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest
import skimage.data
from media_factory import Audio, frame_times_of, make_clip, packets_of
from PIL import Image

import streamcam
from streamcam import Comparison, LocalizationSettings, OverlaySettings, RenderSettings, TemporalSettings
from streamcam.errors import InvalidArgumentError
from streamcam.overlay.panes import lay_out
from streamcam.panes import PaneGrid


def paint_cat(_index: int, planes: list[np.ndarray]) -> None:
    """A cat in gray, which the trained network knows."""
    gray = skimage.data.chelsea()[:240, 100:420].mean(axis=2)
    planes[0][:] = gray.astype(np.uint8)
    for plane in planes[1:]:
        plane[:] = 128


@pytest.fixture(scope="module")
def explainer() -> streamcam.Explainer:
    return streamcam.Explainer(backend="torch", precision="fp32")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "cat.mp4", size=(320, 240), frames=6, paint=paint_cat, audio=[Audio()])


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_video_of_panes_has_the_frames_the_times_and_the_audio_of_the_input(
    clip: Path, tmp_path: Path, explainer: streamcam.Explainer
) -> None:
    output, sidecar = tmp_path / "panes.mp4", tmp_path / "panes.jsonl"
    settings = RenderSettings(
        sidecar=sidecar,
        temporal=TemporalSettings(every=2),
        localization=LocalizationSettings(boxes=True),
    )
    seen: list[int] = []
    result = streamcam.compare(
        clip,
        output,
        explainer,
        Comparison(methods=("gradcam", "eigencam")),
        settings=settings,
        on_progress=lambda progress: seen.append(progress.frames),
    )
    assert (result.frames, result.explained, result.complete) == (6, 3, True)
    assert seen == [1, 2, 3, 4, 5, 6]
    assert frame_times_of(output) == frame_times_of(clip)
    assert packets_of(output, "audio") == packets_of(clip, "audio")
    with av.open(str(output)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == lay_out((320, 240), PaneGrid(2)).canvas
    header, *frames = lines_of(sidecar)
    assert [pane["method"] for pane in header["panes"]] == ["gradcam", "eigencam"]  # type: ignore[attr-defined]
    assert [frame["frame"] for frame in frames] == [0, 1, 2, 3, 4, 5]
    for number, frame in enumerate(frames):
        panes: list[dict[str, object]] = frame["panes"]  # type: ignore[assignment]
        assert [pane["pane"] for pane in panes] == ["gradcam", "eigencam"]
        assert all("heat_boxes" in pane for pane in panes)
        assert ["heatmap" in pane for pane in panes] == [number % 2 == 0] * 2
    first: list[dict[str, object]] = frames[0]["panes"]  # type: ignore[assignment]
    assert first[0]["heatmap"] != first[1]["heatmap"]


def test_networks_and_images_are_compared(tmp_path: Path, explainer: streamcam.Explainer) -> None:
    image, output = tmp_path / "cat.png", tmp_path / "panes.png"

    Image.fromarray(skimage.data.chelsea()).save(image)
    other = explainer.variant(top_k=1)
    settings = RenderSettings(overlay=OverlaySettings(colormap="jet"))
    streamcam.compare(image, output, [explainer, other], settings=settings)
    with Image.open(output) as panes:
        assert panes.size == lay_out((451, 300), PaneGrid(2)).canvas


def test_what_cannot_be_compared_is_refused_before_a_network_is_asked(clip: Path, tmp_path: Path) -> None:
    for comparison, settings, message in (
        (Comparison(), RenderSettings(resume=True), "`resume=True` keeps one"),
        (Comparison(), RenderSettings(evidence=tmp_path / "e.h5"), "`evidence` keeps one"),
        (Comparison(), RenderSettings(annotations=("boxes.json",)), "`annotations` keeps one"),
        (Comparison(methods=("a", "a")), RenderSettings(), "'a' twice"),
        (Comparison(modes=("flow", "flaw")), RenderSettings(), "unknown smoothing mode 'flaw'"),
    ):
        with pytest.raises(InvalidArgumentError, match=message):
            streamcam.plan_render(clip, tmp_path / "panes.mp4", settings, comparison)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cat.mp4"]


@pytest.mark.parametrize("name", ["boxes.json", "evidence.h5"])
def test_a_file_of_single_explanations_holds_no_panes(clip: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"{name}' keeps one"):
        streamcam.plan_render(clip, tmp_path / name, comparison=Comparison())
