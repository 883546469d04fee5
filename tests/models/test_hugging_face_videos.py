"""Classifiers of clips in folders as Hugging Face's transformers writes them, built untrained."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from media_factory import make_clip
from peers import require_peer
from torch import nn

from streamcam import load_model
from streamcam.cli import run
from streamcam.errors import InvalidArgumentError
from streamcam.explain.batch import MapMaker
from streamcam.explain.hooks import HookedNetwork
from streamcam.explain.methods import METHODS
from streamcam.explain.objectives import Objective
from streamcam.models import Layer, Model, choose_target_layers, probe_layers
from streamcam.models.clip_classifier import ClipClassifier

transformers: Any = pytest.importorskip("transformers")

NAMES = ("opening", "closing", "waiting")
SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "image_size": 48,
    "id2label": dict(enumerate(NAMES)),
}


def videomae() -> nn.Module:
    config = transformers.VideoMAEConfig(patch_size=16, num_frames=8, **SMALL)
    return transformers.VideoMAEForVideoClassification(config)  # type: ignore[no-any-return]


def timesformer() -> nn.Module:
    config = transformers.TimesformerConfig(patch_size=16, num_frames=4, **SMALL)
    return transformers.TimesformerForVideoClassification(config)  # type: ignore[no-any-return]


def vivit() -> nn.Module:
    config = transformers.VivitConfig(tubelet_size=[2, 16, 16], num_frames=8, **SMALL)
    return transformers.VivitForVideoClassification(config)  # type: ignore[no-any-return]


def vjepa2() -> nn.Module:
    config = transformers.VJEPA2Config(
        crop_size=48,
        frames_per_clip=8,
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        mlp_ratio=2.0,
        num_pooler_layers=1,
        pred_hidden_size=48,
        pred_num_attention_heads=2,
        pred_num_hidden_layers=1,
        id2label=dict(enumerate(NAMES)),
    )
    return transformers.VJEPA2ForVideoClassification(config)  # type: ignore[no-any-return]


def saved(build: Callable[[], nn.Module], folder: Path, **processor: Any) -> str:
    """Write an untrained network to a folder, with settings of its image processor; return its name."""
    torch.manual_seed(0)
    network: Any = build()
    for part in network.modules():  # at first so small that all of them answer alike
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=0.2)
    network.save_pretrained(folder)
    if processor:
        (folder / "preprocessor_config.json").write_text(json.dumps(processor), "utf-8")
    return f"hf:{folder}"


KINDS = [
    # T and frames per second; the layer to explain and its moments
    (videomae, 8, 7.5, "videomae.encoder.layer.1", 4),
    (timesformer, 4, 0.9375, "timesformer.encoder.layer.1.layernorm_before", 4),
    (vivit, 8, 15.0, "vivit.layers.1.layernorm_before", 4),
    (vjepa2, 8, 7.5, "pooler.cross_attention_layer.layer_norm1", 4),
]


def probed(model: Model, sides: tuple[int, int] = (48, 48)) -> tuple[torch.Tensor, Layer]:
    """Return a clip of noise, and the layer that is explained by default."""
    generator = torch.Generator().manual_seed(0)
    height, width = sides
    size = (1, 3, model.clip_length, height, width)
    inputs = model.prepare(torch.randint(0, 256, size, dtype=torch.uint8, generator=generator))
    model.module.eval()
    (layer,) = choose_target_layers(probe_layers(model, inputs))
    return inputs, layer


@pytest.mark.parametrize(("build", "length", "rate", "layer", "moments"), KINDS)
def test_a_change_shows_at_its_place_and_moment(
    build: Callable[[], nn.Module], length: int, rate: float, layer: str, moments: int, tmp_path: Path
) -> None:
    model = load_model(saved(build, tmp_path))
    assert isinstance(model, ClipClassifier)
    assert (model.clip_length, model.clip_fps, model.labels) == (length, rate, NAMES)
    inputs, target = probed(model)
    assert target.name == layer
    network = HookedNetwork(model, [target])
    before = network.run(inputs).layer_outputs[0]
    assert target.layout is not None
    per_moment = length // moments
    for moment, row, column in [(0, 2, 1), (moments - 1, 0, 2), (1, 1, 0)]:
        changed = inputs.clone()
        changed[
            :,
            :,
            moment * per_moment : (moment + 1) * per_moment,
            row * 16 : row * 16 + 16,
            column * 16 : column * 16 + 16,
        ] *= -1
        after = network.run(changed).layer_outputs[0]
        moved = target.layout.fold((after - before).detach(), (48, 48)).norm(dim=1)
        volume = target.layout.moments_of(moved, before)[0]
        assert volume.shape == (moments, 3, 3)
        assert np.unravel_index(int(volume.argmax()), volume.shape) == (moment, row, column)


class FramesFirst(nn.Module):
    """The logits alone, of clips with channels first, as pytorch-grad-cam needs them."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network(clips.transpose(1, 2)).logits
        return logits


