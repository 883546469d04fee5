"""Ending methods that run the network many times, between two of the runs."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch
from stage_fakes import LIMIT_S, expect
from torch import nn
from toy_source import ToySource

from streamcam import stream
from streamcam.errors import CancelledError
from streamcam.explain import Explainer, PaneExplainer
from streamcam.models import Classifier, InputSpec
from streamcam.panes import Comparison
from streamcam.sources.given_images import frame_of

CHANNELS, BATCH = 8, 2

METHODS = ["scorecam", "ablationcam", "reciprocam", "smoothgradcam++", "occlusion:patch=8,stride=4"]


class Watched(nn.Module):
    """A convolution and the mean of each channel, which says when it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, CHANNELS, 3, padding=1)
        self.runs = 0
        self.before: Callable[[int], None] = lambda _run: None

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        self.runs += 1
        self.before(self.runs)
        means: torch.Tensor = self.features(batch).relu().mean(dim=(2, 3))
        return means


def watched_explainer(method: str) -> tuple[Explainer, Watched]:
    torch.manual_seed(0)
    module = Watched()
    spec = InputSpec(32, 32, mean=(0.0,) * 3, std=(1.0,) * 3)
    model = Classifier("watched", module, tuple(f"class {index}" for index in range(CHANNELS)), spec, "none")
    explainer = Explainer(
        model, method=method, target_layer="features", backend="torch", precision="fp32", batch_size=BATCH
    )
    for question in (explainer.runner.map_maker, *(each.map_maker for each in explainer._questions)):
        if question is not None:
            object.__setattr__(question, "variants_at_once", 1)  # a run for every changed image
    module.runs = 0
    return explainer, module


@pytest.mark.parametrize("method", METHODS)
def test_a_method_of_many_passes_ends_between_two_of_them_and_can_be_used_again(method: str) -> None:
    explainer, module = watched_explainer(method)
    image = np.zeros((48, 64, 3), np.uint8)
    image[:24] = 255
    (expected,) = explainer.explain(image)
    of_a_whole_map = module.runs
    module.runs = 0
    with pytest.raises(CancelledError), explainer.cancelled_by(lambda: module.runs >= 3):
        explainer.explain(image)
    assert module.runs == 3 < of_a_whole_map
    (again,) = explainer.explain(image)
    for index, heatmap in expected.heatmaps.items():
        np.testing.assert_array_equal(again.heatmaps[index], heatmap)


def test_a_comparison_ends_between_two_passes_too() -> None:
    explainer, module = watched_explainer("gradcam")
    panes = PaneExplainer(explainer, Comparison(methods=("gradcam", "scorecam")))
    module.runs = 0
    with pytest.raises(CancelledError), panes.cancelled_by(lambda: module.runs >= 2):
        panes.explain_frames([frame_of(np.zeros((48, 64, 3), np.uint8))])
    assert module.runs == 2, "one for each method, and none for changed images"


def test_a_stream_that_is_stopped_waits_for_one_pass_and_hands_over_whole_frames() -> None:
    explainer, module = watched_explainer("scorecam")
    begun, go_on = threading.Event(), threading.Event()
    of_the_first_batch = 1 + BATCH * CHANNELS  # and none for the images as they are

    def wait_in_the_second_batch(run: int) -> None:
        if run == of_the_first_batch + 4:
            begun.set()
            expect(go_on)

    module.before = wait_in_the_second_batch
    with stream(ToySource("red"), explainer) as running:
        pairs = iter(running)
        handed = [next(pairs)[0].index for _ in range(BATCH)]
        expect(begun)
        running.stop()
        go_on.set()
        handed += [frame.index for frame, _ in pairs]
    assert handed == [0, 1]
    assert running.stopped
    assert module.runs == of_the_first_batch + 4, "no pass begins after the stop"


def test_a_stream_that_is_left_waits_for_one_pass() -> None:
    explainer, module = watched_explainer("scorecam")
    begun, go_on = threading.Event(), threading.Event()

    def wait(run: int) -> None:
        if run == 3:
            begun.set()
            expect(go_on)

    module.before = wait
    with stream(ToySource("red"), explainer) as running:
        expect(begun)
        ending = threading.Thread(target=running.close)
        ending.start()
        running.stop()
        go_on.set()
        ending.join(LIMIT_S)
    assert not ending.is_alive()
    assert module.runs == 3


def test_what_takes_one_pass_is_still_explained_after_a_stop() -> None:
    explainer, module = watched_explainer("gradcam")
    begun, go_on = threading.Event(), threading.Event()

    def wait(run: int) -> None:
        if run == 1:
            begun.set()
            expect(go_on)

    module.before = wait
    with stream(ToySource("red"), explainer) as running:
        expect(begun)
        running.stop()
        go_on.set()
        assert [frame.index for frame, _ in running][:BATCH] == [0, 1]
