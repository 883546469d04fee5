"""Networks of the user's own: factories, what they return, and every way in which they fail."""

from __future__ import annotations

import copy
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from streamcam import Explainer
from streamcam.cli import run
from streamcam.errors import InvalidArgumentError, ModelError, UnknownNameError
from streamcam.models import load_model

SOURCE = """
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self, classes=3, channels=3, wrap=lambda logits: logits):
            super().__init__()
            self.conv, self.fc = nn.Conv2d(channels, 4, 4, 4), nn.Linear(4, classes)
            self.wrap = wrap
        def forward(self, batch):
            return self.wrap(self.fc(self.conv(batch).relu().mean((2, 3))))

    class Nested:
        factory = Net

    def imports_late():
        import my_package.nets
        return my_package.nets.Net()
    def gray(): return Net(channels=1)
    def thirds(): return Net(classes=3)
    def binary(): return Net(classes=1)
    def thousand(): return Net(classes=1000)
    def as_tuple(): return Net(wrap=lambda logits: (logits, None))
    def as_dict(): return Net(wrap=lambda logits: {"features": None, "logits": logits})
    def in_double(): return Net().double()
    def in_training(): return nn.Sequential(Net(), nn.Dropout(0.5)).train()
    def as_other_dict(): return Net(wrap=lambda logits: {"names": None, "scores": logits})
    def only_50():
        return nn.Sequential(nn.Flatten(), nn.Linear(3 * 50 * 50, 3))
    def only_48():
        return nn.Sequential(nn.Flatten(), nn.Linear(3 * 48 * 48, 3))
    def no_logits(): return nn.Conv2d(3, 4, 4)
    def in_probabilities(): return Net(wrap=lambda logits: logits.softmax(1))
    def refuses_eval():
        net = Net()
        def eval(): raise NotImplementedError("Calling eval() is not supported yet.")
        net.eval = eval
        net.fc = nn.Sequential(nn.Dropout(0.9), net.fc)
        return net
    def exported(): return torch.export.export(Net().eval(), (torch.zeros(1, 3, 224, 224),)).module()
    def scripted():
        plain = nn.Sequential(nn.Conv2d(3, 4, 4, 4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
        return torch.jit.script(plain)
    def sized(num_classes=3): return Net(classes=num_classes)
    def fails(): raise ValueError("the flux capacitor\\nis empty")
    def fails_silently(): raise KeyError
    def needs(argument): return argument
    def nothing(): pass
    def text(): return "a network"
    number = 7
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A current directory with modules in it, which are forgotten afterwards."""
    before = set(sys.modules)
    files = {
        "my_nets.py": SOURCE,
        "my_package/__init__.py": "",
        "my_package/nets.py": SOURCE,
        "my_broken.py": "import torch\n1 / 0",
        "my_misspelt.py": "import a_module_that_is_not_there",
        "my_typo.py": "def broken(:",
    }
    for name, source in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(source), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("my_"):
            del sys.modules[name]


def test_a_factory_in_the_current_directory_is_found() -> None:
    path = list(sys.path)
    model = load_model("my_nets:Net")
    assert model.labels == ("class 0", "class 1", "class 2")
    assert (model.name, model.weights) == ("my_nets:Net", "as its factory makes it")
    assert (model.input.size, model.input.channels, model.activation) == (224, 3, "softmax")
    assert sys.path == path


@pytest.mark.parametrize("name", ["my_package.nets:Net", "my_nets:Nested.factory", "my_nets:imports_late"])
def test_factories_are_found_in_packages_and_classes(name: str) -> None:
    assert len(load_model(name).labels) == 3


def test_weights_labels_and_input_are_as_asked_for(here: Path) -> None:
    (here / "names.json").write_text('["cat", "dog", "cot"]', encoding="utf-8")
    state = load_model("my_nets:Net").module.state_dict()
    torch.save(state, here / "weights.pth")
    model = load_model(
        "my_nets:Net",
        weights="weights.pth",
        labels="names.json",
        input_size=64,
        mean=[0.5, 0.5, 0.5],
        std=[0.5, 0.5, 0.5],
        activation="sigmoid",
    )
    assert (model.labels, model.weights, model.activation) == (
        ("cat", "dog", "cot"),
        "weights.pth",
        "sigmoid",
    )
    assert (model.input.size, model.input.mean, model.input.std) == (64, (0.5,) * 3, (0.5,) * 3)
    for name, value in model.module.state_dict().items():
        assert torch.equal(value, state[name])


