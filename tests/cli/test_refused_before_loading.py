"""What a kind of network cannot do is refused in one line before any network is loaded."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from media_factory import make_clip

from streamcam import Explainer
from streamcam.cli import run
from streamcam.errors import InvalidArgumentError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A video, a picture and folders of transformers to work in; loading a network fails."""
    monkeypatch.chdir(tmp_path)
    make_clip(Path("film.mp4"), frames=2, size=(64, 48))
    cv2.imwrite("picture.png", np.full((32, 48, 3), 90, np.uint8))
    for name, architecture in (("detr", "DetrForObjectDetection"), ("clips", "VivitForVideoClassification")):
        Path(name).mkdir()
        Path(name, "config.json").write_text(f'{{"architectures": ["{architecture}"]}}', "utf-8")

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("a network was loaded")

    monkeypatch.setattr("streamcam.models.load_model", fail)
    return tmp_path


RENDER = ["render", "film.mp4", "-o", "out.mp4"]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            [*RENDER, "--model", "video:r3d_18", "--method", "occlusion:patch=8"],
            "method 'occlusion' explains single images, and video:r3d_18 looks at clips; use one of cam, ",
        ),
        (
            ["compare", *RENDER[1:], "--model", "hf:clips", "--methods", "gradcam,scorecam"],
            "method 'scorecam' explains single images, and hf:clips looks at clips; use one of cam, ",
        ),
        (
            [*RENDER, "--model", "video:r3d_18", "--reference", "picture.png"],
            "--reference is for networks that classify or embed single images, and video:r3d_18 looks at "
            "clips, several frames at once; leave it out",
        ),
        (
            ["live", "film.mp4", "--display", "none", "--model", "hf:clips", "--reference", "picture.png"],
            "--reference is for networks that classify or embed single images, and hf:clips looks at clips, ",
        ),
        (
            [*RENDER, "--model", "hf:detr", "--reference", "picture.png"],
            "--reference is for networks that classify or embed single images, and hf:detr is a detector; ",
        ),
        (
            [*RENDER, "--model", "detection:fcos_resnet50_fpn", "--method", "cam"],
            "method 'cam' is for classifiers that end in one linear layer, and detection:fcos_resnet50_fpn "
            "is a detector; use gradcam or hirescam",
        ),
        (
            [*RENDER, "--model", "hf:detr", "--method", "finercam"],
            "method 'finercam' compares classes of a whole image, and hf:detr is a detector; ",
        ),
        (
            [*RENDER, "--model", "resnet18", "--prompt", "a cat"],
            "--prompt is for networks that compare images with texts, as clip:ViT-B-32, and resnet18 has "
            "classes of its own; leave it out",
        ),
        (
            [*RENDER, "--model", "video:r3d_18", "--template", "a {}"],
            "--template is for networks that compare images with texts, as clip:ViT-B-32, and video:r3d_18 ",
        ),
        (
            [*RENDER, "--model", "clip:RN50"],
            "clip:RN50 compares images with texts; say with which ones by --prompt, or give a picture with ",
        ),
        (
            [*RENDER, "--model", "resnet18", "--target", "instances"],
            "target 'instances' is for detectors, and resnet18 finds no objects; explain a class",
        ),
        (
            ["compare", *RENDER[1:], "--models", "resnet18,vgg11", "--target", "instance2"],
            "target 'instance2' is for detectors, and resnet18 finds no objects; explain a class",
        ),
        (
            [*RENDER, "--confidence", "0.2"],
            "--confidence is for detectors, and efficientnet_lite0 gives one answer for each image; ",
        ),
        (
            [*RENDER, "--model", "hf:detr", "--clip-stride", "2"],
            "--clip-stride is for networks that look at clips, and hf:detr is a detector; leave it out",
        ),
        (
            [*RENDER, "--model", "resnet18", "--at", "5,5"],
            "--at is for segmenters, and resnet18 gives one answer for each image; leave it out",
        ),
        (
            [*RENDER, "--model", "segmentation:fcn_resnet50", "--at", "64,5"],
            "--at 64,5 is not in the picture: x is from 0 to 63, y from 0 to 47",
        ),
    ],
)
def test_it_is_refused_in_one_line(
    command: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"streamcam: error: {message}")
    assert not Path("out.mp4").exists()


def test_it_is_refused_in_python_too() -> None:
    with pytest.raises(InvalidArgumentError, match="'ablationcam' explains single images, and video:s3d"):
        Explainer("video:s3d", method="ablationcam")
    with pytest.raises(InvalidArgumentError, match="`at` is for segmenters, and video:s3d looks at clips"):
        Explainer("video:s3d", at=(3, 4))


def test_a_slide_show_is_refused_for_a_network_of_clips(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = folder / "shown"
    shown.mkdir()
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(shown / name), np.full((32, 48, 3), 90, np.uint8))
    assert run(["live", "shown", "--display", "none", "--model", "hf:clips"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        "streamcam: error: hf:clips looks at clips, several frames at once, and 'shown' is a slide show; "
        "if these are the frames of a video, say how many there are in a second by --fps"
    )
