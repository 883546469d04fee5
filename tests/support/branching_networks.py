"""Networks of which not every layer leads from the image to the scores, small and untrained."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from streamcam.models import Classifier, InputSpec, Model, Output
from streamcam.models.labels import numbered_labels

CLASSES = 5


def classifier(module: nn.Module, *, side: int = 64, classes: int = CLASSES) -> Classifier:
    """Return a network with logits as a model."""
    return Classifier("toy", module.eval(), numbered_labels(classes), InputSpec(side, side), "none")


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Segmenter(Model):
    """Scores are the sum of each class's logits."""

    def read(self, answer: object) -> Output:
        assert isinstance(answer, dict)
        return Output(answer["out"].sum(dim=(2, 3)))


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Detector(Model):
    """Scores are those of each class's best place; boxes stand beside them and are not read."""

    def read(self, answer: object) -> Output:
        assert isinstance(answer, dict)
        return Output(answer["scores"].amax(dim=1), raw=answer)


def detector(module: nn.Module) -> Model:
    """Return a network with the scores (N, places, classes) of places as a model."""
    return Detector("toy", module.eval(), numbered_labels(CLASSES), InputSpec(128, 128), "none")


def _stage(inputs: int, outputs: int, stride: int = 2) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.ReLU())


def segmenter(module: nn.Module) -> Model:
    """Return a network with the planes of classes, under "out", as a model."""
    return Segmenter("toy", module.eval(), numbered_labels(CLASSES), InputSpec(64, 64), "none")


class TwoStreams(nn.Module):
    """Color and depth, of which depth is the same for every image here; its stream runs last."""

    def __init__(self) -> None:
        super().__init__()
        self.color = nn.Sequential(_stage(3, 8), _stage(8, 16))
        self.depth = nn.Sequential(_stage(1, 8), _stage(8, 16))
        self.fc = nn.Linear(32, CLASSES)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        rows = torch.linspace(0, 1, batch.shape[-2]).view(1, 1, -1, 1)
        depth = rows.expand(len(batch), 1, *batch.shape[-2:])
        features = [self.color(batch).mean((2, 3)), self.depth(depth).mean((2, 3))]
        logits: torch.Tensor = self.fc(torch.cat(features, dim=1))
        return logits


class AuxiliaryHead(nn.Module):
    """A segmenter whose auxiliary classifier runs last, as in torchvision's deeplabv3 and fcn."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(_stage(3, 8), _stage(8, 16))
        self.classifier = nn.Sequential(_stage(16, 16, 1), nn.Conv2d(16, CLASSES, 1))
        self.aux_classifier = nn.Sequential(_stage(8, 16, 1), nn.Conv2d(16, CLASSES, 1))

    def forward(self, batch: torch.Tensor) -> dict[str, torch.Tensor]:
        early = self.backbone[0](batch)
        out = self.classifier(self.backbone[1](early))
        return {"out": out, "aux": self.aux_classifier(early)}


class Pyramid(nn.Module):
    """A detector on levels of a pyramid, the coarsest of them last and of few places, as in RetinaNet.

    Two classes are found on the finest level, two on the next, and one on the coarsest.
    """

    def __init__(self) -> None:
        super().__init__()
        self.c3, self.c4 = nn.Sequential(_stage(3, 16), _stage(16, 16), _stage(16, 16)), _stage(16, 16)
        self.lateral, self.output = nn.Conv2d(16, 16, 1), nn.Conv2d(16, 16, 3, 1, 1)
        self.p5, self.p6 = nn.Conv2d(16, 16, 3, 2, 1), nn.Conv2d(16, 16, 3, 2, 1)
        self.head = nn.Conv2d(16, CLASSES, 3, 1, 1)
        self.boxes = nn.Conv2d(16, 4, 3, 1, 1)

    def forward(self, batch: torch.Tensor) -> dict[str, torch.Tensor]:
        c3 = self.c3(batch)
        c4 = self.c4(c3)
        p3 = self.output(self.lateral(c3) + F.interpolate(c4, scale_factor=2.0))
        p5 = self.p5(c4)
        levels = [p3, c4, p5, self.p6(p5.relu())]
        found_on = torch.tensor([0, 0, 1, 1, 3])
        found = [
            self.head(level).flatten(2) + 9 * (found_on == index).view(1, -1, 1)
            for index, level in enumerate(levels)
        ]
        scores = torch.cat(found, dim=2).transpose(1, 2)
        boxes = torch.cat([self.boxes(level).flatten(2) for level in levels], dim=2).transpose(1, 2)
        return {"scores": scores, "boxes": boxes}


class BoxDecoder(nn.Module):
    """A detector that decodes boxes last, by a convolution over four sides, as YOLOv8's ``dfl``."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(_stage(3, 16), _stage(16, 16), _stage(16, 16), _stage(16, 16))
        self.classes, self.boxes = nn.Conv2d(16, CLASSES, 1), nn.Conv2d(16, 32, 1)
        self.dfl = nn.Conv2d(8, 1, 1, bias=False)

    def forward(self, batch: torch.Tensor) -> dict[str, torch.Tensor]:
        features = self.backbone(batch)
        sides = self.boxes(features).flatten(2).unflatten(1, (4, 8)).transpose(1, 2)
        return {
            "scores": self.classes(features).flatten(2).transpose(1, 2),
            "boxes": self.dfl(sides.softmax(1).transpose(2, 3)[..., :4]),
        }


