"""Networks that compare images with texts: open_clip's, built untrained."""

from __future__ import annotations

import dataclasses
import json
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from media_factory import make_clip, make_image
from peers import require_peer, scaled_as_pytorch_grad_cam
from torch import nn

import streamcam
from streamcam import Explainer, LiveSettings, SourceSettings, load_model
from streamcam.cli import run
from streamcam.errors import InvalidArgumentError, ModelError, SourceNotFoundError, UnknownNameError
from streamcam.frames import Frame
from streamcam.models.prompts import PromptModel
from streamcam.overlay.label_panel import format_percentage
from streamcam.overlay.overlay import _list_labels
from streamcam.session.command_sources import CommandQueue
from streamcam.session.outputs import LiveFrame, Output
from streamcam.sinks.sidecar import frame_record
from streamcam.temporal import TemporalSettings, Tracker

open_clip: Any = pytest.importorskip("open_clip")

IMAGE = np.random.default_rng(0).integers(0, 256, (7, 7, 3), np.uint8).repeat(32, 0).repeat(32, 1)
DESK, PERSON = "an empty desk", "a person holding a phone"
TOY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 64, "layers": 3, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


@pytest.fixture
def toy(tmp_path: Path) -> str:
    """A small vision transformer with a text tower, known to open_clip by name."""
    (tmp_path / "streamcam-toy.json").write_text(json.dumps(TOY), "utf-8")
    open_clip.add_model_config(tmp_path / "streamcam-toy.json")
    return "clip:streamcam-toy"


class Similarities(nn.Module):
    """The similarities alone, as pytorch-grad-cam needs them."""

    def __init__(self, model: PromptModel) -> None:
        super().__init__()
        self.network = model.module.eval()
        self.model = model

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.model.read(self.network(images)).scores


def load(name: str, *prompts: str, **settings: Any) -> PromptModel:
    model = load_model(name, weights="none", prompts=prompts, **settings)
    assert isinstance(model, PromptModel)
    return model


def test_prompts_are_the_classes_and_several_have_probabilities(toy: str) -> None:
    model = load(toy, DESK, PERSON)
    explainer = Explainer(model, backend="torch")
    (explanation,) = explainer.explain(IMAGE)
    similarities = model.forward(explainer.preprocess(IMAGE)).scores[0].detach()
    assert similarities.abs().max() <= 1
    expected = (model.scale * similarities).softmax(dim=0)
    assert model.labels == (DESK, PERSON)
    assert explanation.predictions[0].probability == pytest.approx(float(expected.max()), abs=1e-5)
    values = {one.index: one.value for one in explanation.predictions}
    assert values == pytest.approx(dict(enumerate(similarities.tolist())), abs=1e-5)
    assert explanation.targets[0].value == explanation.predictions[0].value
    assert explanation.heatmaps[explanation.targets[0].index].shape == (4, 4)
    (one,) = Explainer(model, classes="person").explain(IMAGE)
    assert one.targets[0].label == PERSON


def test_a_single_prompt_shows_its_similarity(toy: str) -> None:
    model = load(toy, DESK)
    explainer = Explainer(model, backend="torch")
    (explanation,) = explainer.explain(IMAGE)
    similarity = float(model.forward(explainer.preprocess(IMAGE)).scores[0, 0].detach())
    assert model.answers_values
    assert explanation.predictions[0].value == pytest.approx(similarity, abs=1e-5)


def test_a_network_with_a_bias_judges_each_prompt_by_itself(toy: str) -> None:
    model = dataclasses.replace(load(toy, DESK), scale=10.0, bias=-3.0)
    assert not model.answers_values
    probabilities = model.probabilities(torch.tensor([[0.3, 0.5]]))
    torch.testing.assert_close(probabilities, torch.tensor([[0.5, 1 / (1 + math.exp(-2))]]))
    (one,) = Explainer(model, backend="torch").explain(IMAGE)[0].predictions
    assert one.value is not None
    assert one.probability == pytest.approx(1 / (1 + math.exp(3 - 10 * one.value)), rel=1e-4)


