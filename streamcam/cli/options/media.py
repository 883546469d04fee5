"""Options for reading and writing videos."""

from __future__ import annotations

from typing import Any

import click

from streamcam.cli.options.declaring import grouped, option
from streamcam.cli.options.values import NUMBER, WholeNumber, read_range, read_rate, read_size
from streamcam.errors import InvalidArgumentError


def _ends(values: dict[str, Any]) -> dict[str, Any]:
    """Convert --duration into the end of the part.

    Raises:
        InvalidArgumentError: if both --end and --duration are given, or the duration is not above 0.
    """
    start_s, end_s, duration_s = values["start_s"], values["end_s"], values["duration_s"]
    if duration_s is not None:
        if end_s is not None:
            raise InvalidArgumentError("--end and --duration cannot be combined; leave one out")
        if duration_s <= 0:
            raise InvalidArgumentError(f"--duration must be above 0 seconds, not {duration_s:g}")
        end_s = (start_s or 0) + duration_s
    return {"start_s": start_s, "end_s": end_s}


part_options = grouped(
    "part",
    option("--start", "start_s", type=NUMBER, metavar="SECONDS", help="Start of the part to render."),
    option("--end", "end_s", type=NUMBER, metavar="SECONDS", help="End of the part to render."),
    option(
        "--duration",
        "duration_s",
        type=NUMBER,
        metavar="SECONDS",
        help="Length of the part, instead of --end.",
    ),
    to=_ends,
)
"""The part of a video that is rendered: ``start_s`` and ``end_s``."""

reading_options = grouped(
    "reading",
    option(
        "--video-stream",
        type=WholeNumber(min=0),
        metavar="N",
        help="Index of the video stream to read. [default: the best one]",
    ),
    option(
        "--keep-interlaced",
        is_flag=True,
        help="Keep interlaced frames interlaced. [default: deinterlace them]",
    ),
    option(
        "--size",
        callback=read_size,
        metavar="WxH",
        help="Scale to this size in pixels, with bars if the video has another shape.",
    ),
    option(
        "--fps",
        "rate",
        callback=read_rate,
        metavar="NUMBER",
        help="Repeat or drop frames to reach this rate, as 25 or 30000/1001. [default: keep every frame]",
    ),
    option(
        "--range",
        callback=read_range,
        metavar="LOW,HIGH",
        help="Values shown as black and as white, of images and gray videos with more than 8 bits a sample. "
        "[default: all that can be stored, or those in use where they are clearly fewer]",
    ),
    option(
        "--alpha-channel",
        default_of="SourceSettings",
        metavar="NAME",
        help="white (transparent parts are shown on white) or keep (they stay transparent, in outputs that "
        "hold alpha: .mov as ProRes 4444, .mkv as FFV1, .webm, .webp and .png).",
    ),
    option(
        "--hwaccel",
        default_of="SourceSettings",
        metavar="NAME",
        help="Decode in hardware if possible: cuda, qsv or any other device of FFmpeg; auto tries all.",
    ),
)
"""The fields of `SourceSettings`."""

encoding_options = grouped(
    "encoding",
    option(
        "--codec",
        metavar="NAME",
        help="h264, hevc, av1, vp9, prores, ffv1 or FFmpeg's name of an encoder (as h264_nvenc); auto for a "
        "hardware encoder if one works. [default: H.264, for .webm VP9]",
    ),
    option(
        "--crf",
        type=NUMBER,
        help="Quality; lower is better and larger. [default: 20 for H.264]",
    ),
    option("--preset", metavar="NAME", help="Encoding speed against size. [default: veryfast for H.264]"),
    option("--no-audio", is_flag=True, help="Do not copy the audio."),
    option(
        "--container",
        metavar="SUFFIX",
        help="With -o -, the kind of video that is sent to standard output: .mkv, .mp4, .mov, .webm or .ts. "
        "[default: .mkv]",
    ),
    option(
        "--depth",
        type=click.Choice(["auto", "8", "10"]),
        default="auto",
        show_default=True,
        callback=lambda _context, _parameter, text: None if text == "auto" else int(text),
        help="Bits per sample; auto keeps the input's if the encoder can.",
    ),
    option(
        "--chroma",
        type=click.Choice(["auto", "420", "422", "444"]),
        default="auto",
        show_default=True,
        callback=lambda _context, _parameter, text: None if text == "auto" else text,
        help="Chroma subsampling; auto keeps the input's for ProRes and FFV1, and uses 420 elsewhere, since "
        "most players show nothing else.",
    ),
)
"""The fields of `EncoderSettings`."""

beside_options = grouped(
    "beside",
    option(
        "--sidecar",
        metavar="FILE.jsonl",
        help="Also write raw maps and predictions, one JSON object per frame.",
    ),
    option(
        "--annotations",
        multiple=True,
        metavar="FILE",
        help="Also write detected objects, or with --boxes the boxes around the heat: boxes.json (COCO), "
        "boxes.xml (CVAT, with tracks) or labels/%05d.txt (YOLO). Repeat it for several.",
    ),
    option(
        "--masks",
        metavar="DIR|FILE.mkv",
        help="Also write masks of the same, as a PNG image per frame or one lossless video.",
    ),
    option(
        "--evidence",
        metavar="FILE.h5",
        help="Also keep all raw maps, predictions and settings in a file of arrays (HDF5), "
        "for streamcam.open_evidence.",
    ),
)
"""The files beside the main output, fields of `RenderSettings`."""
