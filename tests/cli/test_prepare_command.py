"""``streamcam prepare``: what it says, and that later starts load no torch."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from media_factory import make_clip

from streamcam.cli.main import run
from streamcam.session import prepare as preparing

FIT = ["--fit", "stretch", "--precision", "fp32"]
"""One shape of input, and float32, so that the processor does not matter."""

RENDER = """
import json, sys
from streamcam.cli.main import run
code = run(sys.argv[1:])
print(json.dumps([code, [name for name in ("torch", "torchvision") if name in sys.modules]]))
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache in which the default network is prepared."""
    cache = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STREAMCAM_CACHE", str(cache))
        assert run(["prepare", *FIT, "--quiet"]) == 0
    return cache


def test_renders_of_what_is_prepared_import_no_torch(
    prepared: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMCAM_CACHE", str(prepared))
    make_clip(work / "clip.mp4", frames=3)
    for arguments in (["render", "clip.mp4", "-o", "out.mp4", *FIT], ["prepare", "efficientnet_lite0", *FIT]):
        done = subprocess.run(
            [sys.executable, "-c", RENDER, *arguments], capture_output=True, text=True, check=True
        )
        assert json.loads(done.stdout.splitlines()[-1]) == [0, []], done.stderr
    assert (work / "out.mp4").is_file()


def test_what_is_ready_is_described(
    prepared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STREAMCAM_CACHE", str(prepared))
    assert run(["prepare", *FIT]) == 0
    ready, kept = capsys.readouterr().out.splitlines()
    heading = "efficientnet_lite0 with gradcam: ready for inputs of 224x224, 1 and 4 at once, in fp32 ("
    assert ready.startswith(heading)
    assert ready.endswith(" MB)")
    assert kept.startswith(f"{prepared} has ")


def test_the_reason_is_given_where_torch_runs(
    prepared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STREAMCAM_CACHE", str(prepared))
    assert run(["prepare", *FIT, "--methods", "scorecam"]) == 0
    line = capsys.readouterr().out.splitlines()[0]
    assert line.startswith("efficientnet_lite0 with scorecam: PyTorch runs it, because method 'scorecam' ")


def test_what_had_to_go_is_named(
    prepared: Path, work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = shutil.copytree(prepared, work / "cache")
    monkeypatch.setenv("STREAMCAM_CACHE", str(cache))
    whole = preparing.prepare

    def prepare_and_drop(*given: object, **settings: object) -> object:
        preparation = whole(*given, **settings)  # type: ignore[arg-type]
        shutil.rmtree(preparation.folders[-1])
        return preparation

    monkeypatch.setattr(preparing, "prepare", prepare_and_drop)
    assert run(["prepare", *FIT]) == 0
    assert "so efficientnet_lite0 with gradcam had to go" in capsys.readouterr().err


def test_a_cache_that_keeps_nothing_is_an_error(
    work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (work / "file").write_text("no folder")
    monkeypatch.setenv("STREAMCAM_CACHE", str(work / "file"))
    assert run(["prepare", *FIT]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "streamcam: error: 'file' keeps nothing: the disk is full, or it is read-only".replace(
        "'file'", repr(str(work / "file"))
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["resnet5"], "unknown model 'resnet5'; the nearest are: resnet50"),
        (["--methods", "gradcm"], "unknown method 'gradcm'; the nearest are: gradcam"),
        (["--methods", "auto,gradcm"], "unknown method 'gradcm'; the nearest are: gradcam"),
        (["--fit", "strech"], "unknown fit 'strech'"),
        (["--shape", "wide"], "'wide' is no shape of frames"),
        (["--weights", "nowhere.pth"], "nowhere.pth"),
    ],
)
@pytest.mark.usefixtures("work")
def test_bad_names_are_one_line(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["prepare", *arguments]) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert words in line
    assert captured.out == "", "something was prepared before"
