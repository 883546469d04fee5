"""Networks that compare images with texts, in folders of Hugging Face's transformers, untrained."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from media_factory import make_clip
from peers import require_peer, scaled_as_pytorch_grad_cam
from torch import nn

from streamcam import Explainer, load_model
from streamcam.cli import run
from streamcam.errors import InvalidArgumentError
from streamcam.models.prompts import PromptModel

transformers: Any = pytest.importorskip("transformers")

IMAGE = np.random.default_rng(0).integers(0, 256, (6, 6, 3), np.uint8).repeat(16, 0).repeat(16, 1)
DESK, PERSON = "an empty desk", "a person holding a phone"
WORDS = ["<pad>", "<start>", "<end>", "<unk>", *f"{DESK} {PERSON} photo of".split()]

VISION = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "patch_size": 16,
}
TEXT = {
    "vocab_size": 32,
    "hidden_size": 24,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_position_embeddings": 12,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def clip() -> nn.Module:
    config = transformers.CLIPConfig(
        text_config=TEXT, vision_config={**VISION, "image_size": 96}, projection_dim=16
    )
    return transformers.CLIPModel(config)  # type: ignore[no-any-return]


def siglip() -> nn.Module:
    text = {**TEXT, "hidden_size": 32, "projection_size": 32}
    config = transformers.SiglipConfig(text_config=text, vision_config={**VISION, "image_size": 96})
    return transformers.SiglipModel(config)  # type: ignore[no-any-return]


def siglip2() -> nn.Module:
    text = {**TEXT, "hidden_size": 32, "projection_size": 32}
    config = transformers.Siglip2Config(text_config=text, vision_config={**VISION, "num_patches": 36})
    return transformers.Siglip2Model(config)  # type: ignore[no-any-return]


def saved(build: Callable[[], nn.Module], folder: Path, **processor: Any) -> str:
    """Write an untrained network and a tokenizer of words to a folder, and return its name."""
    tokenizers: Any = pytest.importorskip("tokenizers")
    torch.manual_seed(0)
    network: Any = build()
    for part in network.modules():  # at first so small that all images look alike
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=0.2)
    network.save_pretrained(folder)
    vocabulary = {word: index for index, word in enumerate(dict.fromkeys(WORDS))}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="<start> $A <end>", special_tokens=[("<start>", 1), ("<end>", 2)]
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<start>", eos_token="<end>"
    ).save_pretrained(folder)
    if processor:
        (folder / "preprocessor_config.json").write_text(json.dumps(processor), "utf-8")
    return f"hf:{folder}"


class Similarities(nn.Module):
    """The similarities alone, as pytorch-grad-cam needs them."""

    def __init__(self, model: PromptModel) -> None:
        super().__init__()
        self.network = model.module.eval()
        self.model = model

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.model.read(self.network(images)).scores


def load(name: str, *prompts: str, **settings: Any) -> PromptModel:
    model = load_model(name, prompts=prompts, **settings)
    assert isinstance(model, PromptModel)
    return model


def answers(folder: Path, images: torch.Tensor, *, fills: bool) -> Any:
    """What the whole network answers for images and both prompts, as its documentation runs it."""
    network = transformers.AutoModel.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    padding: dict[str, Any] = (
        {"padding": "max_length", "max_length": 12} if fills else {"padding": True, "truncation": True}
    )
    tokens = tokenizer([DESK, PERSON], return_tensors="pt", **padding)
    if fills:
        tokens = {"input_ids": tokens["input_ids"]}
    else:
        tokens = {name: tokens[name] for name in ("input_ids", "attention_mask")}
    if not isinstance(network, transformers.Siglip2Model):
        with torch.no_grad():
            return network(pixel_values=images, **tokens)
    patches = pytest.importorskip("transformers.models.siglip2.image_processing_siglip2")
    cut = torch.stack([patches.convert_image_to_patches(image, 16) for image in images])
    shapes = torch.tensor([[images.shape[2] // 16, images.shape[3] // 16]]).expand(len(images), 2)
    mask = torch.ones(cut.shape[:2], dtype=torch.int64)
    with torch.no_grad():
        return network(pixel_values=cut, pixel_attention_mask=mask, spatial_shapes=shapes, **tokens)


@pytest.mark.parametrize(("build", "fills"), [(clip, False), (siglip, True), (siglip2, True)])
def test_similarities_and_probabilities_are_those_of_the_network(
    build: Callable[[], nn.Module], fills: bool, tmp_path: Path
) -> None:
    model = load(saved(build, tmp_path), DESK, PERSON)
    explainer = Explainer(model, backend="torch", fit="stretch")
    inputs = explainer.preprocess(IMAGE)
    assert inputs.shape == (1, 3, 96, 96)
    expected = answers(tmp_path, inputs, fills=fills)
    logits = expected.logits_per_image[0]
    (explanation,) = explainer.explain(IMAGE)
    chances = logits.sigmoid() if fills else logits.softmax(dim=0)
    similarities = F.normalize(expected.image_embeds, dim=-1) @ F.normalize(expected.text_embeds, dim=-1).T
    for one in explanation.predictions:
        assert one.probability == pytest.approx(float(chances[one.index]), abs=1e-5)
        assert one.value == pytest.approx(float(similarities[0, one.index]), abs=1e-5)
    assert abs(float(similarities[0, 0] - similarities[0, 1])) > 0.01
    (heatmap,) = explanation.heatmaps.values()
    assert heatmap.shape == (6, 6)


LAYERS = [
    (clip, "vision_model.encoder.layers.1.layer_norm1", 1),
    (siglip, "vision_model.post_layernorm", 0),
    (siglip2, "vision_model.post_layernorm", 0),
]


@pytest.mark.parametrize(("build", "layer", "prefix"), LAYERS)
def test_they_are_explained_as_pytorch_grad_cam_explains_them(
    build: Callable[[], nn.Module], layer: str, prefix: int, tmp_path: Path
) -> None:
    peer = require_peer("pytorch_grad_cam")
    targets = pytest.importorskip("pytorch_grad_cam.utils.model_targets")
    model = load(saved(build, tmp_path), DESK, PERSON)
    compared = 0
    for category in range(2):
        explainer = Explainer(model, backend="torch", classes=category, fit="stretch")
        assert explainer.target_layer == layer
        (explanation,) = explainer.explain(IMAGE)
        (expected,) = peer.GradCAM(
            Similarities(model),
            [model.module.get_submodule(layer)],
            reshape_transform=lambda tokens: tokens[:, prefix:].transpose(1, 2).unflatten(2, (6, 6)),
        )(input_tensor=explainer.preprocess(IMAGE), targets=[targets.ClassifierOutputTarget(category)])
        compared += expected.max() > 0.9
        np.testing.assert_allclose(
            scaled_as_pytorch_grad_cam(explanation.heatmaps[category], (96, 96)), expected, atol=1e-4
        )
    assert compared


@pytest.mark.parametrize("build", [clip, siglip, siglip2])
def test_legrad_differentiates_by_the_attention_of_the_last_block(
    build: Callable[[], nn.Module], tmp_path: Path
) -> None:
    model = load(saved(build, tmp_path), DESK, PERSON)
    explainer = Explainer(model, method="legrad:blocks=1", classes=1, fit="stretch")
    (explanation,) = explainer.explain(IMAGE)
    network: Any = model.module
    tower = network.vision_model
    block = tower.encoder.layers[-1]
    kept: list[torch.Tensor] = []
    handle = block.register_forward_pre_hook(
        lambda _block, given, named: kept.append((given or (named["hidden_states"],))[0].detach()),
        with_kwargs=True,
    )
    model.module(explainer.preprocess(IMAGE))
    handle.remove()
    tokens, normalized = kept[0], block.layer_norm1(kept[0])
    part = block.self_attn
    query, key, value = (
        project(normalized).unflatten(2, (2, 16)).transpose(1, 2)
        for project in (part.q_proj, part.k_proj, part.v_proj)
    )
    attention = (query @ key.transpose(-2, -1) / 4).softmax(dim=-1).detach().requires_grad_()
    tokens = tokens + part.out_proj((attention @ value).transpose(1, 2).flatten(2))
    tokens = tokens + block.mlp(block.layer_norm2(tokens))
    mean = tokens.mean(dim=1, keepdim=True).expand_as(tokens)
    if build is clip:
        features = network.projection(tower.post_layernorm(mean[:, 0]))
    else:
        features = tower.head(tower.post_layernorm(mean))
    score = F.normalize(features, dim=-1) @ model.texts[1]
    (gradient,) = torch.autograd.grad(score.sum(), attention)
    expected = gradient.relu().mean(dim=(1, 2))[0, -36:].view(6, 6)
    assert expected.max() > 0
    np.testing.assert_allclose(explanation.heatmaps[1], expected.numpy(), rtol=1e-3, atol=1e-9)


def test_templates_and_the_folder_s_processor_are_used(tmp_path: Path) -> None:
    size = {"shortest_edge": 112}
    crop = {"do_center_crop": True, "crop_size": {"height": 96, "width": 96}}
    name = saved(clip, tmp_path, size=size, **crop, image_mean=[0.5] * 3)
    model = load(name, DESK, templates=["a photo of {}", "{}"])
    assert (model.input.size, model.input.resize, model.input.mean) == (96, 112, (0.5,) * 3)
    assert model.input.std == pytest.approx((0.26862954, 0.26130258, 0.27577711))
    plain = load(name, f"a photo of {DESK}", DESK)
    mean = F.normalize(plain.texts.mean(dim=0), dim=0)
    torch.testing.assert_close(model.texts[0], mean)


def test_nothing_is_printed_of_the_tokens_that_siglip_was_published_with(tmp_path: Path) -> None:
    name = saved(siglip, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text("utf-8"))
    config["text_config"] |= {"bos_token_id": 49406, "eos_token_id": 49407}
    (tmp_path / "config.json").write_text(json.dumps(config), "utf-8")
    heard: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = heard.append  # type: ignore[method-assign]
    logger = logging.getLogger("transformers")
    logger.addHandler(handler)
    try:
        transformers.AutoConfig.from_pretrained(tmp_path)
        assert len(heard) == 2
        load(name, "cat")
    finally:
        logger.removeHandler(handler)
    assert len(heard) == 2


def test_other_prompts_share_the_image_tower(tmp_path: Path) -> None:
    name = saved(clip, tmp_path)
    model = load(name, DESK)
    other = model.with_prompts([PERSON, DESK])
    assert other.labels == (PERSON, DESK)
    assert other.module is model.module
    expected = load(name, PERSON, DESK).texts
    torch.testing.assert_close(other.texts, expected)
    with pytest.raises(InvalidArgumentError, match="a prompt is empty"):
        model.with_prompts([DESK, " "])


def test_what_cannot_be_is_refused_in_one_line(tmp_path: Path) -> None:
    name = saved(clip, tmp_path)
    with pytest.raises(InvalidArgumentError, match="with texts; say with which ones by `prompts`"):
        load_model(name)
    with pytest.raises(InvalidArgumentError, match="takes only 96x96 images, so `input_size` cannot"):
        load(name, DESK, input_size=64)
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8], depths=[1], layer_type="basic")
    transformers.ResNetForImageClassification(config).save_pretrained(tmp_path / "resnet")
    with pytest.raises(InvalidArgumentError, match="`prompts` is for networks that compare images"):
        load_model(f"hf:{tmp_path / 'resnet'}", prompts=[DESK])


def test_they_are_rendered_by_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    saved(siglip, tmp_path / "net")
    make_clip(tmp_path / "clip.mp4", frames=3)
    capsys.readouterr()
    command = ["render", "clip.mp4", "-o", "out.mp4", "--sidecar", "out.jsonl", "--quiet", "--signed"]
    assert run([*command, "--model", "hf:net", "--prompt", DESK]) == 0
    assert capsys.readouterr().err == ""
    _, *records = map(json.loads, Path("out.jsonl").read_text("utf-8").splitlines())
    assert {"index", "label", "probability", "value"} == records[0]["predictions"][0].keys()
