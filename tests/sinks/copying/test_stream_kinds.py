"""Streams other than plain copies: audio encoded anew, data, attachments, covers, descriptions."""

from __future__ import annotations

import io
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Disposition
from media_factory import RATE, Audio, frame_times_of, make_clip, make_image, packets_of
from PIL import Image
from video_runs import FAST, pass_through
from waveforms import delay_of, waveform_of

from streamcam.media.encoders import EncoderSettings


def settings_for(suffix: str) -> EncoderSettings | None:
    return None if suffix == ".webm" else FAST


# Audio encoded anew


@pytest.mark.parametrize(
    ("source", "audio", "target"),
    [
        (".mkv", Audio("flac", duration_s=1), ".mov"),
        (".mkv", Audio("flac", duration_s=1), ".ts"),
        (".mkv", Audio("flac", duration_s=1, rate=44100), ".webm"),
        (".mkv", Audio("aac", duration_s=0.6, begin_s=0.25), ".webm"),
        (".mov", Audio("pcm_s16le", duration_s=1), ".ts"),
    ],
)
def test_audio_encoded_anew_is_the_same_at_the_same_time(
    source: str, audio: Audio, target: str, tmp_path: Path
) -> None:
    clip = make_clip(tmp_path / f"in{source}", frames=25, audio=[audio])
    pass_through(clip, tmp_path / f"out{target}", settings=settings_for(target))
    given, found = waveform_of(clip), waveform_of(tmp_path / f"out{target}")
    delay = delay_of(found, given)
    assert abs(delay) <= 48  # a millisecond, the tick of Matroska and WebM
    assert np.corrcoef(np.roll(found, -delay), given)[0, 1] > 0.97


