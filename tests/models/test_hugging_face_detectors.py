"""Detectors in folders as Hugging Face's transformers writes them, built untrained."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from media_factory import make_clip
from peers import LogitsOnly, require_peer, scaled_as_pytorch_grad_cam
from torch import nn

from streamcam import Detector, Explainer, load_model
from streamcam.cli import run
from streamcam.errors import ModelError
from streamcam.models import InputSpec
from streamcam.models.detector import softmax_log_odds

transformers: Any = pytest.importorskip("transformers")

NAMES = ("cat", "dog", "bird")
IMAGE = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8).repeat(16, 0).repeat(16, 1)
_LABELS = {"id2label": dict(enumerate(NAMES))}
_HEADS = {
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 16,
    "decoder_ffn_dim": 16,
}
_DETR = {
    "d_model": 32,
    "encoder_layers": 1,
    "decoder_layers": 2,
    "num_queries": 6,
    "use_timm_backbone": False,
    "use_pretrained_backbone": False,
    "backbone": None,
}
_RT_DETR = {
    "d_model": 32,
    "encoder_hidden_dim": 16,
    "encoder_in_channels": [16, 16, 16],
    "decoder_in_channels": [16, 16, 16],
    "decoder_layers": 2,
    "num_queries": 6,
    "hidden_expansion": 0.5,
}


def _resnet(*stages: str) -> Any:
    return transformers.ResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 16, 16, 16],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=list(stages),
    )


def detr() -> nn.Module:
    config = transformers.DetrConfig(backbone_config=_resnet("stage4"), **_DETR, **_HEADS, **_LABELS)
    return transformers.DetrForObjectDetection(config)


def conditional_detr() -> nn.Module:
    config = transformers.ConditionalDetrConfig(
        backbone_config=_resnet("stage4"), **_DETR, **_HEADS, **_LABELS
    )
    return transformers.ConditionalDetrForObjectDetection(config)


def deformable_detr() -> nn.Module:
    stages = _resnet("stage2", "stage3", "stage4")
    config = transformers.DeformableDetrConfig(
        backbone_config=stages, num_feature_levels=3, **_DETR, **_HEADS, **_LABELS
    )
    return transformers.DeformableDetrForObjectDetection(config)


def rt_detr() -> nn.Module:
    return transformers.RTDetrForObjectDetection(_rt_detr_config(transformers.RTDetrConfig))


def rt_detr_v2() -> nn.Module:
    return transformers.RTDetrV2ForObjectDetection(_rt_detr_config(transformers.RTDetrV2Config))


def _rt_detr_config(kind: Any) -> Any:
    backbone = transformers.RTDetrResNetConfig(**_resnet("stage2", "stage3", "stage4").to_diff_dict())
    return kind(backbone_config=backbone, **_RT_DETR, **_HEADS, **_LABELS)


def d_fine() -> nn.Module:
    backbone = transformers.HGNetV2Config(
        embedding_size=8,
        stem_channels=[3, 8, 8],
        hidden_sizes=[8, 16, 16, 16],
        stage_in_channels=[8, 8, 16, 16],
        stage_mid_channels=[8, 8, 8, 8],
        stage_out_channels=[8, 16, 16, 16],
        stage_num_blocks=[1, 1, 1, 1],
        stage_numb_of_layers=[1, 1, 1, 1],
        out_features=["stage2", "stage3", "stage4"],
    )
    config = transformers.DFineConfig(backbone_config=backbone, **_RT_DETR, **_HEADS, **_LABELS)
    return transformers.DFineForObjectDetection(config)


def yolos() -> nn.Module:
    config = transformers.YolosConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=[64, 64],
        patch_size=16,
        num_detection_tokens=6,
        **_LABELS,
    )
    return transformers.YolosForObjectDetection(config)


_RT_LEVELS = "+".join(f"model.decoder_input_proj.{level}" for level in range(3))
KINDS: dict[Callable[[], nn.Module], tuple[str, str]] = {
    detr: ("DetrImageProcessor", "model.encoder.layers.0.final_layer_norm"),
    conditional_detr: ("ConditionalDetrImageProcessor", "model.encoder.layers.0.final_layer_norm"),
    deformable_detr: (
        "DeformableDetrImageProcessor",
        "+".join(f"model.input_proj.{level}" for level in range(3)),
    ),
    rt_detr: ("RTDetrImageProcessor", _RT_LEVELS),
    rt_detr_v2: ("RTDetrImageProcessor", _RT_LEVELS),
    d_fine: ("RTDetrImageProcessor", _RT_LEVELS),
    yolos: ("YolosImageProcessor", "vit.encoder.layer.1.layernorm_before"),
}
"""What builds a detector → the class of transformers that reads its answers, and the layer explained."""


def save(kind: Callable[[], nn.Module], folder: Path) -> None:
    torch.manual_seed(0)
    network: Any = kind()
    with torch.no_grad():  # an untrained network finds the same everywhere, and hardly anything
        for name, values in network.named_parameters():
            if values.ndim > 1 and ("query" in name or "detection_tokens" in name):
                values.normal_()
            elif "class_" in name or "enc_score_head" in name:
                values.normal_(std=0.5)
    network.save_pretrained(folder)
    processor = {"size": {"height": 96, "width": 128}, "image_mean": [0.5] * 3, "image_std": [0.25] * 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor), "utf-8")


@pytest.mark.parametrize("kind", KINDS)
def test_objects_are_those_that_transformers_finds(kind: Callable[[], nn.Module], tmp_path: Path) -> None:
    save(kind, tmp_path)
    model = load_model(f"hf:{tmp_path}", confidence=0.3, max_detections=40)
    assert isinstance(model, Detector)
    assert model.labels == NAMES
    assert model.input == InputSpec((128, 96), 96, (0.5,) * 3, (0.25,) * 3)
    processor, layers = KINDS[kind]
    explainer = Explainer(model, classes="instances", method="hirescam", fit="stretch")
    assert explainer.target_layer == layers
    with torch.no_grad():
        answer = model.module(explainer.preprocess(IMAGE))
    # Boxes of more than one class have one entry for each here; there, of a softmax, the best class alone.
    read = getattr(transformers, processor)().post_process_object_detection
    (expected,) = read(answer, threshold=0.3, target_sizes=[(1, 1)])
    (explanation,) = explainer.explain(IMAGE)
    found = {(one.class_index, one.score): one for one in explanation.instances}
    best = [
        (int(index), float(score))
        for index, score in zip(expected["labels"], expected["scores"], strict=True)
    ]
    assert len(best) >= 2
    assert len(found) >= len(best)
    for (index, score), box in zip(best, expected["boxes"].clamp(0, 1).tolist(), strict=True):
        nearest = min(found, key=lambda key: (key[0] != index, abs(key[1] - score)))
        assert nearest == (index, pytest.approx(score, abs=1e-5))
        assert found[nearest].box == pytest.approx(box, abs=1e-4)
    assert len(explanation.heatmaps) == len(explanation.instances)
    assert all(heatmap.shape in {(3, 4), (6, 8), (12, 16)} for heatmap in explanation.heatmaps.values())


def test_an_object_of_detr_is_explained_as_pytorch_grad_cam_explains_its_query(tmp_path: Path) -> None:
    peer = require_peer("pytorch_grad_cam")
    save(detr, tmp_path)
    model = load_model(f"hf:{tmp_path}", confidence=0.3, max_detections=40)
    explainer = Explainer(model, classes="instances", method="hirescam", fit="stretch")
    inputs = explainer.preprocess(IMAGE)
    (explanation,) = explainer.explain(IMAGE)
    layer = [model.module.get_submodule(explainer.target_layer)]
    scores = model.module(inputs).logits[0].softmax(dim=1)
    compared = 0
    for one, heatmap in zip(explanation.instances, explanation.heatmaps.values(), strict=True):
        query = int((scores[:, one.class_index] - one.score).abs().argmin())

        def odds(logits: torch.Tensor, query: int = query, index: int = one.class_index) -> torch.Tensor:
            return softmax_log_odds(logits)[query, index]

        (expected,) = peer.HiResCAM(
            LogitsOnly(model.module),
            layer,
            reshape_transform=lambda tokens: tokens.transpose(1, 2).unflatten(2, (3, 4)),
        )(input_tensor=inputs, targets=[odds])
        scaled = scaled_as_pytorch_grad_cam(heatmap, (128, 96))
        np.testing.assert_allclose(scaled, expected, atol=1e-4)
        compared += expected.max() > 0.9
    assert compared >= 2


def test_a_detector_in_a_folder_is_rendered_by_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    save(rt_detr, tmp_path / "net")
    make_clip(tmp_path / "clip.mp4", frames=4)
    command = ["render", "clip.mp4", "-o", "out.mp4", "--sidecar", "out.jsonl", "--model", "hf:net"]
    options = [
        "--target",
        "instances",
        "--method",
        "hirescam",
        "--confidence",
        "0.3",
        "--max-detections",
        "3",
    ]
    assert run([*command, *options, "--quiet"]) == 0
    assert "Loading" not in capfd.readouterr().err
    _, *records = map(json.loads, Path("out.jsonl").read_text("utf-8").splitlines())
    assert [len(record["instances"]) for record in records] == [3] * 4
    assert {one["label"] for record in records for one in record["instances"]} <= set(NAMES)


def test_detectors_that_need_texts_are_refused_in_one_line(tmp_path: Path) -> None:
    config = {"architectures": ["OwlViTForObjectDetection"], "model_type": "owlvit"}
    (tmp_path / "config.json").write_text(json.dumps(config), "utf-8")
    with pytest.raises(ModelError, match=r"cannot be loaded \(.*[Oo]wl") as caught:
        load_model(f"hf:{tmp_path}", weights="none")
    assert "\n" not in str(caught.value)
