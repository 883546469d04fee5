"""Networks that compare frames with a reference picture: what is similar, and where."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from streamcam import Explainer, load_model
from streamcam.cli import run
from streamcam.errors import InvalidArgumentError, ModelError, SourceNotFoundError
from streamcam.models import Classifier, InputSpec
from streamcam.models.comparison import EmbeddingModel, embedding_model
from streamcam.models.labels import numbered_labels

RANDOM = np.random.default_rng(0)
IMAGE, PICTURE = RANDOM.integers(0, 256, (2, 32, 64, 3), dtype=np.uint8)
TORCH = {"backend": "torch", "precision": "fp32", "device": "cpu"}


class Features(nn.Module):
    """Four numbers of an image."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.fc = nn.Conv2d(3, 8, 8, 8), nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> Any:
        return self.fc(self.conv(x).relu().mean((2, 3)))


class Siamese(nn.Module):
    """The features of two images."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Features()

    def forward(self, image: torch.Tensor, other: torch.Tensor) -> Any:
        return self.backbone(image), self.backbone(other)


class Distance(Siamese):
    """How far apart the features are."""

    def forward(self, image: torch.Tensor, other: torch.Tensor) -> Any:
        first, second = super().forward(image, other)
        return (first - second).norm(dim=1)


class Same(Siamese):
    """Logits of "different" and "same", from a layer that compares."""

    def __init__(self) -> None:
        super().__init__()
        self.compare = nn.Linear(4, 2)

    def forward(self, image: torch.Tensor, other: torch.Tensor) -> Any:
        first, second = super().forward(image, other)
        return self.compare(first * second)


@pytest.fixture(autouse=True)
def networks(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("pairs")
    for factory in (Features, Siamese, Distance, Same):
        setattr(module, factory.__name__, factory)
    monkeypatch.setitem(sys.modules, "pairs", module)


def embedder(labels: tuple[str, ...] = numbered_labels(4)) -> Classifier:
    return Classifier("net", Features().eval(), labels, InputSpec(32, 32), "none")


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_each_place_counts_by_its_share_of_the_similarity(backend: str) -> None:
    """With average pooling, HiResCAM's places add up to the score, here the cosine itself."""
    settings = {**TORCH, "backend": backend, "method": "hirescam", "signed": True}
    model = embedder(("cat", "dog", "cup", "car"))
    explainer = Explainer(model, reference=PICTURE, fit="full", **settings)
    same, other = explainer.explain([PICTURE, IMAGE])
    assert same.predictions[0].label == "similarity"
    assert same.predictions[0].value == pytest.approx(1, abs=1e-4)
    value = other.predictions[0].value
    assert value is not None
    assert -1 < value < 0.9999
    for explanation, total in ((same, 1.0), (other, value)):
        assert explanation.heatmaps[0].sum() == pytest.approx(total, abs=2e-3)
        assert explanation.emptiness is None


def test_the_default_model_finds_a_picture_again() -> None:
    found = Explainer(reference=PICTURE, **TORCH).explain([PICTURE, IMAGE])
    same, other = (explanation.predictions[0].value for explanation in found)
    assert same == pytest.approx(1, abs=1e-4)
    assert other is not None
    assert other < 0.99
    assert found[0].emptiness is None


def test_of_named_classes_what_the_last_layer_takes_is_compared() -> None:
    classifier = embedder(("cat", "dog", "cup", "car"))
    model = embedding_model(classifier)
    inputs = torch.randn(2, 3, 32, 32)
    features = classifier.module.conv(inputs).relu().mean((2, 3))  # type: ignore[operator]
    torch.testing.assert_close(model.embed(model.module(inputs)), features)
    assert isinstance(model.module.fc, nn.Identity)
    assert isinstance(classifier.module.fc, nn.Linear)
    own, shared = (one.module.get_parameter("conv.weight") for one in (classifier, model))
    assert own is shared


def test_of_numbered_classes_the_answers_are_compared() -> None:
    explainer = Explainer(embedder(), reference=PICTURE, fit="full", **TORCH)
    value = explainer.explain(IMAGE)[0].predictions[0].value
    with torch.no_grad():
        first, second = (Features()(explainer.preprocess(image)) for image in (IMAGE, PICTURE))
    assert value == pytest.approx(float(F.cosine_similarity(first, second)), abs=1e-5)


