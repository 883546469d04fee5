"""Parameters in messages become flags on the command line."""

from __future__ import annotations

import pytest

from streamcam.cli import cli
from streamcam.cli.flags import FLAGS, name_flags


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("check `start_s`", "check --start"),
        ("use `backend='auto'`", "use --backend auto"),
        ('use `backend="auto"`', "use --backend auto"),
        ("pass `overwrite=True` to replace it", "pass --overwrite to replace it"),
        ("`rate=25` works", "--fps 25 works"),
        ("`no_such_flag` and 'quotes' stay", "no_such_flag and 'quotes' stay"),
    ],
)
def test_parameters_become_flags(message: str, shown: str) -> None:
    assert name_flags(message) == shown


def test_every_flag_exists() -> None:
    known = {name for command in cli.commands.values() for each in command.params for name in each.opts}
    assert set(FLAGS.values()) <= known
