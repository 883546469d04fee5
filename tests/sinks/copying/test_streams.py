from __future__ import annotations

from collections import Counter
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media_factory import (
    Audio,
    Subtitles,
    frame_times_of,
    make_clip,
    names_in,
    packets_of,
    paint_noise,
)
from video_runs import FAST, pass_through

from streamcam.media.encoders import EncoderSettings

# Audio


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        (".mp4", "aac"),
        (".mp4", "flac"),
        (".mov", "aac"),
        (".mov", "pcm_s16le"),
        (".mkv", "libopus"),
        (".mkv", "aac"),
        (".webm", "libopus"),
        (".ts", "mp2"),
    ],
)
def test_audio_is_copied_bit_for_bit_and_in_time(suffix: str, codec: str, tmp_path: Path) -> None:
    clip = make_clip(
        tmp_path / f"in{suffix}",
        codec="libvpx-vp9" if suffix == ".webm" else "libx264",
        audio=[Audio(codec)],
    )
    target = tmp_path / f"out{suffix}"
    pass_through(clip, target, settings=None if suffix == ".webm" else FAST)
    given, found = packets_of(clip, "audio"), packets_of(target, "audio")
    assert len(given) > 5
    assert [data for _, data in found] == [data for _, data in given]
    # What matters is the time from image to audio: a container may move both alike.
    moved = float(frame_times_of(target)[0] - frame_times_of(clip)[0])
    np.testing.assert_allclose(
        [float(time) - moved for time, _ in found], [float(time) for time, _ in given], atol=0.0011
    )
    if suffix in (".mp4", ".mov"):
        assert found == given


@pytest.mark.parametrize(
    ("source", "codec", "target"),
    [
        (".ts", "aac", ".mp4"),
        (".ts", "aac", ".mkv"),
        (".mp4", "aac", ".ts"),
        (".mkv", "aac", ".mov"),
        (".mkv", "libopus", ".mp4"),
        (".mp4", "libopus", ".webm"),
        (".avi", "mp2", ".mp4"),
    ],
)
def test_audio_goes_from_one_container_to_another(
    source: str, codec: str, target: str, tmp_path: Path
) -> None:
    clip = make_clip(tmp_path / f"in{source}", frames=25, audio=[Audio(codec, duration_s=1)])
    pass_through(clip, tmp_path / f"out{target}", settings=None if target == ".webm" else FAST)
    with av.open(str(clip)) as given, av.open(str(tmp_path / f"out{target}")) as written:
        samples = [sum(frame.samples for frame in video.decode(audio=0)) for video in (given, written)]
    assert abs(samples[0] - samples[1]) <= 2048
    given_times, found_times = (
        [time for time, _ in packets_of(path, "audio")] for path in (clip, tmp_path / f"out{target}")
    )
    assert len(found_times) == len(given_times)
    # FFmpeg makes the times of images in AVI files up.
    begin = Fraction(0) if source == ".avi" else frame_times_of(clip)[0]
    moved = frame_times_of(tmp_path / f"out{target}")[0] - begin
    np.testing.assert_allclose(
        [float(time - moved) for time in found_times], [float(time) for time in given_times], atol=0.0021
    )


def test_every_track_is_copied_with_its_language(tmp_path: Path) -> None:
    clip = make_clip(
        tmp_path / "in.mp4", audio=[Audio(language="deu"), Audio("flac", language="fra", rate=44100)]
    )
    pass_through(clip, tmp_path / "out.mp4")
    for number in (0, 1):
        found = packets_of(tmp_path / "out.mp4", "audio", number)
        assert found == packets_of(clip, "audio", number)
    with av.open(str(tmp_path / "out.mp4")) as written:
        assert [stream.language for stream in written.streams.audio] == ["deu", "fra"]


