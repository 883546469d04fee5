"""int8: quantized by frames of a video, checked on others, kept in the cache, and refused where it harms."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from media_factory import make_clip
from quantizable import Convolutions, Images, blobs, make_film, model_of
from torch import nn

from streamcam.errors import InvalidArgumentError, ModelError
from streamcam.explain import Explainer
from streamcam.explain.backends.quantization import Fidelity, quantize
from streamcam.explain.compiled.explainer import CompiledExplainer
from streamcam.explain.compiled.loading import load_explainer
from streamcam.explain.compiled.store import store_for
from streamcam.explain.devices import choose_precision
from streamcam.explain.exported.writing import export_explainer
from streamcam.explanations import Explanation
from streamcam.frames import FloatArray
from streamcam.models import Model


def spoilt() -> Convolutions:
    """One of sixteen channels is a thousand times as large as the others, and nobody reads it."""
    network = Convolutions()
    with torch.no_grad():
        network.features[2].weight[0] *= 1000
        network.features[2].bias[0] = 1000
        network.features[4].weight[:, 0] = 0
    return network


def heat_of(explanation: Explanation) -> FloatArray:
    (heat,) = explanation.heatmaps.values()
    return heat


def test_int8_gives_nearly_the_maps_of_float32_and_says_how_near() -> None:
    model = model_of(Convolutions())
    explainer = Explainer(model, precision="int8", calibration=blobs(48))
    exact = Explainer(model, precision="fp32")
    assert (explainer.backend, explainer.precision) == ("openvino", "int8")
    split = explainer.runner.split
    assert split is not None
    assert split.fidelity is not None
    assert split.fidelity.holds
    assert split.fidelity.frames == 16
    assert explainer.notes == [split.fidelity.note]
    fresh = blobs(6, seed=1)
    for ours, theirs in zip(explainer.explain(fresh), exact.explain(fresh), strict=True):
        correlation = np.corrcoef(heat_of(ours).ravel(), heat_of(theirs).ravel())[0, 1]
        assert correlation > 0.95
        assert not np.array_equal(heat_of(ours), heat_of(theirs)), "float32 in disguise"


def test_the_quantized_graph_keeps_its_ends_in_float32() -> None:
    explainer = Explainer(model_of(Convolutions()), precision="int8", calibration=blobs(48))
    split = explainer.runner.split
    assert split is not None
    backbone, entry = split.backbone_for(np.stack(blobs(1)))
    assert split.quantized_in is not None
    assert entry == split.quantized_in.name, "what is compiled of it has to find this network, and no other"
    quantized = [
        node.input_value(1).get_node().get_type_name() != "Constant"
        for node in backbone.model.get_ordered_ops()
        if node.get_type_name() == "Convolution"
    ]
    assert quantized == [False, True, True, True, False]


def test_the_second_time_it_comes_from_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    calibration, fresh = blobs(24), blobs(2, seed=1)
    first = Explainer(model_of(Convolutions()), precision="int8", calibration=calibration)
    maps = [heat_of(each) for each in first.explain(fresh)]
    monkeypatch.setitem(sys.modules, "nncf", None)
    again = Explainer(model_of(Convolutions()), precision="int8", calibration=calibration)
    assert again.notes == first.notes
    assert again.identity() == first.identity()
    for one, other in zip(maps, again.explain(fresh), strict=True):
        np.testing.assert_array_equal(one, heat_of(other))
    # Other images make another network, for which nncf would be needed.
    with pytest.raises(InvalidArgumentError, match=r"needs nncf: .*pip install 'streamcam\[int8\]'"):
        Explainer(model_of(Convolutions()), precision="int8", calibration=blobs(24, seed=2))


def test_a_network_that_suffers_is_refused_with_the_figure_and_the_way_out() -> None:
    for _ in range(2):  # the second time from the cache
        with pytest.raises(ModelError, match=r"correlate 0\.\d+ with float32's.*`precision='auto'`"):
            Explainer(model_of(spoilt()), precision="int8", calibration=blobs(24))


@pytest.mark.parametrize(
    ("fidelity", "holds"),
    [
        (Fidelity(16, 0.98, 0.5, 0), True),
        (Fidelity(16, 0.979, 0.9, 0), False),
        (Fidelity(16, 0.999, 0.99, 1), False),
    ],
)
def test_maps_and_labels_both_have_to_hold(fidelity: Fidelity, holds: bool) -> None:
    assert fidelity.holds == holds


def test_single_channel_convolutions_stay_in_float32_where_it_takes_that() -> None:
    network = Convolutions()
    network.features[6] = nn.Conv2d(16, 16, 3, padding=1, groups=16)
    model = model_of(network)
    split = Explainer(model, precision="fp32").runner.split
    assert split is not None
    backbone, _ = split.backbone_for(np.stack(blobs(1)))
    inputs = [model.prepare(torch.from_numpy(image).permute(2, 0, 1)[None]).numpy() for image in blobs(12)]
    kinds = [
        [
            node.input_value(1).get_node().get_type_name()
            for node in quantized.get_ordered_ops()
            if node.get_type_name() == "GroupConvolution"
        ]
        for quantized in quantize(backbone.model, inputs)
    ]
    assert len(kinds) == 2
    assert kinds[0] != ["Constant"], "quantized weights are converted and scaled"
    assert kinds[1] == ["Constant"]


@pytest.mark.parametrize(
    ("images", "complaint"),
    [
        ([np.zeros((64, 64, 3), np.uint8)] * 40, "has 0 frames that differ and show something"),
        (blobs(1) * 40, "has 1 frames that differ"),
        (blobs(11), "has 11 frames that differ.*`calibration` another video, or use `precision='auto'`"),
    ],
    ids=["black", "still", "short"],
)
def test_too_little_to_calibrate_by_is_refused(images: Images, complaint: str) -> None:
    with pytest.raises(InvalidArgumentError, match=complaint):
        Explainer(model_of(Convolutions()), precision="int8", calibration=images)


def test_a_video_calibrates(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=20)
    with pytest.raises((ModelError, InvalidArgumentError), match="int8"):  # its frames are of one gray each
        Explainer(model_of(Convolutions()), precision="int8", calibration=clip)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"precision": "int8"}, "`precision='int8'` needs `calibration`"),
        ({"calibration": "film.mp4"}, "`calibration` is for `precision='int8'`"),
        ({"precision": "int8", "calibration": "-"}, "standard input can be read only once"),
        ({"precision": "int8", "calibration": "rtsp://camera/"}, "'rtsp://camera/' is live"),
    ],
)
def test_what_cannot_calibrate_is_refused(settings: dict[str, str], complaint: str) -> None:
    with pytest.raises(InvalidArgumentError, match=complaint):
        Explainer(model_of(Convolutions()), **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_it_is_for_networks_that_openvino_runs(device: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"OpenVINO runs, and the device is {device}"):
        choose_precision("int8", torch.device(device))


def test_auto_never_chooses_it() -> None:
    assert "int8" not in choose_precision("auto", torch.device("cpu")).names


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"method": "occlusion"}, "int8 is not used: occlusion compares small differences of scores"),
        ({"backend": "torch"}, "int8 is not used: torch was requested"),
        ({"target_layer": "features.4+features.8"}, "int8 is not used: there are several target layers"),
    ],
)
def test_where_it_cannot_be_used_float32_is_and_a_note_says_so(settings: dict[str, str], reason: str) -> None:
    explainer = Explainer(model_of(Convolutions()), precision="int8", calibration=blobs(12), **settings)  # type: ignore[arg-type]
    assert explainer.precision == "fp32"
    assert reason in explainer.notes


def test_images_that_it_computes_wrongly_are_float32s(monkeypatch: pytest.MonkeyPatch) -> None:
    explainer = Explainer(model_of(Convolutions()), precision="int8", calibration=blobs(24))
    split = explainer.runner.split
    assert split is not None
    monkeypatch.setattr("streamcam.explain.backends.split_network._INT8_CORRELATION", 1.1)
    explainer.explain(blobs(1, seed=3))
    assert explainer.precision == "fp32"
    assert explainer.notes[-1].endswith("so float32 is used for those")


def test_it_is_not_exported(tmp_path: Path) -> None:
    explainer = Explainer(model_of(Convolutions()), precision="int8", calibration=blobs(12))
    with pytest.raises(InvalidArgumentError, match=r"cannot be exported: int8 was checked by one video"):
        export_explainer(explainer, tmp_path / "net.explain")


def test_what_is_kept_of_it_belongs_to_the_content_of_a_file(tmp_path: Path) -> None:
    def key(calibration: object) -> str | None:
        settings = {"method": "auto", "device": "cpu", "precision": "int8", "calibration": calibration}
        store = store_for({"name": "resnet18", "weights": "none"}, settings)
        return None if store is None else store._key

    first, copied, other = (tmp_path / name for name in ("first.mp4", "copied.mp4", "other.mp4"))
    first.write_bytes(b"one video")
    copied.write_bytes(b"one video")
    other.write_bytes(b"another")
    assert key(first) is not None
    assert key(str(first)) == key(copied) == key(first) != key(other)
    assert key(tmp_path) is None, "a folder of images"
    assert key(blobs(12)) is None
    assert key(tmp_path / "missing.mp4") is None


def test_its_explanation_is_compiled_and_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an untrained network, whose maps say nothing: only that the same is computed counts."""
    monkeypatch.setenv("STREAMCAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(Fidelity, "holds", True)
    film = make_film(tmp_path / "film.mp4")
    model = {"name": "resnet18", "weights": "none", "input_size": 64}
    settings = {"device": "cpu", "fit": "stretch", "precision": "int8", "calibration": film}
    first = load_explainer(model, settings)
    assert isinstance(first, CompiledExplainer)
    image = blobs(1, seed=5)
    (compiled,), (in_torch,) = first.explain(image), first.in_torch().explain(image)
    assert first.precision == "int8"
    assert any(note.startswith("int8: maps correlate") for note in first.notes)
    largest = heat_of(in_torch).max()
    np.testing.assert_allclose(heat_of(compiled), heat_of(in_torch), atol=1e-4 * largest)

    def refuse() -> Model:
        raise AssertionError("the network was loaded again")

    again = load_explainer(model, settings, refuse)
    assert isinstance(again, CompiledExplainer)
    np.testing.assert_array_equal(heat_of(again.explain(image)[0]), heat_of(compiled))
    assert again.precision == "int8"
    assert again.notes == first.notes
