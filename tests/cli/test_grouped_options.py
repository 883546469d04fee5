"""How options reach a command."""

from __future__ import annotations

from typing import Any

import click
from click.testing import CliRunner

from streamcam.cli.options import grouped, option


def test_options_that_belong_together_come_as_one_dict_and_those_of_others_apart() -> None:
    received: dict[str, Any] = {}

    @click.command("try")
    @option("--before")
    @grouped(
        "both",
        option("--left", "left_px", type=int, help="First."),
        option("--no-right", is_flag=True, help="Second."),
        to=lambda values: {**values, "named": True},
    )
    @option("--after")
    def command(**values: object) -> None:
        received.update(values)

    arguments = ["--left", "3", "--after", "a"]
    assert CliRunner().invoke(command, arguments, catch_exceptions=False).exit_code == 0
    assert received == {
        "before": None,
        "both": {"left_px": 3, "no_right": False, "named": True},
        "after": "a",
    }
    assert [parameter.name for parameter in command.params] == ["before", "left_px", "no_right", "after"]
