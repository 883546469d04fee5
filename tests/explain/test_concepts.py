"""Concepts of a video: what is found, how it is named, and that it holds."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from media_factory import make_clip, paint_noise
from numpy.typing import NDArray
from torch import nn
from video_runs import render_with

import streamcam
from streamcam.audits import AuditSettings
from streamcam.errors import InvalidArgumentError
from streamcam.explain import Explainer
from streamcam.explain.changed_inputs import ChangedInputs
from streamcam.explain.concepts import Concepts
from streamcam.explanations import Explanation, is_concept
from streamcam.models import Classifier, InputSpec
from streamcam.pipeline.stream import ExplainedStream
from streamcam.sources.given_images import frame_of
from streamcam.temporal import TemporalSettings, Tracker

NAMES = ("red", "green", "blue")
Image = NDArray[np.uint8]


class Channels(nn.Module):
    """Each class is a color channel, looked at in cells of 8x8: maps can be worked out by hand."""

    def __init__(self, offset: float = 0.0) -> None:
        super().__init__()
        self.cells = nn.AvgPool2d(8)
        self.features = nn.Conv2d(3, 3, 1)
        self.head = nn.Linear(3, 3, bias=False)
        with torch.no_grad():
            self.features.weight.copy_(torch.eye(3).view(3, 3, 1, 1))
            self.features.bias.fill_(offset)
            self.head.weight.copy_(torch.eye(3))

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.features(self.cells(batch)).mean(dim=(2, 3)))
        return logits


def explainer(offset: float = 0.0, method: str = "dff:concepts=3", **settings: object) -> Explainer:
    spec = InputSpec(32, 32, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    model = Classifier("channels", Channels(offset), NAMES, spec, "none")
    return Explainer(model, **{"method": method, "target_layer": "features", **settings})  # type: ignore[arg-type]


def image(*cells: tuple[int, int, int]) -> Image:
    """A black image, 32x32, with some cells (row, column, channel) lit."""
    pixels = np.zeros((32, 32, 3), np.uint8)
    for row, column, channel in cells:
        pixels[row * 8 : row * 8 + 8, column * 8 : column * 8 + 8, channel] = 255
    return pixels


def by_name(explanation: Explanation) -> dict[str, NDArray[np.float32]]:
    return {target.label: explanation.heatmaps[target.index] for target in explanation.targets}


def test_each_part_has_a_map_and_the_name_of_the_class_it_speaks_for() -> None:
    (found,) = explainer().explain(image((0, 1, 0), (2, 2, 1), (3, 0, 2)))
    maps = by_name(found)
    assert sorted(maps) == sorted(NAMES)
    assert all(map(is_concept, found.heatmaps))
    for name, place in (("red", (0, 1)), ("green", (2, 2)), ("blue", (3, 0))):
        expected = np.zeros((4, 4))
        expected[place] = maps[name][place]
        np.testing.assert_allclose(maps[name], expected, atol=1e-4)
        assert maps[name][place] > 0.5


def video(*images: Image) -> Iterator[streamcam.Frame]:
    for index, pixels in enumerate(images):
        frame = frame_of(pixels)
        yield dataclasses.replace(frame, index=index, pts=index, time_base=Fraction(1, 25))


def explained(used: Explainer, *images: Image) -> list[Explanation]:
    """Explain the frames of a video one by one, as a live session does."""
    tracker = Tracker(TemporalSettings(cuts="off"))
    found = []
    for frame in video(*images):
        tracker.observe(frame)
        (raw,) = used.explain_frames([frame], tracker)
        found.append(tracker.complete(frame, raw))
    return found


RED, GREEN, BLUE = image((0, 0, 0)), image((1, 1, 1)), image((2, 2, 2))
ALL = image((0, 0, 0), (1, 1, 1), (2, 2, 2))


def test_a_concept_keeps_its_place_while_others_come() -> None:
    """Without a sample: what was red stays the same color when green and blue come in."""
    found = explained(explainer(), RED, RED, ALL, ALL, GREEN, BLUE, ALL)
    first = found[0].targets[0].index
    assert found[0].targets[0].label == "red"
    places = [{target.label: target.index for target in one.targets} for one in found]
    assert all(place["red"] == first for place in places)
    settled = places[2]
    assert all(place == settled for place in places[2:])


def test_concepts_of_a_sample_stay_as_they_are_for_all_of_the_video() -> None:
    used = explainer()
    used.learn(list(video(RED, GREEN, BLUE)))
    found = explained(used, RED, RED, GREEN)
    names = [[target.label for target in one.targets] for one in found]
    assert names[0] == names[1] == names[2]
    assert sorted(names[0]) == sorted(NAMES)
    assert by_name(found[0])["green"].max() == 0
    assert by_name(found[2])["green"].argmax() == 5


def test_the_next_video_has_concepts_of_its_own() -> None:
    used = explainer(method="dff:concepts=1")
    used.learn(list(video(RED)))
    assert explained(used, RED)[0].targets[0].label == "red"
    assert explained(used, GREEN)[0].targets[0].label == "green"


def test_two_videos_at_the_same_time_do_not_mix() -> None:
    used = explainer(method="dff:concepts=1")
    other = used.beside()
    used.learn(list(video(RED)))
    other.learn(list(video(GREEN)))
    assert [explained(each, ALL)[0].targets[0].label for each in (used, other)] == ["red", "green"]


def test_layers_with_negative_values_are_cut_off_and_that_is_said() -> None:
    used = explainer(offset=-0.5)
    (found,) = used.explain(image((0, 0, 0)))
    assert any("cuts off what is negative in layer features" in note for note in used.notes)
    assert by_name(found)["red"].argmax() == 0
    plain = explainer()
    plain.explain(RED)
    assert not any("negative" in note for note in plain.notes)


def test_names_that_several_have_are_numbered() -> None:
    concepts = Concepts(2, NAMES)
    activations = torch.tensor([1.0, 0.0, 0.5, 0.5]).view(1, 2, 1, 2)

    def answer(planes: torch.Tensor) -> torch.Tensor:
        return torch.tensor([[0.0, 1.0, 0.0]]).expand(len(planes), -1)

    concepts.basis_for(activations, answer)
    assert concepts.names == ["green", "green (2)"]


def test_a_frame_of_nothing_but_nan_is_left_out() -> None:
    concepts = Concepts(1, NAMES)
    assert concepts.basis_for(torch.full((1, 2, 2, 2), torch.nan), torch.zeros_like).tolist() == [[0.0, 0.0]]
    concepts.basis_for(torch.ones(1, 2, 2, 2), lambda planes: torch.eye(3)[: len(planes)])
    assert concepts.names == ["red"]


def test_what_cannot_be_is_one_line() -> None:
    with pytest.raises(InvalidArgumentError, match="takes one layer, not 2; set `target_layer` to one of"):
        explainer(target_layer="cells+features")
    with pytest.raises(InvalidArgumentError, match="no negative evidence"):
        explainer(signed=True)
    with pytest.raises(InvalidArgumentError, match="an evaluation needs the map of a class"):
        ChangedInputs(explainer(method="gradcam"), ["dff"])
    with pytest.raises(InvalidArgumentError, match="an audit needs the map of a class"):
        streamcam.audit("media/cat.jpg", explainer(), AuditSettings())
    assert any("the same parts whatever class" in note for note in explainer(classes="red").notes)


def test_an_interrupted_render_goes_on_with_the_same_concepts(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=24, paint=paint_noise)
    records = [tmp_path / "whole.jsonl", tmp_path / "resumed.jsonl"]
    used = explainer(method="dff:concepts=2", fit="stretch")
    render_with(clip, tmp_path / "whole.mp4", used, resume=True, sidecar=records[0])
    running: list[ExplainedStream] = []
    stopped = render_with(
        clip,
        tmp_path / "resumed.mp4",
        used,
        resume=True,
        sidecar=records[1],
        on_start=running.append,
        on_progress=lambda progress: running[0].stop() if progress.frames == 9 else None,
    )
    assert stopped.interrupted
    fresh = explainer(method="dff:concepts=2", fit="stretch")
    result = render_with(clip, tmp_path / "resumed.mp4", fresh, resume=True, sidecar=records[1])
    assert (result.frames, result.interrupted) == (24, False)
    assert records[0].read_bytes() == records[1].read_bytes()
