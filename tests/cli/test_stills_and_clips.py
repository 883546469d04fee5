"""Networks that look at clips, and still images."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from toy_models import clip_colors

from streamcam import Explainer, RenderSettings, render
from streamcam.cli import run
from streamcam.errors import InvalidArgumentError


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    cv2.imwrite(str(tmp_path / "picture.png"), np.full((32, 48, 3), 90, np.uint8))
    return tmp_path / "picture.png"


@pytest.mark.parametrize(
    ("command", "model"),
    [
        (["render", "picture.png", "-o", "out.png", "--model", "video:r3d_18"], "video:r3d_18"),
        (["render", "picture.png", "-o", "out.png", "--model", "hf:clips"], "hf:clips"),
        (["render", ".", "-o", "out/", "--model", "video:r3d_18"], "video:r3d_18"),
        (["report", "picture.png", "-o", "out.html", "--model", "video:r3d_18"], "video:r3d_18"),
        (["compare", "picture.png", "-o", "out.png", "--models", "resnet18,video:s3d"], "video:s3d"),
    ],
)
def test_a_still_image_is_refused_before_a_network_of_clips_is_loaded(
    command: list[str],
    model: str,
    picture: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(picture.parent)
    _save_folder_of_clips()
    _forbid_loading(monkeypatch)
    assert run(command) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"streamcam: error: {model} looks at clips")
    assert line.endswith(
        "picture.png' is a still image; give it a video, or images in a row as frames/%05d.png"
    )


@pytest.mark.parametrize(
    ("command", "model", "user"),
    [
        (["evaluate", "film.mp4", "--model", "video:r3d_18"], "video:r3d_18", "an evaluation"),
        (["audit", "film.mp4", "--model", "hf:clips"], "hf:clips", "an audit"),
        (
            ["maximize", "--class", "0", "-o", "out.png", "--model", "video:r3d_18"],
            "video:r3d_18",
            "maximizing",
        ),
        (["export", "video:r3d_18", "-o", "net.explain"], "video:r3d_18", "an export"),
    ],
)
def test_what_needs_single_images_refuses_networks_of_clips_before_they_are_loaded(
    command: list[str],
    model: str,
    user: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    _save_folder_of_clips()
    _forbid_loading(monkeypatch)
    assert run(command) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        f"streamcam: error: {model} looks at clips, several frames at once; "
        f"{user} needs a network that takes single images"
    )


def _save_folder_of_clips() -> None:
    Path("clips").mkdir()
    Path("clips/config.json").write_text('{"architectures": ["VideoMAEForVideoClassification"]}', "utf-8")


def _forbid_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    for loading in ("streamcam.models.loading", "streamcam.explain.compiled.loading"):
        monkeypatch.setitem(sys.modules, loading, None)


def test_several_live_sources_are_refused_before_anything_is_opened(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["live", "a.mp4", "b.mp4", "--display", "none", "--model", "video:r3d_18"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        "streamcam: error: video:r3d_18 takes clips, and can explain one source at a time; name one"
    )


def test_a_still_image_is_refused_for_a_network_of_ones_own_that_looks_at_clips(picture: Path) -> None:
    explainer = Explainer(clip_colors(), backend="torch")
    output = picture.with_name("out.png")
    with pytest.raises(InvalidArgumentError, match=r"looks at clips, .* is a still image"):
        render(str(picture), output, explainer, settings=RenderSettings())
    assert not output.exists()
