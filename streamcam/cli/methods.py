"""``streamcam methods``: list the methods, or describe one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from streamcam.cli.options import debug_option

if TYPE_CHECKING:
    from streamcam.explain.methods import Method


@click.command("methods", short_help="List the methods, or describe one.")
@click.argument("name", default="")
@debug_option
def methods_command(*, name: str) -> None:
    """List all methods with their cost and when to choose them, or describe the method NAME.

    Options of a method follow a colon, as in --method occlusion:patch=32,stride=16.
    """
    from streamcam.errors import unknown_name
    from streamcam.explain import METHODS

    page = click.HelpFormatter(max_width=100)
    if not name:
        _list_all(page, METHODS)
    elif name in METHODS:
        page.write_dl(_details(name, METHODS[name]))
    else:
        raise unknown_name("method", name, METHODS, listed_by="streamcam methods")
    click.echo(page.getvalue(), nl=False)


def _list_all(page: click.HelpFormatter, methods: dict[str, Method]) -> None:
    from streamcam.explain.methods import PASSES

    for passes, meaning in PASSES.items():
        with page.section(meaning):
            page.write_dl(
                [(name, _when(method)) for name, method in methods.items() if method.passes == passes]
            )
    page.write_paragraph()
    page.write_text("streamcam methods NAME describes one of them and names its paper.")


def _when(method: Method) -> str:
    options = _options(method)
    return f"{method.when} Options: {options}." if options else method.when


def _details(name: str, method: Method) -> list[tuple[str, str]]:
    from streamcam.explain.methods import PASSES
    from streamcam.explanations import UNTRUSTED_METHODS

    rows = [
        ("method", name),
        ("title", method.title),
        ("choose it", method.when),
        ("cost", PASSES[method.passes]),
        ("--signed", "supported" if method.signed else "not supported"),
    ]
    if name in UNTRUSTED_METHODS:
        rows.append(("warning", UNTRUSTED_METHODS[name]))
    if method.paper is not None:
        rows.append(("published", method.paper))
    options = _options(method)
    if options:
        rows.append(("options", f"--method {name}:{options}"))
    return rows


def _options(method: Method) -> str:
    return ",".join(f"{key}={value}" for key, value in method.options.items())
