"""How videos are cut into clips, which clip explains a frame, and the frame's slice of its map."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from peers import require_peer
from torch import nn
from toy_models import cell_detector, clip_colors

from streamcam import Explainer, load_model
from streamcam.errors import InvalidArgumentError
from streamcam.explain.batch import MapMaker
from streamcam.explain.clip_runs import slice_at
from streamcam.explain.clips import ClipBuffer, ClipTiming
from streamcam.explain.hooks import HookedNetwork
from streamcam.explain.methods import METHODS
from streamcam.explain.objectives import Objective
from streamcam.frames import Frame
from streamcam.models import choose_target_layers, probe_layers
from streamcam.sources.given_images import frame_of


def frame(index: int, rate: float = 15) -> Frame:
    return Frame(object(), index, index, 1 / Fraction(rate), 0.0)  # type: ignore[arg-type]


def pixels(number: int, side: int = 1) -> Any:
    return np.full((side, side, 3), number, np.uint8)


def numbers(clip: Any) -> list[int]:
    """The frames of a clip, as `pixels` numbered them."""
    values: list[int] = clip[:, 0, 0, 0].tolist()
    return values


def filled(timing: ClipTiming, count: int, rate: float = 15, cuts: Sequence[int] = ()) -> ClipBuffer:
    buffer = ClipBuffer(timing)
    buffer.begin(frame(0, rate))
    for index in range(count):
        buffer.add(frame(index, rate), pixels(index), starts_shot=index in cuts)
    return buffer


@pytest.mark.parametrize("rate", [15, 24, 25, 30, 50, 60, 10, 7.5])
def test_videos_are_sampled_as_torchvision_s_evaluation_does(rate: float) -> None:
    from torchvision.datasets.video_utils import VideoClips

    buffer = filled(ClipTiming(16, 15.0, 4), 80, rate)
    clip = buffer.clip_of(frame(0, rate))
    expected = VideoClips._resample_video_idx(16, rate, 15.0)
    expected = list(range(80))[expected] if isinstance(expected, slice) else expected.tolist()
    assert numbers(buffer.pixels(clip)) == expected[:16]


def test_timestamps_that_a_container_rounded_do_not_shift_samples() -> None:
    buffer = ClipBuffer(ClipTiming(4, 15.0, 1))
    video = [Frame(object(), index, round(index * 1000 / 30), Fraction(1, 1000), 0.0) for index in range(8)]  # type: ignore[arg-type]
    buffer.begin(video[0])
    for index, one in enumerate(video):
        buffer.add(one, pixels(index), starts_shot=False)
    assert numbers(buffer.pixels(buffer.clip_of(video[0]))) == [0, 2, 4, 6]


def test_a_frame_is_explained_by_the_clip_with_the_nearest_middle() -> None:
    buffer = filled(ClipTiming(4, 15.0, 2), 11)
    clips = [numbers(buffer.pixels(buffer.clip_of(frame(index)))) for index in range(11)]
    # Clips begin at 0, 2, 4, 6 and, because the video ends, at 7. Middles: 1.5, 3.5, 5.5, 7.5, 8.5.
    begins = [clip[0] for clip in clips]
    assert begins == [0, 0, 0, 2, 2, 4, 4, 6, 6, 7, 7]
    assert all(clip == list(range(clip[0], clip[0] + 4)) for clip in clips)
    assert [buffer.position(frame(index)) for index in (0, 4, 10)] == [0, 2, 3]


def test_a_clip_spans_no_cut_and_a_short_shot_repeats_its_first_frame() -> None:
    buffer = filled(ClipTiming(4, 15.0, 1), 9, cuts=[5, 7])
    assert [numbers(buffer.pixels(buffer.clip_of(frame(index)))) for index in (4, 5, 6, 8)] == [
        [1, 2, 3, 4],
        [5, 5, 5, 6],
        [5, 5, 5, 6],
        [7, 7, 7, 8],
    ]


def test_a_clip_holds_frames_of_one_size() -> None:
    buffer = filled(ClipTiming(4, 15.0, 1), 3)
    buffer.add(frame(3), pixels(3, side=2), starts_shot=False)
    assert buffer.pixels(buffer.clip_of(frame(3))).shape == (4, 2, 2, 3)


def test_a_pause_is_filled_with_the_frame_before_it() -> None:
    buffer = filled(ClipTiming(4, 15.0, 1), 3)
    late = Frame(object(), 3, 10**9, Fraction(1, 15), 0.0)  # type: ignore[arg-type]
    buffer.add(late, pixels(3), starts_shot=False)
    assert numbers(buffer.pixels(buffer.clip_of(late))) == [2, 2, 2, 3]


def test_no_more_is_kept_than_clips_can_hold() -> None:
    buffer = ClipBuffer(ClipTiming(8, 15.0, 2))
    for index in range(500):
        buffer.begin(frame(index))
        buffer.add(frame(index), pixels(index % 256), starts_shot=index % 100 == 99)
        assert sum(len(shot.samples) for shot in buffer._shots) <= 16
        assert numbers(buffer.pixels(buffer.clip_of(frame(index))))[-1] == index % 256
    assert len(buffer._places) <= 2


def test_frames_behind_a_batch_stay_known_for_the_next_one() -> None:
    buffer = filled(ClipTiming(4, 15.0, 1), 6)
    buffer.begin(frame(3))
    assert numbers(buffer.pixels(buffer.clip_of(frame(3)))) == [2, 3, 4, 5]
    assert not buffer.is_new(frame(5))
    assert buffer.is_new(frame(6))


def test_a_slice_is_interpolated_between_the_moments_around_it() -> None:
    volume = np.array([[[0.0]], [[8.0]]], np.float32)  # of 8 frames: their middles are 1.5 and 5.5
    assert [float(slice_at(volume, at, 8)[0, 0]) for at in range(8)] == [0, 0, 1, 3, 5, 7, 8, 8]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"clip_fps": 0.0}, "`clip_fps` is a number of frames in a second, above 0, not 0"),
        ({"clip_stride": 9}, "`clip_stride` is from 1 to the 8 frames of a clip of clips, not 9"),
        ({"clip_stride": 0}, "`clip_stride` is from 1 to the 8 frames of a clip of clips, not 0"),
    ],
)
def test_impossible_clips_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        Explainer(clip_colors(), **settings)
    assert str(caught.value) == message


@pytest.mark.parametrize(("count", "noted"), [(7, True), (8, False)])
def test_a_note_says_that_a_short_shot_is_filled_up(count: int, noted: bool) -> None:
    explainer = Explainer(clip_colors(), backend="torch", clip_fps=15)
    images = [np.full((32, 32, 3), 90, np.uint8)] * count
    frames = [
        dataclasses.replace(frame_of(image), index=index, pts=index, time_base=Fraction(1, 15))
        for index, image in enumerate(images)
    ]
    explainer.explain_frames(frames)
    note = (
        "where a shot has lasted shorter than a clip of clips (0.5 s), its first frame is repeated before it"
    )
    assert (note in explainer.notes) == noted


@pytest.mark.parametrize("parameter", ["clip_fps", "clip_stride"])
def test_networks_of_single_images_have_no_clips(parameter: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"`{parameter}` is for networks that look at clips"):
        Explainer(cell_detector(), **{parameter: 4})  # type: ignore[arg-type]


class MeanOfFrames(nn.Module):
    """A network of images that takes the frames of a clip one by one: (N, 3, T, H, W) → (N, 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 6, 16, stride=16)
        self.head = nn.Linear(6, 3)

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        frames = self.features(clips.transpose(1, 2).flatten(0, 1)).relu().mean(dim=(2, 3))
        scores: torch.Tensor = self.head(frames.unflatten(0, (len(clips), -1)).mean(dim=1))
        return scores


