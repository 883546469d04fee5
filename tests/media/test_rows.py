"""A new container and a new encoder are a row each, and everything reads the rows."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import av
import pytest
from media_factory import Audio, make_clip
from video_runs import pass_through

from streamcam.errors import InvalidArgumentError
from streamcam.media.codecs import CODECS, ENCODERS, Encoder, VideoCodec
from streamcam.media.containers import CONTAINERS, Container
from streamcam.media.encoders import EncoderSettings
from streamcam.sinks import Recording, check_recording


@pytest.fixture(autouse=True)
def _rows(monkeypatch: pytest.MonkeyPatch) -> None:
    toy = Container(".toy", "nut", "toy", audio="flac", codecs=frozenset({"mpeg4", "flac"}))
    monkeypatch.setitem(CONTAINERS, ".toy", toy)
    monkeypatch.setitem(CODECS, "toy", VideoCodec("mpeg4"))
    monkeypatch.setitem(ENCODERS, "mpeg4", Encoder({"qmin": "3"}, "qmin", worst_quality=31))


def test_a_new_container_and_encoder_take_a_whole_video(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=5, audio=[Audio()])
    passed = pass_through(clip, tmp_path / "out.toy", settings=EncoderSettings(crf=5))
    with av.open(str(tmp_path / "out.toy")) as video:
        assert video.format.name == "nut"
        assert video.streams.video[0].codec_context.codec.canonical_name == "mpeg4"
        assert video.streams.audio[0].codec_context.codec.canonical_name == "flac"
        assert len(list(video.decode(video=0))) == 5
    assert [note for note in passed.sink_notes if "flac" in note]


def test_what_a_row_does_not_allow_is_refused(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=1)
    with pytest.raises(InvalidArgumentError, match="`crf` 32 is beyond the worst, 31"):
        pass_through(clip, tmp_path / "out.toy", settings=EncoderSettings(crf=32))
    with pytest.raises(InvalidArgumentError, match=r"a \.toy file cannot hold ffv1"):
        pass_through(clip, tmp_path / "out.toy", settings=EncoderSettings("ffv1"))
    with pytest.raises(InvalidArgumentError, match=r"a recording is one of \.mp4, \.mkv, not"):
        check_recording(tmp_path / "out.toy")


def test_a_row_may_allow_recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy = dataclasses.replace(CONTAINERS[".toy"], recording_options={"flush_packets": "1"})
    monkeypatch.setitem(CONTAINERS, ".toy", toy)
    assert isinstance(Recording(check_recording(tmp_path / "out.toy")), Recording)
