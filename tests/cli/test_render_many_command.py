"""``streamcam render`` of several files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from media_factory import make_clip
from stage_fakes import FakeExplainer

from streamcam.cli import run


@pytest.fixture
def videos(work: Path) -> Path:
    make_clip(work / "a.mp4", frames=4)
    make_clip(work / "b.mp4", frames=5)
    return work


@pytest.mark.usefixtures("videos")
def test_a_network_is_loaded_once_for_all(
    explainers: list[FakeExplainer], capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["render", "a.mp4", "b.mp4", "-o", "out/{stem}-heat.mkv"]) == 0
    assert len(explainers) == 1
    out, err = capfd.readouterr()
    assert err == ""
    rows = [re.split(r"\s{2,}", line.strip()) for line in out.splitlines()[:-1]]
    assert [row[:4] for row in rows] == [
        ["input", "output", "status", "frames"],
        ["a.mp4", "out/a-heat.mkv", "done", "4"],
        ["b.mp4", "out/b-heat.mkv", "done", "5"],
    ]
    assert re.fullmatch(r"2 files in [\d.]+ s: 2 done; manifest: out/streamcam\.jsonl", out.splitlines()[-1])


@pytest.mark.usefixtures("explainers")
def test_what_fails_is_said_even_if_quiet(videos: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (videos / "b.mp4").write_bytes(b"nonsense" * 50)
    assert run(["render", str(videos), "-o", "out/", "--quiet"]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("streamcam: error: ")
    assert "b.mp4' is not a video that FFmpeg can read" in err
    assert len(err.splitlines()) == 1


@pytest.mark.usefixtures("videos", "explainers")
def test_misuse_is_refused_before_work(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["render", "a.mp4", "b.mp4", "-o", "out.mp4"]) == 2
    assert "is one file for 2 inputs" in capfd.readouterr().err
    Path("out").mkdir()
    Path("out/a.mp4").write_text("precious")
    assert run(["render", "a.mp4", "b.mp4", "-o", "out"]) == 2
    assert "'out/a.mp4' exists already; give another name, or --overwrite" in capfd.readouterr().err
