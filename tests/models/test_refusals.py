"""Networks that do not run on an image as it is: each kind is told, and following the advice works."""

from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from streamcam import Explainer, models
from streamcam.cli import run
from streamcam.errors import ModelError
from streamcam.models import Classifier, InputSpec, Model, Output, load_model
from streamcam.models.labels import numbered_labels

IMAGE = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)


class Net(nn.Module):
    """Five classes, for images of any size."""

    def __init__(self, channels: int = 3, classes: int = 5) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(channels, 8, 3, 4, 1)
        self.fc = nn.Linear(8, classes)

    def forward(self, x: torch.Tensor) -> Any:
        return self.fc(self.conv(x).relu().mean((2, 3)))


class Person(Net):
    """Takes 256x128, as networks for people do."""

    def forward(self, x: torch.Tensor) -> Any:
        if x.shape[2:] != (256, 128):
            raise AssertionError(f"expected 256x128, got {tuple(x.shape[2:])}")
        return super().forward(x)


class Street(Net):
    """Takes 128x384, and says nothing of that."""

    def forward(self, x: torch.Tensor) -> Any:
        assert x.shape[2:] == (128, 384)
        return super().forward(x)


class Flat(nn.Sequential):
    """Says nothing of its size but how many numbers its last layer takes."""

    def __init__(self) -> None:
        super().__init__(nn.Conv2d(3, 4, 16, 16), nn.Flatten(), nn.Linear(4 * 16 * 8, 3))


def digits() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 4, 4), nn.Flatten(), nn.Linear(4 * 49, 10))


class FourChannels(Net):
    """Makes the fourth of the first."""

    def __init__(self) -> None:
        super().__init__(4)

    def prepare(self, pixels: torch.Tensor) -> torch.Tensor:
        return torch.cat([pixels, pixels[:, :1]], dim=1) / 255


class ColorAndDepth(Net):
    def __init__(self) -> None:
        super().__init__(4)

    def forward(self, rgb: torch.Tensor, depth: torch.Tensor) -> Any:  # type: ignore[override]
        return super().forward(torch.cat([rgb, depth], dim=1))


class AroundBoth(nn.Module):
    """Makes the depth of the image."""

    def __init__(self) -> None:
        super().__init__()
        self.net = ColorAndDepth()

    def prepare(self, pixels: torch.Tensor) -> torch.Tensor:
        return torch.cat([pixels, pixels[:, :1]], dim=1) / 255

    def forward(self, x: torch.Tensor) -> Any:
        return self.net(x[:, :3], x[:, 3:])


class ChannelsLast(Net):
    def forward(self, x: torch.Tensor) -> Any:
        return super().forward(x.permute(0, 3, 1, 2))


class Listed(Net):
    def forward(self, images: list[torch.Tensor]) -> Any:
        if not isinstance(images, list):
            raise ValueError("images is expected to be a list of 3d tensors")
        return super().forward(torch.stack(images))


class ByKeyword(Net):
    def forward(self, *, pixel_values: torch.Tensor) -> Any:  # type: ignore[override]
        return super().forward(pixel_values)


class Siamese(Net):
    def forward(self, left: torch.Tensor, right: torch.Tensor) -> Any:  # type: ignore[override]
        difference = super().forward(left) - super().forward(right)
        return difference.abs().sum(1)


class Pair(Siamese):
    def forward(self, pair: Any) -> Any:  # type: ignore[override]
        left, right = pair
        return super().forward(left, right)


class Captioned(Net):
    def forward(self, input_ids: Any = None, pixel_values: Any = None) -> Any:  # type: ignore[override]
        return super().forward(pixel_values) * len(input_ids)


class Video(Net):
    """Takes (N, T, C, H, W) and sees one frame after another."""

    def forward(self, clips: torch.Tensor) -> Any:
        count, moments, *image = clips.shape
        return super().forward(clips.reshape(-1, *image)).view(count, moments, -1).mean(1)


def volumes() -> nn.Module:
    return nn.Sequential(nn.Conv3d(3, 4, 4, 4), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 3))


class VolumesSwapped(nn.Module):
    """Takes (N, T, C, H, W), at least four moments."""

    def __init__(self) -> None:
        super().__init__()
        self.net = volumes()

    def forward(self, clips: torch.Tensor) -> Any:
        return self.net(clips.transpose(1, 2))


def scans() -> nn.Module:
    return nn.Sequential(nn.Conv3d(1, 4, 4, 4), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 3))


class Detector(Net):
    def forward(self, x: torch.Tensor) -> Any:
        places = self.conv(x).relu().flatten(2).transpose(1, 2)
        return {"logits": self.fc(places), "pred_boxes": places[..., :4].sigmoid()}


class BoxList(Net):
    def forward(self, x: torch.Tensor) -> Any:
        nothing = torch.zeros(0)
        return [{"boxes": torch.zeros(0, 4), "labels": nothing, "scores": nothing} for _ in x]


class Segmenter(Net):
    def forward(self, x: torch.Tensor) -> Any:
        return {"out": self.conv(x)[:, :5]}