def test_audio_of_a_part_is_encoded_in_step(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mkv", frames=50, audio=[Audio("flac", duration_s=2)])
    pass_through(clip, tmp_path / "out.mov", start_s=0.8, end_s=1.4)
    given, found = waveform_of(clip)[round(0.8 * 48000) :], waveform_of(tmp_path / "out.mov")
    heard = np.flatnonzero(np.abs(found) > 0.1)
    assert heard[-1] == pytest.approx(0.6 * 48000, abs=4096)  # packets are taken whole
    part = np.zeros_like(found)
    part[heard[0] : heard[-1]] = given[heard[0] : heard[-1]]
    assert abs(delay_of(found, part)) <= 48


def test_a_gap_in_the_audio_becomes_silence(tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "whole.mkv", frames=50, audio=[Audio("flac", duration_s=2)])
    clip = rewritten(whole, tmp_path / "in.mkv", keep=lambda packet: not 0.6 < packet.pts / 1000 < 1.2)
    pass_through(clip, tmp_path / "out.mov")
    given, found = waveform_of(clip), waveform_of(tmp_path / "out.mov")
    assert abs(delay_of(found, given)) <= 48
    assert np.abs(found[round(0.75 * 48000) : round(1.1 * 48000)]).max() < 0.01
    assert np.abs(found[round(1.4 * 48000) : round(1.8 * 48000)]).max() > 0.2


def test_audio_that_is_not_finite_costs_only_itself(tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "whole.mkv", frames=50, audio=[Audio("pcm_f32le", duration_s=2)])
    clip = tmp_path / "in.mkv"
    packets = packets_of(whole, "audio")
    data = whole.read_bytes()
    spoiled = np.full(len(packets[40][1]) // 4, np.nan, np.float32).tobytes()
    assert data.count(packets[40][1]) == 1
    clip.write_bytes(data.replace(packets[40][1], spoiled))
    passed = pass_through(clip, tmp_path / "out.ts")
    assert "is re-encoded to aac" in passed.sink_notes[0]
    assert passed.sink_notes[1].startswith("audio stream 1 (pcm_f32le): ")
    assert passed.sink_notes[1].endswith("damaged packets are left out")
    given, found = waveform_of(whole), waveform_of(tmp_path / "out.ts")
    assert abs(delay_of(found[round(1.2 * 48000) :], given[round(1.2 * 48000) :])) <= 96


def test_audio_may_be_left_away(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mp4", audio=[Audio(), Audio("flac")])
    passed = pass_through(clip, tmp_path / "out.mp4", settings=EncoderSettings(no_audio=True))
    assert passed.sink_notes == ()
    with av.open(str(tmp_path / "out.mp4")) as written:
        assert [stream.type for stream in written.streams] == ["video"]


@pytest.mark.parametrize(
    ("layout", "channels", "target", "written_channels", "loss"),
    [
        ("5.1", 6, ".webm", 6, ""),
        ("22.2", 24, ".ts", 2, " in stereo instead of 24 channels"),
    ],
)
def test_surround_stays_surround_where_the_encoder_can(
    layout: str, channels: int, target: str, written_channels: int, loss: str, tmp_path: Path
) -> None:
    clip = tmp_path / "in.mkv"
    with av.open(str(clip), "w") as output:
        video = add_video(output)
        audio = output.add_stream("pcm_s16le", rate=48000)
        audio.codec_context.layout = layout
        frame = av.AudioFrame.from_ndarray(np.zeros((1, channels * 9600), np.int16), "s16", layout)
        frame.sample_rate, frame.pts = 48000, 0
        output.mux(audio.encode(frame))
        finish_video(output, video)
    path = tmp_path / f"out{target}"
    passed = pass_through(clip, path, settings=settings_for(target))
    with av.open(str(path)) as written:
        (stream,) = written.streams.audio
        assert stream.channels == written_channels
        codec = stream.codec_context.codec.canonical_name
    (note,) = passed.sink_notes
    assert note.startswith("audio stream 1 (pcm_s16le) is re-encoded to ")
    assert f" to {codec}{loss}: " in note


# Data, attachments, covers


def add_video(output: OutputContainer) -> av.VideoStream:
    stream = output.add_stream("libx264", rate=RATE, options={"preset": "ultrafast"})
    assert isinstance(stream, av.VideoStream)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    return stream


def finish_video(output: OutputContainer, stream: av.VideoStream) -> None:
    for index in range(5):
        image = make_image(64, 48, index)
        image.pts, image.time_base = index, 1 / RATE
        output.mux(stream.encode(image))
    output.mux(stream.encode(None))


def rewritten(
    source: Path,
    target: Path,
    prepare: Callable[[OutputContainer], object] | None = None,
    keep: Callable[[Packet], bool] = bool,  # type: ignore[type-arg]
) -> Path:
    """Copy a video's packets: images always, others if `keep` says so."""
    with av.open(str(source)) as given, av.open(str(target), "w") as output:
        streams = {stream.index: output.add_stream_from_template(stream) for stream in given.streams}
        if prepare is not None:
            prepare(output)
        for packet in given.demux():
            if packet.size and (packet.stream.type == "video" or keep(packet)):
                packet.stream = streams[packet.stream.index]
                output.mux(packet)
    return target


def with_font(path: Path) -> Path:
    plain = make_clip(path.with_name("plain.mkv"))
    return rewritten(plain, path, lambda output: output.add_attachment("a.ttf", "font/ttf", b"glyphs"))


def with_data(path: Path, codec: str = "klv") -> Path:
    with av.open(str(path), "w") as output:
        video, data = add_video(output), output.add_data_stream(codec)
        output.start_encoding()
        for index in range(5):
            packet = Packet(b"position %d" % index)
            packet.stream, packet.time_base = data, Fraction(1, 90000)
            packet.pts = packet.dts = 3600 * index
            packet.duration = 3600
            output.mux(packet)
        finish_video(output, video)
    return path


def cover_bytes() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), "red").save(buffer, "JPEG")
    return buffer.getvalue()


def with_cover(path: Path) -> Path:
    plain = make_clip(path.with_name("plain.mkv"))
    return rewritten(
        plain, path, lambda output: output.add_attachment("cover.jpg", "image/jpeg", cover_bytes())
    )


def test_attachments_are_copied(tmp_path: Path) -> None:
    passed = pass_through(with_font(tmp_path / "in.mkv"), tmp_path / "out.mkv", start_s=0.2)
    assert passed.sink_notes == ()
    with av.open(str(tmp_path / "out.mkv")) as written:
        (font,) = written.streams.attachments
        assert (font.name, font.mimetype, font.data) == ("a.ttf", "font/ttf", b"glyphs")


def with_telemetry(path: Path) -> Path:
    """As cameras of one make have it: FFmpeg marks plain data in MP4 files as theirs, gpmd."""
    return with_data(path, "bin_data")


def with_foreign_track(path: Path) -> Path:
    """A track of data that FFmpeg has no name for, of which there are many."""
    clip = with_telemetry(path)
    clip.write_bytes(clip.read_bytes().replace(b"gpmd", b"camm"))
    return clip


def with_camera_track(path: Path) -> Path:
    """One that names timecodes besides (rtmd): it is no mere timecode, which would be made anew."""
    clip = with_telemetry(path)
    clip.write_bytes(clip.read_bytes().replace(b"gpmd", b"rtmd"))
    with av.open(str(clip)) as given:
        assert "timecode" in given.streams.data[0].metadata
    return clip


@pytest.mark.parametrize(
    ("codec", "source", "target"),
    [
        ("klv", ".ts", ".ts"),
        ("bin_data", ".ts", ".ts"),
        ("timed_id3", ".ts", ".ts"),
        ("smpte_2038", ".ts", ".ts"),
        ("bin_data", ".mp4", ".mp4"),
        ("bin_data", ".mp4", ".mov"),
        ("bin_data", ".mp4", ".m4v"),
    ],
)
def test_data_is_copied_at_its_time(codec: str, source: str, target: str, tmp_path: Path) -> None:
    clip, out = with_data(tmp_path / f"in{source}", codec), tmp_path / f"out{target}"
    assert pass_through(clip, out).sink_notes == ()
    moved = frame_times_of(out)[0] - frame_times_of(clip)[0]
    found = [(time - moved, data) for time, data in packets_of(out, "data")]
    assert found == packets_of(clip, "data")
    assert len(found) == 5
    with av.open(str(out)) as written:
        assert [stream.name for stream in written.streams.data] == [codec]
    assert (b"gpmd" in out.read_bytes()) == (target != ".ts")


@pytest.mark.parametrize("target", [".mkv", ".mp4"])
def test_covers_are_copied(target: str, tmp_path: Path) -> None:
    passed = pass_through(with_cover(tmp_path / "in.mkv"), tmp_path / f"out{target}")
    assert passed.sink_notes == ()
    again = pass_through(tmp_path / f"out{target}", tmp_path / "again.mkv")  # also from an MP4 file
    assert again.sink_notes == ()
    for name in (f"out{target}", "again.mkv"):
        with av.open(str(tmp_path / name)) as written:
            video, cover = written.streams.video
            assert not video.disposition & Disposition.attached_pic
            assert cover.disposition & Disposition.attached_pic
            assert next(bytes(packet) for packet in written.demux(cover) if packet.size) == cover_bytes()


@pytest.mark.parametrize(
    ("make", "source", "target", "named"),
    [
        (with_font, "in.mkv", ".mp4", "attachment 'a.ttf'"),
        (with_font, "in.mkv", ".webm", "attachment 'a.ttf'"),
        (with_data, "in.ts", ".mp4", "data stream 1 (klv)"),
        (with_data, "in.ts", ".mkv", "data stream 1 (klv)"),
        (with_telemetry, "in.mp4", ".mkv", "data stream 1 (bin_data)"),
        (with_telemetry, "in.mp4", ".ts", "data stream 1 (bin_data)"),
        (with_foreign_track, "in.mp4", ".mp4", "data stream 1 (GoPro MET)"),
        (with_foreign_track, "in.mp4", ".mov", "data stream 1 (GoPro MET)"),
        (with_camera_track, "in.mp4", ".mov", "data stream 1 (GoPro MET)"),
        (with_cover, "in.mkv", ".webm", "cover image 1 (mjpeg)"),
        (with_cover, "in.mkv", ".mov", "cover image 1 (mjpeg)"),
    ],
)
def test_what_has_no_place_is_named(
    make: Callable[[Path], Path], source: str, target: str, named: str, tmp_path: Path
) -> None:
    path = tmp_path / f"out{target}"
    passed = pass_through(make(tmp_path / source), path, settings=settings_for(target))
    assert passed.sink_notes == (f"{named} is left out: a {target} file cannot hold it",)


# What the video's own stream says of itself


def test_the_video_keeps_its_language_and_loses_what_is_no_longer_true(tmp_path: Path) -> None:
    def describe(output: OutputContainer) -> None:
        output.streams[0].metadata.update(
            {"language": "swe", "title": "Video", "BPS-eng": "1", "rotate": "90"}
        )
        output.streams[0].disposition = Disposition.forced

    clip = rewritten(make_clip(tmp_path / "plain.mkv"), tmp_path / "in.mkv", describe)
    pass_through(clip, tmp_path / "out.mkv")
    with av.open(str(tmp_path / "out.mkv")) as written:
        video = written.streams.video[0]
        assert (video.metadata["language"], video.metadata["title"]) == ("swe", "Video")
        assert not {"BPS-eng", "rotate"} & set(video.metadata)
        assert video.disposition & Disposition.forced


def with_timecode(path: Path, timecode: str = "01:00:00:00") -> Path:
    with av.open(str(path), "w") as output:
        video = add_video(output)
        video.metadata["timecode"] = timecode
        output.set_chapters(
            [{"id": 1, "start": 0, "end": 100, "time_base": Fraction(1, 1000), "metadata": {"title": "A"}}]
        )
        finish_video(output, video)
    return path


def timecode_of(path: Path) -> str | None:
    with av.open(str(path)) as written:
        described = {key.lower(): value for key, value in written.streams.video[0].metadata.items()}
    return described.get("timecode")


def test_timecodes_and_chapter_titles_are_made_anew(tmp_path: Path) -> None:
    clip = with_timecode(tmp_path / "in.mov")
    with av.open(str(clip)) as given:
        assert [stream.type for stream in given.streams] == ["video", "subtitle", "data"]
    assert pass_through(clip, tmp_path / "out.mov").sink_notes == ()
    with av.open(str(tmp_path / "out.mov")) as written:
        assert [stream.type for stream in written.streams] == ["video", "subtitle", "data"]
        assert written.streams[2].metadata["timecode"] == "01:00:00:00"


def test_chapters_alone_are_made_anew_too(tmp_path: Path) -> None:
    """FFmpeg reads their titles as plain data then."""
    clip = make_clip(tmp_path / "in.mp4", chapters=[(0, 200, "A"), (200, 400, "B")])
    with av.open(str(clip)) as given:
        assert [stream.type for stream in given.streams] == ["video", "data"]
    for suffix in (".mp4", ".mov", ".mkv"):
        assert pass_through(clip, tmp_path / f"out{suffix}").sink_notes == ()
        with av.open(str(tmp_path / f"out{suffix}")) as written:
            assert [chapter["metadata"]["title"] for chapter in written.chapters()] == ["A", "B"]


@pytest.mark.parametrize("source", [".mov", ".mp4", ".mkv"])
@pytest.mark.parametrize("target", [".mov", ".mp4", ".mkv", ".webm"])
@pytest.mark.parametrize(
    ("part", "found"),
    [({}, "01:00:00:23"), ({"end_s": 0.1}, "01:00:00:23"), ({"start_s": 0.08}, "01:00:01:00")],
)
def test_timecodes_name_the_first_frame(
    source: str, target: str, part: dict[str, float], found: str, tmp_path: Path
) -> None:
    clip = with_timecode(tmp_path / f"in{source}", "01:00:00:23")
    out = tmp_path / f"out{target}"
    assert pass_through(clip, out, settings=settings_for(target), **part).sink_notes == ()
    assert timecode_of(out) == found


def test_timecodes_that_get_lost_are_named(tmp_path: Path) -> None:
    clip = with_timecode(tmp_path / "in.mov")
    (note,) = pass_through(clip, tmp_path / "out.ts").sink_notes
    assert note == "the timecode 01:00:00:00 is left out: a .ts file cannot hold it"
    (note,) = pass_through(clip, tmp_path / "out.mov", rate=Fraction(10)).sink_notes
    assert note == "the timecode 01:00:00:00 is left out: it counts frames, and `rate` makes other ones"
    assert timecode_of(tmp_path / "out.mov") is None


# Channels


def make_with_channels(path: Path, layout: str, codec: str = "pcm_s16le") -> Path:
    """Make a video of one image with silence of a channel layout."""
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = output.add_stream(codec, rate=48000)
        audio.layout = layout
        output.mux(video.encode(av.VideoFrame(64, 48, "yuv420p")))
        output.mux(video.encode(None))
        for pts in range(0, 1536 * 4, 1536):
            samples = np.zeros((1, 1536 * audio.layout.nb_channels), np.int16)
            frame = av.AudioFrame.from_ndarray(samples, "s16", layout)
            frame.sample_rate, frame.pts = 48000, pts
            output.mux(audio.encode(frame))
        output.mux(audio.encode(None))
    return path


def layout_of(path: Path) -> str:
    with av.open(str(path)) as written:
        return written.streams.audio[0].layout.name


@pytest.mark.parametrize("suffix", [".mkv", ".nut"])
@pytest.mark.parametrize("layout", ["mono", "stereo", "5.1", "7.1.4", "hexadecagonal", "22.2"])
def test_audio_that_names_no_channels_gets_the_usual_ones(layout: str, suffix: str, tmp_path: Path) -> None:
    source = make_with_channels(tmp_path / f"video{suffix}", layout)
    assert layout_of(source).endswith("channels"), "the file names none"
    passed = pass_through(source, tmp_path / "out.mp4")
    assert passed.sink_notes == ()
    channels = {"mono": "1 channels"}.get(layout, layout)  # FFmpeg reads no name for one channel from MP4
    assert layout_of(tmp_path / "out.mp4") == channels


def test_audio_that_a_muxer_refuses_only_at_the_end_is_left_out_from_the_beginning(tmp_path: Path) -> None:
    source = make_with_channels(tmp_path / "video.mkv", "9 channels")  # of which nobody knows the usual ones
    passed = pass_through(source, tmp_path / "out.mp4")
    assert passed.sink_notes == ("audio stream 1 (pcm_s16le) is left out: a .mp4 file cannot hold it",)
    assert len(frame_times_of(tmp_path / "out.mp4")) == 1
    assert pass_through(source, tmp_path / "out.mkv").sink_notes == ()


@pytest.mark.parametrize("target", [".ts", ".mov", ".webm"])
@pytest.mark.parametrize("layout", ["mono", "stereo", "5.1", "5.1(side)"])
def test_channels_stay_when_audio_is_encoded_anew(layout: str, target: str, tmp_path: Path) -> None:
    source = make_with_channels(tmp_path / "video.mkv", layout, "flac")
    (note,) = pass_through(source, tmp_path / f"out{target}", settings=settings_for(target)).sink_notes
    assert "is re-encoded to" in note
    assert "instead" not in note
    assert layout_of(tmp_path / f"out{target}") == layout.removesuffix("(side)")