def test_networks_that_take_frames_one_by_one_have_a_slice_for_each() -> None:
    torch.manual_seed(0)
    model = clip_colors().with_module(MeanOfFrames())
    inputs = torch.rand(1, 3, 8, 32, 32, generator=torch.Generator().manual_seed(0))
    (layer,) = choose_target_layers(probe_layers(model, inputs))
    assert (layer.name, layer.shape, layer.grid) == ("features", (8, 6, 2, 2), (2, 2))
    maker = MapMaker(HookedNetwork(model, [layer]), METHODS["gradcam"], {}, lambda _pixels: inputs)
    network: Any = model.module
    features = network.features(inputs[0].transpose(0, 1)).detach()  # (8, 6, 2, 2)
    for category in range(3):
        volume = maker.run(inputs.movedim(1, -1).numpy()).maps([Objective(torch.tensor([category]))])[0, 0]
        positive = (features > 0).float() * network.head.weight[category].detach().view(1, 6, 1, 1) / (8 * 4)
        weights = positive.mean(dim=(0, 2, 3)).view(1, 6, 1, 1)
        expected = (weights * features).sum(dim=1).numpy()
        np.testing.assert_allclose(volume, expected, rtol=1e-4, atol=1e-7)


# --- Torchvision's networks -------------------------------------------------------------------------------


def test_r3d_18_is_explained_as_pytorch_grad_cam_explains_it() -> None:
    peer = require_peer("pytorch_grad_cam")
    image_tools = pytest.importorskip("pytorch_grad_cam.utils.image")
    targets = pytest.importorskip("pytorch_grad_cam.utils.model_targets")
    model = load_model("video:r3d_18", weights="none")
    generator = torch.Generator().manual_seed(0)
    clip = torch.randint(0, 256, (1, 16, 64, 96, 3), dtype=torch.uint8, generator=generator)
    inputs = model.prepare(clip.movedim(-1, 1))
    layers = choose_target_layers(probe_layers(model, inputs))
    assert [layer.name for layer in layers] == ["layer4"]
    maker = MapMaker(HookedNetwork(model, layers), METHODS["gradcam"], {}, lambda _pixels: inputs)
    run = maker.run(clip.numpy())
    volume = run.maps([Objective(torch.tensor([7]))])[0]
    assert volume.shape == (1, 2, 4, 6)
    (expected,) = peer.GradCAM(model.module, [model.module.layer4])(
        input_tensor=inputs, targets=[targets.ClassifierOutputTarget(7)]
    )
    enlarged = image_tools.scale_cam_image(np.maximum(volume, 0), (96, 64, 16))
    (scaled,) = image_tools.scale_cam_image(np.maximum(enlarged, 0))  # as it does after it enlarged them
    assert expected.max() > 0.9
    np.testing.assert_allclose(scaled, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "length", "rate"),
    [("r3d_18", 16, 15.0), ("mvit_v2_s", 16, 7.5), ("s3d", 128, 15.0), ("swin3d_t", 32, 15.0)],
)
def test_clips_are_those_that_the_weights_were_evaluated_with(name: str, length: int, rate: float) -> None:
    model = load_model(f"video:{name}", weights="none")
    assert (model.clip_length, model.clip_fps) == (length, rate)
    assert model.labels[:2] == ("abseiling", "air drumming")
    assert len(model.labels) == 400