def test_a_thousand_classes_are_not_taken_for_imagenet_s() -> None:
    assert load_model("my_nets:thousand").labels[285] == "class 285"
    assert load_model("my_nets:thousand", labels="imagenet").labels[285] == "Egyptian cat"


def test_a_factory_is_called_with_the_number_of_classes(here: Path) -> None:
    assert len(load_model("my_nets:sized", num_classes=7).labels) == 7
    with pytest.raises(InvalidArgumentError, match="my_nets:gray takes no argument num_classes; leave"):
        load_model("my_nets:gray", num_classes=7)
    names = ["a", "b", "c", "d"]
    state = load_model("my_nets:sized", num_classes=4).module.state_dict()
    torch.save({"state_dict": state, "class_names": names}, here / "four.pth")
    model = load_model("my_nets:sized", weights="four.pth")
    assert model.labels == tuple(names)
    torch.testing.assert_close(model.module.state_dict()["fc.weight"], state["fc.weight"])
    with pytest.raises(ModelError, match=r"fc\.weight is \(4, 4\) in the file, \(3, 4\) in my_nets:thirds"):
        load_model("my_nets:thirds", weights="four.pth")
    with pytest.raises(ModelError, match=r"fc\.weight is \(4, 4\) in the file, \(5, 4\) in my_nets:sized"):
        load_model("my_nets:sized", weights="four.pth", num_classes=5)


def test_a_trusted_file_is_said_aloud(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    network = load_model("my_nets:sized").module
    del network.wrap  # a lambda, of which no pickle takes a copy
    torch.save(network, here / "whole.pth")
    with pytest.raises(
        ModelError, match=r"would run code \(my_nets\.Net.*`trust_pickle=True` if you trust it"
    ):
        load_model("my_nets:sized", weights="whole.pth")
    model = load_model("my_nets:sized", weights="whole.pth", trust_pickle=True)
    assert "'whole.pth' was trusted: code in it may have run" in Explainer(model).notes
    command = ["layers", "my_nets:sized", "--weights", "whole.pth"]
    assert run(command) == 1
    assert "or set --trust-pickle if you trust it" in capfd.readouterr().err
    assert run([*command, "--trust-pickle"]) == 0
    assert "'whole.pth' was trusted: code in it may have run" in capfd.readouterr().err


def test_a_single_logit_is_two_classes() -> None:
    model = load_model("my_nets:binary", labels=["no", "yes"])
    assert (model.labels, model.activation) == (("no", "yes"), "sigmoid")
    model = load_model("my_nets:binary", activation="sigmoid")
    assert (model.labels, model.activation) == (("class 0", "class 1"), "sigmoid")


def test_a_single_output_without_two_labels_is_a_value() -> None:
    for labels, named in ((None, "value"), (["age"], "age")):
        model = load_model("my_nets:binary", labels=labels)
        assert (model.labels, model.activation) == ((named,), "value")
    assert load_model("my_nets:Net", activation="value").labels == ("class 0", "class 1", "class 2")
    with pytest.raises(InvalidArgumentError, match="`labels` names no class"):
        load_model("my_nets:binary", labels=[])


def test_networks_in_other_precision_or_in_training_are_made_ready() -> None:
    assert next(load_model("my_nets:in_double").module.parameters()).dtype == torch.float32
    assert not any(part.training for part in load_model("my_nets:in_training").module.modules())


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.bfloat16])
def test_a_classifier_in_other_precision_is_explained_and_left_as_it_is(dtype: torch.dtype) -> None:
    model = load_model("my_nets:Net", input_size=32)
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    settings: dict[str, Any] = {"fit": "stretch", "backend": "torch", "precision": "fp32"}
    model.module.to(dtype).to(torch.float32)  # rounded
    (expected,) = Explainer(model, **settings).explain([image])
    other = model.with_module(copy.deepcopy(model.module).to(dtype))
    (explanation,) = Explainer(other, **settings).explain([image])
    assert explanation.predictions == expected.predictions
    assert next(other.module.parameters()).dtype == dtype


