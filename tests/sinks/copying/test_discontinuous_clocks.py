"""Inputs whose clock is set back, stands still or begins before 0: images and audio stay in step."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media_factory import Audio, frame_times_of, grays_of, make_clip, packets_of
from stage_fakes import FakeExplainer
from video_runs import FAST, pass_through, render_with
from waveforms import delay_of, waveform_of

from streamcam.sinks.resume import segments

FRAMES, LENGTH_S = 50, 2


def make_joined(folder: Path, *, back: int, audio_s: float, b_frames: int = 0) -> tuple[Path, Path]:
    """String two transport streams together.

    Args:
        folder: Where.
        back: By how many frames the clock of the second one is set back.
        audio_s: How long the audio of each is.
        b_frames: How many B-frames between two others.

    Returns:
        Both together, and the second one alone.
    """
    parts = []
    for number, begin in enumerate((0, FRAMES - back)):
        audio = Audio("mp2", duration_s=audio_s, begin_s=begin / 25)
        parts.append(
            make_clip(
                folder / f"part{number}.ts",
                pts=range(begin, begin + FRAMES),
                gop=25,
                b_frames=b_frames,
                audio=[audio],
            )
        )
    joined = folder / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    return joined, parts[1]


def make_reclocked(source: Path, target: Path, move: object, **options: str) -> Path:
    """Copy a file's packets with other times.

    Args:
        source: The file.
        target: The copy.
        move: Changes one packet of audio or video; called with the packet and its number in its stream.
        options: The muxer's options.
    """
    counts: dict[int, int] = {}
    with av.open(str(source)) as given, av.open(str(target), "w", options=options) as copy:
        streams = {stream.index: copy.add_stream_from_template(stream) for stream in given.streams}
        for packet in given.demux():
            if packet.dts is None:
                continue
            number = counts[packet.stream.index] = counts.get(packet.stream.index, -1) + 1
            move(packet, number)  # type: ignore[operator]
            packet.stream = streams[packet.stream.index]
            copy.mux(packet)
    return target


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".ts"])
@pytest.mark.parametrize(
    ("back", "audio_s", "b_frames"),
    [
        (FRAMES, LENGTH_S, 0),  # it begins anew
        (13, LENGTH_S, 2),  # by 0.52 s
        (FRAMES, 1.24, 0),  # the audio ended before the images
        (13, 1.24, 0),
    ],
)
def test_recordings_strung_together_stay_in_step(
    suffix: str, back: int, audio_s: float, b_frames: int, tmp_path: Path
) -> None:
    joined, second = make_joined(tmp_path, back=back, audio_s=audio_s, b_frames=b_frames)
    target = tmp_path / f"out{suffix}"
    passed = pass_through(joined, target)
    assert passed.report.whole, "where the clock is set back, nothing is damaged"
    assert passed.report.frames_read == 2 * FRAMES
    times = frame_times_of(target)
    np.testing.assert_allclose(np.diff(np.array(times, float)), 1 / 25, atol=0.0011)
    given = waveform_of(second)[: 4 * 48000]
    found = waveform_of(target)[LENGTH_S * 48000 :]
    assert abs(delay_of(found, given)) <= 96  # two milliseconds: Matroska's tick, twice
    assert len(packets_of(target, "audio")) == 2 * len(packets_of(second, "audio"))


def test_a_resumable_render_keeps_them_in_step_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "FRAMES_PER_SEGMENT", 30)
    joined, second = make_joined(tmp_path, back=13, audio_s=LENGTH_S)
    target = tmp_path / "out.mp4"
    render_with(joined, target, FakeExplainer(), encoder=FAST, resume=True)
    assert len(frame_times_of(target)) == 2 * FRAMES
    given = waveform_of(second)[: 4 * 48000]
    assert abs(delay_of(waveform_of(target)[LENGTH_S * 48000 :], given)) <= 48


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".m4v", ".mkv", ".ts"])
@pytest.mark.parametrize("resume", [False, True])
def test_audio_whose_time_hardly_moves_is_written(suffix: str, resume: bool, tmp_path: Path) -> None:
    plain = make_clip(tmp_path / "plain.ts", frames=FRAMES, audio=[Audio("mp2", duration_s=LENGTH_S)])
    last = 0

    def hold(packet: av.Packet, number: int) -> None:
        nonlocal last
        if packet.stream.type == "audio":
            assert packet.dts is not None
            if number % 5 in (1, 2, 3):  # a tick of 1/90000 after the other, which is less than 1/48000
                packet.pts = packet.dts = last + 1
            last = packet.dts

    clip = make_reclocked(plain, tmp_path / "in.ts", hold)
    target = tmp_path / f"out{suffix}"
    if resume:
        render_with(clip, target, FakeExplainer(), encoder=FAST, resume=True)
    else:
        pass_through(clip, target)
    given, found = packets_of(clip, "audio"), packets_of(target, "audio")
    assert [data for _, data in found] == [data for _, data in given]
    np.testing.assert_allclose(
        [float(time - found[0][0]) for time, _ in found],
        [float(time - given[0][0]) for time, _ in given],
        atol=0.0011,
    )
    assert len(frame_times_of(target)) == FRAMES


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_video_that_begins_before_0_keeps_step(suffix: str, tmp_path: Path) -> None:
    plain = make_clip(tmp_path / "plain.mkv", frames=FRAMES, audio=[Audio("flac", duration_s=LENGTH_S)])

    def move(packet: av.Packet, _number: int) -> None:
        assert packet.pts is not None
        assert packet.dts is not None
        packet.pts, packet.dts = packet.pts - 1320, packet.dts - 1320

    clip = make_reclocked(plain, tmp_path / "in.mkv", move, avoid_negative_ts="disabled")
    with av.open(str(clip)) as opened:
        assert opened.start_time == -1_320_000
    target = tmp_path / f"out{suffix}"
    pass_through(clip, target)
    assert grays_of(target) == pytest.approx(grays_of(plain), abs=2)
    times = frame_times_of(target)
    assert [float(time - times[0]) for time in times] == pytest.approx(
        [number / 25 for number in range(FRAMES)], abs=0.0011
    )
    assert abs(delay_of(waveform_of(target), waveform_of(plain))) <= 96


def test_packets_less_than_a_tick_apart_do_not_add_up(tmp_path: Path) -> None:
    """Matroska counts milliseconds, and some codecs have several packets in one."""
    clip = make_clip(tmp_path / "plain.mkv", frames=25, audio=[Audio("pcm_s16le", duration_s=1)])

    def hurry(packet: av.Packet, number: int) -> None:
        if packet.stream.type == "audio":
            packet.pts = packet.dts = number // 2

    crowded = make_reclocked(clip, tmp_path / "in.mkv", hurry)
    pass_through(crowded, tmp_path / "out.mkv")
    given, found = packets_of(crowded, "audio"), packets_of(tmp_path / "out.mkv", "audio")
    assert len(given) > 20
    assert found == given
    assert found[-1][0] == Fraction((len(given) - 1) // 2, 1000)
