"""Networks in files: ONNX with gradients, OpenVINO without, and what each file says of its input."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_networks import Residual
from torch import nn

from streamcam.cli import run
from streamcam.errors import InvalidArgumentError, ModelError, SourceNotFoundError, StreamcamError
from streamcam.explain import METHODS, Explainer
from streamcam.models import Classifier, InputSpec, Model, load_model
from streamcam.models.families import files
from streamcam.models.files.onnx_conversion import ConversionError
from streamcam.models.labels import numbered_labels
from streamcam.models.openvino_runtime import load_openvino

pytest.importorskip("onnx2torch")

IMAGE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
GRADIENT_FREE = [name for name, row in METHODS.items() if not row.needs_gradients and not row.finds_concepts]
OPTIONS = {"sscam": ":samples=2", "iscam": ":samples=2", "occlusion": ":patch=8,stride=8"}


class ChannelsLast(Residual):
    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return super().forward(batch.permute(0, 3, 1, 2))


class Pixels(Residual):
    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return super().forward(batch.float() / 255)


def export(module: nn.Module, path: Path, *shape: int, free: bool = True, **settings: Any) -> Path:
    """Write a network as ONNX, for batches of any size unless told otherwise."""
    example = torch.zeros(shape or (2, 3, 32, 32), dtype=settings.pop("dtype", torch.float32))
    axes = settings.pop("axes", {0: "n"} if free else {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            (example,),
            path,
            dynamo=False,
            input_names=["image"],
            dynamic_axes={"image": axes},
            **settings,
        )
    return path


def as_openvino(path: Path) -> Path:
    """Write an ONNX file again as OpenVINO's own format."""
    openvino = load_openvino()
    to = path.with_suffix(".xml")
    openvino.save_model(openvino.convert_model(path), to, compress_to_fp16=False)
    return to


def original(module: nn.Module | None = None) -> Model:
    module = Residual() if module is None else module
    return Classifier("net", module.eval(), numbered_labels(3), InputSpec(32, 37), "none")


def heat(model: Model, method: str = "gradcam", image: np.ndarray = IMAGE, **settings: Any) -> np.ndarray:
    settings = {"classes": 1, "fit": "stretch", "precision": "fp32", **settings}
    explainer = Explainer(model, method=method + OPTIONS.get(method, ""), **settings)
    return explainer.explain([image, image[::-1].copy()])[1].heatmaps[1]


@pytest.mark.parametrize(
    ("method", "backend"),
    [("gradcam", "torch"), ("gradcam", "openvino"), ("layercam", "torch"), ("scorecam", "torch")],
)
def test_an_onnx_file_is_explained_like_the_network_it_was_made_from(
    method: str, backend: str, tmp_path: Path
) -> None:
    model = load_model(str(export(Residual(), tmp_path / "net.onnx")))
    expected = heat(original(), method, target_layer="last", backend="torch")
    found = heat(model, method, target_layer="last/Conv", backend=backend)
    assert np.ptp(expected) > 0
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    assert (model.notes, model.labels) == ((), numbered_labels(3))


