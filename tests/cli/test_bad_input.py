"""Requests that cannot be carried out: one line that names the thing and the way out, and no debris."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from media_factory import Audio, frame_times_of, make_clip, truncate
from PIL import Image
from stage_fakes import FakeExplainer

import streamcam
from streamcam.cli import run
from streamcam.cli.exit_codes import exit_code_of
from streamcam.cli.flags import name_flags
from streamcam.errors import (
    InvalidArgumentError,
    NoDirectoryError,
    OutputExistsError,
    SourceError,
    StreamcamError,
    UnknownNameError,
)

FAILED, MISUSE = 1, 2


def make_audio(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), "fltp", "mono")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def state_of(directory: Path) -> dict[str, str]:
    """Everything in a directory, with the hash of what it holds."""
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else ""
        for path in sorted(directory.rglob("*"))
    }


def run_badly(directory: Path, capfd: pytest.CaptureFixture[str], arguments: list[str]) -> tuple[int, str]:
    """Run a command that must fail cleanly; return its exit code and the one line that it says."""
    before = state_of(directory)
    code = run(arguments)
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.startswith("streamcam: error: ")
    assert said.err.count("\n") == 1, said.err
    assert state_of(directory) == before
    return code, said.err.rstrip("\n")


FILES: list[tuple[str, Callable[[Path], object] | None, int, str]] = [
    ("missing.mp4", None, MISUSE, r"no file 'missing\.mp4'; check the path"),
    ("directory", Path.mkdir, MISUSE, r"'directory' is a directory without images; give a video"),
    ("text.mp4", lambda path: path.write_text("not a video\n" * 50), FAILED, r"'text\.mp4' .*video"),
    ("empty.mp4", Path.touch, FAILED, r"'empty\.mp4' is empty"),
    ("audio.m4a", make_audio, FAILED, r"'audio\.m4a' holds no video.*aac.*; give a video"),
    ("noise.mp4", lambda path: path.write_bytes(os.urandom(5000)), FAILED, r"'noise\.mp4' "),
    ("cut.png", lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 20), FAILED, r"'cut\.png' "),
    ("list.m3u8", lambda path: path.write_text("#EXTM3U\nvideo.ts\n"), FAILED, r"'list\.m3u8' "),
    ("two\nlines.mp4", None, MISUSE, r"no file 'two\\nlines\.mp4'"),
    ("", None, MISUSE, r"''"),
]


@pytest.mark.parametrize(("name", "make", "code", "says"), FILES, ids=[repr(row[0]) for row in FILES])
def test_inputs_that_are_no_video(
    work: Path,
    capfd: pytest.CaptureFixture[str],
    name: str,
    make: Callable[[Path], object] | None,
    code: int,
    says: str,
) -> None:
    if make is not None:
        make(work / name)
    found, line = run_badly(work, capfd, ["render", name, "-o", "out.mp4"])
    assert found == code
    assert re.search(says, line)


def test_a_video_without_its_index_is_told_apart_from_one_cut_short(
    work: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """An ordinary MP4 has its index at the end: cut off, nothing of it can be read."""
    truncate(make_clip(work / "cut.mp4", frames=30), 0.5)
    code, line = run_badly(work, capfd, ["render", "cut.mp4", "-o", "out.mp4"])
    assert code == FAILED
    assert "'cut.mp4'" in line


@dataclasses.dataclass(frozen=True)
class Mistake:
    """A request that cannot be carried out, as a command and as a call."""

    options: str
    """Behind ``streamcam render clip.mp4``."""
    exit_code: int
    error: type[StreamcamError]
    """What Python raises."""
    message: str
    """A regular expression; parameters in backticks, which the command line shows as flags."""
    parameters: dict[str, Any]
    """What is passed to `render`; ``output="out.mp4"`` if absent."""


MISTAKES = [
    Mistake(
        "-o clip.mp4",
        MISUSE,
        OutputExistsError,
        r"'clip\.mp4' is the input itself; .*another name",
        {"output": "clip.mp4"},
    ),
    Mistake(
        "-o clip.mp4 --overwrite",
        MISUSE,
        OutputExistsError,
        r"'clip\.mp4' is the input itself",
        {"output": "clip.mp4", "overwrite": True},
    ),
    Mistake(
        "-o there.mp4",
        MISUSE,
        OutputExistsError,
        r"'there\.mp4' exists already; .*`overwrite=True`",
        {"output": "there.mp4"},
    ),
    Mistake(
        "-o out.mp4 --sidecar there.mp4",
        MISUSE,
        OutputExistsError,
        r"'there\.mp4' exists already",
        {"sidecar": "there.mp4"},
    ),
    Mistake(
        "-o out.mp4 --sidecar clip.mp4 --overwrite",
        MISUSE,
        OutputExistsError,
        r"'clip\.mp4' is the input itself",
        {"sidecar": "clip.mp4", "overwrite": True},
    ),
    Mistake(
        "-o out.mp4 --sidecar out.mp4",
        MISUSE,
        InvalidArgumentError,
        r"sidecar 'out\.mp4' is the output",
        {"sidecar": "out.mp4"},
    ),
    Mistake(
        "-o out.mp4 --sidecar no/maps.jsonl",
        MISUSE,
        NoDirectoryError,
        r"no directory 'no'; make it first",
        {"sidecar": "no/maps.jsonl"},
    ),
    Mistake(
        "-o out.mp4 --evidence there.mp4",
        MISUSE,
        OutputExistsError,
        r"'there\.mp4' exists already",
        {"evidence": "there.mp4"},
    ),
    Mistake(
        "-o no/out.mp4",
        MISUSE,
        NoDirectoryError,
        r"no directory 'no'; make it first",
        {"output": "no/out.mp4"},
    ),
    Mistake("-o out", MISUSE, InvalidArgumentError, r"'out'.*use .*\.mp4", {"output": "out"}),
    Mistake("-o out.xyz", MISUSE, InvalidArgumentError, r"'out\.xyz'.*use .*\.mp4", {"output": "out.xyz"}),
    Mistake(
        "-o out.jpg",
        MISUSE,
        InvalidArgumentError,
        r"'out\.jpg' is of kind 'image', which cannot be made from a video; use .*heat\.mp4, ",
        {"output": "out.jpg"},
    ),
    Mistake(
        "-o out.gif --resume",
        MISUSE,
        InvalidArgumentError,
        r"only videos can be resumed \(\.mp4, .*\); leave out `resume=True`",
        {"output": "out.gif", "resume": True},
    ),
    Mistake(
        "-o out.mp4 --colormap jett",
        MISUSE,
        UnknownNameError,
        r"unknown colou?r map 'jett'.*\bjet\b",
        {"colormap": "jett"},
    ),
    Mistake(
        "-o out.mp4 --codec libx265x",
        MISUSE,
        UnknownNameError,
        r"unknown codec 'libx265x'.*\blibx265\b",
        {"codec": "libx265x"},
    ),
    Mistake(
        "-o out.mp4 --codec aac",
        MISUSE,
        InvalidArgumentError,
        r"codec 'aac' encodes audio.*try libx264",
        {"codec": "aac"},
    ),
    Mistake(
        "-o out.webm --codec libx264",
        MISUSE,
        InvalidArgumentError,
        r"\.webm file cannot hold .*264.*choose another",
        {"output": "out.webm", "codec": "libx264"},
    ),
    Mistake(
        "-o out.mp4 --preset quick",
        MISUSE,
        UnknownNameError,
        r"unknown preset 'quick'; choose one of: .*fast",
        {"preset": "quick"},
    ),
    Mistake(
        "-o out.mp4 --smoothing -0.5",
        MISUSE,
        InvalidArgumentError,
        r"smoothing.* seconds from 0 to 60, not -0\.5",
        {"smoothing_s": -0.5},
    ),
    Mistake(
        "-o out.mp4 --smoothing 1e9",
        MISUSE,
        InvalidArgumentError,
        r"smoothing.* seconds from 0 to 60, not 1e\+09",
        {"smoothing_s": 1e9},
    ),
    Mistake(
        "-o out.mp4 --smoothing-mode flows",
        MISUSE,
        UnknownNameError,
        r"unknown smoothing mode 'flows'; .*flow-zero-phase",
        {"mode": "flows"},
    ),
    Mistake(
        "-o out.mp4 --scale log",
        MISUSE,
        UnknownNameError,
        r"unknown scale 'log'; choose one of: absolute, frame",
        {"scale": "log"},
    ),
    Mistake(
        "-o out.mp4 --cuts on",
        MISUSE,
        UnknownNameError,
        r"unknown cut detection 'on'; choose one of: auto, off",
        {"cuts": "on"},
    ),
    Mistake(
        "-o out.mp4 --label-hold -1",
        MISUSE,
        InvalidArgumentError,
        r"label.hold.* seconds from 0 to 60, not -1",
        {"label_hold_s": -1},
    ),
    Mistake("-o out.mp4 --every 0", MISUSE, InvalidArgumentError, r"every.*0", {"every": 0}),
    Mistake(
        "-o out.mp4 --alpha 2", MISUSE, InvalidArgumentError, r"alpha.* from 0 to 1, not 2", {"alpha": 2.0}
    ),
    Mistake("-o out.mp4 --alpha nan", MISUSE, InvalidArgumentError, r"alpha.*nan", {"alpha": float("nan")}),
    Mistake(
        "-o out.mp4 --start -1", MISUSE, InvalidArgumentError, r"`start_s` -1 .*from 0", {"start_s": -1.0}
    ),
    Mistake(
        "-o out.mp4 --start inf",
        MISUSE,
        InvalidArgumentError,
        r"(`start_s`|'--start').*inf",
        {"start_s": float("inf")},
    ),
    Mistake(
        "-o out.mp4 --start 0.5 --end 0.5",
        MISUSE,
        InvalidArgumentError,
        r"`end_s` 0\.5 is not after the start",
        {"start_s": 0.5, "end_s": 0.5},
    ),
    Mistake(
        "-o out.mp4 --boxes --box-threshold 1.5",
        MISUSE,
        InvalidArgumentError,
        r"`threshold` is a share of the strongest heat, above 0 and below 1, not 1\.5",
        {"boxes": True, "threshold": 1.5},
    ),
    Mistake(
        "-o out.mp4 --boxes --box-components both",
        MISUSE,
        UnknownNameError,
        r"choice of components 'both'.*all, largest",
        {"boxes": True, "components": "both"},
    ),
    Mistake(
        "-o out.mp4 --boxes --annotations boxes.csv",
        MISUSE,
        InvalidArgumentError,
        r"`annotations` 'boxes\.csv' is of no such kind; use boxes\.json for COCO",
        {"boxes": True, "annotations": ("boxes.csv",)},
    ),
    Mistake(
        "-o out.mp4 --boxes --annotations boxes.json --annotations boxes.json",
        MISUSE,
        InvalidArgumentError,
        r"the annotations 'boxes\.json' is the annotations itself",
        {"boxes": True, "annotations": ("boxes.json", "boxes.json")},
    ),
    Mistake(
        "-o out.mp4 --boxes --annotations there/boxes.json",
        MISUSE,
        NoDirectoryError,
        r"no directory 'there'; make it first",
        {"boxes": True, "annotations": ("there/boxes.json",)},
    ),
    Mistake(
        "-o out.mp4 --boxes --masks masks.mp4",
        MISUSE,
        InvalidArgumentError,
        r"'masks\.mp4' cannot hold masks, which are lossless",
        {"boxes": True, "masks": "masks.mp4"},
    ),
    Mistake(
        "-o out.mp4 --roi 9000,10,9999,20",
        MISUSE,
        InvalidArgumentError,
        r"`roi` 9000,10,9999,20 is outside the picture, which is \d+x\d+ pixels",
        {"roi": "9000,10,9999,20"},
    ),
    Mistake("-o out.mp4 --start 99", FAILED, SourceError, r"'clip\.mp4'.*99 s.*`start_s`", {"start_s": 99.0}),
    Mistake(
        "-o out.mp4 --video-stream 1",
        MISUSE,
        InvalidArgumentError,
        r"'clip\.mp4' has no video stream 1; it has 0",
        {"video_stream": 1},
    ),
    Mistake(
        "-o out.mp4 --chroma 422 --codec av1",
        MISUSE,
        InvalidArgumentError,
        r"4:2:2.*leave `chroma` out",
        {"chroma": "422", "codec": "av1"},
    ),
]


@pytest.fixture
def crowded(work: Path, clip: Path) -> Path:  # noqa: ARG001 - the clip lies in it
    """The current directory, with the input, a file that must not be lost, and a subdirectory."""
    (work / "there.mp4").write_text("precious")
    (work / "sub").mkdir()
    return work


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.options)
def test_mistakes_on_the_command_line(
    crowded: Path, capfd: pytest.CaptureFixture[str], mistake: Mistake
) -> None:
    code, line = run_badly(crowded, capfd, ["render", "clip.mp4", *mistake.options.split()])
    assert re.search(name_flags(mistake.message), line)
    assert code == mistake.exit_code
    assert "`" not in line


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.options)
def test_the_same_mistakes_from_python(crowded: Path, mistake: Mistake) -> None:
    before = state_of(crowded)
    with pytest.raises(mistake.error, match=mistake.message) as raised:
        render_with(**mistake.parameters)
    assert exit_code_of(raised.value) == mistake.exit_code
    assert not re.search(r"(^|[\s(])--?[a-z]", str(raised.value)), "flags are for the command line"
    assert "\n" not in str(raised.value)
    assert state_of(crowded) == before


SETTINGS = {
    "temporal": streamcam.TemporalSettings,
    "overlay": streamcam.OverlaySettings,
    "localization": streamcam.LocalizationSettings,
    "encoder": streamcam.EncoderSettings,
    "source": streamcam.SourceSettings,
}
"""Field of `RenderSettings` → its dataclass."""


def render_with(output: str = "out.mp4", **parameters: Any) -> None:
    """Render ``clip.mp4`` from Python; parameters that are fields of settings go into these."""
    fields = {
        keyword: {field.name for field in dataclasses.fields(kind)} for keyword, kind in SETTINGS.items()
    }
    settings = {
        keyword: kind(**{name: value for name, value in parameters.items() if name in fields[keyword]})
        for keyword, kind in SETTINGS.items()
    }
    others = {name: value for name, value in parameters.items() if name not in set().union(*fields.values())}
    render_settings = streamcam.RenderSettings(**settings, **others)
    streamcam.render("clip.mp4", output, FakeExplainer(), settings=render_settings)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a directory that nobody can write in")
@pytest.mark.usefixtures("clip")
def test_a_directory_that_cannot_be_written_in(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, line = run_badly(work, capfd, ["render", "clip.mp4", "-o", "/proc/out.mp4"])
    assert code == FAILED
    assert re.search("cannot write .*'/proc", line)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.usefixtures("clip")
def test_a_directory_without_permission(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (work / "closed").mkdir(mode=0o500)
    code, line = run_badly(work, capfd, ["render", "clip.mp4", "-o", "closed/out.mp4"])
    assert code == FAILED
    assert re.search("cannot write .*'closed.*ermission", line)


@pytest.mark.usefixtures("clip")
def test_the_input_by_another_name_is_still_the_input(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (work / "link.mp4").symlink_to("clip.mp4")
    (work / "hard.mp4").hardlink_to(work / "clip.mp4")
    for name in ("link.mp4", "hard.mp4", "./clip.mp4", str(work / "clip.mp4")):
        code, line = run_badly(work, capfd, ["render", "clip.mp4", "-o", name, "--overwrite"])
        assert code == MISUSE
        assert "is the input itself" in line


def test_an_image_becomes_no_video(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (40, 30)).save(work / "photo.png")
    code, line = run_badly(work, capfd, ["render", "photo.png", "-o", "out.mp4"])
    assert code == MISUSE
    assert re.search(r"'out\.mp4' is of kind 'video', which cannot be made from an image; use .*\.png", line)


@pytest.mark.usefixtures("explainers")
def test_a_truncated_video_is_rendered_as_far_as_it_goes(
    work: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    clip = make_clip(
        work / "cut.mp4", frames=30, gop=5, muxer_options={"movflags": "+faststart"}, audio=[Audio()]
    )
    truncate(clip, 0.7)
    before = clip.read_bytes()
    assert run(["render", "cut.mp4", "-o", "out.mp4"]) == FAILED
    said = capfd.readouterr()
    rendered = len(frame_times_of(work / "out.mp4"))
    assert 0 < rendered < 30
    assert said.out.startswith("wrote out.mp4 (")
    assert re.fullmatch(
        rf"streamcam: error: 'cut\.mp4' is damaged: .+; 'out\.mp4' contains the {rendered} frames "
        r"that could be read\n",
        said.err,
    )
    assert sorted(path.name for path in work.iterdir()) == ["cut.mp4", "out.mp4"]
    assert clip.read_bytes() == before


@pytest.mark.usefixtures("clip", "explainers")
def test_an_error_inside_is_one_line_too(
    work: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fall_over(*_arguments: object, **_settings: object) -> None:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr("streamcam.pipeline.outputs.open_sink", fall_over)
    code, line = run_badly(work, capfd, ["render", "clip.mp4", "-o", "out.mp4"])
    assert code == FAILED
    assert line == (
        "streamcam: error: internal error, RuntimeError: first line second line (--debug shows where)"
    )


@pytest.mark.parametrize("arguments", [["--debug", "render"], ["render", "--debug"]])
def test_debug_adds_the_traceback(
    work: Path, capfd: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert run([*arguments, "missing.mp4", "-o", "out.mp4"]) == MISUSE
    said = capfd.readouterr().err
    assert "Traceback (most recent call last)" in said
    assert said.splitlines()[-1] == "streamcam: error: no file 'missing.mp4'; check the path"
    assert list(work.iterdir()) == []


def test_debug_from_the_environment(
    work: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMCAM_DEBUG", "1")
    assert run(["render", "missing.mp4", "-o", "out.mp4"]) == MISUSE
    assert "Traceback" in capfd.readouterr().err
    assert list(work.iterdir()) == []


@pytest.mark.usefixtures("clip")
def test_a_real_process_says_the_same(work: Path) -> None:
    child = subprocess.run(
        [sys.executable, "-m", "streamcam", "render", "clip.mp4", "-o", "clip.mp4"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=work,
    )
    assert (child.returncode, child.stdout) == (MISUSE, "")
    assert child.stderr == (
        "streamcam: error: 'clip.mp4' is the input itself; give the output another name\n"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="pipes that break are POSIX")
def test_nobody_listening_is_no_internal_error(work: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    child = subprocess.run(
        [sys.executable, "-m", "streamcam", "--help"],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
        cwd=work,
    )
    os.close(writing)
    assert (child.returncode, child.stderr) == (FAILED, "")