def test_audio_longer_than_the_image_is_copied_to_its_end(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mp4", frames=10, audio=[Audio(duration_s=3)])
    pass_through(clip, tmp_path / "out.mp4")
    assert packets_of(tmp_path / "out.mp4", "audio") == packets_of(clip, "audio")


def test_audio_ends_with_the_image_when_the_video_is_cut_short(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mp4", frames=50, audio=[Audio(duration_s=2)])
    pass_through(clip, tmp_path / "out.mp4", stop_after=20)
    given, found = packets_of(clip, "audio"), packets_of(tmp_path / "out.mp4", "audio")
    assert found == given[: len(found)]
    assert 0.72 < found[-1][0] <= 0.76  # the last image is shown at 0.76 s


def test_audio_whose_clock_starts_anew_stays_in_step(tmp_path: Path) -> None:
    first = make_clip(tmp_path / "first.ts", frames=50, gop=10, audio=[Audio("mp2", duration_s=2)])
    twice = tmp_path / "twice.ts"
    twice.write_bytes(first.read_bytes() * 2)
    pass_through(twice, tmp_path / "out.mp4")
    assert len(frame_times_of(tmp_path / "out.mp4")) == 100
    times = [float(time) for time, _ in packets_of(tmp_path / "out.mp4", "audio")]
    assert len(times) == len(packets_of(twice, "audio"))
    assert times == sorted(times)
    assert times[-1] == pytest.approx(4, abs=0.1)


def test_a_video_without_audio_stays_silent(tmp_path: Path) -> None:
    pass_through(make_clip(tmp_path / "in.mp4"), tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as written:
        assert [stream.type for stream in written.streams] == ["video"]


# Subtitles, chapters, metadata


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".mp4", "mov_text"), (".mkv", "subrip"), (".mkv", "ass"), (".webm", "webvtt")]
)
def test_subtitles_are_copied(suffix: str, codec: str, tmp_path: Path) -> None:
    lines = {0: "one", 1000: "two", 2500: "three"}
    if codec == "ass":
        lines = {time: f"0,0,Default,,0,0,0,,{text}" for time, text in lines.items()}
    clip = make_clip(
        tmp_path / f"in{suffix}",
        frames=90,
        codec="libvpx-vp9" if suffix == ".webm" else "libx264",
        subtitles=[Subtitles(codec, lines)],
    )
    passed = pass_through(clip, tmp_path / f"out{suffix}", settings=None if suffix == ".webm" else FAST)
    assert passed.sink_notes == ()
    found = packets_of(tmp_path / f"out{suffix}", "subtitle")
    assert found == packets_of(clip, "subtitle")
    text = b"".join(data for _, data in found)
    assert all(word in text for word in (b"one", b"two", b"three"))


@pytest.mark.parametrize(
    ("source", "target", "audio", "subtitles", "notes"),
    [
        (".mkv", ".mp4", "aac", "subrip", ["subtitle stream 2 (subrip) is re-encoded to mov_text: a .mp4"]),
        (".mp4", ".mkv", "aac", "mov_text", ["subtitle stream 2 (mov_text) is re-encoded to subrip: a .mkv"]),
        (
            ".mkv",
            ".webm",
            "aac",
            "subrip",
            [
                "audio stream 1 (aac) is re-encoded to opus: a .webm",
                "subtitle stream 2 (subrip) is re-encoded to webvtt: a .webm",
            ],
        ),
        (
            ".mkv",
            ".mov",
            "flac",
            "webvtt",
            [
                "audio stream 1 (flac) is re-encoded to aac: a .mov",
                "subtitle stream 2 (webvtt) is re-encoded to mov_text: a .mov",
            ],
        ),
        (
            ".mkv",
            ".ts",
            "flac",
            "subrip",
            [
                "audio stream 1 (flac) is re-encoded to aac: a .ts",
                "subtitle stream 2 (subrip) is left out: a .ts",
            ],
        ),
    ],
)
def test_what_the_output_cannot_hold_is_encoded_anew_or_left_out_and_named(
    source: str, target: str, audio: str, subtitles: str, notes: list[str], tmp_path: Path
) -> None:
    clip = make_clip(
        tmp_path / f"in{source}", audio=[Audio(audio)], subtitles=[Subtitles(subtitles, {100: "one"})]
    )
    passed = pass_through(clip, tmp_path / f"out{target}", settings=None if target == ".webm" else FAST)
    assert list(passed.sink_notes) == [f"{note} file cannot hold it" for note in notes]
    assert len(frame_times_of(tmp_path / f"out{target}")) == 10
    if target != ".ts":
        begin = frame_times_of(tmp_path / f"out{target}")[0]
        shown = [
            time - begin for time, data in packets_of(tmp_path / f"out{target}", "subtitle") if b"one" in data
        ]
        assert shown == [Fraction(1, 10)]


