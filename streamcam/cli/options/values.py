"""Types of option values: numbers, sizes, rates, classes."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import Any

import click

_HIGHEST_RATE = 240  # frames per second
_SHAPE = re.compile(r"(\d{1,6})[:x](\d{1,6})")
_LONGEST_SIDE = 16384  # pixels, the most that encoders take


class _FiniteFloat(click.types.FloatParamType):
    """A finite number: ``nan`` and ``inf`` are refused."""

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


class WholeNumber(click.IntRange):
    """A whole number, called that in click's messages."""

    name = "whole number"


COUNT = WholeNumber(min=1)
COUNT_FROM_0 = WholeNumber(min=0)


class _CountOrAuto(click.ParamType[Any]):
    """A count from 1, or ``auto``."""

    name = "whole number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "auto":
            return value
        try:
            number = int(value)
        except ValueError:
            self.fail(f"{value!r} is neither a whole number nor auto", param, ctx)
        return COUNT.convert(number, param, ctx)


COUNT_OR_AUTO = _CountOrAuto()


class _ClassName(click.ParamType[str]):
    """A class name or index; an environment variable separates several by semicolons."""

    name = "class"
    envvar_list_splitter = ";"


CLASS_NAME = _ClassName()


def read_input_size(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> int | tuple[int, int] | None:
    """Parse the side of a square in pixels, or a width and a height, as in ``128x256``."""
    if text is None:
        return None
    width, cross, height = text.strip().partition("x")
    sides = [COUNT(side, parameter, context) for side in ((width, height) if cross else (width,))]
    return sides[0] if len(sides) == 1 else (sides[0], sides[1])


def read_rank(context: click.Context, parameter: click.Parameter, text: str | None) -> str | None:
    """Check that the text has the form ``top3``, ``instances`` or ``instance2``."""
    if text is not None and not re.fullmatch(r"top\d+|instances|instance\d+", text.strip(), re.IGNORECASE):
        raise click.BadParameter(f"{text!r} is none of top3, instances, instance2", context, parameter)
    return None if text is None else text.strip()


def read_numbers(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> tuple[float, ...] | None:
    """Parse comma-separated numbers."""
    return (
        None if text is None else tuple(NUMBER.convert(part, parameter, context) for part in text.split(","))
    )


def read_names(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> tuple[str, ...] | None:
    """Parse names with commas between them; commas between a method's options separate none."""
    if text is None:
        return None
    names = tuple(name.strip() for name in re.split(r",(?![^,:]*=)", text))
    if not all(names):
        raise click.BadParameter(f"{text!r} has an empty name", context, parameter)
    return names


RUN_EXPORTED = ("render", "report", "live", "audit")
"""Commands that run exported explainers: they explain by one method, and need no more than probabilities."""


def read_model(context: click.Context, _parameter: click.Parameter, name: str) -> str:
    """Refuse the name of a model that nothing can be meant by, before anything slow is imported."""
    from streamcam.models.model_names import check_name, is_explainer_file

    check_name(name)
    if is_explainer_file(name) and context.command.name not in RUN_EXPORTED:
        from streamcam.explain.exported.container import refuse_exported

        refuse_exported(name)
    return name


def read_models(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> tuple[str, ...] | None:
    """Parse names of models with commas between them, and refuse likewise."""
    names = read_names(context, parameter, text)
    return None if names is None else tuple(read_model(context, parameter, name) for name in names)


def read_range(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> tuple[float, float] | None:
    """Parse two numbers, as in ``0,4095``."""
    numbers = read_numbers(context, parameter, text)
    if numbers is None:
        return None
    if len(numbers) != 2:
        raise click.BadParameter(f"{text!r} is not LOW,HIGH, as in 0,4095", context, parameter)
    return numbers[0], numbers[1]


def read_size(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[int, int] | None:
    """Parse a width and a height in pixels, as in ``640x360``."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text.strip())
    size = (int(found[1]), int(found[2])) if found else (0, 0)
    if not all(2 <= side <= _LONGEST_SIDE and side % 2 == 0 for side in size):
        raise click.BadParameter(
            f"{text!r} is not a size; use even numbers of pixels, as 640x360", context, parameter
        )
    return size


def read_rate(context: click.Context, parameter: click.Parameter, text: str | None) -> Fraction | None:
    """Parse a frame rate: a number or a fraction. 29.97 and the like become the exact NTSC rates."""
    if text is None:
        return None
    try:
        rate = Fraction(text.strip())
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 0 < rate <= _HIGHEST_RATE:
        message = f"{text!r} is not a frame rate; use a number up to {_HIGHEST_RATE}, as 25 or 30000/1001"
        raise click.BadParameter(message, context, parameter)
    exact = Fraction(round(rate * Fraction(1001, 1000)) * 1000, 1001)
    return exact if rate.denominator != 1 and abs(rate - exact) < Fraction(1, 1000) else rate


def read_above_zero(
    _context: click.Context, parameter: click.Parameter, number: float | None
) -> float | None:
    """Check that a duration is above 0."""
    if number is not None and number <= 0:
        raise click.BadParameter(f"{number:g} is not above 0", param=parameter)
    return number


def read_place(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> tuple[float, ...] | None:
    """Parse a point or a box in pixels, as in ``320,180`` or ``100,50,300,200``."""
    numbers = read_numbers(context, parameter, text)
    if numbers is not None and len(numbers) not in (2, 4):
        raise click.BadParameter(f"{text!r} is not X,Y or LEFT,TOP,RIGHT,BOTTOM", context, parameter)
    return numbers


def read_shapes(
    _context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]
) -> list[tuple[int, int]]:
    """Read shapes of frames as (width, height)."""
    shapes = []
    for text in texts:
        match = _SHAPE.fullmatch(text.strip().lower())
        if match is None or not int(match[1]) or not int(match[2]):
            raise click.BadParameter(f"{text!r} is no shape of frames; write 16:9 or 640x480")
        shapes.append((int(match[1]), int(match[2])))
    return shapes