def test_what_exporters_write_today_is_converted(tmp_path: Path) -> None:
    """Operators of opset 20, of which onnx2torch knows none: reductions, shapes, GELU, normalization."""

    class Modern(Residual):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.group = nn.LayerNorm(8), nn.GroupNorm(2, 8)

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            features = self.group(self.layer(nn.functional.gelu(self.stem(batch))))
            tokens = self.norm(nn.functional.mish(features).flatten(2).transpose(1, 2))
            halves = torch.cat([tokens[:, :, 4:].flip(1), tokens[:, :, :4]], dim=2)
            logits: torch.Tensor = self.fc(halves.mean(dim=1))
            return logits

    path = export(Modern(), tmp_path / "net.onnx", opset_version=20)
    model = load_model(str(path))
    assert model.notes == ()
    expected, found = (
        heat(one, "gradcam", target_layer=layer)
        for one, layer in ((original(Modern()), "layer"), (model, "layer/Conv"))
    )
    assert np.ptp(expected) > 0
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("method", GRADIENT_FREE)
def test_openvino_runs_a_file_of_its_own_for_methods_without_gradients(method: str, tmp_path: Path) -> None:
    model = load_model(str(as_openvino(export(Residual(), tmp_path / "net.onnx"))))
    layers = [name for name, part in model.module.named_children() if type(part).__name__ == "Relu"]
    expected = heat(original(), method, target_layer="last", backend="torch")
    # A part has its own name in OpenVINO: the sum of a convolution and its bias.
    bias = [name for name, part in model.module.named_children() if type(part).__name__ == "Add"][-1]
    assert len(layers) == 3
    found = heat(model, method, target_layer=bias)
    assert np.ptp(expected) > 0
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_openvino_says_which_methods_explain_its_files(tmp_path: Path) -> None:
    model = load_model(str(as_openvino(export(Residual(), tmp_path / "net.onnx"))))
    message = (
        r"'gradcam' needs gradients, and OpenVINO, which runs .*net\.xml, has none; "
        r"set `method` to reciprocam, the nearest without them "
        r"\(vit-reciprocam for transformers\), or to one of eigencam, .*occlusion$"
    )
    with pytest.raises(InvalidArgumentError, match=message):
        Explainer(model, method="gradcam")
    with pytest.raises(InvalidArgumentError, match="`backend='torch'` cannot run"):
        Explainer(model, method="occlusion", backend="torch")
    explainer = Explainer(model)
    assert explainer.method == "reciprocam"
    assert f"{model.name} is explained by reciprocam, which needs no gradients" in explainer.notes
    assert not any("is explained by" in note for note in Explainer(model, method="reciprocam").notes)
    assert (explainer.backend, explainer.backend_reason) == ("openvino", "OpenVINO runs the whole network")


def test_a_file_says_that_openvino_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = as_openvino(export(Residual(), tmp_path / "net.onnx"))
    monkeypatch.setattr("streamcam.models.files.openvino_network.available", lambda: False)
    with pytest.raises(ModelError, match=r"net\.xml' is run by OpenVINO, .* pip install openvino$"):
        load_model(str(path))


def test_the_layer_of_an_openvino_file_is_the_last_with_a_grid(tmp_path: Path) -> None:
    model = load_model(str(as_openvino(export(Residual(), tmp_path / "net.onnx"))))
    explainer = Explainer(model, method="eigencam")
    names = [name for name, part in model.module.named_children() if type(part).__name__ == "Relu"]
    assert explainer.target_layer == names[-1]


def test_openvino_takes_over_what_cannot_be_converted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = export(Residual(), tmp_path / "net.onnx")

    def refuse(*_arguments: object) -> None:
        raise ConversionError("it does not know the operator Strange")

    monkeypatch.setattr(files, "convert_onnx", refuse)
    model = load_model(str(path))
    (note,) = model.notes
    assert note.endswith(
        "without gradients, for which it cannot be converted: it does not know the operator Strange"
    )
    with pytest.raises(InvalidArgumentError, match=r"needs gradients, .* does not know the operator Strange"):
        Explainer(model, method="gradcam")
    assert np.ptp(heat(model, "auto")) > 0


