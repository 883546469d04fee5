"""Audits of networks of which it is known what they look at."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from color_networks import BOX, by_background, by_either, by_object
from toy_models import clip_colors

import streamcam
from streamcam.audits import INTERVENTIONS, AuditResult, AuditSettings, ClassAudit
from streamcam.errors import InvalidArgumentError
from streamcam.models import Classifier, Model

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
    assert thing.inside > 0.8
    assert thing.area == pytest.approx(24 * 24 / (64 * 48))
    assert all(left > 0.95 for left in thing.without_background.values())
    assert thing.without_object["replaced"] == pytest.approx(0.12 / 0.95, abs=0.02)
    assert thing.score > 0.8


def test_a_network_that_knows_the_background_leans_on_it(things: Path) -> None:
    (thing,) = look(things, by_background()).classes
    assert thing.verdict == "leans on the background"
    assert thing.inside < 0.1
    assert all(left > 0.95 for left in thing.without_object.values())
    assert thing.without_background["replaced"] == pytest.approx(0.05, abs=0.02)
    assert thing.score < 0.2


def test_a_network_that_knows_either_is_not_blamed_for_one(things: Path) -> None:
    (thing,) = look(things, by_either()).classes
    assert thing.verdict == "is recognized by the background alone as well as by the object alone"
    assert 0.4 < thing.score < 0.6


def with_left(on_object: float, on_background: float) -> ClassAudit:
    left = [dict.fromkeys(INTERVENTIONS, share) for share in (on_object, on_background)]
    return ClassAudit(0, "thing", 1, 0.9, 0.5, 0.2, left[0], left[1], 0.0)


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
    one = ClassAudit(0, "thing", 1, 0.9, 0.5, 0.2, {"a": 0.9, "b": 0.3}, {"a": 0.1, "b": 0.8}, 0.0)
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
        (by_object, {"roi": "motion"}, "`roi` motion compares neighboring frames"),
        (by_object, {"roi": "64,10,99,20"}, "is outside the picture, which is 64x48 pixels"),
        (by_object, {"roi": "0,0,64,48"}, "no frame of .* has both the region 0,0,64,48 and a class"),
        (by_object, {"roi": "class:bird"}, "no frame of .* has both the region class:bird and a class"),
        (clip_colors, {}, "clips works on clips; an audit compares"),
    ],
)
def test_what_cannot_be_audited_is_refused_in_a_line(
    things: Path, make: Callable[[], Classifier], settings: dict[str, object], says: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=says):
        look(things, make(), **settings)


def test_a_class_without_a_chance_is_left_out(things: Path) -> None:
    explainer = explainer_of(by_object(), classes=["thing", "other"])
    (thing,) = streamcam.audit(things, explainer, AuditSettings(ROI)).classes
    assert thing.label == "thing"
    assert math.isfinite(thing.score)
