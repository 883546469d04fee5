"""Files that PyTorch writes of whole networks: exported programs, TorchScript and pickled modules."""

from __future__ import annotations

import io
import json
import os
import pickle
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_networks import Residual
from torch import nn

from streamcam.errors import InvalidArgumentError, ModelError, UnknownNameError
from streamcam.explain import Explainer
from streamcam.models import Classifier, InputSpec, Model, load_model
from streamcam.models.labels import numbered_labels

IMAGE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
SHAPE = (2, 3, 32, 32)


def exported(path: Path, *, free: bool = True) -> Path:
    example = torch.zeros(SHAPE if free else (1, *SHAPE[1:]))
    shapes = ({0: torch.export.Dim("n")},) if free else None
    torch.export.save(torch.export.export(Residual().eval(), (example,), dynamic_shapes=shapes), path)
    return path


def scripted(path: Path) -> Path:
    return save_script(torch.jit.script, path)


def traced(path: Path) -> Path:
    return save_script(lambda module: torch.jit.trace(module, torch.zeros(SHAPE)), path)


def save_script(make: Callable[[nn.Module], Any], path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        make(Residual().eval()).save(str(path))
    return path


def original() -> Model:
    return Classifier("net", Residual().eval(), numbered_labels(3), InputSpec(32, 37), "none")


def heat(model: Model, method: str, layer: str = "auto") -> Any:
    settings: dict[str, Any] = {"classes": 1, "fit": "stretch", "precision": "fp32"}
    explainer = Explainer(model, method=method, target_layer=layer, **settings)
    return explainer.explain([IMAGE, IMAGE[::-1].copy()])[1].heatmaps[1]


@pytest.mark.parametrize("free", [True, False])
@pytest.mark.parametrize("method", ["gradcam", "scorecam", "occlusion:patch=8,stride=8"])
def test_an_exported_program_is_explained_by_its_layers(method: str, free: bool, tmp_path: Path) -> None:
    model = load_model(str(exported(tmp_path / "net.pt2", free=free)))
    assert model.input.sides == (32, 32)
    expected = heat(original(), method, "layer")
    assert np.ptp(expected) > 0
    found = heat(model, method, "layer")
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    explainer = Explainer(model)
    assert (explainer.target_layer, explainer.fit) == ("last", "stretch")
    assert (explainer.batch_size > 1) == free


@pytest.mark.parametrize("save", [scripted, traced])
@pytest.mark.parametrize("method", ["reciprocam", "scorecam", "occlusion:patch=8,stride=8"])
def test_torchscript_is_explained_without_gradients(
    method: str, save: Callable[[Path], Path], tmp_path: Path
) -> None:
    model = load_model(str(save(tmp_path / "net.pt")), input_size=32)
    biases = [name for name, part in model.module.named_children() if type(part).__name__ == "Add"]
    expected, found = heat(original(), method, "last"), heat(model, method, biases[-1])
    assert np.ptp(expected) > 0
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    with pytest.raises(InvalidArgumentError, match=r"'gradcam' needs gradients, and OpenVINO, .* has none"):
        Explainer(model, method="gradcam")


def test_pickled_modules_are_read_only_if_they_are_trusted(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.save({"model": Residual().half(), "names": {0: "cat", 1: "dog", 2: "owl"}}, path)
    with pytest.raises(ModelError, match=r"would run code \(small_networks\.Residual, .*`trust_pickle=True`"):
        load_model(str(path))
    model = load_model(str(path), trust_pickle=True, input_size=32)
    assert model.labels == ("cat", "dog", "owl")
    assert model.notes[-1].endswith("was trusted: code in it may have run")
    expected = heat(original(), "gradcam", "last")
    np.testing.assert_allclose(heat(model, "gradcam", "last"), expected, atol=1e-2 * expected.max())


def test_a_file_of_weights_is_still_no_network(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save(Residual().state_dict(), path)
    with pytest.raises(UnknownNameError, match="that is a file of weights: pass it with `weights`"):
        load_model(str(path))


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def repacked(source: Path, to: Path, change: Callable[[str, bytes], bytes], extra: str = "") -> Path:
    """Write an archive with changed members, and one more."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(to, "w", zipfile.ZIP_STORED) as new:
        for member in old.infolist():
            new.writestr(member.filename, change(member.filename, old.read(member)))
        if extra:
            new.writestr(f"{old.namelist()[0].partition('/')[0]}/{extra}", b"")
    return to


def test_no_code_in_an_exported_program_is_run(tmp_path: Path) -> None:
    good, marker = exported(tmp_path / "net.pt2"), tmp_path / "ran"
    saved = io.BytesIO()
    torch.save(Evil(marker), saved)

    def in_inputs(name: str, content: bytes) -> bytes:
        return saved.getvalue() if "sample_inputs" in name else content

    def in_constants(name: str, content: bytes) -> bytes:
        if not name.endswith("constants_config.json"):
            return content
        payload = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}
        return json.dumps({"config": {"evil": payload}}).encode()

    for change, extra, message in (
        (in_inputs, "", "holds pickled objects, and reading it would run code|cannot be read"),
        (in_constants, "data/constants/opaque_obj_0", "holds pickled objects, and reading it would run code"),
        (lambda _name, content: content, "data/aotinductor/model/net.so", "is compiled to machine code"),
    ):
        with pytest.raises(ModelError, match=message) as caught:
            load_model(str(repacked(good, tmp_path / "evil.pt2", change, extra)))
        assert "\n" not in str(caught.value)
    assert not marker.exists()
    pickle.loads(pickle.dumps(Evil(marker)))  # it would have
    assert marker.exists()


@pytest.mark.parametrize("name", ["cut.pt2", "empty.pt2", "text.pt2"])
def test_damaged_programs_are_refused_in_one_line(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = exported(tmp_path / "net.pt2").read_bytes()
    content = {"cut.pt2": data[: len(data) // 2], "empty.pt2": b"", "text.pt2": b"hello\n"}[name]
    (tmp_path / name).write_bytes(content)
    capfd.readouterr()
    with pytest.raises(ModelError, match=rf"{name}' cannot be read as an exported program") as caught:
        load_model(str(tmp_path / name))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_a_damaged_script_is_refused_in_one_line(tmp_path: Path) -> None:
    path = scripted(tmp_path / "net.pt")
    bad = repacked(path, tmp_path / "bad.pt", lambda name, content: b"?" if name.endswith(".py") else content)
    with pytest.raises(ModelError, match=r"bad\.pt' cannot be read as TorchScript") as caught:
        load_model(str(bad))
    assert "\n" not in str(caught.value)
