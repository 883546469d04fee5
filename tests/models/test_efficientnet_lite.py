"""The default model: its architecture, its weights, and what it sees in real photographs."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from streamcam import Explainer
from streamcam.errors import ModelError
from streamcam.models.efficientnet_lite import WEIGHTS_SHA256, EfficientNetLite0, from_published_names
from streamcam.models.families import bundled
from streamcam.models.loading import load_classifier
from streamcam.models.weights import check_sha256, read_state_dict


def test_the_file_s_tensors_come_in_module_order() -> None:
    published = read_state_dict(bundled.packaged_weights())
    assert len(published) == 296
    named = from_published_names(published)
    for (name, own), tensor in zip(EfficientNetLite0().state_dict().items(), named.values(), strict=True):
        assert own.shape == tensor.shape, name
    with pytest.raises(ValueError, match="295 tensors where EfficientNet-Lite0 has 296"):
        from_published_names(dict(list(published.items())[1:]))


def test_the_package_holds_the_file_that_we_mean() -> None:
    check_sha256(bundled.packaged_weights(), WEIGHTS_SHA256)


def test_a_file_that_was_tampered_with_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torch.save({}, tmp_path / "weights.pth")
    monkeypatch.setattr(bundled, "packaged_weights", lambda: tmp_path / "weights.pth")
    with pytest.raises(ModelError, match="is damaged or another version"):
        load_classifier()


@pytest.mark.parametrize(("size", "grid"), [((224, 224), (7, 7)), ((224, 384), (7, 12)), ((96, 64), (3, 2))])
def test_it_takes_pictures_of_any_shape(size: tuple[int, int], grid: tuple[int, int]) -> None:
    module = EfficientNetLite0(num_classes=5).eval()
    picture = torch.zeros(1, 3, *size)
    with torch.no_grad():
        assert module.features(picture).shape == (1, 1280, *grid)
        assert module(picture).shape == (1, 5)


@pytest.fixture(scope="module")
def full() -> Explainer:
    return Explainer(engine="torch", top_k=1, fit="full")


@pytest.fixture(scope="module")
def stretched(full: Explainer) -> Explainer:
    return Explainer(full.classifier, engine="torch", top_k=1, fit="stretch")


@pytest.mark.parametrize(
    ("photograph", "label"), [("chelsea", "Egyptian cat"), ("coffee", "espresso"), ("camera", "tripod")]
)
def test_it_names_what_the_sample_shows(full: Explainer, photograph: str, label: str) -> None:
    data = pytest.importorskip("skimage.data")
    picture = np.atleast_3d(getattr(data, photograph)())
    (explanation,) = full.explain([np.ascontiguousarray(np.broadcast_to(picture, (*picture.shape[:2], 3)))])
    assert explanation.predictions[0].label == label


@pytest.mark.parametrize(("fit", "at_least"), [("full", 52), ("stretch", 45)])
def test_it_names_real_photographs(
    real_media: Path, fit: str, at_least: int, request: pytest.FixtureRequest
) -> None:
    explainer = request.getfixturevalue({"full": "full", "stretch": "stretched"}[fit])
    folder = real_media / "imagenet"
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 58
    right = 0
    for row in rows:
        picture = np.asarray(Image.open(folder / row["file"]).convert("RGB"))
        (explanation,) = explainer.explain([picture])
        right += explanation.predictions[0].index == int(row["class_index"])
    assert right >= at_least
