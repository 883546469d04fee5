"""What decoded pictures carry beside their pixels."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from media_factory import make_clip, make_picture

from streamcam.frames import HdrMetadata, MasteringDisplay
from streamcam.sources import open_source
from streamcam.sources.side_data import UPRIGHT, Orientation, hdr_metadata_of, lost_with, orientation_of

# In units of 0.00002, and 0.0001 nits.
DISPLAY = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
P3_SCREEN = MasteringDisplay(
    red=(0.68, 0.32), green=(0.265, 0.69), blue=(0.15, 0.06), white=(0.3127, 0.329), luminance=(0.005, 1000)
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
def test_what_a_film_says_of_its_light_is_read(told: str, wanted: HdrMetadata | None, tmp_path: Path) -> None:
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


def test_plain_pictures_are_upright_and_say_nothing() -> None:
    image = make_picture(64, 48)
    assert orientation_of(image) == UPRIGHT == Orientation()
    assert hdr_metadata_of(image) is None
    assert lost_with(image) == ()


@pytest.mark.parametrize(
    ("kind", "note"),
    [
        ("A53_CC", "closed captions inside the pictures are left out"),
        ("DYNAMIC_HDR_PLUS", "how bright each scene is meant (HDR10+) is left out"),
        ("DOVI_METADATA", "what Dolby Vision adds to the picture is left out"),
    ],
)
def test_what_is_lost_with_a_picture_is_told(kind: str, note: str) -> None:
    entries = [SimpleNamespace(type=SimpleNamespace(name=name)) for name in (kind, "GOP_TIMECODE")]
    assert lost_with(SimpleNamespace(side_data=entries)) == (note,)  # type: ignore[arg-type]
