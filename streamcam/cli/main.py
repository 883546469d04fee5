"""The command group; errors become one line and an exit code."""

from __future__ import annotations

import re
import sys
import traceback
import warnings
from collections.abc import Sequence

import click

import streamcam
from streamcam.cli.audit import audit_command
from streamcam.cli.command_line import remember_arguments
from streamcam.cli.compare import compare_command
from streamcam.cli.doctor import doctor_command
from streamcam.cli.evaluate import evaluate_command
from streamcam.cli.exit_codes import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_MISUSE, exit_code_of
from streamcam.cli.export import export_command
from streamcam.cli.flags import name_flags
from streamcam.cli.layers import layers_command
from streamcam.cli.live import live_command
from streamcam.cli.maximize import maximize_command
from streamcam.cli.methods import methods_command
from streamcam.cli.models import models_command
from streamcam.cli.options import debug_option
from streamcam.cli.output import flush_or_mute, is_terminal, mute, say
from streamcam.cli.prepare import prepare_command
from streamcam.cli.render import render_command
from streamcam.cli.report import report_command
from streamcam.cli.restyle import restyle_command
from streamcam.cli.signals import interrupt_on_signal
from streamcam.errors import StreamcamError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(streamcam.__version__, prog_name="streamcam")
@debug_option
def cli() -> None:
    """See, live and on video, where a neural network looks.

    Every option can also be set as an environment variable: --top-k as STREAMCAM_TOP_K, and so on.
    Exit codes: 0 done, 1 failed, 2 misuse, 130 interrupted.
    """


cli.add_command(render_command)
cli.add_command(compare_command)
cli.add_command(restyle_command)
cli.add_command(report_command)
cli.add_command(live_command)
cli.add_command(prepare_command)
cli.add_command(audit_command)
cli.add_command(maximize_command)
cli.add_command(evaluate_command)
cli.add_command(export_command)
cli.add_command(models_command)
cli.add_command(layers_command)
cli.add_command(methods_command)
cli.add_command(doctor_command)


def run(arguments: Sequence[str]) -> int:
    """Run one command.

    Args:
        arguments: The words after ``streamcam``.

    Returns:
        The exit code.
    """
    if not arguments:
        with click.Context(cli, info_name="streamcam", **cli.context_settings) as context:
            click.echo(cli.get_help(context), err=True)
        return EXIT_MISUSE
    # Of damaged metadata: they name lines of Pillow's own files.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    settings = {"debug": False}  # set by --debug, before or after the command
    try:
        # Not cli.main(), which prints an extra line on KeyboardInterrupt.
        with interrupt_on_signal(), cli.make_context("streamcam", list(arguments), obj=settings) as context:
            remember_arguments(context, arguments)
            code = cli.invoke(context)
    except click.exceptions.Exit as done:  # after --help and --version
        return done.exit_code
    except KeyboardInterrupt:
        after_echo = "\n" if is_terminal(sys.stderr) else ""  # a terminal shows ^C and stays on the line
        say(f"{after_echo}streamcam: interrupted; nothing was written", err=True)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # as in `streamcam ... | head`
        mute(sys.stdout)
        return EXIT_FAILED
    except Exception as error:
        if settings["debug"]:
            traceback.print_exc(file=sys.stderr)
        message, code = _explain(error, arguments)
        flush_or_mute(sys.stdout)
        say(f"streamcam: error: {' '.join(message.splitlines())}", err=True)
        return code
    return code if isinstance(code, int) else EXIT_DONE


_GIVEN_END = re.compile(r"`end_s`(?! [\d.])")
"""The end of the part, where an error does not tell its time: `--duration` stands for it."""


def _explain(error: Exception, arguments: Sequence[str]) -> tuple[str, int]:
    """Return the message and the exit code of an error."""
    if isinstance(error, click.UsageError):
        return _explain_usage(error, arguments), error.exit_code
    if isinstance(error, click.ClickException):
        return error.format_message(), error.exit_code
    if isinstance(error, StreamcamError):
        message = str(error)
        if any(argument.partition("=")[0] == "--duration" for argument in arguments):
            message = _GIVEN_END.sub("`duration_s`", message)
        return name_flags(message), exit_code_of(error)
    if isinstance(error, ModuleNotFoundError) and error.name in ("torch", "torchvision"):
        return (
            "this needs PyTorch, which is not installed: pip install torch torchvision; without it --model "
            "takes what streamcam export wrote elsewhere (net.explain)"
        ), EXIT_FAILED
    if isinstance(error, OSError) and error.strerror:  # as when standard output is a full disk
        where = "" if error.filename is None else f"{error.filename!r}: "
        return f"{where}{error.strerror} (--debug shows where)", EXIT_FAILED
    summary = str(error) or "no message"
    return f"internal error, {type(error).__name__}: {summary} (--debug shows where)", EXIT_FAILED


def _explain_usage(error: click.UsageError, arguments: Sequence[str]) -> str:
    """Return click's message as one line, with the nearest name and where to find help."""
    near = getattr(error, "possibilities", None)  # only for unknown names; the nearest comes first
    text = error.message if near else error.format_message()
    text = text[:1].lower() + text[1:].rstrip(".")
    if near:
        text += f" (did you mean {near[0]!r}?)"
    if error.ctx is not None:
        command = error.ctx.command_path
    else:  # click does not know it where an option lacks its value
        command = " ".join(["streamcam", *[word for word in arguments if word in cli.commands][:1]])
    return f"{text}{_environment_variable(error)}; see {command} --help"


def _environment_variable(error: click.UsageError) -> str:
    """Name the environment variable that an invalid value came from, if any."""
    parameter, context = getattr(error, "param", None), error.ctx
    if not isinstance(parameter, click.Option) or context is None or parameter.name is None:
        return ""
    if context.get_parameter_source(parameter.name) is not click.core.ParameterSource.ENVIRONMENT:
        return ""
    return f" (from the environment variable {parameter.envvar})"
