"""Several maps of each frame: those of explainers of their own, from as few runs of the network as can be."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
from torchvision.models import resnet18
from toy_models import clip_colors

from streamcam.errors import InvalidArgumentError, ModelError, UnknownNameError
from streamcam.explain import Explainer, PaneExplainer
from streamcam.explain.runner import NetworkRunner
from streamcam.explanations import Explanation
from streamcam.frames import Frame
from streamcam.models import Classifier, InputSpec, Model
from streamcam.models.labels import numbered_labels
from streamcam.panes import Comparison
from streamcam.pipeline.stream import stream
from streamcam.sources import SyntheticSource
from streamcam.sources.given_images import frames_of
from streamcam.temporal import TemporalSettings, Tracker

FAST = ("gradcam", "hirescam", "gradcam++", "eigencam")


def photographs() -> list[Frame]:
    pixels = [skimage.data.astronaut(), skimage.data.coffee()[:, :512]]
    small = [np.ascontiguousarray(each[:384:4, ::4]) for each in pixels]
    frames = frames_of(small)
    return [dataclasses.replace(frame, time_base=Fraction(1, 10)) for frame in frames]


def residual(classes: int = 10) -> Model:
    torch.manual_seed(3)
    return Classifier(
        f"resnet{classes}", resnet18(num_classes=classes), numbered_labels(classes), InputSpec(64, 64), "none"
    )


def explainer_of(model: Model, **settings: Any) -> Explainer:
    return Explainer(model, **{"backend": "torch", "precision": "fp32", "batch_size": 2, **settings})


@pytest.fixture(scope="module")
def explainer() -> Explainer:
    return explainer_of(residual())


class Runs:
    """Counts the runs of a network."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, *_: object) -> None:
        self.count += 1


@pytest.fixture
def runs(explainer: Explainer) -> Iterator[Runs]:
    counter = Runs()
    handle = explainer.model.module.register_forward_hook(counter)
    yield counter
    handle.remove()


def panes_of(explanation: Explanation) -> list[Explanation]:
    return [explanation, *explanation.others]


def assert_same(pane: Explanation, alone: Explanation) -> None:
    assert (pane.method, pane.target_layer, pane.targets) == (alone.method, alone.target_layer, alone.targets)
    assert pane.predictions == alone.predictions
    for index, heatmap in alone.heatmaps.items():
        np.testing.assert_allclose(pane.heatmaps[index], heatmap, rtol=1e-4, atol=1e-7)


def test_methods_share_one_run_and_give_the_maps_of_their_own_explainers(
    explainer: Explainer, runs: Runs
) -> None:
    panes = PaneExplainer(explainer)
    runs.count = 0
    explanations = panes.explain_frames(photographs())
    assert runs.count == 1
    for explanation in explanations:
        assert [pane.pane for pane in panes_of(explanation)] == list(FAST)
    for number, method in enumerate(FAST):
        alone = explainer_of(explainer.model, method=method).explain_frames(photographs())
        for explanation, own in zip(explanations, alone, strict=True):
            assert_same(panes_of(explanation)[number], own)


