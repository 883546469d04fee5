"""What containers say of their images' geometry: cropping, chroma position, 360° and 3D."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media_factory import make_clip, paint_quadrants
from video_runs import pass_through, read_video

from streamcam.media.geometry import Cropping, Geometry, geometry_of
from streamcam.media.images import planes_of

CROPPED = "54bb8104 54aa8108 54cc8108 54dd8110"
"""Matroska's elements for 4 rows above and 8 below, 8 columns on the left and 16 on the right."""

_WRITTEN = bytes.fromhex("e08a b08140 ba8130 54b28104 55ee8100 ec01000000000000020000")
"""What FFmpeg writes of an image of 64x48 pixels whose display size is unknown, and padding behind it."""


def make_mkv(path: Path, elements: str, **options: object) -> Path:
    """Make a Matroska file with further elements in the description of its images."""
    make_clip(path, frames=4, sample_aspect_ratio=Fraction(1, 4), **options)  # type: ignore[arg-type]
    added = bytes.fromhex(elements)
    content = path.read_bytes()
    assert content.count(_WRITTEN) == 1
    room = len(_WRITTEN) - 8 - len(added) - 2
    video = bytes([0xE0, 0x80 + 6 + len(added)]) + bytes.fromhex("b08140 ba8130") + added
    path.write_bytes(content.replace(_WRITTEN, video + bytes([0xEC, 0x80 + room]) + bytes(room)))
    return path


def remux(source: Path, target: Path) -> Path:
    with av.open(str(source)) as given, av.open(str(target), "w") as written:
        stream = written.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.size:
                packet.stream = stream
                written.mux(packet)
    return target


def quarters(image: av.VideoFrame) -> list[list[int]]:
    """The luma of the corners."""
    luma = planes_of(image)[0]
    return [[int(luma[row, column]) for column in (1, -2)] for row in (1, -2)]


@pytest.mark.parametrize("suffix", [".mkv", ".mov"])
def test_cropping_is_applied(suffix: str, tmp_path: Path) -> None:
    path = make_mkv(tmp_path / "clip.mkv", CROPPED, paint=paint_quadrants)
    if suffix == ".mov":  # whose clean aperture FFmpeg makes of it
        path = remux(path, tmp_path / "clip.mov")
    frames, info, _ = read_video(path)
    assert (info.width, info.height) == (64 - 8 - 16, 48 - 4 - 8)
    for frame in frames:
        np.testing.assert_allclose(quarters(frame.image), [[40, 80], [120, 160]], atol=2)
        # The middle of the whole image, at column 32 and row 24.
        luma = planes_of(frame.image)[0].astype(int)
        assert abs(luma[5, 22] - 40) <= 8 <= abs(luma[5, 26] - 40)
        assert abs(luma[18, 5] - 40) <= 8 <= abs(luma[21, 5] - 40)


def test_cropping_comes_before_rotation(tmp_path: Path) -> None:
    path = make_mkv(tmp_path / "clip.mkv", CROPPED, paint=paint_quadrants)
    with av.open(str(path)) as given:
        assert geometry_of(given.streams.video[0]).cropping == Cropping(4, 8, 8, 16)
    turned = remux(path, tmp_path / "turned.mov")
    content = turned.read_bytes()
    upright = bytes.fromhex(
        "00010000 00000000 00000000 00000000 00010000 00000000 00000000 00000000 40000000"
    )
    rotated = bytes.fromhex(
        "00000000 00010000 00000000 ffff0000 00000000 00000000 00000000 00000000 40000000"
    )
    header = content.rindex(b"tkhd")  # the movie's header has a matrix too
    at = content.index(upright, header)
    turned.write_bytes(content[:at] + rotated + content[at + 36 :])
    frames, info, _ = read_video(turned)
    assert (info.width, info.height) == (36, 40)
    np.testing.assert_allclose(quarters(frames[0].image), [[120, 40], [160, 80]], atol=2)


def test_a_video_without_such_words_has_none(tmp_path: Path) -> None:
    with av.open(str(make_clip(tmp_path / "clip.mp4"))) as given:
        assert geometry_of(given.streams.video[0]) == Geometry()


@pytest.mark.parametrize(
    ("edges", "size"), [((0, 0, 3, 0), (62, 48)), ((1, 1, 0, 1), (63, 47)), ((40, 8, 0, 0), (64, 48))]
)
def test_odd_edges_keep_pairs_and_impossible_ones_nothing(
    edges: tuple[int, int, int, int], size: tuple[int, int]
) -> None:
    image = av.VideoFrame(64, 48, "yuv420p")
    cropped = Cropping(*edges).apply(image)
    assert (cropped.width, cropped.height) == size


@pytest.mark.parametrize("location", ["topleft", "center", "top"])
@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "libx264"), (".mkv", "libx265")])
def test_the_position_of_chroma_is_kept(location: str, suffix: str, codec: str, tmp_path: Path) -> None:
    path = make_clip(tmp_path / f"clip{suffix}", codec=codec, options={"chroma_sample_location": location})
    _, info, _ = read_video(path)
    assert info.chroma_location == location
    pass_through(path, tmp_path / f"out{suffix}")
    with av.open(str(tmp_path / f"out{suffix}")) as written:
        assert geometry_of(written.streams.video[0]).chroma_location == location


@pytest.mark.parametrize("reading", [{"size": (32, 24)}, {"chroma": "444"}])
def test_the_position_of_moved_chroma_is_not_kept(reading: dict[str, object], tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", options={"chroma_sample_location": "topleft"})
    assert read_video(path, **reading)[1].chroma_location is None


@pytest.mark.parametrize(
    ("elements", "notes"),
    [
        ("7670 84 7671 81 01", ["shows all directions (360°)"]),
        ("53b8 81 01", ["is for two eyes (3D)"]),
        ("53b8 81 00", []),
    ],
)
def test_spheres_and_pairs_are_noted(elements: str, notes: list[str], tmp_path: Path) -> None:
    expected = tuple(f"that the video {note} is left out: players show it flat" for note in notes)
    assert read_video(make_mkv(tmp_path / "clip.mkv", elements))[1].notes == expected
