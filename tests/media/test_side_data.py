"""What decoded images carry beside their pixels."""

from __future__ import annotations

import gc
import io
import struct
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import pytest
from av.sidedata.sidedata import Type
from media_factory import make_clip, make_image
from PIL import Image

from streamcam.frames import HdrMetadata, MasteringDisplay
from streamcam.media import side_data
from streamcam.media.side_data import UPRIGHT, Orientation, hdr_metadata_of, lost_with, orientation_of
from streamcam.sources import open_source

# In units of 0.00002, and 0.0001 nits.
DISPLAY = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
P3_SCREEN = MasteringDisplay(
    red=(0.68, 0.32), green=(0.265, 0.69), blue=(0.15, 0.06), white=(0.3127, 0.329), luminance=(0.005, 1000.0)
)


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        (f"{DISPLAY}:max-cll=1200,400", HdrMetadata(P3_SCREEN, 1200, 400)),
        (DISPLAY, HdrMetadata(P3_SCREEN)),
        ("max-cll=1200,400", HdrMetadata(None, 1200, 400)),
        ("hdr10=0", None),
    ],
)
def test_what_a_video_says_of_its_light_is_read(
    told: str, wanted: HdrMetadata | None, tmp_path: Path
) -> None:
    clip = make_clip(
        tmp_path / "hdr.mkv",
        codec="libx265",
        pixel_format="yuv420p10le",
        frames=2,
        options={"x265-params": f"log-level=none:{told}"},
    )
    with open_source(clip) as source:
        assert source.info.hdr_metadata == wanted
        assert source.info.notes == ()


def element(number: int, *parts: bytes | float) -> bytes:
    """Put one element of a Matroska file together."""
    coded = [struct.pack(">d", part) if isinstance(part, float) else part for part in parts]
    payload = b"".join(part.to_bytes(8, "big") if isinstance(part, int) else part for part in coded)
    name = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return name + (len(payload) | 1 << 56).to_bytes(8, "big") + payload


def matroska_that_tells(display: MasteringDisplay, max_cll: int, max_fall: int) -> bytes:
    """Make a Matroska file that says so itself: the numbers are those of RFC 9559."""
    places = (*display.red, *display.green, *display.blue, *display.white, *display.luminance[::-1])
    mastering = [element(0x55D1 + index, place) for index, place in enumerate(places)]
    color = element(0x55B0, element(0x55BC, max_cll), element(0x55BD, max_fall), element(0x55D0, *mastering))
    video = element(0xE0, element(0xB0, 64), element(0xBA, 48), color)
    number, kind, codec = element(0xD7, 1), element(0x83, 1), element(0x86, b"V_FFV1")
    tracks = element(0x1654AE6B, element(0xAE, number, element(0x73C5, 1), kind, codec, video))
    cluster = element(0x1F43B675, element(0xE7, 0), element(0xA3, b"\x81\0\0\x80", bytes(64)))
    header = element(0x1A45DFA3, element(0x4282, b"matroska"))
    return header + element(0x18538067, element(0x1549A966, element(0x2AD7B1, 1_000_000)), tracks, cluster)


def test_what_a_container_says_of_a_videos_light_is_read_too(tmp_path: Path) -> None:
    """As with VP9, whose images have no room for it."""
    told = io.BytesIO(matroska_that_tells(P3_SCREEN, 1200, 400))
    with av.open(told) as template, av.open(str(tmp_path / "clip.mkv"), "w") as video:
        stream = video.add_stream_from_template(template.streams.video[0])
        stream.pix_fmt, stream.time_base = "yuv420p10le", Fraction(1, 25)
        stream.codec_context.time_base = stream.time_base
        image = make_image(64, 48, pixel_format="yuv420p10le")
        image.pts, image.time_base = 0, stream.time_base
        video.mux([*stream.encode(image), *stream.encode(None)])
    with open_source(tmp_path / "clip.mkv") as source:
        found = source.info.hdr_metadata
    assert found == HdrMetadata(P3_SCREEN, 1200, 400)


def test_plain_images_are_upright_and_say_nothing() -> None:
    image = make_image(64, 48)
    assert orientation_of(image) == UPRIGHT == Orientation()
    assert hdr_metadata_of(image) is None
    assert lost_with(image) == ()


@pytest.mark.parametrize(
    ("kind", "note"),
    [
        ("A53_CC", "closed captions inside the images are left out"),
        ("DYNAMIC_HDR_PLUS", "how bright each scene is meant (HDR10+) is left out"),
        ("DOVI_METADATA", "what Dolby Vision adds to the image is left out"),
    ],
)
def test_what_is_lost_with_an_image_is_told(kind: str, note: str, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [SimpleNamespace(type=SimpleNamespace(name=name)) for name in (kind, "GOP_TIMECODE")]
    monkeypatch.setattr(side_data, "SideDataContainer", lambda _decoded: entries)
    assert lost_with(make_image(64, 48)) == (note,)


def test_an_image_that_was_looked_at_is_freed_at_once(tmp_path: Path) -> None:
    # Each keeps the decoder's memory, of which a preview that reconnects for days has many.
    video = make_clip(tmp_path / "video.mp4", frames=1, rotation=90)
    gc.collect()
    gc.disable()
    try:
        for look in (orientation_of, hdr_metadata_of, lost_with):
            with av.open(str(video)) as container:
                look(next(container.decode(video=0)))
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        assert [thing for thing in gc.garbage if isinstance(thing, av.VideoFrame)] == []
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def test_side_data_without_a_name_in_pyav_is_skipped(tmp_path: Path) -> None:
    """EXIF data in a JPEG, which FFmpeg hands on beside the orientation that it found there."""
    exif, photo = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6  # shown turned by a quarter to the right
    Image.new("RGB", (64, 48), "red").save(photo, "JPEG", exif=exif)
    with av.open(str(tmp_path / "photos.mkv"), "w") as video:
        stream = video.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        packet = av.Packet(photo.getvalue())
        packet.stream, packet.time_base, packet.pts, packet.dts = stream, Fraction(1, 25), 0, 0
        video.mux(packet)
    with open_source(tmp_path / "photos.mkv") as source:
        assert (source.info.width, source.info.height) == (48, 64)
        assert len(list(source)) == 1


@pytest.mark.parametrize("number", [29, 31, 4000])
def test_every_number_of_side_data_is_accepted(number: int) -> None:
    assert Type(number).value == number
    assert Type(number) not in list(Type)
