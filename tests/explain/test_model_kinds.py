"""Models that are no classifiers of images: a detector, and a network that takes clips of eight frames."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from media_factory import make_clip
from numpy.typing import NDArray
from toy_models import CLIP_LENGTH, COLORS, SIDE, cell_detector, clip_colors

import streamcam
from streamcam import Explainer, load_model
from streamcam.cli import run
from streamcam.errors import InvalidArgumentError, ModelError
from streamcam.explanations import Instance
from streamcam.frames import Frame
from streamcam.models import Model, Output
from streamcam.sources.given_images import frame_of
from streamcam.temporal import TemporalSettings, Tracker


def cell(row: int, column: int, channel: int = 0, value: int = 255) -> NDArray[np.uint8]:
    """A black image, 32x32, with one cell of 8x8 lit in one channel."""
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    image[row * 8 : row * 8 + 8, column * 8 : column * 8 + 8, channel] = value
    return image


BLACK = cell(0, 0, value=0)


def test_a_detector_is_explained_by_its_best_cell_and_reports_its_boxes() -> None:
    explainer = Explainer(cell_detector(), target_layer="features", fit="stretch")
    (explanation,) = explainer.explain(cell(1, 2) | cell(3, 0, channel=2, value=204))
    assert [(one.label, one.probability) for one in explanation.predictions] == [
        ("red", 1.0),
        ("blue", pytest.approx(0.8, abs=0.01)),
        ("green", 0.0),
    ]
    # The best cell's gradient is 1 and no other has any: the channel's weight, their mean, is 1/16.
    expected = np.zeros((4, 4), np.float32)
    expected[1, 2] = 1 / 16
    np.testing.assert_allclose(explanation.heatmaps[0], expected, atol=1e-6)
    assert [(one.label, one.box) for one in explanation.instances] == [
        ("red", (0.5, 0.25, 0.75, 0.5)),
        ("blue", (0.0, 0.75, 0.25, 1.0)),
    ]
    assert [one.score for one in explanation.instances] == [1.0, pytest.approx(0.8, abs=0.01)]


def test_boxes_are_fractions_of_the_frame_not_of_what_the_network_saw() -> None:
    wide = np.concatenate(
        [np.zeros((32, 16, 3), np.uint8), cell(0, 3), np.zeros((32, 16, 3), np.uint8)], axis=1
    )
    (explanation,) = Explainer(cell_detector(), target_layer="features", fit="crop").explain(wide)
    (instance,) = explanation.instances
    assert instance.box == pytest.approx((40 / 64, 0, 48 / 64, 0.25))


def test_a_custom_target_sees_the_whole_output() -> None:
    def corner(output: Output) -> torch.Tensor:
        assert output.instances is not None
        return output.raw["cells"][:, 0, 0, 0]  # type: ignore[index]

    explainer = Explainer(cell_detector(), target_layer="features", fit="stretch", classes=corner)
    (explanation,) = explainer.explain(cell(0, 0) | cell(1, 2))
    (heatmap,) = explanation.heatmaps.values()
    assert explanation.targets[0].label == "corner"
    # The gradient of the corner is 1, so the channel's weight is 1/16, wherever the channel is active.
    assert heatmap[0, 0] == pytest.approx(1 / 16)
    assert heatmap[1, 2] == pytest.approx(1 / 16)


def clip_explainer(**settings: object) -> Explainer:
    settings = {"target_layer": "features", "fit": "stretch", **settings}
    return Explainer(clip_colors(), **settings)  # type: ignore[arg-type]


def test_each_frame_gets_its_slice_of_a_clip() -> None:
    first, second = clip_explainer().explain([BLACK, cell(1, 2)])
    # The last of four slices is the mean of the last two frames, of which one is lit: 1/2. Every of 4x4x4
    # places has the gradient 1/64, so the channel's weight is 1/64. The first frame lies a quarter of the way
    # to the slice before, which is black.
    assert first.heatmaps[0][1, 2] == pytest.approx(3 / 4 / 128)
    assert second.heatmaps[0].shape == (4, 4)
    assert second.heatmaps[0][1, 2] == pytest.approx(1 / 128)
    assert np.count_nonzero(second.heatmaps[0]) == 1


def test_the_first_frame_is_repeated_at_the_beginning() -> None:
    (explanation,) = clip_explainer().explain(cell(1, 2))
    assert explanation.heatmaps[0][1, 2] == pytest.approx(1 / 64)


@pytest.mark.parametrize("batch_size", [1, 3, 4])
def test_clips_do_not_depend_on_batches(batch_size: int) -> None:
    images = [cell(number % 4, 0, value=25 * number) for number in range(11)]
    whole = clip_explainer(batch_size=16).explain(images)
    parts = clip_explainer(batch_size=batch_size).explain(images)
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(one.heatmaps[0], other.heatmaps[0], rtol=1e-5)
        assert one.predictions[0].probability == pytest.approx(other.predictions[0].probability)


def frames(*images: NDArray[np.uint8], first: int = 0) -> list[Frame]:
    made = [frame_of(image, first + number) for number, image in enumerate(images)]
    return [Frame(one.image, one.index, one.index, Fraction(1, 25), 0.0) for one in made]


def test_the_clip_goes_on_from_call_to_call_and_another_video_begins_another_clip() -> None:
    explainer = clip_explainer()
    explainer.explain_frames(frames(BLACK))
    (later,) = explainer.explain_frames(frames(cell(1, 2), first=1))
    assert later.heatmaps[0][1, 2] == pytest.approx(1 / 128)
    (other,) = explainer.explain_frames(frames(cell(1, 2)))
    assert other.heatmaps[0][1, 2] == pytest.approx(1 / 64)


def test_frames_that_were_explained_before_belong_to_the_clip() -> None:
    explainer = clip_explainer()
    explainer.skip_frames(frames(BLACK))
    (later,) = explainer.explain_frames(frames(cell(1, 2), first=1))
    assert later.heatmaps[0][1, 2] == pytest.approx(1 / 128)


def test_a_cut_begins_another_clip() -> None:
    first, second = (np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8) for seed in (0, 1))
    shots = [np.kron(image, np.ones((8, 8, 1), np.uint8)) for image in [first] * 12 + [second]]
    video = frames(*shots)
    tracker = Tracker(TemporalSettings())
    assert all(tracker.observe(frame) for frame in video)
    assert tracker.is_cut(video[12])
    begun = clip_explainer(classes=0).explain_frames(video, tracker)[12]
    (alone,) = clip_explainer(classes=0).explain(shots[12])
    np.testing.assert_allclose(begun.heatmaps[0], alone.heatmaps[0], rtol=1e-5)


def test_methods_that_look_at_single_images_say_so() -> None:
    with pytest.raises(InvalidArgumentError, match="'scorecam' explains single images, and clips looks at"):
        clip_explainer(method="scorecam")


@pytest.mark.parametrize("method", ["hirescam", "gradcam++", "layercam", "eigencam", "fem", "shapleycam"])
def test_methods_of_one_pass_explain_clips(method: str) -> None:
    explanation = clip_explainer(method=method, classes=0).explain([BLACK, cell(1, 2)])[1]
    assert explanation.heatmaps[0].shape == (4, 4)
    assert np.unravel_index(explanation.heatmaps[0].argmax(), (4, 4)) == (1, 2)


# --- The whole way ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [cell_detector, clip_colors])
def test_they_are_streamed_and_rendered(tmp_path: Path, make: Callable[[], Model]) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=10)
    explainer = Explainer(make())
    assert explainer.target_layer == "features"
    with streamcam.stream(str(clip), explainer) as running:
        assert [explanation.is_explained for _, explanation in running] == [True] * 10
    result = streamcam.render(str(clip), str(tmp_path / "out.mp4"), explainer)
    assert result.frames == 10


@pytest.mark.parametrize("factory", ["cell_detector", "clip_colors"])
def test_they_are_rendered_by_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, factory: str
) -> None:
    monkeypatch.chdir(tmp_path)
    make_clip(tmp_path / "clip.mp4", frames=10)
    command = ["render", "clip.mp4", "-o", "out.mp4", "--sidecar", "out.jsonl", "--quiet"]
    assert run([*command, "--model", f"toy_models:{factory}"]) == 0
    header, *records = map(json.loads, Path("out.jsonl").read_text("utf-8").splitlines())
    assert header["model"] == f"toy_models:{factory}"
    assert len(records) == 10
    assert all(record["target"]["label"] in COLORS for record in records)
    assert any("instances" in record for record in records) == (factory == "cell_detector")


def test_a_factory_s_model_may_get_other_labels_and_nothing_that_it_decides_itself() -> None:
    model = load_model("toy_models:cell_detector", labels=["a", "b", "c"])
    assert (model.name, model.labels) == ("toy_models:cell_detector", ("a", "b", "c"))
    with pytest.raises(ModelError, match="2 labels were given for the 3 classes"):
        load_model("toy_models:cell_detector", labels=["a", "b"])
    with pytest.raises(InvalidArgumentError, match="so `input_size` cannot be changed; leave it out"):
        load_model("toy_models:cell_detector", input_size=64)


def test_they_show_what_they_are() -> None:
    assert repr(clip_colors()) == (
        "ClipColors('clips', 3 classes, input 32x32, clips of 8 frames, weights 'none')"
    )
    assert clip_colors().clip_length == CLIP_LENGTH
    shown = repr(clip_explainer())
    assert shown.startswith("Explainer(ClipColors('clips'")
    assert "method='gradcam', target_layer='features', backend='torch'" in shown
    assert Instance(0, "red", 1.0, (0, 0, 1, 1)).track_id is None


@pytest.mark.parametrize("factory", ["cell_detector", "clip_colors"])
def test_they_are_shown_live_by_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, factory: str
) -> None:
    monkeypatch.chdir(tmp_path)
    make_clip(tmp_path / "clip.mp4", frames=50)
    command = ["live", "clip.mp4", "--loop", "--display", "none", "--duration", "2", "--stats", "s.jsonl"]
    assert run([*command, "--quiet", "--model", f"toy_models:{factory}"]) == 0
    last = json.loads(Path("s.jsonl").read_text("utf-8").splitlines()[-1])
    assert last["explained"] > 0


def test_the_choice_of_device_backend_and_precision_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "streamcam.explain"):
        clip_explainer(device="cpu")
    assert [record.getMessage() for record in caplog.records if record.name == "streamcam.explain"][:2] == [
        "device cpu; layer features; batches of 4",
        "backend torch in fp32: networks that take clips run in torch",
    ]


@pytest.mark.parametrize("make", [cell_detector, clip_colors])
def test_they_are_shown_live_from_python(tmp_path: Path, make: Callable[[], Model]) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=50)
    source = streamcam.SourceSettings(real_time=True, loop=True)
    settings = streamcam.LiveSettings(source, display="none", duration_s=2)
    result = streamcam.live(str(clip), make(), settings=settings)
    assert result.problems == ()
    assert result.statistics.explained > 0
