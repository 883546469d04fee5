"""Audits of networks of which it is known what they look at."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from color_networks import BOX, by_background, by_either, by_object, save_thing
from media_factory import make_clip
from numpy.typing import NDArray
from toy_models import clip_colors

import streamcam
from streamcam.audits import INTERVENTIONS, AuditResult, AuditSettings, ClassAudit, HeatShare
from streamcam.errors import InvalidArgumentError, ModelError
from streamcam.models import Classifier, Model
from streamcam.sources import SourceSettings, open_source
from streamcam.temporal.sampling import sample_frames

ROI = ",".join(map(str, BOX))


def explainer_of(model: Model, **settings: Any) -> streamcam.Explainer:
    return streamcam.Explainer(
        model, target_layer="features", backend="torch", precision="fp32", fit="stretch", **settings
    )


def look(things: Path, model: Model, **settings: object) -> AuditResult:
    explainer = explainer_of(model)
    given = {"roi": ROI, "frames": 2, **settings}
    return streamcam.audit(things, explainer, AuditSettings(**given))  # type: ignore[arg-type]


def test_a_network_that_knows_the_thing_rests_on_the_object(things: Path) -> None:
    (thing,) = look(things, by_object()).classes
    assert (thing.label, thing.frames) == ("thing", 2)
    assert thing.verdict == "rests on the object"
    assert thing.probability == pytest.approx(0.95, abs=0.02)
    assert thing.heat.inside > 0.8
    assert thing.heat.area == pytest.approx(24 * 24 / (64 * 48))
    assert all(left > 0.95 for left in thing.without_background.values())
    assert thing.without_object["replaced"] == pytest.approx(0.12 / 0.95, abs=0.02)
    assert thing.score > 0.8


def test_a_network_that_knows_the_background_leans_on_it(things: Path) -> None:
    (thing,) = look(things, by_background()).classes
    assert thing.verdict == "leans on the background"
    assert thing.heat.inside < 0.1
    assert all(left > 0.95 for left in thing.without_object.values())
    assert thing.without_background["replaced"] == pytest.approx(0.05, abs=0.02)
    assert thing.score < 0.2


def test_a_network_that_knows_either_is_not_blamed_for_one(things: Path) -> None:
    (thing,) = look(things, by_either()).classes
    assert thing.verdict == "is recognized by the background alone as well as by the object alone"
    assert 0.4 < thing.score < 0.6


def with_left(on_object: float, on_background: float) -> ClassAudit:
    left = [dict.fromkeys(INTERVENTIONS, share) for share in (on_object, on_background)]
    share = HeatShare(0.5, 0.2)
    return ClassAudit(0, "thing", 1, 0.9, share, left[0], left[1], 0.0, share)


@pytest.mark.parametrize(
    ("on_object", "on_background", "score", "verdict"),
    [
        (1, 0, 1, "rests on the object"),
        (0.3, 0.2, 0.6, "rests on the object"),
        (0.5, 0.5, 0.5, "is recognized by the background alone as well as by the object alone"),
        (0.2, 0.3, 0.4, "leans on the background"),
        (0, 1, 0, "leans on the background"),
        (0.05, 0.01, 5 / 6, "needs object and background together"),
        (0, 0, 0.5, "needs object and background together"),
    ],
)
def test_the_verdict_follows_from_what_is_left(
    on_object: float, on_background: float, score: float, verdict: str
) -> None:
    one = with_left(on_object, on_background)
    assert one.score == pytest.approx(score)
    assert one.verdict == verdict


def test_the_most_harmful_intervention_counts() -> None:
    left = {"without_background": {"a": 0.9, "b": 0.3}, "without_object": {"a": 0.1, "b": 0.8}}
    one = dataclasses.replace(with_left(1, 1), **left)
    assert (one.on_object, one.on_background, one.score) == (0.3, 0.1, pytest.approx(0.75))


def test_progress_is_told_after_every_frame(things: Path) -> None:
    told: list[tuple[int, int]] = []
    explainer = explainer_of(by_object())
    streamcam.audit(things, explainer, AuditSettings(ROI), on_progress=lambda *done: told.append(done))
    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("make", "settings", "says"),
    [
        (by_object, {"frames": 0}, "`frames` counts from 1, not 0"),
        (by_object, {"roi": "motion"}, "the region motion and a class .*: nothing in it moves"),
        (by_object, {"roi": "64,10,99,20"}, "is outside the picture, which is 64x48 pixels"),
        (by_object, {"roi": "0,0,64,48"}, "0,0,64,48 .*: the region covers all of it, and leaves"),
        (
            by_object,
            {"roi": "class:bird"},
            "`roi` class:bird needs objects, and by object finds none; let a detector",
        ),
        (clip_colors, {}, "clips looks at clips, several frames at once; an audit needs"),
    ],
)
def test_what_cannot_be_audited_is_refused_in_a_line(
    things: Path, make: Callable[[], Classifier], settings: dict[str, object], says: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=says):
        look(things, make(), **settings)


def test_a_network_that_answers_nan_is_named(things: Path) -> None:
    model = by_object()
    with torch.no_grad():
        next(model.module.parameters()).fill_(torch.nan)
    with pytest.raises(ModelError, match="by object answers NaN in frame 0; check its `weights`"):
        look(things, model)


def test_a_class_without_a_chance_is_left_out(things: Path) -> None:
    explainer = explainer_of(by_object(), classes=["thing", "other"])
    (thing,) = streamcam.audit(things, explainer, AuditSettings(ROI)).classes
    assert thing.label == "thing"
    assert math.isfinite(thing.score)


def test_heat_is_measured_in_the_center_and_on_what_moves_too(things: Path) -> None:
    (thing,) = look(things, by_object()).classes
    assert thing.center.area == pytest.approx(0.25)
    assert thing.center.inside == pytest.approx(1, abs=0.1)
    assert thing.motion is None, "the images are all the same"


def test_the_region_can_be_what_moves(tmp_path: Path) -> None:
    for number, left in enumerate((8, 12, 16)):
        save_thing(tmp_path / f"{number}.png", (left, 12, left + 24, 36))
    (thing,) = look(tmp_path, by_object(), roi="motion", frames=3).classes
    assert thing.frames == 2, "before the first there is none"
    assert thing.motion == thing.heat
    assert thing.heat.inside == pytest.approx(1 / 3, abs=0.1), "a plain thing changes at its edges only"
    assert thing.heat.area < 0.2


def test_frames_are_sampled_from_every_shot(tmp_path: Path) -> None:
    def paint(index: int, planes: Sequence[NDArray[np.uint8]]) -> None:
        for number, plane in enumerate(planes):
            plane[:] = 128
            if not number:  # a short first shot: a bright left half; a long second one: a bright lower half
                plane[:, :32] = 220
                if index >= 4:
                    plane[:] = 30
                    plane[24:] = 220

    film = make_clip(tmp_path / "cuts.mkv", frames=40, codec="ffv1", paint=paint)
    with open_source(film, SourceSettings()) as source:
        frames, shots = sample_frames(source, 5)
    assert [(each.frame.index < 4, each.shot) for each in frames] == [(True, 0), *[(False, 1)] * 4]
    assert [shot.begin_s for shot in shots] == [0, pytest.approx(0.16)]
    assert all(frames[place].frame.index + 3 <= frames[place + 1].frame.index for place in range(1, 4))


def test_frames_that_tell_nothing_are_counted_and_motion_is_looked_for(tmp_path: Path) -> None:
    """Of two frames, the first has none before it: another one is taken, in which something has moved."""
    for index in range(9):
        save_thing(tmp_path / f"{index:02}.png", (10 + 3 * index, 12, 34 + 3 * index, 36))
    result = streamcam.audit(
        tmp_path / "%02d.png", explainer_of(by_object()), AuditSettings("motion", frames=2)
    )
    (thing,) = result.classes
    assert thing.frames == 2
    assert result.notes == ()
    (tmp_path / "boxes").mkdir()
    boxes = tmp_path / "boxes.jsonl"
    boxes.write_text('{"frame": 4, "box": [22, 12, 46, 36]}\n', encoding="utf-8")
    result = streamcam.audit(
        tmp_path / "%02d.png", explainer_of(by_object()), AuditSettings(str(boxes), frames=2)
    )
    assert result.classes[0].frames == 1
    assert result.notes == (), "only frames with boxes are looked at"