def test_what_is_converted_wrongly_is_left_to_openvino(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = export(Residual(), tmp_path / "net.onnx")
    convert = files.convert_onnx

    def convert_wrongly(*arguments: Any) -> Any:
        module, texts = convert(*arguments)
        with torch.no_grad():
            next(module.parameters()).add_(1)
        return module, texts

    monkeypatch.setattr(files, "convert_onnx", convert_wrongly)
    (note,) = load_model(str(path)).notes
    assert "onnx2torch computes it differently from OpenVINO" in note


@pytest.mark.parametrize("suffix", [".onnx", ".xml"])
def test_channels_last_whole_numbers_and_gray_are_read_from_the_file(suffix: str, tmp_path: Path) -> None:
    def load(module: nn.Module, *shape: int, **settings: Any) -> Model:
        path = export(module, tmp_path / "net.onnx", *shape, **settings)
        return load_model(str(path if suffix == ".onnx" else as_openvino(path)))

    last = load(ChannelsLast(), 1, 32, 32, 3)
    assert last.input == InputSpec(32, 37)
    np.testing.assert_allclose(heat(last, "occlusion"), heat(original(), "occlusion"), rtol=1e-3, atol=1e-5)
    pixels = load(Pixels(), 1, 3, 32, 32, dtype=torch.uint8)
    assert pixels.input.dtype == torch.uint8
    plain = load_model_of_pixels()
    np.testing.assert_allclose(heat(pixels, "occlusion"), heat(plain, "occlusion"), rtol=1e-3, atol=1e-5)
    gray = load(Residual(1), 1, 1, 32, 32)
    assert (gray.input.channels, gray.input.size) == (1, 32)
    assert np.ptp(heat(gray, "occlusion")) > 0


def load_model_of_pixels() -> Model:
    spec = InputSpec(32, 37, dtype=torch.uint8)
    return Classifier("net", Pixels().eval(), numbered_labels(3), spec, "none")


@pytest.mark.parametrize("suffix", [".onnx", ".xml"])
def test_sizes_of_the_file_are_kept_and_free_ones_are_chosen(suffix: str, tmp_path: Path) -> None:
    def load(shape: tuple[int, ...], axes: dict[int, str], **settings: Any) -> Model:
        path = export(Residual(), tmp_path / "net.onnx", *shape, axes=axes)
        return load_model(str(path if suffix == ".onnx" else as_openvino(path)), **settings)

    fixed = load((1, 3, 32, 128), {})
    assert fixed.input.sides == (128, 32)
    explainer = Explainer(fixed, method="occlusion:patch=8,stride=8")
    assert explainer.fit == "stretch"
    assert any("takes only 128x32 images" in note for note in explainer.notes)
    with pytest.raises(
        InvalidArgumentError, match="takes images of 128x32 pixels only, not 96x96; leave `input_size` out"
    ):
        load((1, 3, 32, 128), {}, input_size=96)
    free = load((1, 3, 32, 32), {0: "n", 2: "h", 3: "w"}, input_size=96)
    assert free.input.sides == (96, 96)
    assert Explainer(free, method="occlusion:patch=32,stride=32").fit == "full"


def test_a_fixed_batch_of_one_is_run_image_by_image(tmp_path: Path) -> None:
    class Flat(Residual):
        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            features = self.last(self.stem(batch).relu()).relu()
            return self.fc(features.reshape(1, 8, 64).mean(dim=2))  # type: ignore[no-any-return]

    path = export(Flat(), tmp_path / "net.onnx", 1, 3, 32, 32, free=False)
    for name in (path, as_openvino(path)):
        explainer = Explainer(load_model(str(name)), method="reciprocam")
        assert explainer.batch_size == 1
        first, second = explainer.explain([IMAGE, IMAGE[::-1].copy()])
        assert not np.array_equal(next(iter(first.heatmaps.values())), next(iter(second.heatmaps.values())))


def test_labels_come_from_the_file_or_from_beside_it(tmp_path: Path) -> None:
    import onnx

    path = export(Residual(), tmp_path / "net.onnx")
    (tmp_path / "config.json").write_text('{"id2label": {"0": "hat", "1": "coat", "2": "shoe"}}')
    assert load_model(str(path)).labels == ("hat", "coat", "shoe")
    proto = onnx.load(path)
    onnx.helper.set_model_props(proto, {"names": "{0: 'cat', 1: 'dog', 2: 'owl'}"})
    onnx.save(proto, path)
    assert load_model(str(path)).labels == ("cat", "dog", "owl")
    assert load_model(str(path), labels=["a", "b", "c"]).labels == ("a", "b", "c")


def test_inputs_that_are_no_image_are_refused_by_what_they_are(tmp_path: Path) -> None:
    class Two(Residual):
        def forward(self, batch: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            return super().forward(batch * mask)

    class Clip(nn.Module):
        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            return batch.mean(dim=(2, 3, 4))

    class Vector(nn.Module):
        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            return batch * 2

    two = tmp_path / "two.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        examples = (torch.zeros(1, 3, 32, 32), torch.zeros(1, 1, 32, 32))
        torch.onnx.export(Two().eval(), examples, two, dynamo=False, input_names=["image", "mask"])
    refused: dict[Path, str] = {
        two: r"takes 2 inputs \(image, mask\), and frames make one",
        export(Residual(4), tmp_path / "four.onnx", 1, 4, 32, 32): r"images of 4 channels \(\?x4x32x32\)",
        export(Clip(), tmp_path / "clip.onnx", 1, 3, 8, 32, 32): "takes clips or volumes",
        export(Vector(), tmp_path / "vector.onnx", 1, 9): r"takes \?x9 numbers, which is no batch of images",
        export(Residual(), tmp_path / "batch.onnx", 4, 3, 32, 32, free=False): "batches of exactly 4 images",
    }
    for path, message in refused.items():
        with pytest.raises(ModelError, match=message) as caught:
            load_model(str(path))
        assert "\n" not in str(caught.value)


def test_damaged_files_are_refused_in_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    whole = export(Residual(), tmp_path / "net.onnx")
    graph = as_openvino(whole)
    data = whole.read_bytes()
    files_and_messages = {"cut.onnx": data[: len(data) // 2], "empty.onnx": b"", "text.onnx": b"hello\n"}
    for name, content in files_and_messages.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "cut.xml").write_bytes(graph.read_bytes()[:1000])
    (tmp_path / "cut.bin").write_bytes(graph.with_suffix(".bin").read_bytes())
    (tmp_path / "light.xml").write_bytes(graph.read_bytes())
    (tmp_path / "light.bin").write_bytes(graph.with_suffix(".bin").read_bytes()[:10])
    capfd.readouterr()
    for name in (*files_and_messages, "cut.xml", "light.xml"):
        with pytest.raises(ModelError, match=rf"{name}' cannot be read: it is damaged") as caught:
            load_model(str(tmp_path / name))
        assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_missing_files_are_named(tmp_path: Path) -> None:
    graph = as_openvino(export(Residual(), tmp_path / "net.onnx"))
    graph.with_suffix(".bin").unlink()
    with pytest.raises(SourceNotFoundError, match=r"has its weights in 'net\.bin', which is not beside it"):
        load_model(str(graph))
    with pytest.raises(SourceNotFoundError, match=r"there is no file '.*none\.onnx'"):
        load_model(str(tmp_path / "none.onnx"))
    with pytest.raises(InvalidArgumentError, match="has its weights in it; leave `weights` out"):
        load_model(str(tmp_path / "net.onnx"), weights="other.pth")


def test_the_layers_of_a_file_are_listed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = export(Residual(), tmp_path / "net.onnx")
    for name in (path, as_openvino(path)):
        assert run(["layers", str(name)]) == 0
        (chosen,) = [line for line in capfd.readouterr().out.splitlines() if line.endswith("auto")][1:]
        assert {"relu", "8x8"} <= set(chosen.lower().split())


def test_a_newer_opset_is_left_to_openvino_or_refused(tmp_path: Path) -> None:
    import onnx

    path = export(Residual(), tmp_path / "net.onnx")
    proto = onnx.load(path)
    proto.opset_import[0].version = 99
    onnx.save(proto, path)
    try:
        (note,) = load_model(str(path)).notes
    except StreamcamError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert "its opset 99 is newer than onnx" in note
