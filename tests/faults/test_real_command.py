"""The whole command, network and all, in processes to which something happens."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import av
import pytest
from media_factory import Audio, frame_times_of, make_clip, names_in, packets_of, paint_noise
from stage_fakes import LIMIT_S

from streamcam.media.images import planes_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits and signals as Linux has them")

FRAMES = 20
PROGRAM = Path(__file__).parent / "faulty_cli.py"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder with a video in it and a folder for what comes of it."""
    audio = [Audio(duration_s=0.8)]
    make_clip(tmp_path / "clip.mp4", frames=FRAMES, size=(96, 64), audio=audio, paint=paint_noise)
    (tmp_path / "out").mkdir()
    return tmp_path


def run_with(fault: str, work: Path, *arguments: str) -> tuple[int, str, str]:
    """Render the video; the input must stay as it is, whatever happens."""
    clip = work / "clip.mp4"
    before = clip.stat().st_mtime_ns, clip.read_bytes()
    child = subprocess.run(
        [sys.executable, str(PROGRAM), fault, "render", "clip.mp4", *arguments],
        capture_output=True,
        text=True,
        timeout=6 * LIMIT_S,
        check=False,
        cwd=work,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert (clip.stat().st_mtime_ns, clip.read_bytes()) == before
    return child.returncode, child.stdout, child.stderr


def images_of(path: Path) -> list[str]:
    with av.open(str(path)) as container:
        return [
            hashlib.sha256(b"".join(plane.tobytes() for plane in planes_of(frame))).hexdigest()
            for frame in container.decode(video=0)
        ]


def test_killed_outright_and_resumed_it_is_the_same_video(work: Path) -> None:
    whole = ("-o", "out/whole.mp4", "--resume", "--sidecar", "out/whole.jsonl", "--quiet")
    video = ("-o", "out/video.mp4", "--resume", "--sidecar", "out/video.jsonl", "--quiet")
    assert run_with("none", work, *whole) == (0, "", "")
    assert run_with("kill@000001.npz", work, *video) == (-signal.SIGKILL, "", "")
    left = ["video.jsonl.part", "video.mp4.part", "video.mp4.parts", "whole.jsonl", "whole.mp4"]
    assert names_in(work / "out") == left, "nothing under its final name"
    assert "000000.npz" in names_in(work / "out" / "video.mp4.parts")
    assert run_with("none", work, *video) == (0, "", "")
    assert names_in(work / "out") == ["video.jsonl", "video.mp4", "whole.jsonl", "whole.mp4"]
    one, other = work / "out" / "video.mp4", work / "out" / "whole.mp4"
    assert len(images_of(one)) == FRAMES
    assert images_of(one) == images_of(other)
    assert frame_times_of(one) == frame_times_of(other) == frame_times_of(work / "clip.mp4")
    assert packets_of(one, "audio") == packets_of(other, "audio")
    assert one.with_suffix(".jsonl").read_bytes() == other.with_suffix(".jsonl").read_bytes()


@pytest.mark.parametrize(
    ("fault", "says", "left"),
    [
        ("disk:20000", r"'out/video\.mp4' cannot be (written|completed): File too large", []),
        (
            "vanish@video.jsonl.part w",
            r"'out/video\.jsonl' cannot be written: No such file or directory",
            None,
        ),
    ],
)
def test_one_line_and_nothing_under_the_final_name(
    work: Path, fault: str, says: str, left: list[str] | None
) -> None:
    code, out, err = run_with(fault, work, "-o", "out/video.mp4", "--sidecar", "out/video.jsonl")
    assert (code, out) == (1, "")
    assert re.fullmatch(rf"streamcam: error: {says}\n", err)
    assert (names_in(work / "out") if (work / "out").exists() else None) == left
