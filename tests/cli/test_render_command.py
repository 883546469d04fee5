"""What a finished render says and returns."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from media_factory import Audio, frame_times_of, make_clip, packets_of
from numpy.typing import NDArray
from PIL import Image
from stage_fakes import FakeExplainer

from streamcam.cli import run
from streamcam.cli.outcome import human_size, print_outcome, print_result
from streamcam.cli.signals import SignalCount
from streamcam.evidence import open_evidence
from streamcam.frames import SourceReport
from streamcam.pipeline.results import RenderResult
from streamcam.pipeline.resume import ResumeState
from streamcam.pipeline.settings import RenderSettings


@pytest.mark.usefixtures("clip", "explainers")
def test_a_render_says_what_was_written_and_how_fast(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["render", "clip.mp4", "-o", "out.mp4"]) == 0
    said = capfd.readouterr()
    assert re.fullmatch(
        r"wrote out\.mp4 \(\d+\.\d kB\): 20 frames in \d+\.\d s, \d+\.\d fps, \d+\.\dx real time\n", said.out
    )
    assert said.err == "", "no progress where there is no terminal"
    assert frame_times_of(work / "out.mp4") == frame_times_of(work / "clip.mp4")


@pytest.mark.usefixtures("clip", "explainers")
def test_the_sidecar_is_named_too(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["render", "clip.mp4", "-o", "out.mp4", "--sidecar", "maps.jsonl"]) == 0
    assert capfd.readouterr().out.endswith("x real time; maps: maps.jsonl\n")
    assert len((work / "maps.jsonl").read_text().splitlines()) == 21


@pytest.mark.usefixtures("clip", "explainers")
def test_evidence_is_kept_and_named(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["render", "clip.mp4", "-o", "out.mp4", "--evidence", "kept.h5"]) == 0
    assert capfd.readouterr().out.endswith("x real time; evidence: kept.h5\n")
    with open_evidence(work / "kept.h5") as evidence:
        assert len(evidence) == 20


@pytest.mark.usefixtures("clip", "explainers")
def test_quiet_says_nothing(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["render", "clip.mp4", "-o", "out.mp4", "--quiet"]) == 0
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")
    assert (work / "out.mp4").exists()


@pytest.mark.usefixtures("clip", "explainers")
def test_debug_shows_what_was_chosen(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["render", "clip.mp4", "-o", "out.mp4", "--debug"]) == 0
    lines = capfd.readouterr().err.splitlines()
    assert any(line.startswith("debug: streamcam.media: libx264 encodes yuv420p for .mp4") for line in lines)
    assert all(line.startswith("debug: streamcam.") for line in lines)
    assert (work / "out.mp4").exists()


@pytest.mark.usefixtures("explainers")
def test_quiet_still_says_what_is_wrong(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["render", "missing.mp4", "-o", "out.mp4", "--quiet"]) == 2
    assert capfd.readouterr().err.startswith("streamcam: error: ")
    assert list(work.iterdir()) == []


@pytest.mark.usefixtures("explainers")
def test_notes_are_said_but_not_when_quiet(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    make_clip(work / "odd.mkv", frames=2, size=(65, 48), codec="ffv1")
    assert run(["render", "odd.mkv", "-o", "out.mp4"]) == 0
    assert re.fullmatch(r"note: 65x48 is written as 64x48.*\n", capfd.readouterr().err)
    assert run(["render", "odd.mkv", "-o", "out.mp4", "--overwrite", "--quiet"]) == 0
    assert capfd.readouterr().err == ""


@pytest.mark.usefixtures("explainers")
def test_an_image(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(np.full((40, 60, 3), 90, np.uint8)).save(work / "photo.webp")
    assert run(["render", "photo.webp", "-o", "heat.jpg"]) == 0
    assert re.fullmatch(r"wrote heat\.jpg \(.* .*\): 1 frame in \d\.\d s\n", capfd.readouterr().out)
    with Image.open(work / "heat.jpg") as heat:
        assert heat.size == (60, 40)


@pytest.mark.usefixtures("explainers")
def test_audio_is_copied_untouched(work: Path) -> None:
    clip = make_clip(work / "clip.mp4", frames=20, audio=[Audio(duration_s=0.8)])
    assert run(["render", "clip.mp4", "-o", "out.mkv", "--quiet"]) == 0
    audio = [data for _, data in packets_of(clip, "audio")]
    assert [data for _, data in packets_of(work / "out.mkv", "audio")] == audio


@pytest.mark.usefixtures("explainers")
def test_names_that_are_no_ordinary_words(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("a:b.mp4", "zwei  Wörter.mp4", "-dash.mp4", "%d.mp4", "[bold].mp4"):
        make_clip(work / name, frames=3)
        assert run(["render", "-o", f"out {name}", "--", name]) == 0
        assert f"wrote out {name} (" in capfd.readouterr().out


@pytest.mark.usefixtures("clip")
def test_overlay_and_encoder_do_as_they_are_told(work: Path, explainers: list[FakeExplainer]) -> None:
    plain = ["--alpha", "0", "--no-labels", "--smoothing", "0", "--quiet"]
    assert run(["render", "clip.mp4", "-o", "plain.mkv", "--codec", "ffv1", *plain]) == 0
    assert run(["render", "clip.mp4", "-o", "heat.mkv", "--codec", "ffv1", "--no-labels", "--quiet"]) == 0
    assert (work / "plain.mkv").read_bytes() != (work / "heat.mkv").read_bytes()
    assert len(explainers) == 2


def paint_still(_index: int, planes: Sequence[NDArray[np.uint8]]) -> None:
    for plane in planes:
        plane[:] = np.arange(plane.shape[1], dtype=np.uint8)


@pytest.mark.usefixtures("explainers")
def test_a_still_video_is_explained_now_and_then(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    make_clip(work / "still.mp4", frames=50, paint=paint_still)
    command = ["render", "still.mp4", "-o", "out.mp4", "--sidecar", "maps.jsonl"]
    assert run([*command, "--every", "auto"]) == 0
    assert ": 50 frames, 5 of them explained," in capfd.readouterr().out
    records = [json.loads(line) for line in (work / "maps.jsonl").read_text().splitlines()[1:]]
    assert [record["frame"] for record in records if "method" in record] == [0, 4, 12, 25, 38]
    assert run([*command, "--every", "often"]) == 2
    assert "'often' is neither a whole number nor auto" in capfd.readouterr().err


RESULT = RenderResult(
    output=Path("out.mp4"),
    frames=7,
    explained=7,
    elapsed_s=1.0,
    video_s=0.28,
    interrupted=False,
    source=SourceReport(7),
    notes=(),
)


@pytest.mark.parametrize(
    ("changes", "signals", "code", "says"),
    [
        ({}, 0, 0, ""),
        (
            {"interrupted": True},
            1,
            130,
            "streamcam: interrupted; 'out.mp4' contains the 7 frames rendered so far",
        ),
        (
            {"interrupted": True, "frames": 1},
            1,
            130,
            "streamcam: interrupted; 'out.mp4' contains the one frame rendered so far",
        ),
        (
            {"interrupted": True, "frames": 0},
            1,
            130,
            "streamcam: interrupted before anything was finished; nothing was written",
        ),
        (
            {},
            1,
            130,
            "streamcam: interrupted, but 'out.mp4' was being completed and is whole",
        ),
        (
            {"source": SourceReport(7, 2, 1, "3 of 10 frames are missing")},
            0,
            1,
            "streamcam: error: 'in.mp4' is damaged: 3 of 10 frames are missing; 2 packets could not be "
            "decoded; 1 frame is partly damaged; 'out.mp4' contains the 7 frames that could be read",
        ),
        (
            {"source": SourceReport(9)},
            0,
            1,
            "streamcam: error: 'out.mp4' is missing 2 of 9 frames that were read; this is a bug in streamcam",
        ),
        (
            {"source": SourceReport(3, 1, frames_given=7)},
            0,
            1,
            "streamcam: error: 'in.mp4' is damaged: 1 packet could not be decoded; "
            "'out.mp4' contains 7 frames made of the 3 that could be read",
        ),
        (
            {"source": SourceReport(9, 1), "interrupted": True},
            1,
            130,
            "streamcam: interrupted; 'out.mp4' contains the 7 frames rendered so far\n"
            "streamcam: 'in.mp4' is damaged: 1 packet could not be decoded",
        ),
        (
            {"source": SourceReport(9), "interrupted": True, "frames": 0, "kept": ResumeState(9, 0)},
            1,
            130,
            "streamcam: interrupted; 'out.mp4.parts' contains 9 frames (all explained, not encoded yet), and "
            "the same command resumes there",
        ),
        (
            {"source": SourceReport(9), "interrupted": True, "frames": 0, "kept": ResumeState(5, 5)},
            1,
            130,
            "streamcam: interrupted; 'out.mp4.parts' contains 5 frames, and the same command resumes there",
        ),
        (
            {"source": SourceReport(7, 1)},
            1,
            130,
            "streamcam: error: 'in.mp4' is damaged: 1 packet could not be decoded; 'out.mp4' contains the 7 "
            "frames that could be read",
        ),
    ],
)
def test_how_a_render_is_judged(
    capfd: pytest.CaptureFixture[str], changes: dict[str, object], signals: int, code: int, says: str
) -> None:
    count = SignalCount()
    count.received = signals
    assert print_outcome(dataclasses.replace(RESULT, **changes), "in.mp4", count) == code  # type: ignore[arg-type]
    assert capfd.readouterr().err.rstrip("\n") == says


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "7 frames in 2.0 s, 3.5 fps, 0.5x real time"),
        ({"explained": 2}, "7 frames, 2 of them explained, in 2.0 s, 3.5 fps, 0.5x real time"),
        ({"carried": 4}, "7 frames, 4 from the last run; 3 new in 2.0 s, 1.5 fps, 0.5x real time"),
        (
            {"carried": 4, "explained": 2},
            "7 frames, 2 of them explained, 4 from the last run; 3 new in 2.0 s, 1.5 fps, 0.5x real time",
        ),
        ({"carried": 7}, "7 frames, 7 from the last run; 0 new in 2.0 s"),
    ],
)
def test_what_is_told_of_a_render(
    capfd: pytest.CaptureFixture[str], work: Path, changes: dict[str, int], says: str
) -> None:
    (work / "out.mp4").write_bytes(b"12345")
    print_result(dataclasses.replace(RESULT, elapsed_s=2.0, video_s=1.0, **changes), RenderSettings())
    assert capfd.readouterr().out == f"wrote out.mp4 (5 bytes): {says}\n"


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (816_700, "816.7 kB"),
        (2_500_000, "2.5 MB"),
        (7e9, "7.0 GB"),
    ],
)
def test_sizes_in_words(size: float, words: str) -> None:
    assert human_size(size) == words


@pytest.mark.usefixtures("clip", "explainers")
def test_evidence_keeps_the_command_with_its_environment(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMCAM_COLORMAP", "jet")
    assert run(["render", "clip.mp4", "-o", "out 1.mp4", "--evidence", "kept.h5", "--quiet"]) == 0
    with open_evidence(work / "kept.h5") as evidence:
        assert evidence.header["command"] == (
            "STREAMCAM_COLORMAP=jet streamcam render clip.mp4 -o 'out 1.mp4' --evidence kept.h5 --quiet"
        )
        assert evidence.header["settings"]["overlay"]["colormap"] == "jet"
