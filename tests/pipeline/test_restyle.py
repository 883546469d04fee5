"""Restyling: the same frames as a render with those settings, without the network."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from media_factory import (
    Audio,
    frame_times_of,
    images_of,
    make_clip,
    make_image,
    names_in,
    packets_of,
    paint_noise,
)
from numpy.typing import NDArray
from stage_fakes import CAT, DOG, FakeExplainer, at
from video_runs import render_with

import streamcam
from streamcam.cli import run
from streamcam.errors import InvalidArgumentError, SourceError, UnknownNameError
from streamcam.evidence import open_evidence
from streamcam.explanations import Explanation, Prediction
from streamcam.frames import Frame
from streamcam.localization import LocalizationSettings
from streamcam.media.encoders import EncoderSettings
from streamcam.overlay import OverlaySettings
from streamcam.pipeline.restyle import plan_restyle, restyle, settings_of
from streamcam.pipeline.settings import RenderSettings
from streamcam.temporal import TemporalSettings, Tracker

FRAMES = 24
LOSSLESS = EncoderSettings("ffv1")


class TwoClasses(FakeExplainer):
    """Explains two classes whose heat moves, ranked in time, or one of them."""

    def __init__(self, *indices: int, **settings: Any) -> None:
        super().__init__(batch_size=3, **settings)
        self._indices = indices or (CAT, DOG)

    def explain_frames(self, frames: list[Frame], tracker: Tracker | None = None) -> list[Explanation]:
        assert tracker is not None
        rows = np.tile(np.linspace(0.1, 0.6, 8, dtype=np.float32), (len(frames), 1))
        rows[:, CAT] += np.float32([0.7 * (frame.index > FRAMES // 2) for frame in frames])
        tracker.rank(frames, rows, [f"class {index}" for index in range(8)], 2)
        return [
            self._explain(one, row) for one, row in zip(super().explain_frames(frames), rows, strict=True)
        ]

    def _explain(self, plain: Explanation, row: NDArray[np.float32]) -> Explanation:
        shifts = {CAT: 0, DOG: 3}
        base = np.exp(-((np.arange(8) - plain.frame_index / 4) ** 2)).astype(np.float32)
        targets = tuple(Prediction(index, f"class {index}", float(row[index])) for index in self._indices)
        heatmaps = {index: np.outer(base[:5], np.roll(base, shifts[index])) for index in self._indices}
        return dataclasses.replace(
            plain, heatmaps=heatmaps, targets=targets, predictions=targets, probabilities=row
        )


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "clip.mp4", frames=FRAMES, audio=[Audio(duration_s=0.9)], paint=paint_noise)


def keep(clip: Path, explainer: FakeExplainer | None = None, **settings: Any) -> Path:
    path = clip.with_name("kept.h5")
    render_with(clip, clip.with_name("first.mp4"), explainer or TwoClasses(), evidence=path, **settings)
    return path


def assert_same_frames(one: Path, other: Path) -> None:
    assert frame_times_of(one) == frame_times_of(other)
    for first, second in zip(images_of(one), images_of(other), strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    "settings",
    [
        RenderSettings(),
        RenderSettings(overlay=OverlaySettings("side-by-side", "viridis", 0.9, "even", legend=True)),
        RenderSettings(overlay=OverlaySettings(labels=False), temporal=TemporalSettings(mode="none")),
        RenderSettings(temporal=TemporalSettings(0.5, "causal", "frame", dim_uncertain=True)),
        RenderSettings(localization=LocalizationSettings(boxes=True, points=2)),
    ],
    ids=["as it was", "look", "unlabeled", "smoothing", "boxes"],
)
def test_a_restyled_video_is_the_rendered_one(clip: Path, settings: RenderSettings) -> None:
    settings = dataclasses.replace(settings, encoder=LOSSLESS)
    direct, again = clip.with_name("direct.mkv"), clip.with_name("again.mkv")
    fields = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
    render_with(clip, direct, TwoClasses(), **fields)
    result = restyle(clip, keep(clip), again, settings=settings)
    assert (result.frames, result.explained, result.complete) == (FRAMES, FRAMES, True)
    assert_same_frames(direct, again)
    assert packets_of(direct, "audio") == packets_of(again, "audio")


@pytest.mark.parametrize(("classes", "index"), [((f"class {CAT}",), CAT), ((DOG,), DOG)])
def test_one_of_several_classes_is_as_if_it_were_alone(
    clip: Path, classes: Sequence[int | str], index: int
) -> None:
    direct, again = clip.with_name("direct.mkv"), clip.with_name("again.mkv")
    render_with(clip, direct, OneOfTwo(index), encoder=LOSSLESS)
    restyle(clip, keep(clip), again, settings=RenderSettings(encoder=LOSSLESS), classes=classes)
    assert_same_frames(direct, again)


class OneOfTwo(TwoClasses):
    """Explains one class and lists both."""

    def __init__(self, index: int) -> None:
        super().__init__()
        self._index = index

    def explain_frames(self, frames: list[Frame], tracker: Tracker | None = None) -> list[Explanation]:
        return [
            dataclasses.replace(
                both,
                heatmaps={self._index: both.heatmaps[self._index]},
                targets=tuple(target for target in both.targets if target.index == self._index),
            )
            for both in super().explain_frames(frames, tracker)
        ]


@pytest.mark.parametrize("every", [3, "auto"])
def test_skipped_frames_stay_skipped(clip: Path, every: int | Literal["auto"]) -> None:
    temporal = TemporalSettings(every=every)
    direct, again = clip.with_name("direct.mkv"), clip.with_name("again.mkv")
    explained = render_with(clip, direct, TwoClasses(), temporal=temporal, encoder=LOSSLESS).explained
    if every == 3:
        assert explained == FRAMES // 3
    evidence = keep(clip, temporal=temporal)
    # What decided which frames were explained stays as it was.
    result = restyle(clip, evidence, again, settings=RenderSettings(encoder=LOSSLESS))
    assert result.explained == explained
    assert_same_frames(direct, again)


def test_what_is_not_given_stays_as_it_was(clip: Path) -> None:
    overlay = OverlaySettings("heat", "jet", labels=False)
    evidence = keep(clip, overlay=overlay, encoder=LOSSLESS)
    with open_evidence(evidence) as kept:
        assert settings_of(kept).overlay == overlay
    direct, again = clip.with_name("direct.mkv"), clip.with_name("again.mkv")
    render_with(clip, direct, TwoClasses(), overlay=dataclasses.replace(overlay, alpha=0.9), encoder=LOSSLESS)
    options = ["--alpha", "0.9", "--codec", "ffv1", "--quiet"]
    assert run(["restyle", str(clip), str(evidence), "-o", str(again), *options]) == 0
    assert_same_frames(direct, again)


def test_a_part_is_restyled_as_it_was_read(clip: Path) -> None:
    source = streamcam.SourceSettings(start_s=0.2, end_s=0.6, size=(32, 24))
    direct, again = clip.with_name("direct.mkv"), clip.with_name("again.mkv")
    render_with(clip, direct, TwoClasses(), source=source, encoder=LOSSLESS)
    restyle(clip, keep(clip, source=source), again, settings=RenderSettings(encoder=LOSSLESS))
    assert len(frame_times_of(again)) == 10
    assert_same_frames(direct, again)


def test_fewer_labels_are_those_of_a_render_that_lists_fewer(clip: Path) -> None:
    class OneLabel(TwoClasses):
        def explain_frames(self, frames: list[Frame], tracker: Tracker | None = None) -> list[Explanation]:
            explained = super().explain_frames(frames, tracker)
            return [dataclasses.replace(one, predictions=one.predictions[:1]) for one in explained]

    direct, again = clip.with_name("direct.mkv"), clip.with_name("again.mkv")
    temporal = TemporalSettings(label_hold_s=0)
    render_with(clip, direct, OneLabel(), temporal=temporal, encoder=LOSSLESS)
    settings = RenderSettings(temporal=temporal, encoder=LOSSLESS)
    with open_evidence(keep(clip, temporal=temporal)) as kept:
        assert {len(one.smoothed_predictions) for one in kept.explanations()} == {2}
        plan, explainer = plan_restyle(clip, kept, again, settings, top_k=1)
        with plan:
            plan.run(explainer)
        assert {len(one.smoothed_predictions) for one in map(explainer._choose, kept.explanations())} == {1}
        kept.header["identity"]["top-k"] = 2
        with pytest.raises(InvalidArgumentError, match="keeps 2 labels a frame, fewer than `top_k` 3"):
            plan_restyle(clip, kept, clip.with_name("more.mkv"), settings, top_k=3)


def test_a_part_of_what_was_kept_is_drawn(clip: Path) -> None:
    evidence = keep(clip, source=streamcam.SourceSettings(start_s=0.2, end_s=0.8))
    plain = RenderSettings(temporal=TemporalSettings(mode="none", scale="frame"), encoder=LOSSLESS)
    whole, part = clip.with_name("whole.mkv"), clip.with_name("part.mkv")
    restyle(clip, evidence, whole, settings=plain)
    source = streamcam.SourceSettings(start_s=0.4, end_s=0.6)
    restyle(clip, evidence, part, settings=dataclasses.replace(plain, source=source))
    planes = 3
    assert len(frame_times_of(part)) == 5
    for one, other in zip(images_of(whole)[5 * planes : 10 * planes], images_of(part), strict=True):
        np.testing.assert_array_equal(one, other)
    for options, message in (
        (["--start", "0.1"], "--start 0.1 is before 0.2 s, where"),
        (["--end", "0.9"], "--end 0.9 is behind 0.8 s, where"),
        (
            ["--class", "zebra"],
            "keeps the classes that it explains (--class NAME, or --target",
        ),
    ):
        output = clip.with_name("refused.mkv")
        with contextlib.redirect_stderr(io.StringIO()) as said:
            assert run(["restyle", str(clip), str(evidence), "-o", str(output), *options]) == 2
        assert message in said.getvalue()
        assert not output.exists()


def test_a_restyled_video_can_be_resumed(clip: Path) -> None:
    evidence, again = keep(clip), clip.with_name("again.mkv")
    settings = RenderSettings(encoder=LOSSLESS, resume=True)
    assert restyle(clip, evidence, again, settings=settings).frames == FRAMES
    direct = clip.with_name("direct.mkv")
    render_with(clip, direct, TwoClasses(), encoder=LOSSLESS)
    assert_same_frames(direct, again)


def test_evidence_of_a_stopped_render_gives_the_frames_that_it_has(clip: Path) -> None:
    evidence = clip.with_name("kept.h5")

    class Stopping(TwoClasses):
        running: Any = None

    explainer = Stopping(before=at(3, lambda: explainer.running.stop()))

    def start(running: Any) -> None:
        explainer.running = running

    first = render_with(clip, clip.with_name("first.mp4"), explainer, evidence=evidence, on_start=start)
    assert first.interrupted
    result = restyle(clip, evidence, clip.with_name("again.mkv"))
    assert (result.frames, result.complete) == (first.frames, True)


def test_an_image_is_restyled(tmp_path: Path) -> None:
    picture = tmp_path / "photo.png"
    make_image(64, 48).to_image().save(picture)
    render_with(picture, tmp_path / "first.png", TwoClasses(), evidence=tmp_path / "kept.h5")
    restyle(picture, tmp_path / "kept.h5", tmp_path / "again.png")
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "first.png").read_bytes()


# --- bad input --------------------------------------------------------------------------------------------


def test_evidence_of_another_video_is_refused_before_anything_is_written(clip: Path) -> None:
    evidence = keep(clip)
    other = make_clip(clip.with_name("other.mp4"), frames=FRAMES)
    before = names_in(clip.parent)
    with pytest.raises(InvalidArgumentError, match=r"'.*kept.h5' was made of another video, '.*clip.mp4"):
        restyle(other, evidence, clip.with_name("again.mkv"))
    assert names_in(clip.parent) == before


def test_another_kind_of_input_is_refused_as_another_video(clip: Path) -> None:
    evidence = keep(clip, source=streamcam.SourceSettings(end_s=0.4))
    picture = clip.with_name("photo.png")
    make_image(64, 48).to_image().save(picture)
    with pytest.raises(InvalidArgumentError, match=r"'.*kept.h5' was made of another video"):
        restyle(picture, evidence, clip.with_name("again.png"))


def test_a_class_that_was_not_kept_is_refused(clip: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"'zebra'.*class 3, class 5"):
        restyle(clip, keep(clip), clip.with_name("again.mkv"), classes=["zebra"])
    assert not clip.with_name("again.mkv").exists()


def test_damaged_evidence_is_refused_before_anything_is_written(clip: Path) -> None:
    evidence = keep(clip)
    os.truncate(evidence, evidence.stat().st_size // 2)
    before = names_in(clip.parent)
    with pytest.raises(SourceError, match=r"'.*kept.h5' is cut or damaged"):
        restyle(clip, evidence, clip.with_name("again.mkv"))
    assert names_in(clip.parent) == before


def test_no_network_is_loaded(clip: Path) -> None:
    program = (
        "import json, sys; from streamcam.cli import run; code = run(sys.argv[1:]);"
        "networks = ('torch', 'torchvision', 'openvino');"
        "print(json.dumps([code, [name for name in networks if name in sys.modules]]))"
    )
    arguments = ["restyle", str(clip), str(keep(clip)), "-o", str(clip.with_name("again.mp4")), "--quiet"]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == [0, []]