class Prompted(nn.Module):
    """Compares an image with prompts by any network of two towers."""

    def __init__(self, towers: nn.Module, prompts: int, compare: Any) -> None:
        super().__init__()
        self.towers, self.compare = towers, compare
        self.prompts: torch.Tensor
        self.register_buffer("prompts", torch.arange(1, 1 + 16 * prompts).view(prompts, 16))

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        similarities: torch.Tensor = self.compare(self.towers, batch, self.prompts)
        return similarities


def open_clip_towers(prompts: int) -> nn.Module:
    """CLIP as open_clip builds it, with a class token, the text's tower last."""
    import open_clip

    vision = {"image_size": 64, "layers": 3, "width": 64, "head_width": 32, "patch_size": 16}
    text = {"context_length": 16, "vocab_size": 100, "width": 64, "heads": 2, "layers": 3}

    def compare(towers: Any, batch: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        image, words, scale = towers(batch, tokens)
        similarities: torch.Tensor = scale * image @ words.T
        return similarities

    return Prompted(open_clip.CLIP(64, vision, text), prompts, compare)


def hugging_face_towers(prompts: int) -> nn.Module:
    """CLIP as transformers builds it."""
    from transformers import CLIPConfig, CLIPModel

    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 2}
    text = {**size, "vocab_size": 100, "max_position_embeddings": 16, "bos_token_id": 98, "eos_token_id": 99}
    vision = {**size, "image_size": 64, "patch_size": 16}

    def compare(towers: Any, batch: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        similarities: torch.Tensor = towers(input_ids=tokens, pixel_values=batch).logits_per_image
        return similarities

    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=32)
    return Prompted(CLIPModel(config), prompts, compare)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class QueryDetector(Model):
    """Scores are those of each class's best query, without the class of no object."""

    def read(self, answer: Any) -> Output:
        return Output(answer.logits.amax(dim=1)[:, :-1], raw=answer)


def yolos() -> Model:
    """YOLOS as transformers builds it: a class token, patches, and a token for each object there could be."""
    from transformers import YolosConfig, YolosForObjectDetection

    torch.manual_seed(0)
    config = YolosConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=2,
        image_size=[64, 64],
        patch_size=16,
        num_detection_tokens=20,
        num_labels=CLASSES,
    )
    module = YolosForObjectDetection(config).eval()
    return QueryDetector("yolos", module, numbered_labels(CLASSES), InputSpec(64, 64), "none")
