"""--precision int8 and --calibrate."""

from __future__ import annotations

from pathlib import Path

import pytest
from media_factory import make_clip
from quantizable import make_film

from streamcam.cli import run
from streamcam.cli.loading import calibrated_by

NETWORK = ["--model", "quantizable:Convolutions", "--input-size", "64", "--precision", "int8"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMCAM_CACHE", str(tmp_path / "cache"))


def test_a_render_is_calibrated_by_its_input(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    make_film(work / "film.mp4")
    assert run(["render", "film.mp4", "-o", "out.mp4", *NETWORK]) == 0
    assert "note: int8: maps correlate 0.9" in capfd.readouterr().err


def test_what_cannot_calibrate_ends_in_one_line(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    make_film(work / "film.mp4")
    make_clip(work / "gray.mp4", frames=20)
    assert run(["render", "film.mp4", "-o", "out.mp4", *NETWORK, "--calibrate", "gray.mp4"]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("streamcam: error: 'gray.mp4' has 0 frames that differ and show something")
    assert line.endswith("give --calibrate another video, or use --precision auto")
    assert not (work / "out.mp4").exists()


def test_what_is_prepared_is_kept_and_said(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    make_film(work / "film.mp4")
    assert run(["prepare", *NETWORK[1:], "--shape", "1:1", "--calibrate", "film.mp4"]) == 0
    printed = capfd.readouterr()
    line, reason, *_ = printed.out.splitlines()
    heading = "quantizable:Convolutions with gradcam: the network up to its target layer is kept in int8 ("
    assert line.startswith(heading)
    assert line.endswith("), for --precision int8 --calibrate film.mp4")
    assert ": PyTorch runs what follows, because only networks that come with" in reason
    assert printed.err.startswith("note: int8: maps correlate 0.9")
    (kept,) = (work / "cache").rglob("fidelity.json")
    assert kept.parent.name.startswith("openvino-int8-")


@pytest.mark.parametrize(
    ("settings", "calibration"),
    [
        ({"precision": "int8", "calibration": None}, "film.mp4"),
        ({"precision": "int8", "calibration": "other.mp4"}, "other.mp4"),
        ({"precision": "auto", "calibration": None}, None),
    ],
)
def test_what_is_named_goes_first(settings: dict[str, object], calibration: str | None) -> None:
    assert calibrated_by(settings, "film.mp4")["calibration"] == calibration
