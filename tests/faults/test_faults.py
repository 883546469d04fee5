"""Everything that can happen to a render: one line, the right exit code, and no half file."""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
from pathlib import Path

import av
import pytest
from media_factory import (
    Audio,
    frame_times_of,
    make_clip,
    names_in,
    overwrite_bytes,
    paint_noise,
)
from stage_fakes import FakeExplainer
from video_runs import limited_file_size

from streamcam.cli import run

DONE, FAILED, MISUSE = 0, 1, 2
FRAMES = 60

pytestmark = [
    pytest.mark.usefixtures("_nothing_is_left_running"),
    pytest.mark.skipif(sys.platform != "linux", reason="limits and descriptors as Linux has them"),
]


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a video in it, ``clip.mkv``, and a folder ``out``; it is the current one."""
    monkeypatch.chdir(tmp_path)
    make_clip(tmp_path / "clip.mkv", frames=FRAMES, paint=paint_noise, audio=[Audio(duration_s=2.4)])
    (tmp_path / "out").mkdir()
    return tmp_path


def run_badly(
    capfd: pytest.CaptureFixture[str], *arguments: str, source: str = "clip.mkv"
) -> tuple[int, str]:
    """Render something that must fail; return the exit code and the one line that was said."""
    before = hashlib.sha256(Path(source).read_bytes()).hexdigest() if Path(source).is_file() else None
    code = run(["render", *arguments, "--", source])
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.startswith("streamcam: error: ")
    assert said.err.count("\n") == 1, said.err
    if before is not None:
        assert hashlib.sha256(Path(source).read_bytes()).hexdigest() == before
    return code, said.err.removeprefix("streamcam: error: ").rstrip("\n")


# --- the disk ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".webm"])
@pytest.mark.usefixtures("explainers")
def test_a_disk_that_is_full_at_any_moment(
    work: Path, capfd: pytest.CaptureFixture[str], suffix: str
) -> None:
    """From the first byte to the last: headers, images, index, what is moved for a quick start."""
    assert run(["render", "clip.mkv", "-o", f"out/video{suffix}", "--quiet"]) == DONE
    size = (work / "out" / f"video{suffix}").stat().st_size
    (work / "out" / f"video{suffix}").unlink()
    for limit in (300, 1000, size // 3, size - 3000, size - 1):
        with limited_file_size(limit):
            code, line = run_badly(capfd, "-o", f"out/video{suffix}")
        assert code == FAILED
        assert re.match(rf"'out/video\{suffix}' (cannot be|holds \d+ of|was written but)", line)
        assert names_in(work / "out") == []
    with limited_file_size(size):
        assert run(["render", "clip.mkv", "-o", f"out/video{suffix}", "--quiet"]) == DONE


@pytest.mark.usefixtures("explainers")
def test_a_disk_that_is_full_for_the_sidecar(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["-o", "out/video.mkv", "--sidecar", "out/maps.jsonl", "--crf", "51"]
    assert run(["render", "clip.mkv", *arguments, "--quiet"]) == DONE
    video, maps = ((work / "out" / name).stat().st_size for name in ("video.mkv", "maps.jsonl"))
    assert video > maps
    for name in ("video.mkv", "maps.jsonl"):
        (work / "out" / name).unlink()
    make_clip(work / "long.mkv", frames=400)
    with limited_file_size(60_000):  # the video of 400 plain images fits, their maps do not
        code, line = run_badly(capfd, *arguments, source="long.mkv")
    assert code == FAILED
    assert re.match(r"'out/maps\.jsonl' cannot be (written|completed): File too large", line)
    assert names_in(work / "out") == []


@pytest.mark.usefixtures("explainers")
def test_a_disk_that_is_full_for_a_segment(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    make_clip(work / "long.mkv", frames=520, paint=paint_noise)
    with limited_file_size(400_000):
        code, line = run_badly(capfd, "-o", "out/video.mkv", "--resume", source="long.mkv")
    assert code == FAILED
    assert "File too large" in line
    assert "video.mkv" not in names_in(work / "out")
    assert run(["render", "long.mkv", "-o", "out/video.mkv", "--resume", "--quiet"]) == DONE
    assert names_in(work / "out") == ["video.mkv"]
    assert len(frame_times_of(work / "out" / "video.mkv")) == 520


@pytest.mark.parametrize(
    ("suffix", "more"),
    [
        (".mp4", []),
        (".mp4", ["--resume"]),
        (".mkv", ["--sidecar", "out/maps.jsonl"]),
        (".mkv", ["--resume", "--sidecar", "out/maps.jsonl"]),
        (".gif", []),
    ],
)
def test_an_output_directory_that_vanishes(
    work: Path,
    capfd: pytest.CaptureFixture[str],
    explainers: dict[str, FakeExplainer],
    suffix: str,
    more: list[str],
) -> None:
    explainers["explainer"] = FakeExplainer(before=lambda batch: batch == 5 and shutil.rmtree("out"))
    code, line = run_badly(capfd, "-o", f"out/video{suffix}", *more)
    assert code == FAILED
    assert "was deleted or moved meanwhile" in line
    assert names_in(work) == ["clip.mkv"]


# --- stages -----------------------------------------------------------------------------------------------


def test_an_explainer_that_raises_at_frame_1000(
    work: Path, capfd: pytest.CaptureFixture[str], explainers: dict[str, FakeExplainer]
) -> None:
    def die(batch: int) -> None:
        if batch == 500:
            raise RuntimeError("at frame 1000")

    make_clip(work / "long.mkv", frames=1010)
    for more, left in (([], []), (["--resume"], ["video.mp4.parts"])):
        explainers["explainer"] = FakeExplainer(before=die)
        code, line = run_badly(capfd, "-o", "out/video.mp4", *more, source="long.mkv")
        assert code == FAILED
        assert line == "internal error, RuntimeError: at frame 1000 (--debug shows where)"
        assert names_in(work / "out") == left
    explainers["explainer"] = fresh = FakeExplainer()
    assert run(["render", "long.mkv", "-o", "out/video.mp4", "--resume", "--quiet"]) == DONE
    assert fresh.batches[:2] == [[0, 1], [1000, 1001]]
    assert len(frame_times_of(work / "out" / "video.mp4")) == 1010


@pytest.mark.usefixtures("explainers")
def test_an_encoder_that_refuses(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    # A transport stream has 90000 ticks a second, and MPEG-4 knows 65535.
    make_clip(work / "fine.ts", frames=30, paint=paint_noise)
    code, line = run_badly(capfd, "-o", "out/video.mkv", "--codec", "mpeg4", source="fine.ts")
    assert code == FAILED
    assert line.startswith("'out/video.mkv' cannot be started with mpeg4 at 64x48: ")
    assert names_in(work / "out") == []


# --- damaged videos ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("explainers")
def test_damage_in_the_middle_costs_what_is_damaged_and_is_told(
    work: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    make_clip(work / "bad.mkv", frames=FRAMES, gop=1, paint=paint_noise)
    with av.open("bad.mkv") as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    data = Path("bad.mkv").read_bytes()
    for number in (7, 8, 40):
        overwrite_bytes(work / "bad.mkv", data.index(packets[number]), len(packets[number]))
    overwrite_bytes(work / "bad.mkv", data.index(packets[20]) + len(packets[20]) // 3, 20)
    before = Path("bad.mkv").read_bytes()
    assert run(["render", "bad.mkv", "-o", "out/video.mkv"]) == FAILED
    said = capfd.readouterr()
    assert said.out.startswith("wrote out/video.mkv (")
    assert said.err == (
        "streamcam: error: 'bad.mkv' is damaged: 3 packets could not be decoded; 1 frame is partly damaged; "
        f"'out/video.mkv' contains the {FRAMES - 3} frames that could be read\n"
    )
    assert len(frame_times_of(work / "out" / "video.mkv")) == FRAMES - 3
    assert Path("bad.mkv").read_bytes() == before


# --- hostile files ----------------------------------------------------------------------------------------

SDP = (
    "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n"
)
HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n../clip.mkv\n#EXT-X-ENDLIST\n"
POINTERS: list[tuple[str, str]] = [
    ("list.m3u8", HLS),
    ("list.mp4", HLS),
    ("concat.txt", "ffconcat version 1.0\nfile clip.mkv\n"),
    ("video.sdp", SDP),
    ("video.mpd", '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>'),
    ("video.avs", 'AviSource("clip.avi")\n'),
    ("subfile,,start,0,end,0,,:clip.mkv", ""),
]


@pytest.mark.parametrize(("name", "content"), POINTERS, ids=[name for name, _ in POINTERS])
@pytest.mark.usefixtures("explainers")
def test_files_that_point_elsewhere_are_not_followed(
    work: Path, capfd: pytest.CaptureFixture[str], name: str, content: str
) -> None:
    (work / name).write_text(content)
    code, line = run_badly(capfd, "-o", "out/video.mkv", source=name)
    assert code == FAILED
    assert repr(name) in line
    assert names_in(work / "out") == []


@pytest.mark.parametrize(
    "name",
    [
        "concat:clip.mkv|clip.mkv",
        "file:clip.mkv",
        "pipe:0",
        "data:video/mp4;base64,AAAA",
    ],
)
@pytest.mark.usefixtures("explainers")
def test_names_that_are_no_files_are_no_protocols_either(
    work: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    code, line = run_badly(capfd, "-o", "out/video.mkv", source=name)
    assert code == MISUSE
    assert line.startswith("no file ")
    assert names_in(work / "out") == []


@pytest.mark.parametrize(
    "name", ["concat:x|y.mkv", "caf\udce9.mkv", "a\nb.mkv", "%5d.mkv", "-i.mkv", "a?b#c.mkv"]
)
@pytest.mark.usefixtures("explainers")
def test_files_of_odd_names_are_videos_like_others(work: Path, name: str) -> None:
    (work / "clip.mkv").rename(work / name)
    assert run(["render", "-o", f"out/{name}", "--quiet", "--", name]) == DONE
    assert len(frame_times_of(work / "out" / name)) == FRAMES
    assert names_in(work / "out") == [name]


@pytest.mark.usefixtures("explainers")
def test_a_video_of_very_many_streams(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    make_clip(work / "many.mkv", frames=5, audio=[Audio("flac", 0.02)] * 150)
    assert run(["render", "many.mkv", "-o", "out/video.mkv", "--quiet"]) == DONE
    with av.open(str(work / "out" / "video.mkv")) as container:
        assert len(container.streams) == 151
    assert capfd.readouterr() == ("", "")
