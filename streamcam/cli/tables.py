"""Tables: formatted on a terminal, plain text elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from streamcam.cli.output import is_terminal


def print_table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[str] = ()
) -> None:
    """Print a table on standard output.

    On a terminal it is fitted to the width: long texts are wrapped and empty columns left out. Elsewhere each
    row is one line, with at least two spaces between columns.

    Args:
        headers: Titles of the columns.
        rows: Cells of each row.
        numbers: Headers of the columns that are aligned right.
    """
    if is_terminal(sys.stdout):
        _print_framed(headers, rows, numbers)
    else:
        _print_plain(headers, rows, numbers)


def _print_plain(headers: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[str]) -> None:
    widths = [max(map(len, column)) for column in zip(headers, *rows, strict=True)]
    for row in (headers, *rows):
        cells = [
            cell.rjust(width) if header in numbers else cell.ljust(width)
            for header, cell, width in zip(headers, row, widths, strict=True)
        ]
        click.echo("  ".join(cells).rstrip())


def _print_framed(headers: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[str]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    filled = [number for number in range(len(headers)) if number == 0 or any(row[number] for row in rows)]
    # Two spaces between columns and none at the edges, so that wide tables fit 80 columns.
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for number in filled:
        header = headers[number]
        # Names are typed and copied, so the first column is never broken.
        table.add_column(
            header,
            justify="right" if header in numbers else "left",
            no_wrap=number == 0,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*[Text(row[number]) for number in filled])  # as Text: brackets are not markup
    Console().print(table)
