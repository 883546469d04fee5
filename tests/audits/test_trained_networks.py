"""Audits of networks that were trained for it: on a biased background, and on a shuffled one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest
from biased_networks import SIZE, paint, trained
from media_factory import make_clip
from numpy.typing import NDArray

import streamcam
from streamcam.audits import AuditResult, AuditSettings
from streamcam.media.images import planes_of

PER_SCENE = 5


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lossless video, five frames of boards striped across on grass, then five of upright ones on water."""
    folder = tmp_path_factory.mktemp("film")
    painted = [paint(kind, kind, seed=1000 + number) for kind in (0, 1) for number in [kind] * PER_SCENE]
    (folder / "boxes.jsonl").write_text(
        "".join(f"{json.dumps({'frame': n, 'box': box})}\n" for n, (_, box) in enumerate(painted))
    )

    def fill(index: int, planes: Sequence[NDArray[np.uint8]]) -> None:
        image = av.VideoFrame.from_ndarray(painted[index][0], "rgb24").reformat(format="yuv444p")
        for plane, values in zip(planes, planes_of(image), strict=True):
            plane[:] = values

    return make_clip(
        folder / "film.mkv",
        frames=len(painted),
        size=SIZE,
        codec="ffv1",
        pixel_format="yuv444p",
        paint=fill,
    )


def look(film: Path, *, shuffled: bool) -> AuditResult:
    explainer = streamcam.Explainer(
        trained(shuffled=shuffled), target_layer="features", backend="torch", precision="fp32", fit="stretch"
    )
    settings = AuditSettings(str(film.with_name("boxes.jsonl")), frames=4)
    return streamcam.audit(film, explainer, settings)


def test_a_network_that_was_trained_on_a_biased_background_is_found(film: Path) -> None:
    result = look(film, shuffled=False)
    assert {one.label: one.verdict for one in result.classes} == {
        "across": "leans on the background",
        "upright": "leans on the background",
    }
    for one in result.classes:
        assert one.probability > 0.99
        # With the ground in place it is as sure without the board as with it.
        assert min(one.without_object.values()) > 0.99
        # Blurred and shuffled ground has its color still; gray does not, nor what is smeared from the board.
        assert min(one.without_background["blurred"], one.without_background["shuffled"]) > 0.99
        assert min(one.without_background["replaced"], one.without_background["inpainted"]) < 0.5
    assert result.score < 0.4


def test_a_network_that_was_trained_on_shuffled_backgrounds_is_not_blamed(film: Path) -> None:
    result = look(film, shuffled=True)
    assert {one.label: one.verdict for one in result.classes} == {
        "across": "rests on the object",
        "upright": "rests on the object",
    }
    for one in result.classes:
        assert min(one.without_background.values()) > 0.9
        # Gray, smeared and blurred boards have no stripes; shuffled ones keep pieces of them.
        assert max(one.without_object[name] for name in ("blurred", "replaced", "inpainted")) < 0.1
        assert one.heat.inside > one.heat.area
    assert result.score > 0.9


def test_every_scene_has_a_verdict_and_a_worst_frame_with_pictures(film: Path) -> None:
    result = look(film, shuffled=True)
    assert [[one.label for one in scene.classes] for scene in result.scenes] == [["across"], ["upright"]]
    assert [(scene.begin_s, scene.end_s) for scene in result.scenes] == [(0.0, 0.16), (0.2, 0.36)]
    assert {worst.label: worst.time_s < 0.2 for worst in result.worst} == {"across": True, "upright": False}
    for worst in result.worst:
        assert len(worst.pictures) == 9
        assert {each.name for each in worst.pictures} >= {"heat", "background inpainted", "object blurred"}
        assert all(each.jpeg.startswith(b"\xff\xd8") for each in worst.pictures)
        assert worst.pictures[0].probability > 0.99
