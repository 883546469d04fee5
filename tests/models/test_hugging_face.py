"""Networks in folders as Hugging Face's transformers writes them, built untrained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from media_factory import make_clip
from peers import LogitsOnly, require_peer, scaled_as_pytorch_grad_cam

from streamcam import Explainer, load_model
from streamcam.cli import run
from streamcam.errors import InvalidArgumentError, ModelError, SourceNotFoundError
from streamcam.models import Classifier, InputSpec, Segmenter

transformers: Any = pytest.importorskip("transformers")

NAMES = ("wall", "sky", "tree", "road")
IMAGE = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8).repeat(16, 0).repeat(16, 1)


def segformer(folder: Path) -> None:
    torch.manual_seed(0)
    config = transformers.SegformerConfig(
        depths=[1, 1, 1, 1],
        hidden_sizes=[8, 16, 24, 32],
        num_attention_heads=[1, 2, 3, 4],
        decoder_hidden_size=32,
        id2label=dict(enumerate(NAMES)),
    )
    transformers.SegformerForSemanticSegmentation(config).save_pretrained(folder)
    processor = {"size": {"height": 96, "width": 96}, "image_mean": [0.5] * 3, "image_std": [0.25] * 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor), "utf-8")


def mask2former(folder: Path) -> None:
    torch.manual_seed(0)
    backbone = transformers.SwinConfig(
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 2, 2, 2],
        window_size=4,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = transformers.Mask2FormerConfig(
        backbone_config=backbone,
        feature_size=32,
        mask_feature_size=32,
        hidden_dim=32,
        encoder_feedforward_dim=16,
        dim_feedforward=16,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        num_queries=5,
        id2label=dict(enumerate(NAMES)),
    )
    transformers.Mask2FormerForUniversalSegmentation(config).save_pretrained(folder)


def resnet(folder: Path) -> None:
    torch.manual_seed(0)
    config = transformers.ResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 16],
        depths=[1, 1],
        layer_type="basic",
        id2label=dict(enumerate(NAMES)),
    )
    transformers.ResNetForImageClassification(config).save_pretrained(folder)


def test_a_folder_says_labels_input_and_kind(tmp_path: Path) -> None:
    segformer(tmp_path)
    model = load_model(f"hf:{tmp_path}")
    assert isinstance(model, Segmenter)
    assert (model.labels, model.weights) == (NAMES, str(tmp_path))
    assert model.input == InputSpec(96, 96, (0.5,) * 3, (0.25,) * 3)
    assert load_model(f"hf:{tmp_path}", weights="none", labels=list("abcd")).labels == tuple("abcd")


def test_a_folder_that_lacks_weights_is_refused_and_nothing_else_is_printed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    resnet(tmp_path)
    tensors = safetensors.torch.load_file(tmp_path / "model.safetensors")
    kept = {name: value for name, value in tensors.items() if not name.startswith("classifier")}
    safetensors.torch.save_file(kept, tmp_path / "model.safetensors", {"format": "pt"})
    transformers.utils.logging.enable_propagation()
    try:
        with pytest.raises(ModelError, match=r"no weights for classifier\.1\.bias and 1 others, which would"):
            load_model(f"hf:{tmp_path}")
    finally:
        transformers.utils.logging.disable_propagation()
    assert not caplog.records
    assert load_model(f"hf:{tmp_path}", weights="none").labels == NAMES


def test_weights_of_another_shape_than_the_configuration_says_are_named(tmp_path: Path) -> None:
    resnet(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text("utf-8"))
    config |= {"id2label": {"0": "a", "1": "b"}, "label2id": {"a": 0, "b": 1}}
    (tmp_path / "config.json").write_text(json.dumps(config), "utf-8")
    with pytest.raises(ModelError, match=r"do not fit its .*: classifier\.1\.bias is \(4,\), not \(2,\)"):
        load_model(f"hf:{tmp_path}")


def test_segformer_is_explained_as_pytorch_grad_cam_explains_it(tmp_path: Path) -> None:
    peer = require_peer("pytorch_grad_cam")
    targets = pytest.importorskip("pytorch_grad_cam.utils.model_targets")
    segformer(tmp_path)
    model = load_model(f"hf:{tmp_path}")
    explainer = Explainer(model, method="gradcam", backend="torch")
    assert explainer.target_layer == "decode_head.batch_norm"
    inputs = explainer.preprocess(IMAGE)
    height, width = inputs.shape[2:]
    (explanation,) = explainer.explain(IMAGE)
    ((category, heatmap),) = explanation.heatmaps.items()
    assert heatmap.shape == (height // 4, width // 4)
    with torch.no_grad():
        mask = (model.module(inputs).logits.argmax(dim=1)[0] == category).float().numpy()
    assert mask.any()
    (expected,) = peer.GradCAM(
        LogitsOnly(model.module),
        [model.module.get_submodule(explainer.target_layer)],
    )(input_tensor=inputs, targets=[targets.SemanticSegmentationTarget(category, mask)])
    assert expected.max() > 0.9
    np.testing.assert_allclose(scaled_as_pytorch_grad_cam(heatmap, (width, height)), expected, atol=1e-4)


def test_mask2former_adds_up_its_masks_of_each_class(tmp_path: Path) -> None:
    mask2former(tmp_path)
    model = load_model(f"hf:{tmp_path}", input_size=96)
    explainer = Explainer(model)
    inputs = explainer.preprocess(IMAGE)
    with torch.no_grad():
        answer = model.module(inputs)
    kinds, masks = answer.class_queries_logits.softmax(-1)[0, :, :4], answer.masks_queries_logits[0].sigmoid()
    expected = (kinds[:, :, None, None] * masks[:, None]).sum(dim=0)
    winners = expected.argmax(dim=0)
    (explanation,) = explainer.explain(IMAGE)
    best = explanation.predictions[0]
    assert best.probability == pytest.approx(float((winners == best.index).float().mean()), abs=1e-4)
    assert explanation.heatmaps[best.index].any()
    assert explanation.instances[0].label in NAMES


def test_classifiers_are_read_too(tmp_path: Path) -> None:
    resnet(tmp_path)
    model = load_model(f"hf:{tmp_path}")
    assert isinstance(model, Classifier)
    assert model.labels == NAMES
    (explanation,) = Explainer(model).explain(IMAGE)
    assert explanation.targets[0].label in NAMES


def test_what_is_no_such_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match=r"no config.json in '.*'; hf:FOLDER is a folder as"):
        load_model(f"hf:{tmp_path}")
    (tmp_path / "config.json").write_text("{", "utf-8")
    with pytest.raises(ModelError, match=r"config.json' cannot be read"):
        load_model(f"hf:{tmp_path}")
    (tmp_path / "config.json").write_text('{"architectures": ["BertForMaskedLM"]}', "utf-8")
    with pytest.raises(ModelError, match=r"holds BertForMaskedLM, and only …ForImageClassification, "):
        load_model(f"hf:{tmp_path}")
    resnet(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_model(f"hf:{tmp_path}")
    with pytest.raises(InvalidArgumentError, match="holds its own weights"):
        load_model(f"hf:{tmp_path}", weights="net.pth")
    with pytest.raises(ModelError, match="2 labels were given for the 4 classes"):
        load_model(f"hf:{tmp_path}", weights="none", labels=["a", "b"])


def test_a_folder_is_rendered_by_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    segformer(tmp_path / "net")
    make_clip(tmp_path / "clip.mp4", frames=4)
    command = ["render", "clip.mp4", "-o", "out.mp4", "--sidecar", "out.jsonl", "--quiet"]
    assert run([*command, "--model", "hf:net"]) == 0
    _, *records = map(json.loads, Path("out.jsonl").read_text("utf-8").splitlines())
    assert all(record["target"]["label"] in NAMES for record in records)