def test_gradients_that_several_methods_need_are_computed_once(
    explainer: Explainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, differentiate = Runs(), torch.autograd.grad

    def count(*arguments: Any, **options: Any) -> Any:
        calls()
        return differentiate(*arguments, **options)

    panes = PaneExplainer(explainer, Comparison(methods=(*FAST, "finercam")))
    monkeypatch.setattr(torch.autograd, "grad", count)
    panes.explain_frames(photographs())
    assert calls.count == 2  # one of the class's score, and one of what Finer-CAM differentiates


def test_layers_share_one_run(explainer: Explainer, runs: Runs) -> None:
    comparison = Comparison(methods=("gradcam", "eigencam"), layers=("layer2", "layer4"))
    panes = PaneExplainer(explainer, comparison)
    runs.count = 0
    (explanation, *_) = panes.explain_frames(photographs())
    assert runs.count == 1
    names = ["gradcam · layer2", "gradcam · layer4", "eigencam · layer2", "eigencam · layer4"]
    assert [pane.pane for pane in panes_of(explanation)] == names
    for pane in panes_of(explanation):
        method, layer = pane.pane.split(" · ")
        own = explainer_of(explainer.model, method=method, target_layer=layer)
        assert_same(pane, own.explain_frames(photographs())[0])


def test_layers_are_chosen_from_the_first_stage_to_the_last(explainer: Explainer) -> None:
    (explanation, *_) = PaneExplainer(explainer, Comparison(layers=("auto:5",))).explain_frames(photographs())
    assert [pane.pane for pane in panes_of(explanation)] == ["relu", "layer1", "layer2", "layer3", "layer4"]


def test_networks_of_all_panes_run_a_frame_that_comes_alone_by_itself(
    explainer: Explainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    panes = PaneExplainer(explainer, Comparison(methods=("gradcam", "occlusion")))
    asked: list[int | None] = []
    run = NetworkRunner.run

    def note(self: NetworkRunner, *arguments: Any, batch_size: int | None) -> Any:
        asked.append(batch_size)
        return run(self, *arguments, batch_size=batch_size)

    monkeypatch.setattr(NetworkRunner, "run", note)
    with panes.short_batches():
        found = panes.explain_frames(photographs()[:1])
        panes.explain_frames(photographs())
    assert asked == [1, 1, None, None]  # occlusion has a run of its own
    for ours, theirs in zip(found, panes.explain_frames(photographs()[:1]), strict=True):
        for pane, same in zip(panes_of(ours), panes_of(theirs), strict=True):
            assert_same(pane, same)
    assert asked[4:] == [None, None]


@pytest.mark.parametrize("every", [1, "auto"])
def test_panes_that_show_the_same_are_noted_whichever_frames_are_explained(
    explainer: Explainer, every: Any
) -> None:
    panes = PaneExplainer(explainer, Comparison(methods=("gradcam", "hirescam")))
    source = SyntheticSource(width=64, height=64, frame_count=5)
    assert len(list(stream(source, panes, temporal=TemporalSettings(every=every)))) == 5
    assert any("give the same maps" in note for note in panes.notes)


def test_classes_and_ranks_are_panes(explainer: Explainer, runs: Runs) -> None:
    panes = PaneExplainer(explainer, Comparison(classes=(7, "top2")))
    runs.count = 0
    tracker, frames = Tracker(TemporalSettings()), photographs()
    for frame in frames:
        tracker.observe(frame)
    for explanation in panes.explain_frames(frames, tracker):
        fixed, first, second = panes_of(explanation)
        assert [target.index for target in fixed.targets] == [7]
        best = [prediction.index for prediction in explanation.predictions[:2]]
        assert [first.targets[0].index, second.targets[0].index] == best
        assert second.pane == f"top 2 · {second.targets[0].label}"
    assert runs.count == 1


def test_methods_that_look_deeper_have_a_run_of_their_own_and_the_same_maps(explainer: Explainer) -> None:
    comparison = Comparison(methods=("gradcam", "guided-backprop", "shapleycam"))
    (explanation, *_) = PaneExplainer(explainer, comparison).explain_frames(photographs())
    for pane, method in zip(panes_of(explanation), comparison.methods, strict=True):
        assert_same(pane, explainer_of(explainer.model, method=method).explain_frames(photographs())[0])


def test_each_network_ranks_its_own_classes(explainer: Explainer) -> None:
    other = explainer_of(residual(classes=4))
    comparison = Comparison(models=("ten", "four"), methods=("gradcam", "hirescam"))
    panes = PaneExplainer([explainer, other], comparison)
    tracker, frames = Tracker(TemporalSettings()), photographs()
    for frame in frames:
        tracker.observe(frame)
    for frame, explanation in zip(frames, panes.explain_frames(frames, tracker), strict=True):
        ten, _, four, also_four = panes_of(tracker.complete(frame, explanation))
        assert (ten.pane, four.pane, also_four.pane) == ("ten · gradcam", "four · gradcam", "four · hirescam")
        for pane, classes in ((ten, 10), (four, 4), (also_four, 4)):
            assert pane.thumbnail is not None
            assert len(pane.smoothed_predictions) == 3
            assert max(prediction.index for prediction in pane.smoothed_predictions) < classes
        assert four.smoothed_predictions == also_four.smoothed_predictions != ten.smoothed_predictions


def test_a_frame_that_was_skipped_is_so_in_every_pane(explainer: Explainer) -> None:
    tracker, frames = Tracker(TemporalSettings(every=2, cuts="off")), photographs()
    assert [tracker.observe(frame) for frame in frames] == [True, False]
    (explained,) = PaneExplainer(explainer).explain_frames(frames[:1], tracker)
    tracker.complete(frames[0], explained)
    skipped = tracker.complete(frames[1], None)
    assert [pane.is_explained for pane in panes_of(skipped)] == [False] * 4
    assert [pane.frame_index for pane in panes_of(skipped)] == [1] * 4
    assert [pane.pane for pane in panes_of(skipped)] == list(FAST)


def test_networks_of_clips_are_compared_too() -> None:
    settings = {"backend": "torch", "precision": "fp32"}
    frames = [dataclasses.replace(frame, time_base=Fraction(1, 2)) for frame in photographs()]
    panes = PaneExplainer(Explainer(clip_colors(), **settings), Comparison(methods=("gradcam", "hirescam")))
    explanations = panes.explain_frames(frames)
    for number, method in enumerate(("gradcam", "hirescam")):
        alone = Explainer(clip_colors(), method=method, **settings).explain_frames(frames)
        for explanation, own in zip(explanations, alone, strict=True):
            assert_same(panes_of(explanation)[number], own)


@pytest.mark.parametrize(
    ("comparison", "error", "message"),
    [
        (Comparison(methods=("gradcam", "gradcan")), UnknownNameError, "unknown method 'gradcan'"),
        (Comparison(layers=("layer4", "layer9")), UnknownNameError, "unknown layer 'layer9'"),
        (Comparison(layers=("auto:64",)), InvalidArgumentError, "'auto:64' are more than this network has"),
        (Comparison(layers=("layer4", "fc")), ModelError, "layer 'fc' puts out"),
        (Comparison(classes=(3, "zebra")), UnknownNameError, "unknown class 'zebra'"),
        (Comparison(classes=("top11",)), InvalidArgumentError, "asks for 11 classes of 10"),
        (Comparison(models=("a", "b")), InvalidArgumentError, "`models` has 2 names for 1 explainers"),
    ],
)
def test_what_the_network_does_not_have_is_refused(
    explainer: Explainer, comparison: Comparison, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        PaneExplainer(explainer, comparison)


def test_a_method_that_does_not_go_with_the_network_is_refused() -> None:
    clips = Explainer(clip_colors(), backend="torch", precision="fp32")
    with pytest.raises(InvalidArgumentError, match="method 'occlusion' explains single"):
        PaneExplainer(clips, Comparison(methods=("gradcam", "occlusion")))


def test_methods_that_give_the_same_maps_are_named() -> None:
    """Behind global pooling and one linear layer gradcam is hirescam; further in it is not."""
    (image,) = frames_of("media/cat.jpg")
    notes = {}
    for layer in ("features", "features.4"):
        explainer = Explainer(target_layer=layer, precision="fp32", backend="torch")
        panes = PaneExplainer(explainer, Comparison(methods=("gradcam", "hirescam", "eigencam")))
        panes.explain_frames([image])
        notes[layer] = [note for note in panes.notes if "the same maps" in note]
    (note,) = notes["features"]
    assert note.startswith("gradcam and hirescam give the same maps here: behind this layer")
    assert notes["features.4"] == []