def test_similarities_stand_before_probabilities(toy: str) -> None:
    explainer = Explainer(load(toy, DESK, PERSON), backend="torch")
    tracker = Tracker(TemporalSettings())
    frame = Frame(make_image(64, 64), 0, 0, Fraction(1, 25), 0.0)
    tracker.observe(frame)
    (explanation,) = explainer.explain_frames([frame], tracker)
    explanation = tracker.complete(frame, explanation)
    first, second = explanation.smoothed_predictions
    assert (first.value, second.value) == tuple(one.value for one in explanation.predictions)
    lines = _list_labels(explanation.smoothed_predictions, (), ())
    assert first.value is not None
    assert lines[0].score == f"{first.value:.2f} · {format_percentage(first.probability)}"
    shown = frame_record(0, 0.0, explanation)["predictions"][0]
    assert shown["value"] == pytest.approx(first.value, rel=1e-3)
    assert shown["probability"] == pytest.approx(first.probability, rel=1e-3)
    assert f"{first.value:.2f} · " in explanation._repr_html_()


def test_features_are_averaged_over_templates(toy: str) -> None:
    templates = ["a photo of {}", "a drawing of {}"]
    model = load(toy, DESK, templates=templates)
    plain = load(toy, *(template.replace("{}", DESK) for template in templates))
    mean = F.normalize(plain.texts.mean(dim=0), dim=0)
    torch.testing.assert_close(model.texts[0], mean)


def test_they_are_explained_as_pytorch_grad_cam_explains_them(toy: str) -> None:
    peer = require_peer("pytorch_grad_cam")
    targets = pytest.importorskip("pytorch_grad_cam.utils.model_targets")
    model = load(toy, DESK, PERSON)
    explainer = Explainer(model, backend="torch", classes=1)
    layer = model.module.get_submodule(explainer.target_layer)
    assert explainer.target_layer == "transformer.resblocks.2.ln_1"
    (explanation,) = explainer.explain(IMAGE)
    (expected,) = peer.GradCAM(
        Similarities(model),
        [layer],
        reshape_transform=lambda tokens: tokens[:, 1:].transpose(1, 2).unflatten(2, (4, 4)),
    )(input_tensor=explainer.preprocess(IMAGE), targets=[targets.ClassifierOutputTarget(1)])
    assert expected.max() > 0.9
    np.testing.assert_allclose(
        scaled_as_pytorch_grad_cam(explanation.heatmaps[1], (64, 64)), expected, atol=1e-4
    )


def test_legrad_explains_them(toy: str) -> None:
    (explanation,) = Explainer(load(toy, DESK, PERSON), method="legrad").explain(IMAGE)
    (heatmap,) = explanation.heatmaps.values()
    assert heatmap.shape == (4, 4)
    assert heatmap.any()


