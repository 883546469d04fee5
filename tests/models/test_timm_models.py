"""timm's classifiers: names, inputs from timm's own configuration, labels, and what cannot be had."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from streamcam.errors import InvalidArgumentError, ModelError, SourceNotFoundError, UnknownNameError
from streamcam.explain import Explainer
from streamcam.frames import Region
from streamcam.models import InputSpec, known_models, load_model
from streamcam.models.labels import imagenet_labels

timm = pytest.importorskip("timm")

TINY = "timm:test_resnet"
"""A network of half a million parameters that timm has for tests."""


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing stand between here and the hub; what would be downloaded is made up."""
    monkeypatch.setattr("streamcam.models.families.timm.find_obstacle", lambda: None)


@pytest.fixture(scope="module")
def fine_tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of `TINY`, for 4 classes."""
    path = tmp_path_factory.mktemp("timm") / "weights.pth"
    torch.save(timm.create_model("test_resnet", num_classes=4).state_dict(), path)
    return path


def test_the_input_is_that_of_timm_s_own_configuration() -> None:
    spec = load_model("timm:resnet10t", weights="none").input
    assert (spec.size, spec.resize) == (176, 201)  # evaluated with a crop of 0.875
    assert (spec.mean, spec.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert load_model("timm:test_vit", weights="none").input.mean == (0.5, 0.5, 0.5)


def test_a_thousand_classes_are_imagenet_s_and_others_are_numbered() -> None:
    model = load_model(TINY, weights="none")
    assert (model.name, model.weights, model.labels) == (TINY, "none", imagenet_labels())
    assert load_model(TINY, weights="none", labels=["a", "b", "c"]).labels == ("a", "b", "c")


def test_the_larger_imagenet_s_classes_have_names_too() -> None:
    from streamcam.models.families.timm import _labels

    labels = _labels(21843)
    assert (len(labels), labels[1]) == (21843, "benthos")
    assert _labels(5)[4] == "class 4"


def test_weights_of_a_fine_tuned_network_are_loaded(fine_tuned: Path) -> None:
    model = load_model(TINY, weights=fine_tuned)
    assert model.labels == ("class 0", "class 1", "class 2", "class 3")
    for name, value in torch.load(fine_tuned, weights_only=True).items():
        assert torch.equal(model.module.state_dict()[name], value)
    with pytest.raises(ModelError, match="2 labels were given for the 4 classes of timm:test_resnet"):
        load_model(TINY, weights=fine_tuned, labels=["a", "b"])


def test_weights_of_another_network_are_refused(fine_tuned: Path) -> None:
    with pytest.raises(
        ModelError, match=r"does not fit timm:test_vit: cls_token .* is missing in the file; conv1\."
    ):
        load_model("timm:test_vit", weights=fine_tuned)


def test_transformers_are_built_for_the_size_asked_for_and_others_take_any() -> None:
    vit = load_model("timm:test_vit", weights="none", input_size=96)
    assert vit.module(torch.zeros(1, 3, 96, 96)).shape == (1, 1000)
    assert (vit.input.size, vit.input.resize) == (96, 101)
    assert load_model(TINY, weights="none", input_size=96).input.size == 96
    oblong = load_model("timm:test_vit", weights="none", input_size=(64, 96))
    assert oblong.module(torch.zeros(1, 3, 96, 64)).shape == (1, 1000)


VIT = "timm:deit_tiny_patch16_224"


def test_transformers_take_any_shape_where_that_is_asked_for() -> None:
    wide = torch.zeros(1, 3, 224, 288)
    assert load_model(VIT, weights="none", any_shape=True).module(wide).shape == (1, 1000)
    with pytest.raises(AssertionError, match="Input width"):
        load_model(VIT, weights="none").module(wide)
    both = load_model("timm:test_vit", weights="none", input_size=96, any_shape=True)
    assert both.module(torch.zeros(1, 3, 96, 128)).shape == (1, 1000)
    assert load_model(TINY, weights="none", any_shape=True).module(wide).shape == (1, 1000)


@pytest.mark.parametrize(
    ("frame", "grid"), [((90, 160), (14, 24)), ((90, 120), (14, 18)), ((160, 90), (24, 14))]
)
def test_tokens_of_a_frame_of_any_shape_are_laid_on_it(frame: tuple[int, int], grid: tuple[int, int]) -> None:
    explainer = Explainer(
        load_model(VIT, weights="none", any_shape=True),
        fit="full",
        backend="torch",
        target_layer="blocks.11.norm1",
    )
    # Untrained classifiers may be all zeros, and so would the map be.
    torch.manual_seed(0)
    torch.nn.init.normal_(explainer.model.module.get_submodule("head").weight)
    image = np.random.default_rng(0).integers(0, 256, (*frame, 3), dtype=np.uint8)
    (explanation,) = explainer.explain([image])

    kept: list[torch.Tensor] = []
    tap = explainer.model.module.get_submodule("blocks.11.norm1")
    with torch.enable_grad():
        handle = tap.register_forward_hook(lambda *call: kept.append(call[2]))
        logits = explainer.model.module(explainer.preprocess(image))
        handle.remove()
        (gradients,) = torch.autograd.grad(logits[0].max(), kept)
    # One class token, then the patches row by row.
    patches, slopes = (tokens[0, 1:].detach().reshape(*grid, -1) for tokens in (kept[0], gradients))
    expected = (patches * slopes.mean(dim=(0, 1))).sum(dim=-1).relu()
    ((index, heatmap),) = explanation.heatmaps.items()
    assert index == int(logits[0].argmax())
    np.testing.assert_allclose(heatmap, expected, rtol=1e-3, atol=1e-4 * float(expected.max()))
    assert explanation.region == Region()


def test_a_network_that_is_published_without_a_classifier_says_so() -> None:
    with pytest.raises(ModelError, match="published without a classifier, so it has no classes"):
        load_model("timm:vit_small_patch16_dinov3")


UNKNOWN = [
    ("timm:resnet51", "unknown model 'timm:resnet51'; .*timm:resnet51q.* streamcam models timm:"),
    ("timm:", "unknown model 'timm:'"),
    ("timm:resnet18.nope", r"unknown weights 'timm:resnet18\.nope'; choose one of: .*timm:resnet18\.a1_in1k"),
]


@pytest.mark.parametrize(("name", "says"), UNKNOWN)
def test_an_unknown_name_lists_the_nearest(name: str, says: str) -> None:
    with pytest.raises(UnknownNameError, match=says):
        load_model(name, weights="none")


def test_other_published_weights_are_part_of_the_name() -> None:
    assert load_model("timm:resnet18.a1_in1k", weights="none").name == "timm:resnet18.a1_in1k"


def test_published_weights_are_those_that_timm_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    create = timm.create_model

    def create_model(name: str, **settings: Any) -> torch.nn.Module:
        asked.append({"name": name, **settings})
        made: torch.nn.Module = create(name)
        return made

    monkeypatch.setattr(timm, "create_model", create_model)
    assert load_model(TINY).weights == "timm/test_resnet"
    assert asked == [{"name": "test_resnet", "pretrained": True}]


def test_a_failed_download_names_the_ways_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def create_model(*_: Any, **__: Any) -> torch.nn.Module:
        logging.getLogger("huggingface_hub.utils").warning("Retrying in 1s")
        raise FileNotFoundError("An error happened.\nPlease check your connection.")

    monkeypatch.setattr(timm, "create_model", create_model)
    says = r"weights of timm:test_resnet could not be downloaded \(An error happened.\); give a file with "
    with pytest.raises(ModelError, match=says) as caught:
        load_model(TINY)
    assert "HF_HOME" in str(caught.value)
    assert "`weights='none'`" in str(caught.value)
    assert caplog.records == []


OBSTACLE = "https://huggingface.co cannot be reached: no route"


def test_without_a_connection_the_disk_is_asked_and_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr("streamcam.models.families.timm.find_obstacle", lambda: OBSTACLE)
    create, cached = timm.create_model, [True, False]

    def create_model(name: str, **_: Any) -> torch.nn.Module:
        assert constants.HF_HUB_OFFLINE
        if not cached.pop(0):
            raise FileNotFoundError("not in the local cache")
        made: torch.nn.Module = create(name)
        return made

    monkeypatch.setattr(timm, "create_model", create_model)
    assert load_model(TINY).weights == "timm/test_resnet"
    with pytest.raises(ModelError, match=rf"could not be downloaded \({OBSTACLE}\); give a file"):
        load_model(TINY)


def test_a_timm_that_does_not_fit_torch_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "timm.py").write_text('raise RuntimeError("operator nms does not exist")')
    monkeypatch.delitem(sys.modules, "timm")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelError, match=r"timm cannot be imported \(operator nms does not exist\)"):
        load_model("timm:resnet18")


def test_without_timm_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ModelError, match=r'need timm: pip install "streamcam\[timm\]"'):
        load_model("timm:resnet18")
    with pytest.raises(ModelError, match="need timm"):
        known_models("timm:res")
    assert known_models("resnet50")[0].name == "resnet50"


def test_timm_s_names_are_listed_when_they_are_asked_for() -> None:
    found = {info.name: info for info in known_models("timm:resnet10t")}
    assert list(found) == ["timm:resnet10t"]
    assert (found["timm:resnet10t"].input_size, found["timm:resnet10t"].weights) == (176, "c3_in1k")
    assert len(known_models("timm:")) > 1000
    assert not any(info.name.startswith("timm:") for info in known_models())


def test_a_folder_of_timm_has_all_that_is_needed(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = timm.create_model("test_resnet", num_classes=3).eval()
    config = {
        "architecture": "test_resnet",
        "num_classes": 3,
        "pretrained_cfg": {
            **{"input_size": [3, 96, 96], "crop_pct": 0.75, "num_classes": 3, "interpolation": "bicubic"},
            **{
                "mean": [0.5, 0.5, 0.5],
                "std": [0.25, 0.25, 0.25],
                "first_conv": "conv1.0",
                "classifier": "fc",
            },
        },
        "label_names": ["hat", "coat", "shoe"],
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    model = load_model(f"timm:{tmp_path}")
    assert model.input == InputSpec(96, 128, (0.5,) * 3, (0.25,) * 3)
    assert (model.labels, model.weights) == (("hat", "coat", "shoe"), str(tmp_path))
    batch = torch.randn(1, 3, 96, 96)
    with torch.no_grad():
        torch.testing.assert_close(model.module(batch), network(batch))
    assert load_model(f"timm:{tmp_path}", weights="none").weights == "none"
    with pytest.raises(ModelError, match=f"is a folder of timm; use timm:{tmp_path}"):
        load_model(f"hf:{tmp_path}")
    with pytest.raises(InvalidArgumentError, match="holds its own weights"):
        load_model(f"timm:{tmp_path}", weights=tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text('{"architecture": "strangenet"}')
    with pytest.raises(ModelError, match="names 'strangenet', which this version of timm does not have"):
        load_model(f"timm:{tmp_path}")
    (tmp_path / "config.json").unlink()
    with pytest.raises(SourceNotFoundError, match=r"no config\.json in"):
        load_model(f"timm:{tmp_path}")