def test_a_network_of_one_number_cannot_embed() -> None:
    module = nn.Sequential(nn.Conv2d(3, 1, 8, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model = Classifier("one", module.eval(), ("value",), InputSpec(32, 32), "none", activation="value")
    with pytest.raises(ModelError, match=r"one number .* leave `reference` out"):
        Explainer(model, reference=PICTURE, **TORCH)


def pair(name: str, **settings: Any) -> Explainer:
    model = load_model(f"pairs:{name}", input_size=32)
    return Explainer(model, reference=PICTURE, fit="full", **TORCH, **settings)


def test_two_embeddings_are_compared_and_the_frames_branch_explained() -> None:
    explainer = pair("Siamese", method="gradcam", signed=True)
    assert explainer.target_layer == "backbone.conv@1"
    (explanation,) = explainer.explain(IMAGE)
    network = Features().eval()
    inputs, reference = (explainer.preprocess(image) for image in (IMAGE, PICTURE))
    activations = network.conv(inputs).detach().requires_grad_()
    embedding, other = network.fc(activations.relu().mean((2, 3))), network(reference).detach()
    cosine = float(F.cosine_similarity(embedding, other).detach())
    assert explanation.predictions[0].label == "similarity"
    assert explanation.predictions[0].value == pytest.approx(cosine, abs=1e-5)
    score = (embedding * F.normalize(other)).sum() / embedding.detach().norm()
    (gradients,) = torch.autograd.grad(score, activations)
    expected = (gradients.mean((2, 3), keepdim=True) * activations).sum(1)[0].detach().numpy()
    np.testing.assert_allclose(explanation.heatmaps[0], expected, atol=1e-4 * np.abs(expected).max())


def test_what_a_siamese_network_answers_is_shown_as_it_is() -> None:
    explainer = pair("Distance")
    (prediction,) = explainer.explain(IMAGE)[0].predictions
    with torch.no_grad():
        inputs, reference = (explainer.preprocess(image) for image in (IMAGE, PICTURE))
        expected = float(Distance()(inputs, reference))
    assert prediction.label == "value"
    assert prediction.value == pytest.approx(expected, rel=1e-4)


def test_logits_of_a_pair_are_classes() -> None:
    model = load_model("pairs:Same", input_size=32, labels=["different", "same"])
    (explanation,) = Explainer(model, reference=PICTURE, classes="same", **TORCH).explain(IMAGE)
    assert {prediction.label for prediction in explanation.predictions} == {"different", "same"}
    assert sum(prediction.probability for prediction in explanation.predictions) == pytest.approx(1)


def test_a_reference_of_another_shape_is_stretched_for_a_pair() -> None:
    model = load_model("pairs:Siamese", input_size=32)
    tall = np.ascontiguousarray(PICTURE.transpose(1, 0, 2))
    explainer = Explainer(model, reference=tall, fit="full", **TORCH)
    value = explainer.explain(IMAGE)[0].predictions[0].value
    with torch.no_grad():
        first, second = (explainer.preprocess(image) for image in (IMAGE, tall))
        second = F.interpolate(second, first.shape[2:], mode="bilinear", antialias=True)
        expected = float(F.cosine_similarity(Features()(first), Features()(second)))
    assert value == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("method", ["scorecam", "occlusion", "guided-backprop", "ablationcam"])
def test_other_methods_explain_a_pair(method: str) -> None:
    explainer = pair("Siamese", method=method)
    assert explainer.explain(IMAGE)[0].heatmaps[0].shape[0] > 1


def test_a_variant_keeps_the_reference() -> None:
    explainer = pair("Siamese")
    other = explainer.variant(method="hirescam", target_layer="auto")
    expected, found = (one.explain(IMAGE)[0].predictions for one in (explainer, other))
    assert expected == found


def test_what_explanations_depend_on_names_the_reference() -> None:
    one, two = (Explainer(embedder(), reference=image, **TORCH).identity() for image in (IMAGE, PICTURE))
    assert one.pop("reference") != two.pop("reference")
    assert one == two


def test_a_pair_needs_a_reference() -> None:
    model = load_model("pairs:Siamese", input_size=32)
    with pytest.raises(InvalidArgumentError, match="takes two images; give the second one with `reference`"):
        Explainer(model)


def test_a_detector_takes_no_reference() -> None:
    model = load_model("detection:ssdlite320_mobilenet_v3_large", weights="none", num_classes=3)
    with pytest.raises(InvalidArgumentError, match="`reference` is for networks that classify or embed"):
        Explainer(model, reference=PICTURE)


def test_a_missing_reference_is_named() -> None:
    with pytest.raises(SourceNotFoundError, match="nowhere"):
        Explainer(embedder(), reference="nowhere.png", **TORCH)


def test_a_picture_is_compared_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, array in (("image.png", IMAGE), ("picture.png", PICTURE)):
        PIL.Image.fromarray(array).save(name)
    command = ["render", "image.png", "-o", "out.png", "--model", "pairs:Siamese"]
    assert run([*command, "--reference", "picture.png", "--sidecar", "out.jsonl"]) == 0
    assert '"similarity"' in Path("out.jsonl").read_text()
    capfd.readouterr()
    assert run([*command, "--overwrite"]) == 2
    assert "give the second one with --reference" in capfd.readouterr().err


def test_an_embedding_model_without_a_reference_can_be_probed() -> None:
    model = embedding_model(embedder())
    assert isinstance(model, EmbeddingModel)
    assert model.read(torch.ones(2, 4)).scores.tolist() == [[pytest.approx(1)], [pytest.approx(1)]]
