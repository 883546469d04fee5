"""AVI files, which count frames instead of telling when each is shown."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from av.packet import Packet
from media_factory import Audio, frame_times_of, gray_of, grays_of, make_clip
from video_runs import mean_lumas, pass_through, read_video
from waveforms import delay_of, waveform_of

from streamcam.media.demux import PacketPlaces

FRAMES = 36

CODERS = [
    ("libx264", {"preset": "fast"}),
    ("libx264", {"preset": "fast", "x264-params": "b-pyramid=normal:b-adapt=0"}),
    ("mpeg4", {"qmax": "3"}),
    ("mpeg2video", {"qmax": "3"}),
    ("ffv1", {}),
]

NOT_CODED = b"\x00\x00\x01\xb6\x50\x4f"
"""An image of MPEG-4 that says: as before."""


def make_avi(
    path: Path, codec: str = "libx264", options: dict[str, str] | None = None, **others: object
) -> Path:
    b_frames = 0 if codec == "ffv1" else 3 if codec == "libx264" else 2
    settings = {"codec": codec, "options": options, "b_frames": b_frames, "frames": FRAMES, **others}
    return make_clip(path, **settings)  # type: ignore[arg-type]


def is_b_frame(packet: bytes) -> bool:
    """Tell whether a packet of MPEG-4 holds a B-frame."""
    start = packet.find(b"\x00\x00\x01\xb6")
    return start >= 0 and packet[start + 4] >> 6 == 2


def make_packed(path: Path) -> Path:
    """Make a video as DivX 5 does: a B-frame lies in the packet of the image before it, and leaves a gap."""
    plain = make_avi(path.with_name("plain.avi"), "mpeg4", {"qmax": "3"}, b_frames=1)
    data = plain.read_bytes()
    marked = path.with_name("marked.avi")
    assert data.count(b"Lavc62.28.102") >= 1
    marked.write_bytes(data.replace(b"Lavc62.28.102", b"DivX503b1393p"))
    with av.open(str(marked)) as given, av.open(str(path), "w") as output:
        stream = output.add_stream_from_template(given.streams.video[0])
        packets = [bytes(packet) for packet in given.demux(video=0) if packet.size]
        packed: list[bytes] = []
        for number, packet in enumerate(packets):
            if is_b_frame(packet) and number:
                packed[-1] += packet
                packed.append(NOT_CODED)
            else:
                packed.append(packet)
        assert packed.count(NOT_CODED) > 10
        for number, coded in enumerate(packed):
            packet = Packet(coded)
            packet.pts = packet.dts = number
            packet.duration, packet.time_base, packet.stream = 1, stream.time_base, stream
            packet.is_keyframe = number == 0
            output.mux(packet)
    return path


@pytest.mark.parametrize(("codec", "options"), CODERS)
def test_every_image_is_shown_in_its_turn(codec: str, options: dict[str, str], tmp_path: Path) -> None:
    frames, info, report = read_video(make_avi(tmp_path / "in.avi", codec, options))
    assert [frame.time_s for frame in frames] == pytest.approx([number / 25 for number in range(FRAMES)])
    assert mean_lumas(frames) == pytest.approx([gray_of(number) for number in range(FRAMES)], abs=2)
    assert info.origin_s == 0
    assert report.whole


def test_packed_b_frames_too(tmp_path: Path) -> None:
    frames, _, report = read_video(make_packed(tmp_path / "in.avi"))
    lumas = mean_lumas(frames)
    assert len(frames) >= FRAMES - 1
    assert [round(frame.time_s * 25) for frame in frames] == list(range(len(frames)))
    assert lumas == pytest.approx([gray_of(number) for number in range(len(frames))], abs=2)
    assert report.packets_damaged == 0


@pytest.mark.parametrize(("codec", "options"), CODERS)
def test_a_part_begins_with_the_image_asked_for(codec: str, options: dict[str, str], tmp_path: Path) -> None:
    clip = make_avi(tmp_path / "in.avi", codec, options, frames=60, gop=20)
    frames, _, _ = read_video(clip, start_s=1.6, end_s=2.0)
    assert [round(frame.time_s * 25) for frame in frames] == list(range(40, 50))
    assert mean_lumas(frames) == pytest.approx([gray_of(number) for number in range(40, 50)], abs=2)


def test_pauses_stay(tmp_path: Path) -> None:
    times = [0, 1, 2, 5, 6, 10, 11, 12]
    frames, _, _ = read_video(make_avi(tmp_path / "in.avi", "ffv1", pts=times))
    assert [round(frame.time_s * 25) for frame in frames] == times


@pytest.mark.parametrize("target", [".mp4", ".mkv"])
def test_audio_is_in_step(target: str, tmp_path: Path) -> None:
    audio = [Audio("pcm_s16le", duration_s=FRAMES / 25)]
    clip = make_avi(tmp_path / "in.avi", options={"preset": "fast"}, audio=audio)
    truth = make_clip(tmp_path / "truth.mov", frames=FRAMES, audio=audio)
    output = tmp_path / f"out{target}"
    pass_through(clip, output)
    times = [float(time) for time in frame_times_of(output)]
    assert times == pytest.approx([number / 25 for number in range(FRAMES)], abs=0.001)
    assert grays_of(output) == pytest.approx([gray_of(number) for number in range(FRAMES)], abs=2)
    assert abs(delay_of(waveform_of(output), waveform_of(truth))) <= 96


def test_images_take_the_places_of_packets() -> None:
    places = PacketPlaces()
    assert places.place(1, at_end=False) is None
    shown = []
    for dts in (0, 1, 2, 5, 6):
        places.feed(dts)
        if dts >= 2:
            shown.append(places.place(2, at_end=False))
    shown += [places.place(2, at_end=True) for _ in range(2)]
    assert shown == [0, 1, 2, 5, 6]