class Depth(Net):
    def forward(self, x: torch.Tensor) -> Any:
        return self.conv(x).mean(1)


class Unbatched(Net):
    def forward(self, x: torch.Tensor) -> Any:
        return super().forward(x).squeeze(0)


class Around(nn.Module):
    """A network behind what makes its input, or before what reads its answer."""

    def __init__(self, net: nn.Module, run: Any) -> None:
        super().__init__()
        self.net, self.run = net, run

    def forward(self, x: torch.Tensor) -> Any:
        return self.run(self.net, x)


class BestBoxes(Model):
    def read(self, answer: Any) -> Output:
        return Output(answer["logits"].amax(dim=1) if isinstance(answer, dict) else answer)


TABLE = torch.linspace(-1, 1, 256)[:, None]
OBLONG = "takes images of 128x256 pixels"
CLIPS = (
    r"streamcam\.models\.ClipClassifier\(name, network, labels, streamcam\.models\.InputSpec\(224\), 'none', "
    r"frames=16, rate=10\), with the frames, and how many of a second, that it was trained on"
)
EITHER = "takes images of 128x256 or 256x128 pixels; set `input_size` to the one that it was trained on"

# Network, settings that the advice names, what it says, and what following it returns.
KINDS: dict[str, tuple[Any, dict[str, Any], str, Any]] = {
    "oblong": (Person, {"input_size": (128, 256)}, f"{OBLONG}; set `input_size` to 128x256", None),
    "wide, without a word": (
        Street,
        {"input_size": (384, 128)},
        "takes images of 384x128 pixels; set `input_size` to 384x128",
        None,
    ),
    "oblong, in either way": (Flat, {"input_size": (256, 128)}, EITHER, None),
    "gray": (
        lambda: Net(1),
        {"mean": [0.5], "std": [0.5]},
        "takes gray images of 224x224 pixels; set `mean` and `std` to one value each",
        None,
    ),
    "small and gray": (
        digits,
        {"mean": [0.5], "std": [0.5], "input_size": 28},
        "takes gray images of 28x28 pixels; .* and `input_size` to 28",
        None,
    ),
    "four channels": (
        lambda: Net(4),
        {},
        r"takes images of 4 channels, .*give it a method prepare\(pixels\) that makes them of RGB",
        FourChannels,
    ),
    "channels last": (
        ChannelsLast,
        {},
        r"takes images with channels last \(N, H, W, C\); .* permutes them",
        lambda: Around(ChannelsLast(), lambda net, x: net(x.permute(0, 2, 3, 1))),
    ),
    "list": (
        Listed,
        {},
        r"takes a list of images \(C, H, W\)",
        lambda: Around(Listed(), lambda net, x: net(list(x))),
    ),
    "keyword": (
        ByKeyword,
        {},
        "takes its image by the keyword pixel_values; .* passes it so",
        lambda: Around(ByKeyword(), lambda net, x: net(pixel_values=x)),
    ),
    "tuple": (
        Pair,
        {},
        "takes two images in one argument, as siamese networks do; .* takes them in two, .* `reference`",
        None,
    ),
    "two inputs": (
        ColorAndDepth,
        {},
        r"takes more than an image \(rgb, depth\); return .* takes only an image and adds the rest; "
        r"methods prepare\(pixels\) and companions\(frames\) can make its input of RGB and of a second file",
        AroundBoth,
    ),
    "texts": (
        Captioned,
        {},
        r"is a network for images and texts \(input_ids, pixel_values\); .* only an image and adds the rest",
        lambda: Around(Captioned(), lambda net, x: net([1], x)),
    ),
    "clips": (
        volumes,
        {},
        rf"takes clips or volumes \(N, C, T, H, W\), not single images; return {CLIPS}",
        lambda: models.ClipClassifier(
            "clips", volumes().eval(), numbered_labels(3), InputSpec(224), "none", frames=16, rate=10
        ),
    ),
    "clips, moments first": (
        Video,
        {},
        r"takes clips or several images \(N, T, C, H, W\), .* images\[:, None\]",
        lambda: Around(Video(), lambda net, x: net(x[:, None])),
    ),
    "clips by a Conv3d, moments first": (
        VolumesSwapped,
        {},
        rf"takes clips or several images .*return {CLIPS}, .* around it that swaps T and C",
        lambda: models.ClipClassifier(
            "clips",
            Around(VolumesSwapped(), lambda net, x: net(x.transpose(1, 2))).eval(),
            numbered_labels(3),
            InputSpec(32, 32),
            "none",
            frames=4,
            rate=5,
        ),
    ),
    "volumes": (
        scans,
        {},
        "takes volumes of one channel, and frames have no depth",
        None,
    ),
    "detector": (
        Detector,
        {},
        r"is a detector: it returns boxes \(logits, pred_boxes\); return a streamcam Model whose read\(\)",
        lambda: BestBoxes("boxes", Detector().eval(), numbered_labels(5), InputSpec(32, 32), "none"),
    ),
    "detector of lists": (BoxList, {}, r"is a detector: it returns boxes \(boxes, labels, scores\)", None),
    "segmenter": (
        Segmenter,
        {},
        r"returns planes \(1, 5, 56, 56\) \(out\), as segmenters do; return a streamcam\.models\.Segmenter",
        lambda: models.Segmenter("planes", Segmenter().eval(), numbered_labels(5), InputSpec(32, 32), "none"),
    ),
    "depth": (
        Depth,
        {},
        r"returns a tensor \(1, 56, 56\), as detectors and depth estimators do",
        lambda: Around(Depth(), lambda net, x: net(x).mean((1, 2))),
    ),
    "unbatched": (
        Unbatched,
        {},
        "returns 5 answers for one image",
        None,
    ),
}


