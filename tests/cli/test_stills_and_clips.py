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
    "command",
    [["render", "--model", "video:r3d_18"], ["compare", "--models", "efficientnet_lite0,video:s3d"]],
)
def test_a_still_image_is_refused_before_a_network_of_clips_is_loaded(
    command: list[str], picture: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "streamcam.models.loading", None)
    name, *options = command
    assert run([name, str(picture), "-o", str(picture.with_name("out.png")), *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        f"streamcam: error: video:{'r3d_18' if name == 'render' else 's3d'} looks at clips"
    )
    assert line.endswith(
        "picture.png' is a still image; give it a video, or images in a row as frames/%05d.png"
    )


def test_a_still_image_is_refused_for_a_network_of_ones_own_that_looks_at_clips(picture: Path) -> None:
    explainer = Explainer(clip_colors(), backend="torch")
    output = picture.with_name("out.png")
    with pytest.raises(InvalidArgumentError, match=r"looks at clips, .* is a still image"):
        render(str(picture), output, explainer, settings=RenderSettings())
    assert not output.exists()