EXPLAINED = [
    ("my_nets:Net", {}),
    ("my_nets:gray", {"mean": [0.5], "std": [0.5]}),
    ("my_nets:binary", {"classes": "yes", "labels": ["no", "yes"]}),
    ("my_nets:as_tuple", {}),
    ("my_nets:as_tuple", {"logits_key": 0}),
    ("my_nets:as_dict", {}),
    ("my_nets:as_other_dict", {"logits_key": "scores"}),
    ("my_nets:Net", {"activation": "sigmoid", "input_size": 96}),
]


@pytest.mark.parametrize(("name", "settings"), EXPLAINED)
def test_own_networks_are_explained(name: str, settings: dict[str, Any]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (90, 160, 3), dtype=np.uint8)
    classes = settings.pop("classes", None)
    (explanation,) = Explainer(load_model(name, **settings), classes=classes).explain([image])
    (heatmap,) = explanation.heatmaps.values()
    assert heatmap.shape == ((24, 40) if "input_size" in settings else (56, 96))
    assert explanation.target_layer == "conv"


def test_a_network_that_ends_in_softmax_shows_its_own_probabilities() -> None:
    torch.manual_seed(0)
    model = load_model("my_nets:in_probabilities", input_size=32)
    explainer = Explainer(model, fit="stretch", backend="torch", precision="fp32", top_k=3)
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    (explanation,) = explainer.explain([image])
    with torch.no_grad():
        expected = explainer.model.module(explainer.preprocess(image))[0].tolist()
    assert [shown.probability for shown in explanation.predictions] == pytest.approx(
        sorted(expected, reverse=True), abs=1e-5
    )
    assert "my_nets:in_probabilities returns probabilities: they are taken as they are" in explainer.notes


FAILURES = [
    ("my_nets:fails", {}, "my_nets:fails failed: ValueError: the flux capacitor is empty"),
    ("my_nets:fails_silently", {}, "my_nets:fails_silently failed: KeyError"),
    ("my_nets:needs", {}, "my_nets:needs failed: TypeError: .*argument"),
    ("my_nets:nothing", {}, r"my_nets:nothing returned nothing, not a torch\.nn\.Module"),
    ("my_nets:text", {}, "my_nets:text returned a str, not"),
    ("my_nets:number", {}, "my_nets:number is a int, not a function that makes"),
    ("my_broken:Net", {}, "importing my_broken failed: ZeroDivisionError: division by zero"),
    ("my_misspelt:Net", {}, "importing my_misspelt failed: .*a_module_that_is_not_there"),
    ("my_typo:Net", {}, "importing my_typo failed: SyntaxError"),
    ("my_nets:only_50", {}, r"does not run on .* 224x224 pixels \(RuntimeError: .*\), nor .*`input_size`"),
    ("my_nets:no_logits", {}, r"returns planes \(1, 4, 221, 221\), as segmenters do"),
    ("my_nets:as_other_dict", {}, r"returns a dict \(names, scores\); say .*with `logits_key`: scores"),
    ("my_nets:as_dict", {"logits_key": "scores"}, "no entry 'scores'; check `logits_key`"),
    ("my_nets:Net", {"labels": ["a", "b"]}, "2 labels were given for the 3 classes of my_nets:Net"),
    (
        "my_nets:binary",
        {"labels": ["a", "b", "c"]},
        r"3 labels were given for the single output \(a value, or 2 classes\)",
    ),
]


UNKNOWN = [
    ("my_nowhere:Net", "unknown model 'my_nowhere:Net'; there is no module 'my_nowhere' in '/.*' or among"),
    ("my_package.gone:Net", r"there is no module 'my_package\.gone'"),
    ("my_package.gone.deeper:Net", r"there is no module 'my_package\.gone'"),
    (":Net", "unknown model ':Net'; there is no module ''"),
    ("my_nets:grye", "unknown factory in my_nets 'grye'; the nearest are: gray"),
    ("my_nets:", "unknown factory in my_nets ''"),
]