def made(what: Any) -> Any:
    return what() if callable(what) else what


@pytest.fixture
def factory(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put a function that makes a network where the command line finds it."""
    module = types.ModuleType("my_factory")
    monkeypatch.setitem(sys.modules, "my_factory", module)

    def name(make: Any) -> str:
        module.make = make  # type: ignore[attr-defined]
        return "my_factory:make"

    return name


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_network_is_told(kind: str, factory: Any) -> None:
    network, _, says, _ = KINDS[kind]
    with pytest.raises(ModelError, match=f"my_factory:make {says}") as caught:
        load_model(factory(network))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 350


FOLLOWED = [kind for kind, (_, settings, _, way) in KINDS.items() if settings or way]


@pytest.mark.parametrize("kind", FOLLOWED)
def test_following_the_advice_gives_a_map(kind: str, factory: Any) -> None:
    network, settings, _, way = KINDS[kind]
    explainer = Explainer(load_model(factory(way or network), **settings), precision="fp32")
    (explanation,) = explainer.explain([IMAGE])
    (heatmap,) = explanation.heatmaps.values()
    assert heatmap.ndim == 2
    assert np.isfinite(heatmap).all()


@pytest.mark.parametrize(
    ("dtype", "reads"),
    [
        (torch.uint8, lambda x: x.float() / 255),
        (torch.int64, lambda x: nn.functional.embedding(x, TABLE)[..., 0]),
    ],
)
def test_networks_that_take_whole_numbers_get_pixels(dtype: torch.dtype, reads: Any, factory: Any) -> None:
    class Whole(Net):
        def forward(self, x: torch.Tensor) -> Any:
            if x.dtype != dtype:
                raise TypeError(f"expected {dtype}, not {x.dtype}")
            return super().forward(reads(x))

    model = load_model(factory(Whole), input_size=32)
    assert model.input.dtype == dtype
    explainer = Explainer(model, fit="stretch", classes=1, top_k=5)
    (explanation,) = explainer.explain([IMAGE[:32, :32]])
    pixels = torch.from_numpy(IMAGE[:32, :32].copy()).permute(2, 0, 1)[None]
    with torch.no_grad():
        expected = model.module(pixels.to(dtype)).softmax(1)[0]
    for prediction in explanation.predictions:
        assert prediction.probability == pytest.approx(float(expected[prediction.index]), abs=1e-5)
    if dtype == torch.uint8:  # the same network on the same numbers, given to it as floats
        spec = InputSpec(32, 32, (0.0,) * 3, (1.0,) * 3)
        floats = Classifier("floats", Net().eval(), model.labels, spec, "none")
        expected_map = Explainer(floats, fit="stretch", classes=1).explain([IMAGE[:32, :32]])[0].heatmaps[1]
        np.testing.assert_allclose(explanation.heatmaps[1], expected_map, atol=1e-5)


def test_a_single_value_for_each_image_is_a_logit(factory: Any) -> None:
    for answers in (lambda net, x: net(x)[:, 0], lambda net, x: net(x)[:, 0].squeeze()):
        name = factory(lambda answers=answers: Around(Net(), answers))
        model = load_model(name, input_size=32, labels=["no", "yes"])
        assert model.labels == ("no", "yes")
        assert len(Explainer(model, classes=1).explain([IMAGE, IMAGE])[1].heatmaps) == 1


def test_logits_are_found_by_their_name_in_dicts_and_objects(factory: Any) -> None:
    for answers in (
        lambda net, x: {"loss": None, "logits": net(x)},
        lambda net, x: types.SimpleNamespace(loss=None, logits=net(x)),
    ):
        model = load_model(factory(lambda answers=answers: Around(Net(), answers)), input_size=32)
        assert len(model.labels) == 5


def test_the_command_line_takes_inputs_that_are_not_square(
    factory: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    name = factory(Person)
    assert run(["layers", name]) == 1
    assert "takes images of 128x256 pixels; set --input-size to 128x256" in capfd.readouterr().err
    assert run(["layers", name, "--input-size", "128x256"]) == 0
    assert "64x32" in capfd.readouterr().out
    for wrong in ("128x", "0x4", "x", "12y5"):
        assert run(["layers", name, "--input-size", wrong]) == 2
        assert "'--input-size'" in capfd.readouterr().err
