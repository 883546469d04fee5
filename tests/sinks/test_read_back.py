"""Finished videos are read back, every stream of them; what broken FLV files do to other containers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from media_factory import Audio, frame_times_of, make_clip, packets_of
from video_runs import pass_through

from streamcam.media.containers import CONTAINERS
from streamcam.media.muxing import Span
from streamcam.sinks.read_back import read_back

FRAMES = 50
AUDIO_TAG = 8


def make_flv(path: Path) -> bytearray:
    """Make a video of two seconds in FLV, and return its bytes."""
    plain = make_clip(path.with_name("plain.mp4"), frames=FRAMES, audio=[Audio(duration_s=2)])
    with av.open(str(plain)) as given, av.open(str(path), "w") as output:
        streams = {stream.index: output.add_stream_from_template(stream) for stream in given.streams}
        for packet in given.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                output.mux(packet)
    return bytearray(path.read_bytes())


def tags_of(data: bytearray) -> Iterator[tuple[int, int]]:
    """Yield the place and kind of each of an FLV file's tags."""
    place = 13
    while place + 11 < len(data):
        yield place, data[place]
        place += 11 + int.from_bytes(data[place + 1 : place + 4], "big") + 4


def test_audio_whose_codec_data_changes_does_not_spoil_matroska(tmp_path: Path) -> None:
    clip = tmp_path / "in.flv"
    data = make_flv(clip)
    place = list(tags_of(data))[60][0]
    # AAC's data once more, longer than before: at this FFmpeg begins a second list of tracks.
    body = b"\xaf\x00" + bytes.fromhex("118856e5a54880")
    head = bytes([AUDIO_TAG]) + len(body).to_bytes(3, "big") + data[place + 4 : place + 11]
    data[place:place] = head + body + len(head + body).to_bytes(4, "big")
    clip.write_bytes(data)
    output = tmp_path / "out.mkv"
    passed = pass_through(clip, output)
    assert passed.sink_notes == (
        "audio stream 1 (aac) changes its codec data on the way: a .mkv file cannot hold it",
    )
    with av.open(str(output)) as written:
        assert [stream.type for stream in written.streams] == ["video", "audio"]
    assert packets_of(output, "audio") == packets_of(clip, "audio")
    assert pass_through(clip, tmp_path / "out.mp4").sink_notes == ()


def test_times_that_a_container_cannot_hold_are_noticed(tmp_path: Path) -> None:
    clip = tmp_path / "in.flv"
    data = make_flv(clip)
    places = [place for place, kind in tags_of(data) if kind == AUDIO_TAG]
    for place in places[len(places) // 2 :]:  # 46 days later, at the track's 48000 Hz more than 32 bits
        time_ms = int.from_bytes(data[place + 4 : place + 7], "big") + 4_000_000_000 - 2**32
        data[place + 4 : place + 7] = (time_ms & 0xFFFFFF).to_bytes(3, "big")
        data[place + 7] = time_ms >> 24 & 0xFF
    clip.write_bytes(data)
    assert packets_of(clip, "audio")[-1][0] > 4_000_000
    (note,) = pass_through(clip, tmp_path / "out.mp4").sink_notes
    assert note.startswith("audio stream 1 of the output reads back as ")
    assert note.endswith("of 4000002.0 s; the input has unusual packets: try another kind of file")
    assert len(frame_times_of(tmp_path / "out.mp4")) == FRAMES
    assert pass_through(clip, tmp_path / "out.mkv").sink_notes == ()


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_every_stream_is_read_back(suffix: str, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / f"in{suffix}", frames=FRAMES, audio=[Audio("mp2", duration_s=2)] * 2)
    container = CONTAINERS[suffix]
    audio = Span("audio", 84, 0, 1.98)
    whole = {0: Span("video", FRAMES, 0, 1.96), 1: audio, 2: audio}
    assert read_back(clip, container, whole) == (FRAMES, ())
    advice = "; the input has unusual packets: try another kind of file"
    count, notes = read_back(clip, container, {**whole, 2: Span("audio", 200, 0, 4.8)})
    assert count == FRAMES
    assert len(notes) == 1
    assert notes[0].startswith("audio stream 2 of the output reads back as 2.0 of 4.8 s;")
    assert read_back(clip, container, {**whole, 3: Span("subtitle", 1, 0, 0)})[1] == (
        f"subtitle stream 3 of the output cannot be read back{advice}",
    )
    assert read_back(clip, container, {0: whole[0], 1: audio})[1] == (
        f"2 audio streams can be read instead of 1{advice}",
    )