def test_legrad_differentiates_by_the_attention_of_each_block(toy: str) -> None:
    model = load(toy, DESK, PERSON)
    (explanation,) = Explainer(model, method="legrad:blocks=1", classes=1).explain(IMAGE)
    inputs = Explainer(model).preprocess(IMAGE)
    # The last block by hand, with its attention in sight.
    visual: Any = model.module
    block = visual.transformer.resblocks[-1]
    kept: list[torch.Tensor] = []
    handle = block.register_forward_pre_hook(lambda _block, given: kept.append(given[0].detach()))
    model.module(inputs)
    handle.remove()
    tokens = kept[0]
    query, key, value = (
        part.unflatten(2, (2, 16)).transpose(1, 2)
        for part in F.linear(block.ln_1(tokens), block.attn.in_proj_weight, block.attn.in_proj_bias).chunk(
            3, -1
        )
    )
    attention = (query @ key.transpose(-2, -1) / 4).softmax(dim=-1).detach().requires_grad_()
    mixed = (attention @ value).transpose(1, 2).flatten(2)
    tokens = tokens + block.attn.out_proj(mixed)
    tokens = tokens + block.mlp(block.ln_2(tokens))
    features = visual.ln_post(tokens.mean(dim=1)) @ visual.proj
    score = F.normalize(features, dim=-1) @ model.texts[1]
    (gradient,) = torch.autograd.grad(score.sum(), attention)
    expected = gradient.relu().mean(dim=(1, 2))[0, 1:].view(4, 4)
    np.testing.assert_allclose(explanation.heatmaps[1], expected.numpy(), rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_an_explainer_of_other_prompts_shares_the_network(toy: str, backend: str) -> None:
    explainer = Explainer(load(toy, DESK), backend=backend, precision="fp32")
    assert explainer.backend == backend
    other = explainer.with_prompts([PERSON, DESK])
    assert other.model.module is explainer.model.module
    (found,), (expected,) = (
        one.explain(IMAGE) for one in (other, Explainer(load(toy, PERSON, DESK), backend="torch"))
    )
    for ours, theirs in zip(found.predictions, expected.predictions, strict=True):
        assert (ours.index, ours.label) == (theirs.index, theirs.label)
        assert (ours.probability, ours.value) == pytest.approx((theirs.probability, theirs.value), abs=1e-4)
    index = found.targets[0].index
    scale = np.abs(expected.heatmaps[index]).max()
    np.testing.assert_allclose(found.heatmaps[index], expected.heatmaps[index], atol=1e-3 * scale)
    (first,) = explainer.explain(IMAGE)[0].predictions  # which stays as it was
    assert first.label == DESK
    assert math.isnan(first.probability)


def test_prompts_change_while_a_session_runs(toy: str, tmp_path: Path) -> None:
    make_clip(tmp_path / "clip.mp4", frames=6)
    commands = CommandQueue()
    seen: list[set[str]] = []

    class Watcher(Output):
        may_block = False

        def write(self, live_frame: LiveFrame) -> None:
            heat = live_frame.heat
            labels = set() if heat is None else {label.label for label in heat.labels}
            if heat is None or not labels or labels in seen:
                return
            seen.append(labels)
            if labels == {DESK}:
                commands.send("add_prompt", PERSON)
            elif labels == {DESK, PERSON}:
                assert heat.targets[0].label == PERSON
                commands.send("replace_prompts", "a cup")
            else:
                commands.send("quit")

    source = SourceSettings(real_time=True, loop=True)
    settings = LiveSettings(display="none", source=source, duration_s=60)
    streamcam.live(
        tmp_path / "clip.mp4", load(toy, DESK), settings=settings, outputs=[Watcher()], commands=[commands]
    )
    assert seen == [{DESK}, {DESK, PERSON}, {"a cup"}]


def test_convolutional_towers_are_explained_at_their_last_stage() -> None:
    explainer = Explainer(load("clip:RN50", DESK, PERSON))
    assert explainer.target_layer == "layer4"
    (explanation,) = explainer.explain(IMAGE)
    assert next(iter(explanation.heatmaps.values())).shape == (7, 7)


def test_coca_is_explained_by_its_image_features(tmp_path: Path) -> None:
    texts = {**TOY["text_cfg"], "context_length": 76}
    pools = {"attentional_pool": True, "attn_pooler_heads": 2, "output_tokens": True}
    config = {
        "embed_dim": 16,
        "vision_cfg": {**TOY["vision_cfg"], **pools},
        "text_cfg": {**texts, "embed_cls": True, "output_tokens": True},
        "multimodal_cfg": {**texts, "attn_pooler_heads": 2},
        "custom_text": True,
    }
    (tmp_path / "streamcam-coca.json").write_text(json.dumps(config), "utf-8")
    open_clip.add_model_config(tmp_path / "streamcam-coca.json")
    model = load("clip:streamcam-coca", DESK)
    network = open_clip.create_model("streamcam-coca", load_weights=False).eval()
    network.visual.load_state_dict(model.module.state_dict())
    explainer = Explainer(model, backend="torch", signed=True)
    inputs = explainer.preprocess(IMAGE)
    with torch.no_grad():
        expected = network.encode_image(inputs)
        torch.testing.assert_close(F.normalize(model.module(inputs), dim=-1), expected)
    (explanation,) = explainer.explain(IMAGE)
    assert np.ptp(explanation.heatmaps[0]) > 0


def test_a_folder_of_open_clip_holds_network_weights_and_normalization(tmp_path: Path) -> None:
    folder = tmp_path / "toy"
    folder.mkdir()
    with pytest.raises(SourceNotFoundError, match=r"no open_clip_config\.json in .*; clip:FOLDER is a"):
        load(f"clip:{folder}", DESK)
    settings = {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}
    written = json.dumps({"model_cfg": TOY, "preprocess_cfg": settings})
    (folder / "open_clip_config.json").write_text(written, "utf-8")
    untrained = load(f"clip:{folder}", DESK)
    assert (untrained.input.mean, untrained.input.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    with pytest.raises(SourceNotFoundError, match="no weights file"):
        load_model(f"clip:{folder}", prompts=[DESK])
    network = open_clip.create_model(f"local-dir:{folder}", load_weights=False)
    with torch.no_grad():
        network.visual.proj.fill_(0.25)
    torch.save(network.state_dict(), folder / "open_clip_pytorch_model.bin")
    model = load_model(f"clip:{folder}", prompts=[DESK])
    assert torch.equal(model.module.get_parameter("proj"), network.visual.proj)
    assert model.weights == str(folder)


def test_what_cannot_be_is_refused_in_one_line(toy: str) -> None:
    with pytest.raises(InvalidArgumentError, match="with texts; say with which ones by `prompts`"):
        load(toy)
    with pytest.raises(InvalidArgumentError, match="`prompts` is for networks that compare images"):
        load_model("resnet18", weights="none", prompts=[DESK])
    with pytest.raises(InvalidArgumentError, match="a prompt is there twice"):
        load(toy, DESK, DESK)
    with pytest.raises(InvalidArgumentError, match="template 'a photo' has no"):
        load(toy, DESK, templates="a photo")
    with pytest.raises(UnknownNameError, match="unknown model 'clip:RN51'"):
        load("clip:RN51", DESK)
    with pytest.raises(ModelError, match="3 labels were given for 2 prompts"):
        load(toy, DESK, PERSON, labels=["a", "b", "c"])
    with pytest.raises(InvalidArgumentError, match="takes only 64x64 images"):
        load(toy, DESK, input_size=128)


def test_they_are_rendered_by_the_command_line(
    toy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    make_clip(tmp_path / "clip.mp4", frames=4)
    command = ["render", "clip.mp4", "-o", "out.mp4", "--sidecar", "out.jsonl", "--quiet"]
    command += ["--weights", "none", "--prompt", DESK]
    several = ["--prompt", PERSON, "--template", "a photo of {}", "--class", PERSON, "--signed"]
    assert run([*command, "--model", toy, *several]) == 0
    assert capsys.readouterr().err == ""
    _, *records = map(json.loads, Path("out.jsonl").read_text("utf-8").splitlines())
    assert all(record["target"]["label"] == PERSON for record in records)
    assert run([*command, "--overwrite", "--model", "resnet18"]) == 2
    assert "--prompt is for networks that compare images with texts" in capsys.readouterr().err


def test_a_picture_takes_the_place_of_texts(toy: str) -> None:
    model = load_model(toy, weights="none", compares=True)
    assert model.labels == ("similarity",)
    settings: dict[str, Any] = {"backend": "torch", "precision": "fp32"}
    same, other = Explainer(model, reference=IMAGE, **settings).explain([IMAGE, IMAGE[::-1].copy()])
    assert same.predictions[0].value == pytest.approx(1, abs=1e-4)
    with torch.no_grad():
        explainer = Explainer(model, reference=IMAGE, **settings)
        features = [model.module(explainer.preprocess(image)) for image in (IMAGE, IMAGE[::-1].copy())]
    assert other.predictions[0].value == pytest.approx(float(F.cosine_similarity(*features)), abs=1e-4)
    with pytest.raises(InvalidArgumentError, match="compares images with a picture; give `reference`"):
        Explainer(model)
    with pytest.raises(InvalidArgumentError, match="with texts or with a `reference`, not with both"):
        load_model(toy, weights="none", compares=True, prompts=["a cat"])
    with pytest.raises(InvalidArgumentError, match="'finercam' compares a class with others"):
        Explainer(model, reference=IMAGE, method="finercam")
