"""Local HLS and DASH playlists, and what they must not read."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from media_factory import Audio, gray_of, make_clip, names_in
from video_runs import mean_lumas, pass_through, read_video

from streamcam.errors import SourceError
from streamcam.sources import SourceSettings, open_source

FRAMES = 60


def make_hls(folder: Path, **muxer_options: str) -> Path:
    """Make a playlist of six segments of ten frames."""
    return make_clip(
        folder / "list.m3u8",
        frames=FRAMES,
        gop=10,
        container_format="hls",
        muxer_options={"hls_time": "0.4", "hls_list_size": "0", **muxer_options},
        audio=[Audio(duration_s=2.4)],
    )


def make_dash(folder: Path, **muxer_options: str) -> Path:
    return make_clip(
        folder / "list.mpd",
        frames=FRAMES,
        gop=10,
        container_format="dash",
        muxer_options={"seg_duration": "0.4", **muxer_options},
        audio=[Audio(duration_s=2.4)],
    )


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (make_hls, {}),
        (make_hls, {"hls_flags": "single_file"}),
        (make_hls, {"hls_segment_type": "fmp4"}),
        (make_dash, {}),
        (make_dash, {"use_template": "0"}),
        (make_dash, {"single_file": "1"}),
    ],
)
def test_a_playlist_is_the_video_of_its_segments(make, options, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = make(tmp_path, **options)
    frames, info, report = read_video(path)
    assert len(frames) == FRAMES
    assert mean_lumas(frames) == pytest.approx([gray_of(index) for index in range(FRAMES)], abs=2)
    times = [frame.time_s - frames[0].time_s for frame in frames]
    assert times == pytest.approx([index / 25 for index in range(FRAMES)], abs=0.001)
    assert (info.path, report.whole) == (path, True)


@pytest.mark.parametrize("make", [make_hls, make_dash])
def test_a_part_of_a_playlist_is_found(make, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    frames, _, _ = read_video(make(tmp_path), start_s=1.2, end_s=1.6)
    assert mean_lumas(frames) == pytest.approx([gray_of(index) for index in range(30, 40)], abs=2)


@pytest.mark.parametrize("make", [make_hls, make_dash])
def test_the_audio_of_a_playlist_is_kept(make, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    passed = pass_through(make(tmp_path), tmp_path / "out.mkv")
    assert len(passed.pts) == FRAMES
    _, _, report = read_video(tmp_path / "out.mkv")
    assert report.whole
    with av.open(str(tmp_path / "out.mkv")) as written:
        assert [stream.type for stream in written.streams] == ["video", "audio"]
        assert sum(packet.size > 0 for packet in written.demux(audio=0)) == pytest.approx(
            2.4 * 48000 / 1024, abs=3
        )


def outside(folder: Path, line: str) -> Path:
    """Make a playlist with one line replaced."""
    path = make_hls(folder)
    path.write_text(path.read_text().replace("list2.ts", line))
    return path


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("/etc/passwd", "/etc/passwd"),
        ("file:///etc/passwd", "file:///…"),
        ("../secret.ts", "/secret.ts"),
        ("link.ts", "link.ts"),
        ("http://user:secret@127.0.0.1:9/a.ts", "http://127.0.0.1:9/…"),
        ("data:video/mp2t;base64,AAAA", "data:video/mp2t"),
    ],
)
def test_a_playlist_reads_nothing_outside_its_folder(line: str, shown: str, tmp_path: Path) -> None:
    folder = tmp_path / "inner"
    folder.mkdir()
    path = outside(folder, line)
    (folder / "list2.ts").rename(tmp_path / "secret.ts")
    (folder / "link.ts").symlink_to(tmp_path / "secret.ts")
    with pytest.raises(SourceError, match=r"names '.*, which is not in its own folder") as caught:
        read_video(path)
    assert shown in str(caught.value)
    assert "secret@" not in str(caught.value)


def test_a_manifest_reads_nothing_outside_its_folder(tmp_path: Path) -> None:
    path = make_dash(tmp_path)
    path.write_text(path.read_text().replace('media="chunk', 'media="../elsewhere/chunk'))
    with pytest.raises(SourceError, match=r"list.mpd' names '.*elsewhere/chunk.*not in its own folder"):
        read_video(path)


def test_encrypted_segments_are_said_to_be(tmp_path: Path) -> None:
    path = make_hls(tmp_path)
    (tmp_path / "key").write_bytes(bytes(16))
    text = path.read_text()
    path.write_text(text.replace("#EXTINF", '#EXT-X-KEY:METHOD=AES-128,URI="key"\n#EXTINF', 1))
    with pytest.raises(SourceError, match=r"list.m3u8' is encrypted"):
        read_video(path)


def test_missing_segments_are_counted(tmp_path: Path) -> None:
    path = make_hls(tmp_path)
    (tmp_path / "list2.ts").unlink()
    frames, _, report = read_video(path)
    assert len(frames) == FRAMES - 10
    assert report.shortfall == "1 of its segments are not there (list2.ts)"


def test_a_playlist_that_is_not_finished_ends_where_it_ends(tmp_path: Path) -> None:
    path = make_hls(tmp_path)
    path.write_text(path.read_text().replace("#EXT-X-ENDLIST\n", ""))
    frames, _, report = read_video(path)
    assert (len(frames), report.whole) == (FRAMES, True)


def test_a_manifest_that_is_not_finished_is_refused(tmp_path: Path) -> None:
    path = make_dash(tmp_path)
    path.write_text(path.read_text().replace('type="static"', 'type="dynamic"'))
    with pytest.raises(SourceError, match=r"list.mpd' cannot be read: it is still being written"):
        open_source(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<MPD", r"it is no manifest \("),
        ("<MPD><Period/><Period/></MPD>", r"it has 2 periods; streamcam reads one"),
        ("<MPD><Period/></MPD>", r"it names no video"),
        (
            '<MPD mediaPresentationDuration="PT9S"><Period><AdaptationSet><Representation>'
            '<SegmentTemplate media="$Number$" timescale="90000000" duration="1"/>'
            "</Representation></AdaptationSet></Period></MPD>",
            r"it names 810000000 segments",
        ),
    ],
)
def test_manifests_that_cannot_be_read_say_why(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "list.mpd").write_text(text)
    with pytest.raises(SourceError, match=rf"list.mpd' cannot be read: {message}"):
        open_source(tmp_path / "list.mpd")


def test_a_master_playlist_leads_to_the_others(tmp_path: Path) -> None:
    make_hls(tmp_path)
    (tmp_path / "master.m3u8").write_text("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=90000\nlist.m3u8\n")
    assert len(read_video(tmp_path / "master.m3u8")[0]) == FRAMES
    (tmp_path / "away.m3u8").write_text("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=90000\n/etc/list.m3u8\n")
    with pytest.raises(SourceError, match=r"names '/etc/list.m3u8'"):
        open_source(tmp_path / "away.m3u8")


def test_a_playlist_is_played(tmp_path: Path) -> None:
    with open_source(make_hls(tmp_path), SourceSettings(real_time=True)) as source:
        for frame in source:
            if frame.index == 2:
                source.stop()
    assert "list.m3u8" in names_in(tmp_path)
