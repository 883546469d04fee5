"""Video codecs and their encoders: one row each, with everything known of it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path

from av.codec import Codec
from av.codec.codec import UnknownCodecError

from streamcam.frames import HdrMetadata, MasteringDisplay
from streamcam.media.images import LAYERED_FORMATS


@dataclasses.dataclass(frozen=True, slots=True)
class VideoCodec:
    """A video codec: how an image is coded, whoever encodes it."""

    software: str
    """FFmpeg's name of the encoder that runs on the CPU."""
    hardware: tuple[str, ...] = ()
    """Hardware encoders, the likeliest first."""
    players_show_420: bool = False
    """Whether most players, browsers and hardware decoders show its 4:2:0 only."""
    takes_any_size: bool = False
    """Whether images may have an odd width and height. Players expect even ones of most codecs."""
    alpha_formats: tuple[str, ...] = ()
    """The pixel formats with alpha that its software encoder is fed; none where it keeps no alpha."""
    alpha_beside_packets: bool = False
    """Whether alpha is no part of its packets, but goes to the container beside them."""


CODECS: dict[str, VideoCodec] = {
    "h264": VideoCodec(
        "libx264",
        ("h264_nvenc", "h264_videotoolbox", "h264_qsv", "h264_amf", "h264_mf"),
        players_show_420=True,
    ),
    "hevc": VideoCodec(
        "libx265",
        ("hevc_nvenc", "hevc_videotoolbox", "hevc_qsv", "hevc_amf", "hevc_mf"),
        players_show_420=True,
    ),
    "av1": VideoCodec("libsvtav1", ("av1_nvenc", "av1_qsv", "av1_amf"), players_show_420=True),
    "vp9": VideoCodec(
        "libvpx-vp9",
        ("vp9_qsv",),
        players_show_420=True,
        alpha_formats=("yuva420p",),
        alpha_beside_packets=True,
    ),
    "vp8": VideoCodec("libvpx", players_show_420=True),
    "prores": VideoCodec(
        "prores_ks", ("prores_videotoolbox",), takes_any_size=True, alpha_formats=("yuva444p10le",)
    ),
    "ffv1": VideoCodec("ffv1", takes_any_size=True, alpha_formats=LAYERED_FORMATS),
    "gif": VideoCodec("gif"),
    "webp": VideoCodec("libwebp_anim", alpha_formats=("bgra",)),
    "apng": VideoCodec("apng", alpha_formats=("rgba",)),
}
"""FFmpeg's name of a codec → its row; other codecs of FFmpeg can be used too, with FFmpeg's defaults."""


@dataclasses.dataclass(frozen=True, slots=True)
class HdrParameters:
    """How HDR10 metadata is passed to an encoder, which writes it into the video."""

    option: str
    """The encoder's option that takes a list of parameters."""
    display: str
    """The parameter for the mastering display (SMPTE ST 2086)."""
    light: str
    """The parameter for the brightest pixel and the brightest mean (MaxCLL, MaxFALL)."""
    in_units: bool = True
    """Whether values count units of 0.00002 and of 0.0001 nits, as the bitstream does, or are decimals."""

    def add_to(self, options: Mapping[str, str], metadata: HdrMetadata) -> dict[str, str]:
        """Return an encoder's options with the metadata added to them."""
        parameters = [options[self.option]] if self.option in options else []
        if metadata.display is not None:
            parameters.append(f"{self.display}={self._display(metadata.display)}")
        if metadata.max_cll or metadata.max_fall:
            parameters.append(f"{self.light}={metadata.max_cll},{metadata.max_fall}")
        return {**options, self.option: ":".join(parameters)}

    def _display(self, display: MasteringDisplay) -> str:
        points = {"G": display.green, "B": display.blue, "R": display.red, "WP": display.white}
        words = [f"{name}({self._coordinate(x)},{self._coordinate(y)})" for name, (x, y) in points.items()]
        darkest, brightest = display.luminance
        return "".join([*words, f"L({self._nits(brightest)},{self._nits(darkest)})"])

    def _coordinate(self, value: float) -> str:
        return f"{value / 0.00002:.0f}" if self.in_units else f"{value:.5f}"

    def _nits(self, value: float) -> str:
        return f"{value / 0.0001:.0f}" if self.in_units else f"{value:.4f}"


