"""What int8 cannot be calibrated by is refused before the network is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest
from media_factory import make_clip

from streamcam.cli import run
from streamcam.errors import InvalidArgumentError, SourceError
from streamcam.explain.calibration import check_calibration
from streamcam.explain.network_loading import load_network


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    make_clip(tmp_path / "film.mp4", frames=2)
    (tmp_path / "text.mp4").write_text("no video", "utf-8")
    (tmp_path / "empty").mkdir()
    return tmp_path


NAMED = [
    ("text.mp4", SourceError, "'text.mp4' is not a video that FFmpeg can read"),
    ("empty", SourceError, "'empty' is a directory without images"),
    ("nothing.mp4", SourceError, "no file 'nothing.mp4'"),
    ("-", InvalidArgumentError, "standard input can be read only once; give `calibration` a file"),
    ("screen:", InvalidArgumentError, "'screen:' is live; give `calibration` a file"),
    ("rtsp://me:secret@host/1", InvalidArgumentError, "'rtsp://***@host/1' is live"),
]


@pytest.mark.usefixtures("work")
@pytest.mark.parametrize(("source", "error", "complaint"), NAMED)
def test_what_cannot_be_read_or_has_no_end(
    monkeypatch: pytest.MonkeyPatch, source: str, error: type[Exception], complaint: str
) -> None:
    monkeypatch.setenv("DISPLAY", ":99")
    monkeypatch.setattr("streamcam.models.load_model", lambda *_, **__: pytest.fail("it was loaded"))
    with pytest.raises(error) as refused:
        load_network({"name": "resnet18"}, {"precision": "int8", "calibration": source})
    assert str(refused.value).startswith(complaint)


@pytest.mark.parametrize(
    ("precision", "source", "complaint"),
    [
        ("int8", None, "`precision='int8'` needs `calibration`: a video"),
        ("auto", "film.mp4", "`calibration` is for `precision='int8'`"),
        (None, "film.mp4", "`calibration` is for `precision='int8'`"),
    ],
)
def test_int8_and_what_it_is_calibrated_by_go_together(
    precision: str | None, source: str | None, complaint: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=complaint):
        check_calibration(precision, source)


@pytest.mark.usefixtures("work")
def test_what_can_be_read_and_what_would_have_to_be_fetched_is_fine() -> None:
    check_calibration("int8", "film.mp4")
    check_calibration("int8", "http://127.0.0.1:1/film.mp4")
    check_calibration("int8", "s3://bucket/film.mp4")
    check_calibration("auto", None)


@pytest.mark.parametrize(
    "command",
    [
        ["render", "film.mp4", "-o", "out.mp4"],
        ["compare", "film.mp4", "-o", "out.mp4"],
        ["report", "film.mp4", "-o", "out.html"],
        ["evaluate", "film.mp4"],
        ["audit", "film.mp4", "--roi", "0,0,8,8"],
        ["live", "film.mp4", "--display", "none"],
        ["prepare"],
    ],
)
def test_every_command_that_takes_one_refuses_it_in_one_line(
    work: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], command: list[str]
) -> None:
    monkeypatch.setattr("streamcam.models.load_model", lambda *_, **__: pytest.fail("it was loaded"))
    assert run([*command, "--precision", "int8", "--calibrate", "text.mp4"]) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("streamcam: error: 'text.mp4' is not a video that FFmpeg can read")
    assert {path.name for path in work.iterdir()} == {"film.mp4", "text.mp4", "empty"}
