"""``streamcam doctor``."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from streamcam import sources
from streamcam.cli import doctor, run
from streamcam.cli.doctor import Finding, mode_lines
from streamcam.session import window
from streamcam.sources.v4l2 import CameraInfo, Mode


def only(monkeypatch: pytest.MonkeyPatch, **examinations: tuple[list[Finding], bool]) -> None:
    """Let nothing be looked at but what is given: findings, and whether videos depend on them."""

    def examine(findings: list[Finding]) -> Iterator[Finding]:
        yield from findings

    monkeypatch.setattr(
        doctor,
        "_CHECKS",
        tuple(
            (title, lambda findings=findings: examine(findings), needed)
            for title, (findings, needed) in examinations.items()
        ),
    )


def test_what_is_there_is_listed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("STREAMCAM_SOURCE", "rtsp://admin:hunter2@host/cam")
    assert run(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "hunter2" not in out
    for words in ("versions", "torch ", "accelerators", "torch on the CPU", "cameras", "display", "caches"):
        assert words in out


def test_nothing_wrong(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    only(monkeypatch, versions=([("streamcam 1", None)], True))
    assert run(["doctor"]) == 0
    assert capsys.readouterr().out == "versions\n  streamcam 1\n\nno problems found\n"


def test_what_videos_do_not_need_is_wrong_but_not_fatal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    only(monkeypatch, cameras=([("0: Cam", "camera 0: permission denied")], False))
    assert run(["doctor"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[-2:] == ["problem: camera 0: permission denied", "videos can still be rendered"]


NO_DISPLAY = "there is no display to open a window on"


@pytest.mark.parametrize(
    ("problem", "display", "found"),
    [
        (None, ":0", ("windows can be opened", None)),
        (NO_DISPLAY, None, ("none, as on a server; only the window of streamcam live needs one", None)),
        (NO_DISPLAY, ":0", ("no window can be opened", NO_DISPLAY)),
        ("OpenCV cannot be loaded", None, ("no window can be opened", "OpenCV cannot be loaded")),
    ],
)
def test_a_server_without_a_screen_is_all_right_and_a_screen_that_cannot_be_used_is_not(
    problem: str | None, display: str | None, found: Finding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "find_display", lambda: problem)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    if display is not None:
        monkeypatch.setenv("DISPLAY", display)
    assert list(doctor._display()) == [found]


def test_a_machine_without_a_camera_is_all_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "list_cameras", list)
    monkeypatch.setattr(sys, "platform", "linux")
    assert list(doctor._cameras()) == [
        ("none found; only streamcam live needs one, and only without a video or stream URL", None)
    ]


def test_what_videos_need_decides(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    only(monkeypatch, versions=([("", "no encoder")], True), display=([("none", "no display")], False))
    assert run(["doctor"]) == 1
    assert capsys.readouterr().out.splitlines()[-2:] == ["problem: no encoder", "problem: no display"]


def test_an_examination_that_breaks_is_a_finding(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def break_down() -> Iterator[Finding]:
        raise OSError("disk gone")
        yield

    monkeypatch.setattr(doctor, "_CHECKS", (("caches", break_down, False),))
    assert run(["doctor"]) == 0
    assert "problem: caches could not be checked (OSError: disk gone)" in capsys.readouterr().out


def test_converted_networks_are_counted_and_cleared_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STREAMCAM_CACHE", str(tmp_path))
    for name in ("openvino-a", "openvino-b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.bin").write_bytes(bytes(2_000_000))
    (tmp_path / "letter.txt").write_bytes(bytes(1_000_000))
    assert next(line for line, _ in doctor._caches()) == (
        f"{tmp_path}: 2 converted networks, 4 MB of at most 2,000 MB "
        "(streamcam doctor --clear-cache removes them)"
    )
    assert run(["doctor", "--clear-cache"]) == 0
    assert capsys.readouterr().out == f"{tmp_path}: 2 converted networks removed, 4 MB freed\n"
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_what_cannot_be_cleared_away_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STREAMCAM_CACHE", str(tmp_path))
    (tmp_path / "openvino-a").mkdir()

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "rename", refuse)
    assert run(["doctor", "--clear-cache"]) == 1
    assert capsys.readouterr().err == "problem: 1 converted network could not be removed\n"


def test_the_modes_of_a_camera_are_a_line_for_each_coding() -> None:
    modes = (
        Mode("YUYV", 640, 480, Fraction(30)),
        Mode("YUYV", 1280, 720, Fraction(10)),
        Mode("MJPG", 1280, 720, Fraction(30000, 1001)),
        Mode("H264", 1920, 1080, None),
    )
    assert mode_lines(CameraInfo(0, "/dev/video0", "Cam", modes)) == [
        "YUYV: 640x480 at 30, 1280x720 at 10",
        "MJPG: 1280x720 at 29.97",
        "H264: 1920x1080",
    ]


def test_ways_in_and_out_of_live_sessions_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_PAGE_PACKAGES", ("aiohttp", "no_such_package"))
    monkeypatch.setattr("streamcam.sources.screen.find_grabber", lambda: None)
    monkeypatch.setattr("pyvirtualcam.camera.BACKENDS", {})
    lines = [line for line, problem in doctor._live() if problem is None]
    assert re.match(r"published by rtmp, .*hls", lines[0])
    assert lines[1] == "the screen cannot be grabbed"
    assert lines[2] == "the page needs no_such_package: pip install 'streamcam[page]'"
    assert lines[3].startswith("no virtual camera can be used")
    assert len(lines) == 4
