"""Hooks of the documentation site: pages that lie outside ``docs/``, and generated references.

README.md becomes the home page; CHANGELOG.md, CONTRIBUTING.md and the images of ``media/`` are added.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from streamcam.cli import cli

ROOT = Path(__file__).resolve().parent.parent

PAGES = {"README.md": "index.md", "CHANGELOG.md": "CHANGELOG.md", "CONTRIBUTING.md": "CONTRIBUTING.md"}
"""File in the root of the repository → its place in the site."""


EXTENSIONS = [
    "streamcam.sources.Source",
    "streamcam.sources.SourceKind",
    "streamcam.frames.SourceInfo",
    "streamcam.models.Model",
    "streamcam.models.Output",
    "streamcam.explanations.Instance",
    "streamcam.explain.Method",
    "streamcam.sinks.Sink",
    "streamcam.sinks.SinkKind",
    "streamcam.sinks.TextSink",
    "streamcam.explanations.RenderedFrame",
]
"""Names that are not imported from `streamcam` itself, but that an extension needs."""


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the files that lie outside ``docs/``."""
    for source, target in PAGES.items():
        files.append(File.generated(config, target, content=_move_links((ROOT / source).read_text("utf-8"))))
    for path in sorted(path for path in (ROOT / "media").rglob("*") if path.is_file()):
        files.append(File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path)))
    files.append(File.generated(config, "reference/python.md", content=python_reference()))
    files.append(File.generated(config, "reference/command-line.md", content=command_line_reference()))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Point links to images, which are right in the repository, to their place in the site."""
    return markdown.replace("](../../media/", "](../media/")


def python_reference() -> str:
    """Write the page that documents every public name from its docstring."""
    names = public_names()
    classes = [name for name in names if name[0].isupper() and not name.isupper()]
    functions = [name for name in names if name[0].islower() and not name.startswith("_")]
    constants = [name for name in names if name.isupper()]
    lines = ["# Python reference", "", "Every public name of `streamcam`, from its docstring."]
    for title, members in (("Functions", functions), ("Classes", classes), ("Tables", constants)):
        lines += ["", f"## {title}", ""]
        lines += [f"::: streamcam.{name}\n" for name in members]
    lines += ["", "## To extend streamcam", ""]
    lines += [f"::: {name}\n" for name in EXTENSIONS]
    return "\n".join(lines)


def public_names() -> list[str]:
    """Read ``__all__`` of the package without importing it."""
    tree = ast.parse((ROOT / "streamcam" / "__init__.py").read_text("utf-8"))
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(statement.value)
            return names
    raise LookupError("streamcam has no __all__")


def command_line_reference() -> str:
    """Write the page that documents every command and option from its help."""
    lines = ["# Command line", "", inspect.cleandoc(cli.help or ""), ""]
    for name, command in cli.commands.items():
        lines += _command(name, command)
    return "\n".join(lines)


def _command(name: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=f"streamcam {name}", max_content_width=100)
    usage = " ".join(command.collect_usage_pieces(context))
    yield from (f"## streamcam {name}", "", f"`streamcam {name} {usage}`", "")
    yield from (_escape(inspect.cleandoc(command.help or "")), "")
    yield from ("| option | meaning |", "| --- | --- |")
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if isinstance(parameter, click.Option) and record is not None:
            flags, meaning = record[0].replace("|", r"\|"), _escape(record[1])
            yield f"| `{flags}` | {meaning} |"
    yield ""


def _escape(text: str) -> str:
    return re.sub(r"([|*_<\[])", r"\\\1", text)


def _move_links(text: str) -> str:
    """Adapt links of a page of the repository's root to its place beside the pages of ``docs/``."""
    text = re.sub(r"\]\(docs/", "](", text)
    return text.replace("](README.md", "](index.md")