def test_subtitles_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mkv", subtitles=[Subtitles("ass", {0: "no header tells what this is"})])
    passed = pass_through(clip, tmp_path / "out.mp4")
    assert passed.sink_notes == ("subtitle stream 1 (ass) is left out: a .mp4 file cannot hold it",)


CHAPTERS = [(0, 200, "Erster"), (200, 400, "Second")]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_chapters_and_metadata_are_copied(suffix: str, tmp_path: Path) -> None:
    clip = make_clip(
        tmp_path / f"in{suffix}", chapters=CHAPTERS, metadata={"title": "Ein Video", "comment": "mine"}
    )
    pass_through(clip, tmp_path / f"out{suffix}")
    with av.open(str(tmp_path / f"out{suffix}")) as written:
        found = {key.lower(): value for key, value in written.metadata.items()}
        assert (found["title"], found["comment"]) == ("Ein Video", "mine")
        assert [
            (
                chapter["start"] * (chapter["time_base"] or 1),
                chapter["end"] * (chapter["time_base"] or 1),
                chapter["metadata"]["title"],
            )
            for chapter in written.chapters()
        ] == [
            (Fraction(0), Fraction(1, 5), "Erster"),
            (Fraction(1, 5), Fraction(2, 5), "Second"),
        ]


@pytest.mark.parametrize(
    ("start_s", "end_s", "found"),
    [
        (0.2, None, [(0, 200, "Second")]),
        (0.12, 0.32, [(0, 80, "Erster"), (80, 200, "Second")]),
        (None, 0.2, [(0, 200, "Erster")]),
    ],
)
def test_chapters_of_a_part_are_cut_to_it(
    start_s: float | None, end_s: float | None, found: list[tuple[int, int, str]], tmp_path: Path
) -> None:
    clip = make_clip(tmp_path / "in.mkv", chapters=CHAPTERS, metadata={"title": "Ein Video"})
    pass_through(clip, tmp_path / "out.mkv", start_s=start_s, end_s=end_s)
    with av.open(str(tmp_path / "out.mkv")) as written:
        assert [
            (
                *(round(chapter[edge] * chapter["time_base"] * 1000) for edge in ("start", "end")),
                chapter["metadata"]["title"],
            )
            for chapter in written.chapters()
        ] == found
        assert written.metadata["title"] == "Ein Video"


def test_metadata_that_is_no_unicode_is_no_obstacle(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mkv", metadata={"title": "Ein Video"})
    clip.write_bytes(clip.read_bytes().replace(b"Ein Video", b"E\xefn V\xefdeo"))
    pass_through(clip, tmp_path / "out.mkv")
    assert len(frame_times_of(tmp_path / "out.mkv")) == 10


# Real footage


def test_a_real_video_keeps_all_its_frames_and_audio(real_media: Path, tmp_path: Path) -> None:
    source, target = real_media / "car-detection.mp4", tmp_path / "out.mp4"
    passed = pass_through(source, target)
    assert passed.sink_notes == ()
    times = frame_times_of(target)
    assert len(times) == 377
    assert times == frame_times_of(source)
    assert packets_of(target, "audio") == packets_of(source, "audio")


def test_a_video_of_many_streams_keeps_audio_and_subtitles(real_media: Path, tmp_path: Path) -> None:
    source, target = real_media / "nasa_13013.mp4", tmp_path / "out.mp4"
    passed = pass_through(source, target)
    with av.open(str(target)) as written:
        held = Counter(stream.type for stream in written.streams)
        assert (held["video"], held["audio"], held["subtitle"]) == (1, 2, 2), passed.sink_notes
    for number in (0, 1):
        assert packets_of(target, "audio", number) == packets_of(source, "audio", number)
        assert packets_of(target, "subtitle", number) == packets_of(source, "subtitle", number)
    assert len(frame_times_of(target)) == len(passed.pts)
    assert names_in(tmp_path) == ["out.mp4"]


def test_the_best_encoder_settings_reach_the_video(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mp4", frames=20, paint=paint_noise)
    sizes = []
    for crf in (10, 40):
        target = tmp_path / f"out{crf}.mp4"
        pass_through(clip, target, settings=EncoderSettings(crf=crf, preset="ultrafast"))
        sizes.append(target.stat().st_size)
    assert sizes[0] > 2 * sizes[1]
