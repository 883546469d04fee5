"""The README's gallery: its pictures are there, small, and shown with the commands that make them."""

from __future__ import annotations

import shlex

import click
import pytest
from PIL import Image

from streamcam.cli import cli
from tests.support.scripts import ROOT, load_script

MOST_BYTES = 1_500_000

TOOL = load_script("tools/make_gallery.py")


@pytest.mark.parametrize("name", TOOL.GALLERY)
def test_every_picture_is_shown_with_its_command(name: str) -> None:
    arguments, _ = TOOL.GALLERY[name]
    line = next(
        line for line in (ROOT / "README.md").read_text("utf-8").splitlines() if f"{name}.jpg" in line
    )
    assert f"media/gallery/{name}.jpg) `{arguments}`" in line
    with Image.open(TOOL.FOLDER / f"{name}.jpg") as image:
        assert image.width == TOOL.WIDTHS[arguments.split()[0]]


@pytest.mark.parametrize("name", TOOL.GALLERY)
def test_every_command_can_be_parsed(name: str) -> None:
    arguments, moment_s = TOOL.GALLERY[name]
    command, *options = shlex.split(arguments)
    given = [] if moment_s is None else ["in.mp4"]
    context = click.Context(cli.commands[command], info_name=command)
    cli.commands[command].parse_args(context, [*given, "-o", "out.png", *options])


def test_the_pictures_are_small_and_no_others_lie_there() -> None:
    files = list(TOOL.FOLDER.iterdir())
    assert {file.stem for file in files} == set(TOOL.GALLERY)
    assert sum(file.stat().st_size for file in files) < MOST_BYTES
