"""The command line with the network it ships with: what only that can show."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from media_factory import frame_times_of, make_clip, paint_noise
from stage_fakes import LIMIT_S

from streamcam.cli import run

MISUSE = 2

SAMPLE = Path(__file__).parent.parent.parent / "media" / "sample.mp4"

UNKNOWN = [
    (["--model", "resnet5O"], r"unknown model 'resnet5O'.*resnet50"),
    (["--method", "grad-cam"], r"unknown method 'grad-cam'.*gradcam"),
    (["--fit", "squash"], r"unknown fit 'squash'; choose one of: .*stretch"),
    (["--precision", "fp8"], r"unknown precision 'fp8'; choose one of: .*fp32"),
    (["--device", "gpu"], r"device 'gpu' cannot be used here.*--device auto"),
    (["--class", "egyptian kat"], r"unknown class 'egyptian kat'.*Egyptian cat \(285\)"),
    (
        ["--class", "terrier"],
        r"class 'terrier' is ambiguous.*Boston Bull|class 'terrier' is ambiguous.*terrier \(\d+\)",
    ),
    (["--class", "1000"], r"unknown class 1000.*0 to 999"),
    (["--class", ""], r"unknown class ''"),
    (
        ["--annotations", "boxes.json", "--masks", "masks"],
        r"lite0 finds no objects to write to 'boxes\.json'; with --boxes it holds boxes around the heat",
    ),
    (["--target-layer", "stages.99"], r"stages\.99"),
    (["--weights", "missing.pth"], r"no weights file 'missing\.pth'; check --weights"),
    (["--labels", "missing.txt"], r"no labels file 'missing\.txt'; check --labels"),
]


@pytest.mark.parametrize(("options", "says"), UNKNOWN, ids=[" ".join(row[0]) for row in UNKNOWN])
@pytest.mark.usefixtures("clip")
def test_names_that_the_network_does_not_know(
    work: Path, capfd: pytest.CaptureFixture[str], options: list[str], says: str
) -> None:
    code = run(["render", "clip.mp4", "-o", "out.mp4", *options])
    said = capfd.readouterr()
    assert re.search(says, said.err), said.err
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert code == MISUSE
    assert sorted(path.name for path in work.iterdir()) == ["clip.mp4"]


@pytest.mark.usefixtures("clip")
def test_a_file_that_is_no_weights(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (work / "weights.pth").write_text("not weights")
    assert run(["render", "clip.mp4", "-o", "out.mp4", "--weights", "weights.pth"]) == 1
    said = capfd.readouterr()
    assert re.fullmatch(r"streamcam: error: 'weights\.pth' .*\n", said.err)


def test_the_sample_is_named_rightly_and_twice_the_same(work: Path) -> None:
    """Half a second of the cat, and half a second of the espresso."""
    for name, start in (("cat", "0.5"), ("again", "0.5"), ("cup", "4.5")):
        end = str(float(start) + 0.6)
        options = ["--start", start, "--end", end, "--sidecar", f"{name}.jsonl", "--quiet"]
        assert run(["render", str(SAMPLE), "-o", f"{name}.mp4", *options]) == 0
    assert (work / "cat.jsonl").read_bytes() == (work / "again.jsonl").read_bytes()
    for name, label in (("cat", "Egyptian cat"), ("cup", "espresso")):
        header, *records = map(json.loads, (work / f"{name}.jsonl").read_text().splitlines())
        assert header["model"] == "efficientnet_lite0"
        assert len(records) == len(frame_times_of(work / f"{name}.mp4")) == 15
        tops = [record["predictions"][0]["label"] for record in records]
        assert tops.count(label) >= 13
        assert {record["target"]["label"] for record in records} == set(tops)


def test_one_class_for_every_frame(work: Path) -> None:
    options = ["--start", "0", "--end", "0.2", "--class", "espresso m", "--sidecar", "maps.jsonl", "--quiet"]
    assert run(["render", str(SAMPLE), "-o", "out.mp4", *options]) == 0
    _, *records = map(json.loads, (work / "maps.jsonl").read_text().splitlines())
    assert [record["target"] for record in records] == [{"index": 550, "label": "espresso maker"}] * 5


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_real_render_is_interrupted(work: Path) -> None:
    """When the file beside the target grows, images are being written."""
    clip = make_clip(work / "clip.mp4", frames=1000, size=(96, 64), paint=paint_noise)
    child = subprocess.Popen(
        [sys.executable, "-m", "streamcam", "render", "clip.mp4", "-o", "out.mkv", "--preset", "ultrafast"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=work,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        part = work / "out.mkv.part"
        deadline = time.monotonic() + 3 * LIMIT_S
        while not (part.exists() and part.stat().st_size > 20_000):
            assert child.poll() is None, child.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        child.send_signal(signal.SIGTERM)
        out, err = child.communicate(timeout=LIMIT_S)
    finally:
        child.kill()
        child.communicate()
    times = frame_times_of(work / "out.mkv")
    assert child.returncode == 130
    assert 0 < len(times) < 1000
    assert times == frame_times_of(clip)[: len(times)]
    assert out.startswith("wrote out.mkv (")
    assert f"contains the {len(times)} frames rendered so far" in err
    assert sorted(path.name for path in work.iterdir()) == ["clip.mp4", "out.mkv"]
