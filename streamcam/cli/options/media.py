"""How videos are read and written."""

from __future__ import annotations

from typing import Any

import click

from streamcam.cli.options.declaring import gathered, option
from streamcam.cli.options.values import NUMBER, WholeNumber, read_rate, read_size
from streamcam.errors import InvalidArgumentError


def _ends(values: dict[str, Any]) -> dict[str, Any]:
    """Settle where the part ends.

    Raises:
        InvalidArgumentError: if that is said twice, or nothing is left.
    """
    start_s, end_s, duration_s = values["start_s"], values["end_s"], values["duration_s"]
    if duration_s is not None:
        if end_s is not None:
            raise InvalidArgumentError("--end and --duration both say where to end; leave one out")
        if duration_s <= 0:
            raise InvalidArgumentError(f"--duration {duration_s:g} is nothing; it takes seconds above 0")
        end_s = (start_s or 0) + duration_s
    return {"start_s": start_s, "end_s": end_s}


part_options = gathered(
    "part",
    option("--start", "start_s", type=NUMBER, metavar="SECONDS", help="Where to start."),
    option("--end", "end_s", type=NUMBER, metavar="SECONDS", help="Where to end."),
    option(
        "--duration",
        "duration_s",
        type=NUMBER,
        metavar="SECONDS",
        help="How much of it, instead of --end.",
    ),
    to=_ends,
)
"""What of a video is rendered: ``start_s`` and ``end_s``."""

reading_options = gathered(
    "reading",
    option(
        "--video-stream",
        type=WholeNumber(min=0),
        metavar="N",
        help="Which of the file's streams to show, counted from 0. [default: the best]",
    ),
    option(
        "--keep-interlaced",
        is_flag=True,
        help="Leave interlaced images as they are. [default: make whole ones of them]",
    ),
    option(
        "--size",
        callback=read_size,
        metavar="WxH",
        help="Scale to this size in pixels, with bars where the video's shape differs.",
    ),
    option(
        "--fps",
        "rate",
        callback=read_rate,
        metavar="NUMBER",
        help="Repeat or leave out frames for this rate, as 25 or 30000/1001. [default: each at its time]",
    ),
    option(
        "--hwaccel",
        default="none",
        show_default=True,
        metavar="NAME",
        help="Decode in hardware where that works: cuda, qsv and others that FFmpeg knows; auto for any.",
    ),
)
"""How a video is read: what `ReadingSettings` takes."""

encoding_options = gathered(
    "encoding",
    option(
        "--codec",
        metavar="NAME",
        help="h264, hevc, av1, vp9, prores, ffv1 or FFmpeg's name of an encoder (as h264_nvenc); auto for "
        "one in hardware where that works. [default: H.264, for .webm VP9]",
    ),
    option("--crf", type=NUMBER, help="Quality: lower is better and larger. [default: 20 for H.264]"),
    option("--preset", metavar="NAME", help="The encoder's time for size. [default: veryfast for H.264]"),
    option("--no-audio", is_flag=True, help="Leave the audio out."),
    option(
        "--depth",
        type=click.Choice(["auto", "8", "10"]),
        default="auto",
        show_default=True,
        callback=lambda _context, _parameter, text: None if text == "auto" else int(text),
        help="Bits of a sample; auto takes the video's where the encoder can.",
    ),
    option(
        "--chroma",
        type=click.Choice(["auto", "420", "422", "444"]),
        default="auto",
        show_default=True,
        callback=lambda _context, _parameter, text: None if text == "auto" else text,
        help="Chroma subsampling; auto takes the video's for ProRes and FFV1, and 420 where players show no "
        "more: for H.264, HEVC, AV1 and VP9.",
    ),
)
"""How a video is written: what `EncoderSettings` takes."""
