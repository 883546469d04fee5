"""Audio and subtitles keep their distance to the images, whatever the clocks of a file begin with."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from media_factory import Audio, Subtitles, frame_times_of, grays_of, make_clip, packets_of
from video_runs import FAST, pass_through
from waveforms import delay_of, waveform_of

# The tick of 1/25 s of the first image and the second of the first sample; MP4 gets an edit list of some.
BEGINNINGS = [(-5, -0.2), (-5, 0.0), (0, -0.3), (0, 0.25), (10, 0.0), (100, 4.1)]


@pytest.mark.parametrize(("first", "begin_s"), BEGINNINGS)
@pytest.mark.parametrize("source", [".mp4", ".mkv", ".ts"])
@pytest.mark.parametrize("target", [".mp4", ".mkv", ".ts"])
def test_audio_is_heard_when_it_was(
    first: int, begin_s: float, source: str, target: str, tmp_path: Path
) -> None:
    clip = make_clip(
        tmp_path / f"in{source}",
        pts=range(first, first + 25),
        b_frames=2,
        audio=[Audio("mp2" if source != ".mp4" else "aac", begin_s=begin_s, duration_s=1)],
    )
    path = tmp_path / f"out{target}"
    pass_through(clip, path, settings=FAST)
    times, given_times = frame_times_of(path), frame_times_of(clip)
    np.testing.assert_allclose(
        [float(time - times[0]) for time in times],
        [float(time - given_times[0]) for time in given_times],
        atol=0.0011,
    )
    np.testing.assert_allclose(grays_of(path), grays_of(clip), atol=4)
    given, found = waveform_of(clip), waveform_of(path)
    assert abs(delay_of(found, given)) <= 96  # two milliseconds: Matroska's tick, twice


def test_audio_that_an_edit_list_hides_stays_hidden(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mp4", pts=range(25), audio=[Audio(begin_s=-0.5, duration_s=1.5)])
    assert packets_of(clip, "audio")[0][0] < Fraction(-1, 2)
    for suffix in (".mkv", ".ts"):
        path = tmp_path / f"out{suffix}"
        pass_through(clip, path, settings=FAST)
        assert packets_of(path, "audio")[0][0] - frame_times_of(path)[0] > -0.15
        assert abs(delay_of(waveform_of(path), waveform_of(clip))) <= 96
    pass_through(clip, tmp_path / "out.mp4", settings=FAST)  # which hides it as well
    assert packets_of(tmp_path / "out.mp4", "audio") == packets_of(clip, "audio")


@pytest.mark.parametrize("first", [-5, 0, 30])
def test_subtitles_are_shown_when_they_were(first: int, tmp_path: Path) -> None:
    clip = make_clip(
        tmp_path / "in.mkv", pts=range(first, first + 50), subtitles=[Subtitles("subrip", {1200: "one"})]
    )
    pass_through(clip, tmp_path / "out.mkv", settings=FAST)
    given, found = (
        packets_of(path, "subtitle")[0][0] - frame_times_of(path)[0] for path in (clip, tmp_path / "out.mkv")
    )
    assert float(found) == pytest.approx(float(given), abs=0.0011)
