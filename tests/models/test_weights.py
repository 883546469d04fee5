"""Reading weights: every kind of file, none of its code, and what does not fit."""

from __future__ import annotations

import argparse
import datetime
import json
import pickle
import re
import warnings
from pathlib import Path, PosixPath, PureWindowsPath
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from streamcam.errors import ModelError, SourceNotFoundError, UnknownNameError
from streamcam.models.default_model import DEFAULT_MODEL
from streamcam.models.loading import load_model
from streamcam.models.state_dicts import StateDict, load_into, match_names
from streamcam.models.weights import check_sha256, read_state_dict


class Renamed(nn.Linear):
    """A module that gives tensors of its older files their new names, as torchvision's do."""

    _version = 2

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], *others: Any
    ) -> None:
        if local_metadata.get("version") == 1 and f"{prefix}kernel" in state_dict:
            state_dict[f"{prefix}weight"] = state_dict.pop(f"{prefix}kernel")
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *others)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Flatten(), Renamed(2, 3))


STATE = {name: value + 1 for name, value in network().state_dict().items()}


def wrapped(prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + name: value for name, value in STATE.items()}


FILES = [
    STATE,
    {"state_dict": STATE, "epoch": 3, "optimizer": {"lr": 0.1}},
    {"model": STATE},
    {"model_state_dict": STATE},
    {"state_dict_ema": STATE},
    wrapped("module."),
    wrapped("_orig_mod."),
    {"model": wrapped("module._orig_mod.")},
    {**STATE, "note": "trained on a Sunday"},
    {"state_dict": wrapped("model."), "epoch": 3, "pytorch-lightning_version": "2.4.0"},
    {"state_dict": {**wrapped("model.backbone."), "criterion.weight": torch.ones(3)}},
    {"model": {"state_dict": STATE}},
    {"model": wrapped("module."), "args": argparse.Namespace(lr=0.1, name="resnet")},
    {"net": STATE, "acc": np.float64(0.9), "best": np.float32(0.8), "epoch": np.int64(3)},
    {
        "model": STATE,
        "args": argparse.Namespace(output=PosixPath("runs/3"), model=PureWindowsPath("nets")),
        "when": datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.UTC),
        "took": datetime.timedelta(hours=2),
        "rng": np.random.RandomState(0).get_state(),
    },
    {"model_state": STATE},
    {"ema": STATE, "updates": 12},
    # A classifier beside a backbone: only some names have a prefix.
    {
        ("model.backbone." if number < 4 else "model.") + name: STATE[name]
        for number, name in enumerate(STATE)
    },
    {"state_dict": {**wrapped("_orig_mod.net."), "loss.weight": torch.ones(3)}},
]