ORDERS = [
    # From a layer's tokens to (N, C, t, h, w), for three rows of three places and four moments.
    (videomae, lambda tokens: tokens.unflatten(1, (4, 3, 3)).movedim(-1, 1)),
    (timesformer, lambda tokens: tokens[:, 1:].unflatten(1, (3, 3)).movedim(-1, 0).unsqueeze(0)),
    (vivit, lambda tokens: tokens[:, 1:].unflatten(1, (4, 3, 3)).movedim(-1, 1)),
]


@pytest.mark.parametrize(("build", "reshape"), ORDERS)
def test_they_are_explained_as_pytorch_grad_cam_explains_them(
    build: Callable[[], nn.Module], reshape: Callable[[torch.Tensor], torch.Tensor], tmp_path: Path
) -> None:
    peer = require_peer("pytorch_grad_cam")
    image_tools = pytest.importorskip("pytorch_grad_cam.utils.image")
    targets = pytest.importorskip("pytorch_grad_cam.utils.model_targets")
    model = load_model(saved(build, tmp_path))
    inputs, layer = probed(model)
    maker = MapMaker(HookedNetwork(model, [layer]), METHODS["gradcam"], {}, lambda _pixels: inputs)
    run_of_clip = maker.run(inputs.movedim(1, -1).numpy())
    compared = 0
    for category in range(len(NAMES)):
        volume = run_of_clip.maps([Objective(torch.tensor([category]))])[0]
        assert volume.shape == (1, 4, 3, 3)
        (expected,) = peer.GradCAM(
            FramesFirst(model.module), [model.module.get_submodule(layer.name)], reshape_transform=reshape
        )(input_tensor=inputs, targets=[targets.ClassifierOutputTarget(category)])
        enlarged = image_tools.scale_cam_image(np.maximum(volume, 0), (48, 48, model.clip_length))
        (scaled,) = image_tools.scale_cam_image(np.maximum(enlarged, 0))
        np.testing.assert_allclose(scaled, expected, atol=1e-4)
        compared += expected.max() > 0.9
    assert compared


def test_the_folder_s_processor_scales_pixels(tmp_path: Path) -> None:
    """As ViViT's does, which halves the range twice: (p / 127.5 - 1 - 0.5) / 0.5."""
    processor = {
        "size": {"shortest_edge": 56},
        "crop_size": {"height": 48, "width": 48},
        "do_center_crop": True,
        "rescale_factor": 1 / 127.5,
        "offset": True,
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
        "fps": 6,
    }
    model = load_model(saved(vivit, tmp_path, **processor))
    assert (model.input.size, model.input.resize, model.clip_fps) == (48, 56, 6.0)
    pixels = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 1, 1, 1, 3).expand(1, 3, 8, 1, 3)
    prepared = model.prepare(pixels)[0, 1, 3, 0]
    torch.testing.assert_close(prepared, torch.tensor([-3.0, -2.2, 1.0]))


def test_another_size_is_refused_where_positions_have_one_shape(tmp_path: Path) -> None:
    name = saved(vjepa2, tmp_path)
    with pytest.raises(InvalidArgumentError, match="takes only 48x48 pixels, so `input_size` cannot"):
        load_model(name, input_size=64)
    with pytest.raises(ValueError, match="frames of 80x48 pixels"):
        load_model(name).forward(torch.zeros(1, 3, 8, 48, 80))
    wide = load_model(saved(timesformer, tmp_path / "other"))
    assert probed(wide, (48, 80))[1].grid == (3, 5)


def test_a_folder_is_rendered_by_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    saved(videomae, tmp_path / "net")
    make_clip(tmp_path / "clip.mp4", frames=10)
    capsys.readouterr()
    command = ["render", "clip.mp4", "-o", "out.mp4", "--sidecar", "out.jsonl", "--quiet", "--signed"]
    assert run([*command, "--model", "hf:net", "--clip-stride", "2"]) == 0
    assert capsys.readouterr().err == ""
    _, *records = map(json.loads, Path("out.jsonl").read_text("utf-8").splitlines())
    assert len(records) == 10
    assert all(record["target"]["label"] in NAMES for record in records)
