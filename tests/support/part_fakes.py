"""What tests of parts of one video share: an explainer whose answers depend on time, and renders of its."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from fake_ray import FakeRay
from numpy.typing import NDArray
from stage_fakes import FakeExplainer, explanation_of

import streamcam
from streamcam import RayCluster, RenderSettings
from streamcam.cluster import ray_cluster
from streamcam.explanations import Explanation, Prediction
from streamcam.frames import Frame
from streamcam.media.images import planes_of
from streamcam.pipeline.results import RenderResult
from streamcam.temporal import Tracker

FRAMES = 120
CPU = {"CPU": 2.0}
LABELS = ("dark", "bright", "gray")


class RankingExplainer(FakeExplainer):
    """Explains the class that is held over time: whether an image is dark or bright."""

    method = "fake"
    model = types.SimpleNamespace(
        name="fake", weights="none", labels=LABELS, may_find_objects=False, clip_length=1
    )

    def explain_frames(
        self, frames: list[Frame], tracker: Tracker | None = None, context: Sequence[Frame] = ()
    ) -> list[Explanation]:
        assert tracker is not None
        assert not context
        self._before(frames[0].index)
        light = np.array([planes_of(frame.image)[0].mean() / 255 for frame in frames], np.float32)
        probabilities = np.stack([0.9 - light, light, np.full_like(light, 0.1)], axis=1)
        ranking = tracker.rank(frames, probabilities, LABELS, 2, listed=2)
        return [
            dataclasses.replace(
                explanation_of(frame.index),
                heatmaps={best: np.full((2, 3), light[row], np.float32)},
                targets=(Prediction(best, LABELS[best], float(probabilities[row, best])),),
                method=self.method,
            )
            for row, (frame, best) in enumerate(zip(frames, ranking[:, 0].tolist(), strict=True))
        ]


def paint_waves(index: int, planes: Sequence[NDArray[np.uint8]]) -> None:
    """Fill an image with a gray that swings slowly around the middle, without cuts."""
    planes[0][:] = round(114 + 24 * np.sin(index / 9))
    planes[1][:] = planes[2][:] = 128


def start(
    monkeypatch: pytest.MonkeyPatch, *machines: dict[str, float], **hooks: Callable[[str], bool]
) -> FakeRay:
    """Start a cluster; the hooks are those of `FakeRay`."""
    ray = FakeRay(*machines, **hooks)
    monkeypatch.setattr(ray_cluster, "load_ray", lambda: ray)
    return ray


def render(
    video: str, output: str, make: Callable[[], Any] = RankingExplainer, **settings: Any
) -> RenderResult:
    return streamcam.render(
        video,
        f"{output}.mp4",
        make,
        settings=RenderSettings(sidecar=f"{output}.jsonl", **settings),
        cluster=RayCluster("cluster:1", part_s=1.0),
    )
