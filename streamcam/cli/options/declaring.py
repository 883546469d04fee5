"""Declaring options: each with an environment variable, several grouped into one parameter."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

import click

from streamcam.cli.defaults import defaults_of
from streamcam.cli.output import say
from streamcam.milestones import reach

Command = TypeVar("Command", bound=Callable[..., Any])


def option(*names: str, default_of: str | None = None, **settings: Any) -> Callable[[Command], Command]:
    """Declare an option and its environment variable: ``--top-k`` is also STREAMCAM_TOP_K.

    Args:
        names: Flags, and the name of the parameter where it differs from the long flag.
        default_of: A public class or function of streamcam; the option has the default that the parameter has
            there, and shows it in the help.
        settings: What `click.option` takes.
    """
    long_name = next(name for name in names if name.startswith("--"))
    word = long_name.partition("/")[0].removeprefix("--").replace("-", "_")  # of --tls/--no-tls the first
    if default_of is not None:
        parameter = next((name for name in names if name.isidentifier()), word)
        settings["default"] = defaults_of(default_of)[parameter]
        settings.setdefault("show_default", True)
    settings.setdefault("cls", _Option)
    return click.option(*names, envvar=f"STREAMCAM_{word.upper()}", **settings)


class _Option(click.Option):
    """An option that does not take the next one for its value, as click would: ``--evidence --overwrite``."""

    def consume_value(
        self, ctx: click.Context, opts: Mapping[str, Any]
    ) -> tuple[Any, click.core.ParameterSource]:
        value, source = super().consume_value(ctx, opts)
        if not self.is_flag and not str(self.metavar).startswith("TEXT"):  # words may begin with anything
            names = {name for each in ctx.command.get_params(ctx) for name in each.opts}
            for each in value if isinstance(value, (list, tuple)) else (value,):
                if isinstance(each, str) and (each.startswith("--") or each in names):
                    form = self.make_metavar(ctx)
                    raise click.BadParameter(f"{each!r} is an option; give {form} before it", ctx, self)
        return value, source


def combine(*decorators: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """Combine options; the help shows them in this order."""
    return lambda command: functools.reduce(
        lambda done, decorate: decorate(done), reversed(decorators), command
    )


def grouped(
    parameter: str,
    *decorators: Callable[[Any], Any],
    to: Callable[[dict[str, Any]], dict[str, Any]] = lambda values: values,
) -> Callable[[Command], Command]:
    """Combine options that a command receives as one dict.

    Args:
        parameter: Name of the command's parameter.
        decorators: The options.
        to: Converts the dict from option name to value into the one that the command receives.
    """
    options = combine(*decorators)
    names = [each.name for each in click.command(parameter)(options(lambda: None)).params]

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def call(**values: Any) -> Any:
            group = {name: values.pop(name) for name in names}
            return command(**values, **{parameter: to(group)})

        return cast(Command, options(call))

    return decorate


class _LogToStderr(logging.Handler):
    """Write log records to stderr, one line each."""

    def emit(self, record: logging.LogRecord) -> None:
        say(f"debug: {record.name}: {record.getMessage()}", err=True)


def _enable_debug(context: click.Context, _parameter: click.Parameter, debug: bool) -> None:
    root = context.find_root()
    settings: dict[str, bool] = root.ensure_object(dict)
    if not debug or settings.get("debug"):
        return
    settings["debug"] = True
    logger, handler = logging.getLogger("streamcam"), _LogToStderr()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    root.call_on_close(lambda: logger.removeHandler(handler))
    root.call_on_close(lambda: logger.setLevel(level))
    reach("the command line is read")


debug_option = option(
    "--debug",
    is_flag=True,
    is_eager=True,  # so that it holds for an error in the options after it
    expose_value=False,
    callback=_enable_debug,
    help="Show why a backend, precision or encoder was chosen, and the traceback of an error.",
)
"""Taken before and after the command's name."""
