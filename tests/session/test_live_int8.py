"""A live session quantizes its network by its own first frames, or goes on as before."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from quantizable import Convolutions, Images, blobs, model_of

from streamcam.explain.calibration import FRAMES
from streamcam.frames import Frame
from streamcam.media.images import image_from_rgb
from streamcam.session.calibration import FirstFrames
from streamcam.session.explainers import Explainers, build_from_model
from streamcam.session.state import ExplainRequest


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMCAM_CACHE", str(tmp_path / "cache"))


def frames_of(images: Images, apart_s: float = 0.25) -> list[Frame]:
    return [
        Frame(image_from_rgb(image), index, index, Fraction(1, 30), index * apart_s)
        for index, image in enumerate(images)
    ]


def test_frames_that_come_close_together_are_one() -> None:
    first = FirstFrames()
    first.see(frames_of(blobs(16), apart_s=0.125))
    assert [frame.index for frame in first.frames] == list(range(0, 16, 2))


def test_int8_begins_once_there_are_enough_frames() -> None:
    first = FirstFrames()
    build = build_from_model(model_of(Convolutions()), 1, first, precision="int8", calibration=None)
    explainer = Explainers(build, first)(ExplainRequest())
    for count, frame in enumerate(frames_of(blobs(FRAMES))):
        assert explainer.facts.precision != "int8"
        assert f"int8 waits for 48 frames, 0.25 s apart, and has {count} so far" in explainer.facts.notes[-1]
        explainer.explain_frames([frame])
    assert explainer.facts.precision == "int8"
    assert explainer.facts.notes[-1].startswith("int8: maps correlate 0.99")


def test_a_session_goes_on_where_the_network_cannot_be_quantized() -> None:
    first = FirstFrames()
    build = build_from_model(model_of(Convolutions()), 1, first, precision="int8", calibration=None)
    explainers = Explainers(build, first)
    explainer = explainers(ExplainRequest())
    for frame in frames_of([np.zeros((64, 64, 3), np.uint8)] * FRAMES):
        (explanation,) = explainer.explain_frames([frame])
    assert explanation.frame_index == FRAMES - 1
    assert explainer.facts.precision != "int8"
    assert "has 0 frames that differ and show something" in explainer.facts.notes[-1]
    assert explainers(ExplainRequest()).first_frames is None
