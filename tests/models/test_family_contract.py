"""What holds for every family of models."""

from __future__ import annotations

import itertools

import pytest

from streamcam.errors import ModelError
from streamcam.models import Model, load_model
from streamcam.models.families import FAMILIES, ModelFamily
from streamcam.models.families.base import ModelInfo


def infos_of(family: ModelFamily) -> list[ModelInfo]:
    """List a family's models; skip it where its package is not installed, or it lists none."""
    try:
        infos = list(family.infos())
    except ModelError as error:
        pytest.skip(str(error))
    return infos or pytest.skip("lists no models")


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.load.__module__)
def test_listed_names_are_loaded_by_their_own_family(family: ModelFamily) -> None:
    infos = infos_of(family)
    earlier = list(itertools.takewhile(lambda other: other is not family, FAMILIES))
    for info in infos:
        assert info.name.startswith(family.prefix)
        assert family.accepts(info.name)
        assert not any(other.accepts(info.name) for other in earlier)
    assert len({info.name for info in infos}) == len(infos)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.load.__module__)
def test_a_listed_model_is_loaded_untrained(family: ModelFamily) -> None:
    smallest = min(infos_of(family), key=lambda info: info.parameters or float("inf"))
    if family.takes_prompts:
        assert load_model("clip:RN50", weights="none", prompts=["a", "b"]).labels == ("a", "b")
        return
    model = load_model(smallest.name, weights="none")
    assert isinstance(model, Model)
    counts = {"detection": 90, "video": 400, "segmentation": 21, "ultralytics": 80}
    classes = counts.get(smallest.name.partition(":")[0], 1000)
    assert (model.weights, len(model.labels)) == ("none", classes)
