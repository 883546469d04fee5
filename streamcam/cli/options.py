"""The options that several commands share: the same word means the same thing everywhere."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any, TypeVar, cast

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def option(*names: str, **settings: Any) -> Callable[[Command], Command]:
    """Declare an option with its environment twin: ``--top-k`` is also STREAMCAM_TOP_K."""
    long_name = next(name for name in names if name.startswith("--")).partition("/")[0]
    variable = "STREAMCAM_" + long_name.removeprefix("--").replace("-", "_").upper()
    return click.option(*names, envvar=variable, **settings)


class _FiniteFloat(click.types.FloatParamType):
    """A number; ``nan`` and ``inf``, which Python takes for numbers too, are none here."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a number", param, ctx)
        return number


NUMBER = _FiniteFloat()

_HIGHEST_RATE = 240  # frames per second
_LONGEST_SIDE = 16384  # of what encoders take, in pixels


def _remember_debug(context: click.Context, _parameter: click.Parameter, debug: bool) -> None:
    if debug:
        context.find_root().ensure_object(dict)["debug"] = True


debug_option = option(
    "--debug",
    is_flag=True,
    is_eager=True,  # so that it holds for an error in the options after it
    expose_value=False,
    callback=_remember_debug,
    help="Add the traceback to an error.",
)
"""Taken before and after the command's name."""


def _all_of(*decorators: Callable[[Any], Any]) -> Callable[[Command], Command]:
    return lambda command: functools.reduce(
        lambda done, decorate: decorate(done), reversed(decorators), command
    )


class _ClassName(click.ParamType[str]):
    """A class's name or index; in an environment variable, several are parted by semicolons."""

    name = "class"
    envvar_list_splitter = ";"


CLASS_NAME = _ClassName()


