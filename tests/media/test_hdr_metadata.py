"""What a video of high dynamic range says of its light goes with it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from media_factory import make_clip
from video_runs import pass_through

from streamcam.frames import ColorTags, HdrMetadata, MasteringDisplay
from streamcam.media.codecs import HdrParameters, encoder_row
from streamcam.media.encoders import EncoderSettings
from streamcam.sources import open_source

SCREEN = MasteringDisplay(
    red=(0.68, 0.32), green=(0.265, 0.69), blue=(0.15, 0.06), white=(0.3127, 0.329), luminance=(0.005, 1000)
)
IN_UNITS = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
IN_FRACTIONS = "G(0.26500,0.69000)B(0.15000,0.06000)R(0.68000,0.32000)WP(0.31270,0.32900)L(1000.0000,0.0050)"


def parameters_of(encoder: str) -> HdrParameters:
    parameters = encoder_row(encoder).hdr
    assert parameters is not None
    return parameters


@pytest.mark.parametrize(
    ("encoder", "option", "told"),
    [
        ("libx265", "x265-params", f"a=1:master-display={IN_UNITS}:max-cll=1200,400"),
        ("libx264", "x264-params", f"a=1:mastering-display={IN_UNITS}:cll=1200,400"),
        ("libsvtav1", "svtav1-params", f"a=1:mastering-display={IN_FRACTIONS}:content-light=1200,400"),
    ],
)
def test_encoders_are_told_in_their_own_words(encoder: str, option: str, told: str) -> None:
    options = parameters_of(encoder).add_to({"crf": "1", option: "a=1"}, HdrMetadata(SCREEN, 1200, 400))
    assert options == {"crf": "1", option: told}


def test_what_is_unknown_is_not_told() -> None:
    x265 = parameters_of("libx265")
    assert x265.add_to({}, HdrMetadata(None, 1200)) == {"x265-params": "max-cll=1200,0"}
    assert x265.add_to({}, HdrMetadata(SCREEN)) == {"x265-params": f"master-display={IN_UNITS}"}
    assert encoder_row("ffv1").hdr is None


@pytest.fixture(scope="module")
def hdr_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a video of two frames with all that HDR10 has to say."""
    return make_clip(
        tmp_path_factory.mktemp("hdr") / "in.mkv",
        codec="libx265",
        pixel_format="yuv420p10le",
        frames=2,
        color=ColorTags(1, 9, 9, 16),
        options={"x265-params": f"log-level=none:master-display={IN_UNITS}:max-cll=1200,400"},
    )


CARRYING = [
    *((suffix, "hevc") for suffix in (".mp4", ".mkv", ".ts")),
    *((suffix, "av1") for suffix in (".mp4", ".webm")),
    (".mp4", "h264"),
]


@pytest.mark.parametrize(("suffix", "codec"), CARRYING)
def test_it_arrives(suffix: str, codec: str, hdr_clip: Path, tmp_path: Path) -> None:
    path = tmp_path / f"out{suffix}"
    passed = pass_through(hdr_clip, path, settings=EncoderSettings(codec))
    assert (passed.info.notes, passed.sink_notes) == ((), ())
    with open_source(path) as written:
        found = written.info.hdr_metadata
    assert found is not None
    assert found.display is not None
    assert (found.max_cll, found.max_fall) == (1200, 400)
    for name in ("red", "green", "blue", "white"):
        assert getattr(found.display, name) == pytest.approx(getattr(SCREEN, name), abs=2e-5)
    assert found.display.luminance == pytest.approx((0.005, 1000), abs=1e-4)


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="the ffprobe program is not installed")
@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "hevc"), (".mkv", "av1")])
def test_others_find_it(suffix: str, codec: str, hdr_clip: Path, tmp_path: Path) -> None:
    path = tmp_path / f"out{suffix}"
    pass_through(hdr_clip, path, settings=EncoderSettings(codec))
    words = ["ffprobe", "-v", "error", "-show_frames", "-of", "json", str(path)]
    said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    entries = {entry["side_data_type"]: entry for entry in json.loads(said)["frames"][0]["side_data_list"]}
    light, display = entries["Content light level metadata"], entries["Mastering display metadata"]
    assert (light["max_content"], light["max_average"]) == (1200, 400)
    count, unit = map(int, display["max_luminance"].split("/"))
    assert count / unit == 1000


@pytest.mark.parametrize(("suffix", "codec"), [(".mkv", "ffv1"), (".mov", "prores")])
def test_it_is_said_where_it_is_left_out(suffix: str, codec: str, hdr_clip: Path, tmp_path: Path) -> None:
    passed = pass_through(hdr_clip, tmp_path / f"out{suffix}", settings=EncoderSettings(codec))
    encoder = {"ffv1": "ffv1", "prores": "prores_ks"}[codec]
    assert passed.sink_notes == (f"the video's HDR10 metadata is left out: {encoder} does not take it",)


def test_images_for_ordinary_screens_need_it_not(hdr_clip: Path, tmp_path: Path) -> None:
    assert pass_through(hdr_clip, tmp_path / "out.gif", settings=None).sink_notes == ()