@dataclasses.dataclass(frozen=True, slots=True)
class Encoder:
    """A video encoder: its defaults here, and what it can be asked for."""

    options: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Its options unless others are asked for."""
    quality: str = "crf"
    """Its option for constant quality."""
    worst_quality: float | None = None
    """The highest value of that option, where the encoder does not refuse a higher one by itself."""
    presets: tuple[str, ...] = ()
    """Its presets, where it does not refuse an unknown one in words of FFmpeg's."""
    interlaced_options: Mapping[str, str] | None = None
    """Further options for interlaced images; None where it cannot mark them as such."""
    hdr: HdrParameters | None = None
    """How it is passed HDR10 metadata; None where it takes none."""
    avx512_options: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Further options on a processor with AVX-512."""
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Environment variables that it reads, set unless they are set already."""


_X26X_PRESETS = (
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
    "placebo",
)
_MEDIA_FOUNDATION = Encoder({"rate_control": "quality", "quality": "80"}, "quality")
_NVENC = Encoder({"preset": "p5", "rc": "vbr", "cq": "23"}, "cq")
_QUICK_SYNC = Encoder({"global_quality": "23"}, "global_quality")
_VIDEO_TOOLBOX = Encoder({"b": "8M"})

ENCODERS: dict[str, Encoder] = {
    # libx264 and libx265 print their own complaint about a wrong preset before FFmpeg can say a word, and
    # take a crf above 51 for 51.
    "libx264": Encoder(
        {"crf": "20", "preset": "veryfast"},
        worst_quality=51,
        presets=_X26X_PRESETS,
        interlaced_options={"flags": "+ildct+ilme"},
        hdr=HdrParameters("x264-params", "mastering-display", "cll"),
        # Its AVX-512 code for macroblock trees reads memory that nobody wrote: the same images become
        # different videos.
        avx512_options={"x264-params": "asm=AVX2"},
    ),
    "libx265": Encoder(
        {"crf": "23", "preset": "fast", "x265-params": "log-level=none"},
        worst_quality=51,
        presets=_X26X_PRESETS,
        hdr=HdrParameters("x265-params", "master-display", "max-cll"),
    ),
    "libvpx-vp9": Encoder({"crf": "31", "b": "0", "row-mt": "1", "cpu-used": "5", "deadline": "realtime"}),
    "libsvtav1": Encoder(
        {"crf": "32", "preset": "8"},
        hdr=HdrParameters("svtav1-params", "mastering-display", "content-light", in_units=False),
        environment={"SVT_LOG": "1"},  # it prints its settings otherwise, and has no option for that
    ),
    "mpeg2video": Encoder(interlaced_options={"flags": "+ildct+ilme"}),
    "prores_ks": Encoder({"vendor": "apl0"}, interlaced_options={"flags": "+ildct"}),
    "libwebp_anim": Encoder({"quality": "85"}, "quality"),
    "h264_nvenc": _NVENC,
    "hevc_nvenc": _NVENC,
    "av1_nvenc": _NVENC,
    "h264_qsv": _QUICK_SYNC,
    "hevc_qsv": _QUICK_SYNC,
    "av1_qsv": _QUICK_SYNC,
    "vp9_qsv": _QUICK_SYNC,
    "h264_videotoolbox": _VIDEO_TOOLBOX,
    "hevc_videotoolbox": _VIDEO_TOOLBOX,
    "h264_mf": _MEDIA_FOUNDATION,
    "hevc_mf": _MEDIA_FOUNDATION,
}
"""FFmpeg's name of an encoder → its row; others are used with FFmpeg's defaults."""


def encoder_row(encoder: str) -> Encoder:
    """Return the row of an encoder; an empty one for an encoder that is not in the table."""
    return ENCODERS.get(encoder, Encoder())


def codec_row(encoder: str) -> VideoCodec:
    """Return the row of the codec that an encoder makes; a plain one for a codec not in the table."""
    return CODECS.get(Codec(encoder, "w").canonical_name, VideoCodec(encoder))


def is_hardware(encoder: str) -> bool:
    """Return whether an encoder runs on hardware made for it."""
    return any(encoder in codec.hardware for codec in CODECS.values())


def is_available(encoder: str) -> bool:
    """Return whether FFmpeg was built with an encoder here."""
    try:
        Codec(encoder, "w")
    except UnknownCodecError:
        return False
    return True


@functools.cache
def has_avx512() -> bool:
    """Return whether the processor has AVX-512, where the system says so."""
    try:
        return " avx512f " in Path("/proc/cpuinfo").read_text("ascii", "replace")
    except OSError:
        return False