def _numbers(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> tuple[float, ...] | None:
    """Read numbers with commas between them."""
    return (
        None if text is None else tuple(NUMBER.convert(part, parameter, context) for part in text.split(","))
    )


def read_size(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[int, int] | None:
    """Read a width and a height in pixels."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text.strip())
    size = (int(found[1]), int(found[2])) if found else (0, 0)
    if not all(2 <= side <= _LONGEST_SIDE and side % 2 == 0 for side in size):
        raise click.BadParameter(
            f"{text!r} is no size; give even numbers of pixels, as 640x360", context, parameter
        )
    return size


class _BatchSize(click.ParamType[Any]):
    """A number of frames, or ``auto``."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value if value == "auto" else click.IntRange(min=1).convert(value, param, ctx)


def read_rate(context: click.Context, parameter: click.Parameter, text: str | None) -> Fraction | None:
    """Read frames per second: a number or a fraction; 29.97 and its kin mean the exact rates of NTSC."""
    if text is None:
        return None
    try:
        rate = Fraction(text.strip())
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 0 < rate <= _HIGHEST_RATE:
        told = f"{text!r} is no frame rate; give a number up to {_HIGHEST_RATE}, as 25 or 30000/1001"
        raise click.BadParameter(told, context, parameter)
    exact = Fraction(round(rate * Fraction(1001, 1000)) * 1000, 1001)
    return exact if rate.denominator != 1 and abs(rate - exact) < Fraction(1, 1000) else rate


def _gathered(
    dict_name: str, *decorators: Callable[[Any], Any], names: tuple[str, ...]
) -> Callable[[Command], Command]:
    """Combine options that the command gets as one dict.

    Args:
        dict_name: The command's parameter.
        decorators: The options.
        names: The options' own parameters.
    """

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def gather(**values: Any) -> Any:
            gathered = {name: values.pop(name) for name in names}
            return command(**values, **{dict_name: gathered})

        return cast(Command, _all_of(*decorators)(gather))

    return decorate


own_model_options = _gathered(
    "own_model",
    option(
        "--input-size",
        type=click.IntRange(min=1),
        metavar="PIXELS",
        help="Side of the square that the network was trained on. [default: the published one, or 224]",
    ),
    option(
        "--mean",
        callback=_numbers,
        metavar="R,G,B",
        help="Mean of each channel on a scale of 0 to 1; one number for a grey input. "
        "[default: the published ones, or ImageNet's]",
    ),
    option(
        "--std",
        callback=_numbers,
        metavar="R,G,B",
        help="Standard deviation of each channel, likewise.",
    ),
    option(
        "--logits-key",
        metavar="KEY",
        help="Where the logits stand in what the network returns: a key, or a number in a list.",
    ),
    option(
        "--activation",
        type=click.Choice(["softmax", "sigmoid"]),
        help="What makes probabilities of logits. [default: softmax; sigmoid for a single logit]",
    ),
    names=("input_size", "mean", "std", "logits_key", "activation"),
)
"""For networks of the user's own."""

fit_option = option(
    "--fit",
    metavar="NAME",
    help="How a frame meets the network: full (own shape), stretch, crop, pad. "
    "[default: full where the network takes any shape, else stretch]",
)

model_options = _all_of(
    option(
        "--model",
        default="efficientnet_lite0",
        show_default=True,
        metavar="NAME",
        help="The network to explain: the built-in one, a torchvision classifier (resnet50), timm:NAME, or "
        "a function of your own that makes one (package.module:factory).",
    ),
    option(
        "--weights",
        default="default",
        metavar="FILE",
        help="A .safetensors or .pth file, 'none' for an untrained network. [default: the published ones]",
    ),
    option(
        "--labels",
        metavar="FILE",
        help="Class names, one a line or JSON; or 'imagenet'. [default: the published ones]",
    ),
    own_model_options,
    option(
        "--device",
        default="auto",
        show_default=True,
        metavar="NAME",
        help="Where to compute: auto, cpu, cuda, mps, openvino:GPU, openvino:NPU.",
    ),
    option(
        "--precision",
        default="auto",
        show_default=True,
        metavar="NAME",
        help="What the network computes in: auto, fp32, bf16, fp16. Maps are always float32.",
    ),
    option(
        "--engine",
        default="auto",
        show_default=True,
        metavar="NAME",
        help="What runs the network up to the target layer: openvino, torch, or auto for the quicker.",
    ),
    fit_option,
)
"""What is explained, and how it is run."""

batch_option = option(
    "--batch",
    "batch_size",
    type=_BatchSize(),
    default="auto",
    show_default=True,
    metavar="NUMBER",
    help="How many frames go through the network at once; auto chooses by device and memory.",
)

explanation_options = _all_of(
    option("--method", default="gradcam", show_default=True, metavar="NAME", help="How the map is computed."),
    option(
        "--target-layer",
        default="auto",
        metavar="NAME",
        help="The layer to explain. [default: the last one with a spatial grid]",
    ),
    option(
        "--class",
        "class_names",
        multiple=True,
        type=CLASS_NAME,
        metavar="NAME|INDEX",
        help="The class to explain; part of its name will do. Several times for several, each in a colour of "
        "its own. [default: each frame's most probable one]",
    ),
    option(
        "--target",
        metavar="topK",
        help="Explain each frame's K most probable classes, as in top3.",
    ),
    option(
        "--against",
        metavar="NAME|INDEX",
        help="Explain what speaks for the class rather than for this one.",
    ),
    option(
        "--signed",
        is_flag=True,
        help="Show what lowers the score too: red speaks for the class, blue against it.",
    ),
    option(
        "--top-k",
        type=click.IntRange(min=1),
        default=3,
        show_default=True,
        help="How many predicted labels to show.",
    ),
)
"""What is asked of the network."""

_TEMPORAL = ("smoothing_s", "mode", "scale", "dim_uncertain", "cuts", "label_hold_s", "every")


def temporal_options(*, default_mode: str) -> Callable[[Command], Command]:
    """Add the options of the temporal stage; the command gets them as one dict, ``temporal``.

    Args:
        default_mode: The smoothing mode where none is asked for.
    """

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def gather(**values: Any) -> Any:
            temporal = {name: values.pop(name) for name in _TEMPORAL}
            return command(**values, temporal=temporal)

        return cast(Command, _temporal_options(default_mode)(gather))

    return decorate


def _temporal_options(default_mode: str) -> Callable[[Any], Any]:
    return _all_of(
        option(
            "--smoothing",
            "smoothing_s",
            type=NUMBER,
            default=0.25,
            show_default=True,
            metavar="SECONDS",
            help="Time constant of the smoothing; 0 turns it off.",
        ),
        option(
            "--smoothing-mode",
            "mode",
            default=default_mode,
            show_default=True,
            metavar="NAME",
            help="causal (the past only), zero-phase (past and future alike: nothing lags), flow (causal, "
            "and heat travels with what moves), flow-zero-phase, none.",
        ),
        option(
            "--scale",
            default="running",
            show_default=True,
            metavar="NAME",
            help="What full strength is: frame (each frame's own strongest place), running (what the class "
            "usually reaches in this shot), absolute (a probability of 100 %).",
        ),
        option("--dim-uncertain", is_flag=True, help="Weaken the heat of classes less probable than 50 %."),
        option(
            "--cuts",
            default="auto",
            show_default=True,
            metavar="NAME",
            help="auto starts afresh where another shot begins, off never does.",
        ),
        option(
            "--label-hold",
            "label_hold_s",
            type=NUMBER,
            default=0.5,
            show_default=True,
            metavar="SECONDS",
            help="How long another class must lead, unless it leads clearly, before it is shown and "
            "explained; 0 never waits.",
        ),
        option(
            "--every",
            type=click.IntRange(min=1),
            default=1,
            show_default=True,
            metavar="N",
            help="Explain every Nth frame, and carry heat and labels over those between.",
        ),
    )


overlay_options = _all_of(
    option(
        "--colormap",
        default="turbo",
        show_default=True,
        metavar="NAME",
        help="jet (as in the papers), turbo, inferno, viridis and the others of OpenCV.",
    ),
    option(
        "--alpha",
        type=NUMBER,
        default=0.45,
        show_default=True,
        help="Weight of the heat: 0 shows none, 1 shows only heat.",
    ),
    option("--no-labels", is_flag=True, help="Leave the predicted labels out of the picture."),
)
"""How it looks."""

reading_options = _gathered(
    "reading",
    option(
        "--video-stream",
        type=click.IntRange(min=0),
        metavar="N",
        help="Which of the file's streams to show, counted from 0. [default: the best]",
    ),
    option(
        "--keep-interlaced",
        is_flag=True,
        help="Leave interlaced pictures as they are. [default: make whole ones of them]",
    ),
    option(
        "--size",
        callback=read_size,
        metavar="WxH",
        help="Scale to this size in pixels, with bars where the film's shape differs.",
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
    names=("video_stream", "keep_interlaced", "size", "rate", "hwaccel"),
)
"""How a film is read."""

encoding_options = _gathered(
    "encoding",
    option(
        "--codec",
        metavar="NAME",
        help="h264, hevc, av1, vp9, prores, ffv1 or FFmpeg's name of an encoder (as h264_nvenc); auto for "
        "one in hardware where that works. [default: H.264, for .webm VP9]",
    ),
    option("--crf", type=NUMBER, help="Quality: lower is better and larger. [default: 20 for H.264]"),
    option("--preset", metavar="NAME", help="The encoder's time for size. [default: veryfast for H.264]"),
    option("--no-audio", is_flag=True, help="Leave the sound out."),
    option(
        "--depth",
        type=click.Choice(["auto", "8", "10"]),
        default="auto",
        show_default=True,
        callback=lambda _context, _parameter, text: None if text == "auto" else int(text),
        help="Bits of a sample; auto takes the film's where the encoder can.",
    ),
    names=("codec", "crf", "preset", "no_audio", "depth"),
)
"""How a film is written."""
