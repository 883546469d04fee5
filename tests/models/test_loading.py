"""Models by name: the bundled one and torchvision's, with weights and labels of every origin."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import get_model, get_model_weights

from streamcam.errors import InvalidArgumentError, ModelError, SourceNotFoundError, UnknownNameError
from streamcam.models import Classifier, known_models, load_model
from streamcam.models.labels import imagenet_labels
from streamcam.models.state_dicts import StateDict
from streamcam.models.weights import fingerprint

TINY = "shufflenet_v2_x0_5"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of `TINY`, for 1,000 classes."""
    return save(get_model(TINY), tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def fine_tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of `TINY`, for 7 classes."""
    return save(get_model(TINY, num_classes=7), tmp_path_factory.mktemp("weights"))


def save(module: nn.Module, folder: Path) -> Path:
    torch.save(module.state_dict(), folder / "weights.pth")
    return folder / "weights.pth"


def assert_same(loaded: nn.Module, path: Path) -> None:
    expected = torch.load(path, weights_only=True)
    state = loaded.state_dict()
    assert list(state) == list(expected)
    for name, value in expected.items():
        torch.testing.assert_close(state[name], value, rtol=0, atol=0)
        assert not state[name].is_meta


def test_the_default_is_there_without_a_download() -> None:
    default = load_model()
    assert default.name == "efficientnet_lite0"
    assert default.labels == imagenet_labels()
    assert default.weights.startswith("ImageNet-1k (efficientnet-lite0")
    assert not any(part.training for part in default.module.modules())


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("net.pth", "'net.pth'; that is a file of weights: pass it with `weights`"),
        ("out/best.CKPT", "a file of weights"),
        ("net.tflite", "that is a TensorFlow Lite network, and only those of PyTorch, ONNX and OpenVINO"),
    ],
)
def test_a_file_in_place_of_a_name_is_recognized(name: str, says: str) -> None:
    with pytest.raises(UnknownNameError, match=says):
        load_model(name)


def test_a_fine_tuned_network_is_read_from_lightning_s_checkpoint(fine_tuned: Path, tmp_path: Path) -> None:
    tensors = torch.load(fine_tuned, weights_only=True)
    state = {f"model.{name}": value for name, value in tensors.items()}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "last.ckpt")
    model = load_model(TINY, weights=tmp_path / "last.ckpt")
    assert_same(model.module, fine_tuned)
    assert len(model.labels) == 7


def test_an_untrained_network_has_no_weights_to_speak_of() -> None:
    model = load_model(TINY, weights="none")
    assert (model.weights, len(model.labels), model.labels[285]) == ("none", 1000, "Egyptian cat")


@pytest.mark.parametrize("name", [TINY, "efficientnet_lite0", "timm:test_resnet"])
def test_an_untrained_network_is_the_same_every_time(name: str) -> None:
    if name.startswith("timm:"):
        pytest.importorskip("timm")
    state = torch.get_rng_state()
    first = fingerprint(load_model(name, weights="none").module)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(1)
    assert fingerprint(load_model(name, weights="none").module) == first


@pytest.mark.parametrize("name", [TINY, "efficientnet_lite0"])
def test_an_untrained_network_has_as_many_classes_as_labels(name: str) -> None:
    model = load_model(name, weights="none", labels=["cat", "dog", "cot"])
    assert model.labels == ("cat", "dog", "cot")
    assert model.module(torch.zeros(1, 3, 64, 64)).shape == (1, 3)


def test_a_file_s_weights_are_loaded(weights: Path) -> None:
    model = load_model(TINY, weights=weights)
    assert_same(model.module, weights)
    assert (model.weights, model.labels) == (str(weights), imagenet_labels())


def test_a_fine_tuned_network_s_classes_are_counted_in_its_file(fine_tuned: Path) -> None:
    model = load_model(TINY, weights=fine_tuned)
    assert_same(model.module, fine_tuned)
    assert model.labels == tuple(f"class {index}" for index in range(7))


def test_a_fine_tuned_default_model_s_classes_are_counted_in_its_file(tmp_path: Path) -> None:
    from streamcam.models.efficientnet_lite import LITE0, EfficientNetLite

    path = save(EfficientNetLite(LITE0, 4), tmp_path)
    model = load_model(weights=path, labels=list("abcd"))
    assert_same(model.module, path)
    assert model.labels == ("a", "b", "c", "d")


def test_labels_must_be_as_many_as_classes(weights: Path, fine_tuned: Path) -> None:
    with pytest.raises(ModelError, match=f"2 labels were given for the 7 classes of {TINY}; give one label"):
        load_model(TINY, weights=fine_tuned, labels=["a", "b"])
    with pytest.raises(ModelError, match="3 labels were given for the 1000 classes"):
        load_model(TINY, weights=weights, labels=["a", "b", "c"])
    with pytest.raises(ModelError, match="2 labels were given for the 1000 classes of efficientnet_lite0"):
        load_model(labels=["a", "b"])
    with pytest.raises(InvalidArgumentError, match="`labels` names no class; give one label for each class"):
        load_model(TINY, weights="none", labels=[])


def test_labels_come_from_a_file_too(tmp_path: Path, fine_tuned: Path) -> None:
    (tmp_path / "names.txt").write_text("a\nb\nc\nd\ne\nf\ng\n", encoding="utf-8")
    model = load_model(TINY, weights=fine_tuned, labels=tmp_path / "names.txt")
    assert model.labels == tuple("abcdefg")
    assert load_model(TINY, weights="none", labels="imagenet").labels == imagenet_labels()


@pytest.mark.parametrize(
    ("size", "says"),
    [
        ("256x128", r"number of pixels or \(width, height\), not '256x128'; write \(256, 128\)$"),
        ("224", "not '224'; write 224$"),
        ("large", r"not 'large'; write \(256, 128\)$"),
        (("256", "128"), r"whole number of pixels or \(width, height\), not \('256', '128'\)$"),
        (224.5, "whole number of pixels .*, not 224.5$"),
    ],
)
def test_sizes_that_are_no_numbers_are_refused(size: Any, says: str) -> None:
    with pytest.raises(InvalidArgumentError, match=says):
        load_model(TINY, weights="none", input_size=size)


def test_sizes_of_numpy_are_numbers() -> None:
    for size, sides in ((np.array([96, 64]), (96, 64)), (np.int64(96), (96, 96))):
        given: Any = size
        assert load_model(TINY, weights="none", input_size=given).input.sides == sides


def test_weights_of_another_network_are_refused(weights: Path) -> None:
    missing = "features.0.weight (64, 3, 3, 3) is missing in the file"
    unknown = "conv1.0.weight (24, 3, 3, 3) is unknown"
    says = f"{weights} does not fit squeezenet1_1: {missing}; {unknown}"
    with pytest.raises(ModelError, match=re.escape(says)):
        load_model("squeezenet1_1", weights=weights)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(SourceNotFoundError, match=r"'nowhere\.pth'"):
        load_model(TINY, weights="nowhere.pth")


UNKNOWN = [
    (
        "resnet51",
        r"unknown model 'resnet51'; the nearest are: .*resnet50.* \(all of them: streamcam models\)",
    ),
    ("effnet", "unknown model 'effnet'; the nearest are: .*efficientnet"),
    ("", "a model has a name; streamcam models lists those that are known"),
    ("fcn_resnet50", "unknown model"),  # torchvision's too, but no classifier
    ("quantized_resnet50", "unknown model"),
]


@pytest.mark.parametrize(("name", "says"), UNKNOWN)
def test_an_unknown_name_lists_the_nearest(name: str, says: str) -> None:
    with pytest.raises(UnknownNameError, match=says):
        load_model(name, weights="none")


INPUTS = [
    ("resnet50", {}, (224, 232)),
    ("resnet50", {"weights": "none", "input_size": 448}, (448, 464)),
    ("efficientnet_b1", {"weights": "none"}, (240, 255)),
    ("resnet50", {"weights": "none", "input_size": (64, 128)}, ((64, 128), 66)),
    ("resnet50", {"weights": "none", "input_size": [448, 448]}, (448, 464)),
]


@pytest.mark.parametrize(("name", "settings", "expected"), INPUTS)
def test_the_input_is_the_published_one_or_as_asked_for(
    name: str, settings: dict[str, Any], expected: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    stub_downloads(monkeypatch, get_model(name).state_dict())
    spec = load_model(name, **settings).input
    assert (spec.size, spec.resize) == expected
    assert (spec.mean, spec.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def test_labels_in_a_checkpoint_are_those_of_its_classes(tmp_path: Path) -> None:
    names = ["ant", "bee", "cow", "dog"]
    state = get_model(TINY, num_classes=4).state_dict()
    torch.save({"state_dict": state, "hyper_parameters": {"classes": names}}, tmp_path / "four.ckpt")
    model = load_model(TINY, weights=tmp_path / "four.ckpt")
    assert model.labels == tuple(names)
    assert load_model(TINY, weights=tmp_path / "four.ckpt", labels=["a", "b", "c", "d"]).labels[0] == "a"
    torch.save({"state_dict": state, "classes": names[:3]}, tmp_path / "three.ckpt")
    assert load_model(TINY, weights=tmp_path / "three.ckpt").labels[0] == "class 0"


def test_an_untrained_network_has_as_many_classes_as_asked_for() -> None:
    assert len(load_model(TINY, weights="none", num_classes=7).labels) == 7
    with pytest.raises(InvalidArgumentError, match="`num_classes` is at least 1, not 0"):
        load_model(TINY, weights="none", num_classes=0)
    with pytest.raises(ModelError, match="has 1000 classes with these weights, not 7; leave `num_cl"):
        load_model(num_classes=7)


BAD_INPUTS = [
    ({"input_size": 0}, "number of pixels from 1, or a width and a height, not 0"),
    ({"input_size": (1, 2, 3)}, r"not \(1, 2, 3\)"),
    ({"input_size": (64, 0)}, r"not \(64, 0\)"),
    ({"mean": (0.5, 0.5)}, "cannot normalize images: .* three values each"),
    ({"mean": (0.5,)}, "three values each"),
    ({"std": (58.0, 57.0, 57.0)}, "divide those of 0 to 255 by 255"),
    ({"activation": "relu"}, "unknown activation 'relu'; choose one of: none, sigmoid, softmax"),
]


@pytest.mark.parametrize(("settings", "says"), BAD_INPUTS)
def test_an_input_that_cannot_be_is_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidArgumentError, match=says):
        load_model(TINY, weights="none", **settings)


def stub_downloads(monkeypatch: pytest.MonkeyPatch, state: object) -> list[dict[str, Any]]:
    """Let torch.hub hand out this state (or raise it), and note what it is asked for."""
    asked: list[dict[str, Any]] = []

    def load_state_dict_from_url(url: str, **settings: Any) -> object:
        print("Downloading:", url)  # as it does
        asked.append({"url": url, **settings})
        if isinstance(state, Exception):
            raise state
        return state

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", load_state_dict_from_url)
    return asked


def test_published_weights_are_fetched_without_running_their_code(
    monkeypatch: pytest.MonkeyPatch, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = stub_downloads(monkeypatch, torch.load(weights, weights_only=True))
    model = load_model(TINY)
    assert_same(model.module, weights)
    assert model.weights == "ShuffleNet_V2_X0_5_Weights.IMAGENET1K_V1"
    (request,) = asked
    assert request["url"].endswith("shufflenetv2_x0.5-f707e7126e.pth")
    assert (request["weights_only"], request["check_hash"]) == (True, True)
    assert capsys.readouterr().out == ""


def test_other_published_weights_are_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = stub_downloads(monkeypatch, get_model("mobilenet_v2").state_dict())
    model = load_model("mobilenet_v2", weights="IMAGENET1K_V1")
    assert model.weights == "MobileNet_V2_Weights.IMAGENET1K_V1"
    assert asked[0]["url"].endswith("mobilenet_v2-b0353104.pth")
    assert model.input.resize == 256


@pytest.mark.parametrize(
    "error", [OSError("no route to host"), RuntimeError("invalid hash value"), EOFError("ran out")]
)
def test_a_failed_download_names_the_ways_out(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    stub_downloads(monkeypatch, error)
    says = (
        rf"the weights of {TINY} could not be downloaded \({error}\); give a file with `weights` PATH, put "
    )
    with pytest.raises(ModelError, match=says) as caught:
        load_model(TINY)
    assert "shufflenetv2_x0.5-f707e7126e.pth into $TORCH_HOME/hub/checkpoints" in str(caught.value)
    assert "`weights='none'`" in str(caught.value)


def densenet_as_published() -> StateDict:
    """Name tensors as the published file does, and leave out what it does not have."""
    return StateDict(
        (re.sub(r"(denselayer\d+\.(?:norm|conv))([12])\.", r"\1.\2.", name), value)
        for name, value in get_model("densenet121").state_dict().items()
        if "num_batches_tracked" not in name
    )


def vit_as_published() -> StateDict:
    """Name tensors as the published file does, and tell versions as it does; for smaller images."""
    state = get_model("vit_b_32", image_size=96).state_dict()
    old = StateDict((re.sub(r"mlp\.0", "mlp.linear_1", name), value) for name, value in state.items())
    old = StateDict((re.sub(r"mlp\.3", "mlp.linear_2", name), value) for name, value in old.items())
    old._metadata = {name: {**entry, "version": 1} for name, entry in state._metadata.items()}
    return old


def mnasnet_as_safetensors() -> StateDict:
    """Tell no versions, which mnasnet insists on."""
    return StateDict(get_model("mnasnet0_5").state_dict())


OLD_FILES = [
    ("densenet121", densenet_as_published, None),
    ("vit_b_32", vit_as_published, 96),
    ("mnasnet0_5", mnasnet_as_safetensors, None),
]


@pytest.mark.parametrize(("name", "published", "side"), OLD_FILES, ids=[row[0] for row in OLD_FILES])
def test_files_with_names_of_their_time_fit(
    name: str, published: Any, side: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = published()
    stub_downloads(monkeypatch, state)
    module = load_model(name, input_size=side).module
    loaded = [value for key, value in module.state_dict().items() if key in state or "num_batches" not in key]
    for own, given in zip(loaded, state.values(), strict=True):
        assert torch.equal(own, given)
    assert not any(value.is_meta for value in module.state_dict().values())
    assert module(torch.zeros(1, 3, side or 64, side or 64)).shape == (1, 1000)


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_google_s_networks_lose_the_classifiers_that_only_training_reads(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    settings = {"aux_logits": True, "init_weights": False}
    original = get_model(name, weights=None, transform_input=True, **settings).eval()
    stub_downloads(monkeypatch, original.state_dict())
    model = load_model(name)
    assert not any("aux" in key.lower() for key in model.module.state_dict())
    image = torch.randn(1, 3, 96, 96)
    with torch.no_grad():
        torch.testing.assert_close(model.module(image), original(image))


def test_networks_built_on_no_device_answer_like_torchvision_s(weights: Path) -> None:
    original = get_model(TINY).eval()
    original.load_state_dict(torch.load(weights, weights_only=True))
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = original(image)
        torch.testing.assert_close(load_model(TINY, weights=weights).module(image), expected)


def parameters_of(model: Classifier) -> int:
    return sum(parameter.numel() for parameter in model.module.parameters())


def test_models_are_listed_with_what_their_weights_say(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    infos = {info.name: info for info in known_models()}
    assert len(infos) == 82
    assert next(iter(infos)) == "efficientnet_lite0"
    default, resnet = infos["efficientnet_lite0"], infos["resnet50"]
    assert (default.parameters, default.input_size, default.on_disk) == (
        parameters_of(load_model()),
        224,
        True,
    )
    assert (resnet.parameters, resnet.accuracy, resnet.input_size) == (25_557_032, 80.858, 224)
    assert not resnet.on_disk
    assert resnet.file is not None
    resnet.file.parent.mkdir(parents=True)
    resnet.file.touch()
    assert resnet.on_disk
    published: Any = get_model_weights("resnet50")
    assert (resnet.weights, resnet.file.name) == ("IMAGENET1K_V2", published.DEFAULT.url.rpartition("/")[2])


def test_models_are_found_by_a_part_of_their_names() -> None:
    assert [info.name for info in known_models("MaxViT ")] == ["maxvit_t"]
    assert known_models("nothing like it") == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("r3d_18", "write it as video:r3d_18"),
        ("fasterrcnn_resnet50_fpn", "write it as detection:fasterrcnn_resnet50_fpn"),
        ("detect:fcos_resnet50_fpn", "or is detection:fcos_resnet50_fpn meant"),
        ("segmenter:fcn_resnet50", "or is segmentation:fcn_resnet50 meant"),
        ("yolov8n.pt", "network that they belong to, as ultralytics:yolov8n"),
    ],
)
def test_names_of_another_family_are_refused_with_the_name_to_write(name: str, expected: str) -> None:
    with pytest.raises(UnknownNameError, match=expected):
        load_model(name)