@pytest.mark.parametrize(("name", "says"), UNKNOWN)
def test_what_is_not_there_is_named(name: str, says: str) -> None:
    with pytest.raises(UnknownNameError, match=says):
        load_model(name)


@pytest.mark.parametrize(("name", "settings", "says"), FAILURES)
def test_what_fails_is_said_on_one_line(name: str, settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ModelError, match=says) as caught:
        load_model(name, **settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "kind"), [("scripted", "a TorchScript program"), ("exported", r"a program of torch\.export")]
)
def test_a_program_is_named_and_occluded(name: str, kind: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scripting is deprecated, but such files are around
        model = load_model(f"my_nets:{name}")
    with pytest.raises(ModelError, match=rf"is {kind}, .*'occlusion'.* or return the torch\.nn\.Module"):
        Explainer(model)
    image = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    (explanation,) = Explainer(model, method="occlusion:patch=56,stride=56", signed=True).explain(image)
    assert explanation.emptiness is None


def test_a_shape_that_an_own_network_does_not_take_is_stretched_to() -> None:
    model = load_model("my_nets:only_48", input_size=48)
    with pytest.raises(ModelError, match="no layer of this network has a spatial grid"):
        Explainer(model)
    with pytest.raises(InvalidArgumentError, match="only 48x48 images"):
        Explainer(model, fit="full")


def test_a_network_whose_eval_fails_is_evaluated_all_the_same() -> None:
    """As programs for quantization do, whose methods eval() and train() raise."""
    model = load_model("my_nets:refuses_eval")
    assert not any(part.training for part in model.module.modules())
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    first, second = (Explainer(model, backend="torch").explain(image)[0].predictions for _ in range(2))
    assert first == second


class Brightness(nn.Module):
    """Two classes: how bright the left and the right half of an image are."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 1, 8, 8, bias=False)
        nn.init.constant_(self.features.weight, 1.0)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        halves: torch.Tensor = self.features(images).relu().mean(2).unflatten(2, (2, -1)).mean(3)
        return halves.squeeze(1)


@pytest.mark.parametrize("wrap", [lambda network: network, torch.compile], ids=["plain", "compiled"])
def test_a_network_at_hand_is_explained(wrap: Callable[[nn.Module], nn.Module]) -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, 40:48] = 255
    explainer = Explainer(wrap(Brightness().double().train()), backend="torch", fit="stretch")
    assert explainer.model.name == "Brightness"
    (explanation,) = explainer.explain(image)
    assert [each.label for each in explanation.predictions] == ["class 1", "class 0"]
    heatmap = explanation.heatmaps[1]
    assert heatmap.argmax(1) == pytest.approx(
        17 + np.zeros(28), abs=2
    )  # columns 40 to 48 of 64, at 28 of them


def test_a_network_at_hand_takes_weights_labels_and_input(tmp_path: Path) -> None:
    trained = Brightness()
    nn.init.constant_(trained.features.weight, 3.0)
    torch.save(trained.state_dict(), tmp_path / "net.pth")
    network = Brightness()
    model = load_model(network, weights=tmp_path / "net.pth", labels=["left", "right"], input_size=(64, 32))
    assert (model.name, model.labels, model.input.sides) == ("Brightness", ("left", "right"), (64, 32))
    assert model.weights == str(tmp_path / "net.pth")
    assert network.features.weight.unique().tolist() == [3.0]
    other = load_model(model, labels=["west", "east"])
    assert (other.name, other.labels) == ("Brightness", ("west", "east"))


def test_what_a_network_at_hand_cannot_have() -> None:
    with pytest.raises(InvalidArgumentError, match="Brightness is made already; leave `num_classes` out"):
        load_model(Brightness(), num_classes=3)
    with pytest.raises(InvalidArgumentError, match="`prompts`"):
        load_model(Brightness(), prompts=["a cat"])
    with pytest.raises(InvalidArgumentError, match="not a list"):
        load_model([Brightness()])  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="not a function"):
        Explainer(lambda: Brightness())  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="Identity"):
        load_model(nn.Identity())
