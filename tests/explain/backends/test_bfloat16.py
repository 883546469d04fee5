"""bfloat16 on OpenVINO: prepared for it, held to bounds, and given up where it breaks them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from streamcam.explain import Explainer
from streamcam.explain.backends import split_network
from streamcam.explain.backends.backbone import OpenVinoBackbone
from streamcam.explain.backends.bfloat16 import prepare_for_bfloat16, round_to_bfloat16
from streamcam.explain.devices import backend_precisions
from streamcam.explain.precision_check import CORRELATION_BOUND, MARGIN_BOUND, PROBABILITY_BOUND
from streamcam.explanations import Explanation
from streamcam.models.openvino_runtime import core, load_openvino

needs_bf16 = pytest.mark.skipif(
    "bf16" not in backend_precisions("CPU"), reason="this processor has no instructions for bfloat16"
)


def test_rounding_keeps_the_sum_of_every_row() -> None:
    weights = np.random.default_rng(0).normal(size=(50, 9)).astype(np.float32)
    rounded = round_to_bfloat16(weights)
    np.testing.assert_array_equal(torch.from_numpy(rounded).bfloat16().float().numpy(), rounded)
    # Each number is off by less than two roundings of the largest, and the sums by the last one's rounding.
    assert np.abs(rounded - weights).max() < 2 * 2.0**-8 * np.abs(weights).max()
    smallest = np.abs(weights).min(axis=1)
    kept = np.abs((rounded - weights).sum(axis=1, dtype=np.float64))
    nearest = torch.from_numpy(weights).bfloat16().float().numpy()
    assert (kept <= 2.0**-8 * smallest + 2.0**-7 * 2.0**-8).all()
    assert kept.mean() < 0.1 * np.abs((nearest - weights).sum(axis=1)).mean()


def test_rounding_worked_out_by_hand() -> None:
    # Next to 1 bfloat16 has 1 + 2^-7: the larger number becomes 1, and the smaller one gets the 2^-9 it lost.
    rounded = round_to_bfloat16(np.array([[2.0**-8, 1 + 2.0**-8 - 2.0**-9]], np.float32))
    np.testing.assert_array_equal(rounded, np.array([[2.0**-8 + 2.0**-9, 1.0]], np.float32))


def network(weights: NDArray[np.float32], bias: float) -> object:
    """Four convolutions of one channel: the last but one has weights and a bias that bfloat16 lacks."""
    openvino = load_openvino()
    opset = openvino.opset13
    given = opset.parameter([1, 1, 4, 4], np.float32)
    point = np.ones((1, 1, 1, 1), np.float32)
    end = given
    for kernel, shift in ((point, 0.0), (point, 0.0), (weights.reshape(1, 1, 3, 3), bias), (point, 0.0)):
        pad = [kernel.shape[-1] // 2] * 2
        end = opset.convolution(end, opset.constant(kernel), [1, 1], pad, pad, [1, 1])
        end = opset.add(end, opset.constant(np.full((1, 1, 1, 1), shift, np.float32)))
    return openvino.Model([opset.result(end)], [given], "four")


def test_a_prepared_network_computes_the_same_in_float32() -> None:
    weights = np.zeros((3, 3), np.float32)
    weights[1, 1], weights[0, 1] = 1 + 2.0**-9, 2.0**-9  # 2^-9 goes from one to the other
    prepared = prepare_for_bfloat16(network(weights, bias=2.0**-12))  # type: ignore[arg-type]
    compiled = core().compile_model(prepared, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    values = compiled(np.ones((1, 1, 4, 4), np.float32))[0]
    np.testing.assert_allclose(values[0, 0, 1:], 1 + 2.0**-8 + 2.0**-12, rtol=1e-7)


@needs_bf16
def test_a_bias_survives_bfloat16() -> None:
    # 256 products of 1 and a bias of -255.75, which bfloat16 rounds to -256: the sum would be nothing.
    openvino = load_openvino()
    opset = openvino.opset13

    def model() -> object:
        given = opset.parameter([1, 256, 4, 4], np.float32)
        identity = np.eye(256, dtype=np.float32)[:, :, None, None]
        end = given
        for _ in range(2):
            end = opset.convolution(end, opset.constant(identity), [1, 1], [0, 0], [0, 0], [1, 1])
        gathering = np.ones((256, 256, 1, 1), np.float32)
        end = opset.convolution(end, opset.constant(gathering), [1, 1], [0, 0], [0, 0], [1, 1])
        end = opset.add(end, opset.constant(np.full((1, 256, 1, 1), -255.75, np.float32)))
        end = opset.convolution(end, opset.constant(identity), [1, 1], [0, 0], [0, 0], [1, 1])
        return openvino.Model([opset.result(end)], [given], "gathering")

    ones = np.ones((1, 256, 4, 4), np.float32)
    found = {}
    for name, one in (("plain", model()), ("prepared", prepare_for_bfloat16(model()))):  # type: ignore[arg-type]
        compiled = core().compile_model(one, "CPU", {"INFERENCE_PRECISION_HINT": "bf16"})
        found[name] = float(compiled(ones)[0].max())
    assert found == {"plain": 0.0, "prepared": 0.25}


# --- The bounds ----------------------------------------------------------------------------------------


def photographs(folder: Path) -> list[NDArray[np.uint8]]:
    paths = sorted((folder / "imagenet").glob("*.JPEG"))
    assert len(paths) == 58
    images = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    return sorted(images, key=lambda image: image.shape)  # those of one shape go through the network together


def assert_within_bounds(found: Explanation, expected: Explanation) -> None:
    was = {one.index: one.probability for one in expected.predictions}
    now = {one.index: one.probability for one in found.predictions}
    shared = was.keys() & now.keys()
    assert len(shared) >= 4
    assert max(abs(was[index] - now[index]) for index in shared) <= PROBABILITY_BOUND
    best, second = expected.predictions[:2]
    if best.probability - second.probability >= MARGIN_BOUND:
        assert found.predictions[0].index == best.index
    heatmap, exact = found.heatmaps[best.index], expected.heatmaps[best.index]
    assert np.corrcoef(heatmap.ravel(), exact.ravel())[0, 1] >= CORRELATION_BOUND


@needs_bf16
def test_bfloat16_keeps_the_labels_and_maps_of_real_photographs(real_media: Path) -> None:
    images = photographs(real_media)
    settings = {"backend": "openvino", "top_k": 5, "classes": "top2"}
    exact = Explainer(precision="fp32", **settings).explain(images)  # type: ignore[arg-type]
    explainer = Explainer(**settings)  # type: ignore[arg-type]
    assert explainer.precision == "bf16"
    for found, expected in zip(explainer.explain(images), exact, strict=True):
        assert_within_bounds(found, expected)


@needs_bf16
def test_the_check_refuses_bfloat16_that_is_not_prepared(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # The images made for the check must tell good from bad without any photograph.
    monkeypatch.setenv("STREAMCAM_CACHE", str(tmp_path))
    monkeypatch.setattr(OpenVinoBackbone, "_prepared", property(lambda backbone: backbone.model))
    assert Explainer().precision == "fp32"


@needs_bf16
def test_what_was_found_out_is_remembered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STREAMCAM_CACHE", str(tmp_path))
    assert Explainer().precision == "bf16"
    (verdict,) = tmp_path.glob("openvino-*/verdict-*")
    monkeypatch.setattr(split_network, "keeps_bounds", lambda *_: False)
    assert Explainer().precision == "bf16"  # not asked again
    verdict.write_text("hold")  # damaged: asked again
    assert Explainer().precision == "fp32"


@needs_bf16
def test_a_video_that_bfloat16_is_too_coarse_for_gets_float32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (72, 128, 3), dtype=np.uint8)
    expected = Explainer(precision="fp32").explain([image])[0]
    explainer = Explainer()
    before = explainer.identity()
    monkeypatch.setattr(split_network, "keeps_bounds", lambda *_: False)
    found = explainer.explain([image])[0]
    assert (before["precision"], explainer.precision) == ("bf16", "fp32")
    assert explainer.identity() == before  # a render that is resumed begins as the interrupted one did
    ((index, heatmap),) = expected.heatmaps.items()
    np.testing.assert_array_equal(found.heatmaps[index], heatmap)
    assert explainer.backend == "openvino"


def test_bfloat16_runs_by_name_wherever_it_can() -> None:
    explainer = Explainer(precision="bf16")
    if "bf16" in backend_precisions("CPU"):
        assert explainer.backend_reason == "the backbone runs on OpenVINO in bf16"
        assert explainer.identity()["precision"] == explainer.precision == "bf16"
        assert explainer.notes == []
    else:
        assert explainer.precision == "fp32"
        assert any("no instructions for bf16" in note for note in explainer.notes)
    explanation = explainer.explain([np.zeros((72, 128, 3), np.uint8)])[0]
    assert explanation.predictions
