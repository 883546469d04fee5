"""Evaluations of a network of which it is known what it looks at."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from color_networks import BOX, by_object, save_thing
from media_factory import make_clip
from numpy.typing import NDArray
from torch import nn
from toy_models import clip_colors

import streamcam
from streamcam.errors import InvalidArgumentError, ModelError, UnknownNameError
from streamcam.evaluation import METRICS, EvaluationProgress, EvaluationResult
from streamcam.evaluation.advice import advise, note_equal
from streamcam.evaluation.results import Judged, MethodResult
from streamcam.evaluation.statistics import bootstrap
from streamcam.models import Classifier, InputSpec, Model

ROI = ",".join(map(str, BOX))
METHODS = ("gradcam", "hirescam", "eigencam")


def explainer_of(model: Model, **settings: Any) -> streamcam.Explainer:
    return streamcam.Explainer(
        model, target_layer="features", backend="torch", precision="fp32", fit="stretch", **settings
    )


def look(path: Path, model: Model | None = None, **settings: Any) -> EvaluationResult:
    explainer = explainer_of(model or by_object(), classes=settings.pop("classes", "thing"))
    given = {"methods": METHODS, "frames": 4, **settings}
    return streamcam.evaluate(path, explainer, streamcam.EvaluationSettings(**given))


@pytest.fixture(scope="module")
def thing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("evaluation") / "thing.png"
    save_thing(path)
    return path


@pytest.fixture(scope="module")
def result(thing: Path) -> EvaluationResult:
    return look(thing, roi=ROI)


def test_a_network_that_sees_a_thing_is_explained_faithfully(result: EvaluationResult) -> None:
    gradcam, hirescam, _ = result.methods
    figures = {name: figure.mean for name, figure in gradcam.figures.items()}
    assert figures["pointing"] == 1
    assert figures["energy"] == pytest.approx(1, abs=0.01)
    # The map is the thing, 0 or 1: without it the probability is 0.12 instead of 0.95.
    area = (BOX[2] - BOX[0]) * (BOX[3] - BOX[1]) / (64 * 48)
    assert figures["complexity"] == pytest.approx(area, abs=0.01)
    assert figures["coherency"] == pytest.approx(1, abs=0.01)
    assert figures["drop"] == pytest.approx(0, abs=0.02)
    assert figures["road"] > 0.25
    assert figures["insertion"] > figures["deletion"] + 0.3
    assert {name: hirescam.figures[name].mean for name in ("drop", "road")} == pytest.approx(
        {name: figures[name] for name in ("drop", "road")}, abs=0.02
    )


def test_methods_that_explain_alike_agree(result: EvaluationResult) -> None:
    agreement = np.array(result.agreement)
    assert agreement.shape == (3, 3)
    np.testing.assert_allclose(np.diag(agreement), 1)
    np.testing.assert_allclose(agreement, agreement.T)
    assert agreement[0, 1] > 0.9


def test_one_of_equal_methods_is_recommended_with_its_reason(result: EvaluationResult) -> None:
    assert result.best in METHODS
    assert result.advice.startswith(f"Use {result.best}: its Combined ROAD, 0.")
    assert result.precision == "fp32"
    assert "stability" not in result.metrics  # a single image


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def paint(index: int, planes: Sequence[NDArray[np.uint8]]) -> None:
        left = 10 + index % 12
        for number, (plane, red) in enumerate(zip(planes, (91, 100, 211), strict=True)):
            plane[:] = ((128, 79, 66) if index < 12 else (40, 159, 123))[number]  # on green, then on blue
            step = 2 if number else 1
            plane[12 // step : 36 // step, left // step : (left + 24) // step] = red

    path = tmp_path_factory.mktemp("film") / "cuts.mkv"
    return make_clip(path, size=(64, 48), frames=24, codec="ffv1", paint=paint)


def test_heat_stays_on_what_moves(film: Path) -> None:
    found = look(film, metrics=("stability", "drop"), methods=("gradcam",), seed=3)
    assert (found.frames, found.shots) == (4, 2)
    assert [one.shot for one in found.judged] == [0, 0, 1, 1]
    assert found.methods[0].figures["stability"].mean > 0.9
    again = look(film, metrics=("stability", "drop"), methods=("gradcam",), seed=3)
    assert [one.values for one in again.judged] == [one.values for one in found.judged]


def test_progress_counts_every_step(thing: Path) -> None:
    seen: list[EvaluationProgress] = []
    settings = streamcam.EvaluationSettings(methods=("gradcam", "eigencam"), metrics=("drop",), frames=1)
    streamcam.evaluate(thing, explainer_of(by_object()), settings, on_progress=seen.append)
    assert [(each.done, each.total) for each in seen] == [(1, 2), (2, 2)]
    assert seen[0].left_s is None
    assert seen[1].left_s == 0


def test_methods_of_many_passes_are_spared_further_maps(thing: Path) -> None:
    found = look(thing, methods=("gradcam", "occlusion:patch=16,stride=16"))
    gradcam, occlusion = found.methods
    assert not math.isnan(gradcam.figures["coherency"].mean)
    assert math.isnan(occlusion.figures["coherency"].mean)
    assert occlusion.figures["coherency"].count == 0
    assert not math.isnan(occlusion.figures["road"].mean)
    assert any("occlusion:patch=16,stride=16" in note and "coherency" in note for note in found.notes)
    asked = look(thing, methods=("occlusion:patch=16,stride=16",), metrics=("coherency",))
    assert asked.methods[0].figures["coherency"].count == 1


def test_a_network_is_as_it_was_afterwards(thing: Path) -> None:
    model = by_object()
    before = {name: tensor.clone() for name, tensor in model.module.state_dict().items()}
    look(thing, model, metrics=("randomization",))
    after = model.module.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


# --- Refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"metrics": ("roads",)}, UnknownNameError, "unknown metric 'roads'; the nearest are: road"),
        ({"methods": ("gradcat",)}, UnknownNameError, "unknown method 'gradcat'"),
        ({"methods": ()}, InvalidArgumentError, "`methods` names none"),
        ({"methods": ("gradcam", "gradcam")}, InvalidArgumentError, "`methods` names 'gradcam' twice"),
        ({"metrics": ("energy",)}, InvalidArgumentError, "metric 'energy' needs a region"),
        ({"metrics": ("stability",)}, InvalidArgumentError, "neighboring frames, and .* is a single image"),
        ({"frames": 0}, InvalidArgumentError, "`frames` counts from 1, not 0"),
        ({"seed": -1}, InvalidArgumentError, "`seed` is 0 or more, not -1"),
        ({"roi": "motion"}, InvalidArgumentError, "`roi` motion"),
        ({"classes": "dragon"}, UnknownNameError, "dragon"),
        ({"classes": ["thing", lambda output: output.scores[:, 0]]}, InvalidArgumentError, "functions"),
    ],
)
def test_what_cannot_be_is_refused(
    thing: Path, settings: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        look(thing, **settings)


def test_clips_are_refused(thing: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"looks at clips, .* an evaluation needs a network that"):
        streamcam.evaluate(thing, streamcam.Explainer(clip_colors()))


class _Nothing(nn.Module):
    """Answers NaN for what is red."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 2, 1)
        self.head = nn.Linear(2, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        broken = torch.where(images[:, :1] > 0.8, torch.nan, 0.0)
        logits: torch.Tensor = self.head((self.features(images) + broken).mean(dim=(2, 3)))
        return logits


def test_a_network_that_answers_nan_is_named(thing: Path) -> None:
    spec = InputSpec((64, 48), 48, (0.0,) * 3, (1.0,) * 3)
    model = Classifier("nothing", _Nothing(), ("thing", "other"), spec, "none")
    with pytest.raises(ModelError, match="nothing answers NaN in frame 0; check its `weights`"):
        look(thing, model)


# --- Advice -----------------------------------------------------------------------------------------------


def judged(method: str, road: list[float], randomization: float = 0.0) -> tuple[MethodResult, list[Judged]]:
    values = [
        Judged(method, frame, 0.0, frame, 0, "thing", 0.9, {"road": value}, False, 0.1)
        for frame, value in enumerate(road)
    ]
    figures = {
        "road": bootstrap(road, range(len(road)), 0),
        "randomization": bootstrap([randomization] * 3, range(3), 0),
    }
    return MethodResult(method, "features", figures, 0.1, 0, {}), values


def advice_on(*methods: tuple[MethodResult, list[Judged]]) -> tuple[str | None, str]:
    metrics = ("road", "randomization")
    return advise(
        [method for method, _ in methods], [one for _, values in methods for one in values], metrics, 0
    )


def test_a_method_that_is_clearly_ahead_is_recommended() -> None:
    best, why = advice_on(
        judged("gradcam", [0.1, 0.12, 0.14, 0.11]), judged("scorecam", [0.3, 0.32, 0.31, 0.33])
    )
    assert best == "scorecam"
    assert why.startswith("Use scorecam: its Combined ROAD, 0.315 (0.30")
    assert why.endswith("is clearly ahead of that of gradcam.")


@pytest.mark.parametrize(
    ("count", "words"), [(1, "this one frame, which is"), (3, "these 3 frames, which are")]
)
def test_a_few_frames_are_not_enough_to_be_sure(count: int, words: str) -> None:
    best, why = advice_on(judged("gradcam", [0.1] * count), judged("scorecam", [0.3] * count))
    assert best == "scorecam"
    assert f"0.300, is the best on {words} too few to be sure" in why


def test_of_equal_methods_the_one_of_fewer_passes_is_recommended() -> None:
    best, why = advice_on(
        judged("scorecam", [0.31, 0.29, 0.35, 0.26]), judged("gradcam", [0.3, 0.3, 0.3, 0.3])
    )
    assert best == "gradcam"
    assert "is as good as that of scorecam within the uncertainty of these frames" in why


def test_an_edge_detector_is_never_recommended() -> None:
    best, why = advice_on(
        judged("guided-backprop", [0.4] * 4, randomization=0.8), judged("gradcam", [0.2] * 4)
    )
    assert best == "gradcam"
    assert "Not guided-backprop: 0.80 of its map's order is left" in why


def test_nothing_is_recommended_where_no_map_says_anything() -> None:
    best, why = advice_on(judged("gradcam", [-0.1, -0.2, -0.1, -0.1]))
    assert best is None
    assert why.startswith("No method points at what the network uses here")
    assert advise([], [], ("drop",), 0)[0] is None


def test_a_result_knows_the_metrics_of_the_table(result: EvaluationResult) -> None:
    assert set(result.metrics) == set(METRICS) - {"stability"}
    assert dataclasses.replace(result, best=None).best is None


def test_methods_that_give_the_same_maps_are_named() -> None:
    names = ("gradcam", "eigencam", "hirescam")
    agreement = ((1.0, 0.3, 0.9999), (0.3, 1.0, 0.3), (0.9999, 0.3, 1.0))
    (note,) = note_equal(names, agreement)
    assert note.startswith("gradcam and hirescam give the same maps here: behind this layer")
    (other,) = note_equal(("gradcam", "xgradcam"), ((1.0, 1.0), (1.0, 1.0)))
    assert other == "gradcam and xgradcam give the same maps here"
