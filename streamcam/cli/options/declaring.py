"""How options are declared: with a twin in the environment, and several in one parameter."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def option(*names: str, **settings: Any) -> Callable[[Command], Command]:
    """Declare an option with its environment twin: ``--top-k`` is also STREAMCAM_TOP_K."""
    long_name = next(name for name in names if name.startswith("--")).partition("/")[0]
    variable = "STREAMCAM_" + long_name.removeprefix("--").replace("-", "_").upper()
    return click.option(*names, envvar=variable, **settings)


def all_of(*decorators: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """Combine options; the help shows them in this order."""
    return lambda command: functools.reduce(
        lambda done, decorate: decorate(done), reversed(decorators), command
    )


def gathered(
    parameter: str,
    *decorators: Callable[[Any], Any],
    to: Callable[[dict[str, Any]], dict[str, Any]] = lambda values: values,
) -> Callable[[Command], Command]:
    """Combine options that the command gets as one dict.

    Args:
        parameter: The command's parameter.
        decorators: The options.
        to: Makes the dict of the values, which come by the names of the options' own parameters.
    """
    options = all_of(*decorators)
    names = [each.name for each in click.command(parameter)(options(lambda: None)).params]

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def gather(**values: Any) -> Any:
            own = {name: values.pop(name) for name in names}
            return command(**values, **{parameter: to(own)})

        return cast(Command, options(gather))

    return decorate


def _remember_debug(context: click.Context, _parameter: click.Parameter, debug: bool) -> None:
    if debug:
        context.find_root().ensure_object(dict)["debug"] = True


def debugging() -> bool:
    """Tell whether --debug was given to the command that runs."""
    settings: dict[str, bool] = click.get_current_context().find_root().ensure_object(dict)
    return settings.get("debug", False)


debug_option = option(
    "--debug",
    is_flag=True,
    is_eager=True,  # so that it holds for an error in the options after it
    expose_value=False,
    callback=_remember_debug,
    help="Add the traceback to an error, and say what a render was computed with.",
)
"""Taken before and after the command's name."""
