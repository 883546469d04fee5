"""Comparisons from a file to a file: one decode, one encode, a pane for each map."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import skimage.data
from media_factory import Audio, frame_times_of, images_of, make_clip, packets_of
from PIL import Image

import streamcam
from streamcam import Comparison, LocalizationSettings, OverlaySettings, RenderSettings, TemporalSettings
from streamcam.errors import InvalidArgumentError
from streamcam.media.encoders import EncoderSettings
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


def test_files_of_each_pane_are_those_of_a_render_of_its_own(
    clip: Path, tmp_path: Path, explainer: streamcam.Explainer
) -> None:
    settings = RenderSettings(
        localization=LocalizationSettings(boxes=True),
        temporal=TemporalSettings(every=2),
        encoder=EncoderSettings("ffv1"),
    )
    beside = {"annotations": ("{pane}.json",), "masks": "{pane}-masks", "evidence": "{pane}.h5"}

    def in_folder(pane: str | None = None) -> RenderSettings:
        name = "{pane}" if pane is None else f"{pane}-alone"
        filled: dict[str, Any] = {
            key: tuple(str(tmp_path / one.format(pane=name)) for one in value)
            if isinstance(value, tuple)
            else tmp_path / value.format(pane=name)
            for key, value in beside.items()
        }
        return dataclasses.replace(settings, **filled)

    comparison = Comparison(methods=("gradcam", "eigencam"))
    streamcam.compare(clip, tmp_path / "panes.mp4", explainer, comparison, settings=in_folder())
    direct, again = tmp_path / "direct.mkv", tmp_path / "again.mkv"
    streamcam.render(clip, direct, explainer.variant(method="eigencam"), settings=in_folder("eigencam"))
    boxes = [json.loads((tmp_path / f"{name}.json").read_text()) for name in ("eigencam", "eigencam-alone")]
    assert boxes[0]["annotations"] == boxes[1]["annotations"]
    assert boxes[0]["annotations"] != json.loads((tmp_path / "gradcam.json").read_text())["annotations"]
    for mask in sorted((tmp_path / "eigencam-alone-masks").iterdir()):
        assert (tmp_path / "eigencam-masks" / mask.name).read_bytes() == mask.read_bytes()
    with streamcam.open_evidence(tmp_path / "eigencam.h5") as kept:
        assert (kept.header["run"]["method"], kept.header["identity"]["method"]) == ("eigencam", "eigencam")
        assert kept.is_complete
        assert kept.labels == tuple(explainer.model.labels)
    streamcam.restyle(clip, tmp_path / "eigencam.h5", again, settings=settings)
    for one, other in zip(images_of(direct), images_of(again), strict=True):
        np.testing.assert_array_equal(one, other)


def test_smoothing_modes_are_kept_with_each_pane(
    clip: Path, tmp_path: Path, explainer: streamcam.Explainer
) -> None:
    comparison = Comparison(modes=("none", "causal"))
    settings = RenderSettings(evidence=tmp_path / "{pane}.h5")
    streamcam.compare(clip, tmp_path / "panes.mp4", explainer, comparison, settings=settings)
    for mode in comparison.modes:
        with streamcam.open_evidence(tmp_path / f"{mode}.h5") as kept:
            assert kept.header["settings"]["temporal"]["mode"] == mode
