"""DASH manifests as HLS playlists, by hand."""

from __future__ import annotations

import pytest

from streamcam.media.dash import playlists_of

HEAD = (
    '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT1M2.5S"><Period>'
)
TAIL = "</Period></MPD>"


def manifest(*sets: str) -> bytes:
    return (HEAD + "".join(sets) + TAIL).encode()


def lines_of(playlist: bytes) -> list[str]:
    return playlist.decode().splitlines()


VIDEO = (
    '<AdaptationSet contentType="video">'
    '<SegmentTemplate timescale="1000" duration="25000" startNumber="7" '
    'initialization="$RepresentationID$/init.mp4" media="$RepresentationID$/$Number%05d$-$Bandwidth$$$.m4s"/>'
    '<Representation id="small" bandwidth="100"/><Representation id="large" bandwidth="900"/></AdaptationSet>'
)
AUDIO = (
    '<AdaptationSet mimeType="audio/mp4" lang="de"><BaseURL>sound/</BaseURL><Representation bandwidth="5">'
    '<SegmentTemplate timescale="10" media="$Time$.m4a"><SegmentTimeline>'
    '<S t="5" d="100" r="1"/><S d="400" r="-1"/></SegmentTimeline></SegmentTemplate>'
    "</Representation></AdaptationSet>"
)


def test_the_largest_video_and_the_audio_are_listed() -> None:
    playlists = playlists_of(manifest(VIDEO, AUDIO), "a.mpd")
    assert list(playlists) == ["a.mpd", "a.mpd.0.m3u8", "a.mpd.1.m3u8"]
    assert lines_of(playlists["a.mpd"]) == [
        "#EXTM3U",
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="0",LANGUAGE="de",URI="a.mpd.1.m3u8"',
        '#EXT-X-STREAM-INF:BANDWIDTH=900,AUDIO="a"',
        "a.mpd.0.m3u8",
    ]


def test_numbers_and_names_are_filled_in() -> None:
    assert lines_of(playlists_of(manifest(VIDEO), "a.mpd")["a.mpd.0.m3u8"]) == [
        *("#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-TARGETDURATION:25"),
        '#EXT-X-MAP:URI="large/init.mp4"',
        *("#EXTINF:25.000000,", "large/00007-900$.m4s"),
        *("#EXTINF:25.000000,", "large/00008-900$.m4s"),
        *("#EXTINF:12.500000,", "large/00009-900$.m4s"),  # 62.5 s in all
        "#EXT-X-ENDLIST",
    ]


def test_a_timeline_repeats_up_to_the_end() -> None:
    lines = lines_of(playlists_of(manifest(VIDEO, AUDIO), "a.mpd")["a.mpd.1.m3u8"])
    # 0.5 s, 10.5 s, then 40 s from 20.5 s and 60.5 s on: the end is at 62.5 s.
    assert [line for line in lines if not line.startswith("#")] == [
        *("sound/5.m4a", "sound/105.m4a", "sound/205.m4a", "sound/605.m4a")
    ]


def test_a_list_names_parts_of_one_file() -> None:
    listed = (
        '<AdaptationSet><Representation mimeType="video/mp4"><BaseURL>all.mp4</BaseURL>'
        '<SegmentList timescale="2" duration="100"><Initialization range="0-99"/>'
        '<SegmentURL mediaRange="100-299"/><SegmentURL mediaRange="300-309"/></SegmentList>'
        "</Representation></AdaptationSet>"
    )
    assert lines_of(playlists_of(manifest(listed), "a.mpd")["a.mpd.0.m3u8"])[3:] == [
        '#EXT-X-MAP:URI="all.mp4",BYTERANGE="100@0"',
        *("#EXTINF:50.000000,", "#EXT-X-BYTERANGE:200@100", "all.mp4"),
        *("#EXTINF:12.500000,", "#EXT-X-BYTERANGE:10@300", "all.mp4"),
        "#EXT-X-ENDLIST",
    ]


def test_one_file_is_one_segment() -> None:
    file = "<Representation><BaseURL>v.mp4</BaseURL></Representation>"
    whole = f'<AdaptationSet contentType="video">{file}</AdaptationSet>'
    assert lines_of(playlists_of(manifest(whole), "a.mpd")["a.mpd.0.m3u8"])[3:] == [
        *("#EXTINF:62.500000,", "v.mp4", "#EXT-X-ENDLIST")
    ]


def test_a_bomb_of_entities_is_refused() -> None:
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "ten bytes!"}">' for n in range(10))
    with pytest.raises(ValueError, match="it is no manifest"):
        playlists_of(f"<!DOCTYPE MPD [{levels}]><MPD>&e9;</MPD>".encode(), "a.mpd")