def saved(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def load(path: Path, module: nn.Module | None = None, **settings: Any) -> nn.Module:
    module = module or network()
    load_into(module, read_state_dict(path), model="toy", origin="FILE", **settings)
    return module


def assert_loaded(module: nn.Module) -> None:
    for name, value in module.state_dict().items():
        torch.testing.assert_close(value, STATE[name], rtol=0, atol=0)


@pytest.mark.parametrize("content", FILES)
def test_checkpoints_of_every_shape_are_read(tmp_path: Path, content: object) -> None:
    assert_loaded(load(saved(tmp_path / "weights.pth", content)))


def test_safetensors_are_read(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "weights.safetensors")
    assert_loaded(load(tmp_path / "weights.safetensors"))


def test_files_of_the_old_format_are_read(tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "weights.pth", _use_new_zipfile_serialization=False)
    assert_loaded(load(tmp_path / "weights.pth"))


def test_a_network_on_no_device_takes_the_tensors_as_its_own(tmp_path: Path) -> None:
    with torch.device("meta"):
        module = network()
    half = {name: value.half() if value.is_floating_point() else value for name, value in STATE.items()}
    load(saved(tmp_path / "weights.pth", half), module, assign=True)
    assert {value.device.type for value in module.state_dict().values()} == {"cpu"}
    assert module[0].weight.dtype == torch.float32  # type: ignore[index]
    torch.testing.assert_close(module[0].weight, STATE["0.weight"], rtol=1e-3, atol=1e-3)  # type: ignore[index]


@pytest.mark.parametrize("assign", [True, False])
def test_files_from_before_the_training_steps_were_counted_fit(tmp_path: Path, assign: bool) -> None:
    old = {name: value for name, value in STATE.items() if "num_batches" not in name}
    module = load(saved(tmp_path / "weights.pth", old), assign=assign)
    torch.testing.assert_close(module.state_dict()["1.running_mean"], STATE["1.running_mean"])


@pytest.mark.parametrize("prefix", ["", "module."])
def test_modules_rename_the_tensors_of_their_older_files(tmp_path: Path, prefix: str) -> None:
    versions = {name: dict(entry) for name, entry in network().state_dict()._metadata.items()}  # type: ignore[attr-defined]
    versions["3"]["version"] = 1
    old: Any = type(network().state_dict())(
        (prefix + name.replace("3.weight", "3.kernel"), value) for name, value in STATE.items()
    )
    old._metadata = {f"{prefix}{name}".rstrip("."): entry for name, entry in versions.items()}
    assert_loaded(load(saved(tmp_path / "weights.pth", old)))


class Bomb:
    """What runs code when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("write", ["torch", "old torch", "pickle", "old pickle"])
def test_code_in_a_file_never_runs(tmp_path: Path, write: str) -> None:
    trace, path = tmp_path / "trace", tmp_path / "weights.pth"
    content = {**STATE, "bomb": Bomb(trace)}
    if "torch" in write:
        torch.save(content, path, _use_new_zipfile_serialization=write == "torch")
    else:
        path.write_bytes(pickle.dumps(Bomb(trace), protocol=0 if "old" in write else 4))
    with pytest.raises(ModelError, match=r"would run code|is not a weights file"):
        read_state_dict(path)
    assert not trace.exists()
    if "pickle" in write:  # else the test would prove nothing
        pickle.loads(path.read_bytes())
        assert trace.exists()


def test_a_program_is_refused_without_the_advice_to_run_it(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scripting is deprecated, but such files are around
        torch.jit.script(nn.Linear(2, 3)).save(tmp_path / "weights.pt")
    says = r"is a TorchScript program, not a weights file; use it as it is, `model='.*weights\.pt'`, or save"
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with pytest.raises(ModelError, match=says) as caught:
            read_state_dict(tmp_path / "weights.pt")
    assert "weights_only" not in str(caught.value)
    assert not told


def test_a_prefix_that_could_be_one_or_the_other_is_not_guessed(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"FILE holds several networks that fit toy \(student, teacher\); choose"
    ):
        load(saved(tmp_path / "weights.pth", {**wrapped("student."), **wrapped("teacher.")}))


def test_a_whole_network_is_refused_with_the_way_out(tmp_path: Path) -> None:
    says = r"reading it would run code \(test_weights\.Renamed, .*\); save model\.state_dict\(\) .*`trust_pi"
    with pytest.raises(ModelError, match=says):
        read_state_dict(saved(tmp_path / "weights.pth", network()))


def test_what_is_harmless_is_not_named_among_what_runs(tmp_path: Path) -> None:
    content = {"model": STATE, "best": np.float64(0.9), "out": Path("runs"), "network": network()}
    with pytest.raises(ModelError, match=r"would run code \(test_weights\.Renamed, torch\.nn\.") as told:
        read_state_dict(saved(tmp_path / "weights.pth", content))
    assert "numpy" not in str(told.value)
    assert "pathlib" not in str(told.value)


def test_code_runs_where_it_is_trusted(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = network()
    module.load_state_dict(STATE)
    for content in (module, {"model": module, "epoch": 3}, {"ema": None, "model": module}):
        path = saved(tmp_path / "weights.pth", content)
        loaded = network()
        load_into(loaded, read_state_dict(path, trust_pickle=True), model="toy", origin="FILE")
        assert_loaded(loaded)
    bomb = saved(tmp_path / "bomb.pth", {**STATE, "bomb": Bomb(tmp_path / "trace")})
    assert len(read_state_dict(bomb, trust_pickle=True)) == len(STATE)
    assert (tmp_path / "trace").exists()


def test_what_a_trusted_file_needs_is_named(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(b"\x80\x02cgone_module\nNet\n.")
    with pytest.raises(
        ModelError, match=r"without the code that it was written with \(No module named 'gone_mod"
    ):
        read_state_dict(path, trust_pickle=True)


NAMES = ("cat", "dog", "cot")
LABELED: list[Any] = [
    {"class_names": list(NAMES)},
    {"classes": NAMES},
    {"names": {0: "cat", 1: "dog", 2: "cot"}},
    {"class_to_idx": {"dog": 1, "cat": 0, "cot": 2}},
    {"hyper_parameters": {"lr": 0.1, "id2label": {"0": "cat", "1": "dog", "2": "cot"}}},
    {"meta": {"CLASSES": NAMES}},
    {"args": argparse.Namespace(classes=list(NAMES))},
]


@pytest.mark.parametrize("beside", LABELED)
def test_names_of_classes_are_found_in_checkpoints(tmp_path: Path, beside: dict[str, Any]) -> None:
    path = saved(tmp_path / "weights.pth", {"state_dict": STATE, **beside})
    assert read_state_dict(path).labels == NAMES


@pytest.mark.parametrize(
    "beside",
    [{}, {"classes": 3}, {"labels": [0, 1, 2]}, {"names": {0: "cat", 2: "dog"}}, {"classes": ["cat"]}],
)
def test_what_is_no_list_of_names_is_not_taken_for_one(tmp_path: Path, beside: dict[str, Any]) -> None:
    assert read_state_dict(saved(tmp_path / "weights.pth", {"state_dict": STATE, **beside})).labels is None


def test_names_of_classes_are_found_in_safetensors_and_beside_them(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file(STATE, path, metadata={"format": "pt", "class_names": json.dumps(NAMES)})
    assert read_state_dict(path).labels == NAMES
    save_file(STATE, path)
    assert read_state_dict(tmp_path).labels is None
    (tmp_path / "config.json").write_text('{"id2label": {"0": "cat", "1": "dog", "2": "cot"}}', "utf-8")
    tensors = read_state_dict(tmp_path)
    assert tensors.labels == NAMES
    assert tensors.keys() == STATE.keys()


def test_a_wrapped_network_takes_the_file_of_what_is_inside(tmp_path: Path) -> None:
    for content in (STATE, {"state_dict": wrapped("model.")}, wrapped("module.backbone.")):
        around = nn.ModuleDict({"net": network()})
        load(saved(tmp_path / "weights.pth", content), around)
        assert_loaded(around["net"])


def test_names_that_only_look_alike_are_not_matched() -> None:
    own = {"conv.weight": torch.zeros(1), "fc.weight": torch.zeros(1)}
    tensors = read_state_dict_of({"backbone.conv.weight": torch.zeros(1), "aux.fc.weight": torch.zeros(1)})
    assert match_names(tensors, own) is tensors


def read_state_dict_of(tensors: dict[str, torch.Tensor]) -> StateDict:
    state = StateDict(tensors)
    state._metadata = None
    return state


NO_WEIGHTS = [
    ("a.pth", b""),
    ("a.pth", b"not weights at all\n"),
    ("a.pth", b"\x00\x01\x02"),
    ("a.pth", b"PK\x03\x04 and no more"),
    ("a.pth", b"\x80\x02"),
    ("a.pth", b"\xff\xd8\xff\xe0 JFIF"),
    ("a.pth", pickle.dumps(7, protocol=2)),
    ("a.safetensors", b""),
    ("a.safetensors", b"not weights at all\n"),
]


@pytest.mark.parametrize(("name", "content"), NO_WEIGHTS)
def test_what_is_no_weights_file_is_named_on_one_line(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=r"is not a weights file|holds") as caught:
        read_state_dict(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ([1, 2], "holds a list, not a table of named tensors"),
        ({"epoch": 3, "weights": {}}, "holds no tensors .*; its keys are epoch, weights; save model"),
        (torch.zeros(3), "holds a Tensor, not a table"),
    ],
)
def test_a_file_without_named_tensors_is_named(tmp_path: Path, content: object, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        read_state_dict(saved(tmp_path / "weights.pth", content))


@pytest.mark.parametrize("name", ["missing.pth", "missing.safetensors", "."])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceNotFoundError, match=r"no weights file .* check `weights`"):
        read_state_dict(tmp_path / name)


def without(*names: str) -> dict[str, torch.Tensor]:
    return {name: value for name, value in STATE.items() if name not in names}


MISFITS = [
    (without("0.weight"), "FILE does not fit toy: 0.weight (2, 1, 1, 1) is missing in the file"),
    ({**STATE, "4.bias": torch.zeros(1)}, "FILE does not fit toy: 4.bias (1,) is unknown to toy"),
    (
        {**without("0.weight"), "0.wieght": torch.zeros(4)},
        "FILE does not fit toy: 0.weight (2, 1, 1, 1) is missing in the file, the nearest is 0.wieght (4,)",
    ),
    (
        {**STATE, "0.weight": torch.zeros(2, 3, 1, 1)},
        "FILE does not fit toy: 0.weight is (2, 3, 1, 1) in the file, (2, 1, 1, 1) in toy",
    ),
    (
        {"a": torch.zeros(1), "b": torch.zeros(1)},
        "FILE does not fit toy: 0.weight (2, 1, 1, 1) is missing in the file; a (1,) is unknown to "
        "toy; 0.bias (2,) is missing in the file and 7 more",
    ),
]


@pytest.mark.parametrize("assign", [True, False])
@pytest.mark.parametrize(("content", "says"), MISFITS)
def test_what_does_not_fit_is_named(
    tmp_path: Path, content: dict[str, torch.Tensor], says: str, assign: bool
) -> None:
    with pytest.raises(ModelError, match=f"^{re.escape(says)}$"):
        load(saved(tmp_path / "weights.pth", content), assign=assign)


def test_a_checkpoint_of_another_network_names_both(tmp_path: Path) -> None:
    tensors = {f"module.{name}": value for name, value in STATE.items()}
    tensors["module.0.weight"] = torch.zeros(2, 3, 1, 1)
    sides = "0.weight is (2, 3, 1, 1) in the file, (2, 1, 1, 1) in"
    for beside in (
        {"args": argparse.Namespace(model="resnet18", epochs=90)},
        {"arch": "resnet18"},
        {"hyper_parameters": {"arch": "resnet18"}},
    ):
        path = saved(tmp_path / "weights.pth", {"state_dict": tensors, **beside})
        for model, says in (
            ("toy", f"{sides} toy; the file says it is of resnet18"),
            ("timm:resnet18", f"{sides} timm:resnet18"),
            (
                DEFAULT_MODEL,
                f"{sides} {DEFAULT_MODEL}; the file says it is of resnet18; {DEFAULT_MODEL} is the default "
                "network: set `model` to the one they belong to",
            ),
        ):
            read = read_state_dict(path)
            assert read.network == "resnet18"
            with pytest.raises(ModelError, match=f"^FILE does not fit {model}: {re.escape(says)}$"):
                load_into(network(), read, model=model, origin="FILE")
        with pytest.raises(UnknownNameError, match="they belong to, which the file says is resnet18"):
            load_model(str(saved(tmp_path / "timm.pth.tar", {"state_dict": tensors, **beside})))
    assert read_state_dict(saved(tmp_path / "plain.pth", STATE)).network is None
    # As torch's AveragedModel writes it.
    averaged = {"model_ema": {**tensors, "n_averaged": torch.tensor(7)}}
    with pytest.raises(ModelError, match=f"^FILE does not fit toy: {re.escape(sides)} toy$"):
        load(saved(tmp_path / "averaged.pth", averaged))


def test_a_damaged_file_is_told_from_its_original(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    check_sha256(tmp_path / "a", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    with pytest.raises(ModelError, match=r"damaged or another version \(SHA-256 ba7816bf8f01…, expected 000"):
        check_sha256(tmp_path / "a", "0" * 64)


def test_tensors_divided_among_files_are_read_by_their_index(tmp_path: Path) -> None:
    tensors = {"a": torch.ones(2), "b": torch.zeros(3), "c": torch.full((1,), 5.0)}
    save_file({"a": tensors["a"]}, tmp_path / "model-00001-of-00002.safetensors")
    save_file({"b": tensors["b"], "c": tensors["c"]}, tmp_path / "model-00002-of-00002.safetensors")
    places = {"a": 1, "b": 2, "c": 2}
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(
        json.dumps(
            {"weight_map": {name: f"model-0000{n}-of-00002.safetensors" for name, n in places.items()}}
        )
    )
    (tmp_path / "config.json").write_text('{"id2label": {"0": "hat", "1": "coat"}}')
    for path in (tmp_path, index):
        read = read_state_dict(path)
        assert read.keys() == tensors.keys()
        assert all(torch.equal(read[name], value) for name, value in tensors.items())
        assert read.labels == ("hat", "coat")
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    message = r"lists 'model-00002-of-00002\.safetensors', which is not beside it; put all 2 files"
    with pytest.raises(SourceNotFoundError, match=message):
        read_state_dict(tmp_path)
    index.write_text('["weights"]')
    with pytest.raises(ModelError, match="is not an index of weights files"):
        read_state_dict(index)
