"""What makes explanations hold together in time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streamcam.cli.options.declaring import Command, gathered, option
from streamcam.cli.options.values import COUNT, COUNT_OR_AUTO, NUMBER


def temporal_options(*, live: bool) -> Callable[[Command], Command]:
    """Add what `TemporalSettings` takes; the command gets it as one dict, ``temporal``.

    Args:
        live: Whether nobody can look ahead.
    """
    return gathered(
        "temporal",
        option(
            "--smoothing",
            "smoothing_s",
            type=NUMBER,
            default=0.25,
            show_default=True,
            metavar="SECONDS",
            help="Time constant of the smoothing; 0 turns it off.",
        ),
        option(
            "--smoothing-mode",
            "mode",
            default="causal" if live else "flow-zero-phase",
            show_default=True,
            metavar="NAME",
            help="causal (the past only), zero-phase (past and future alike: nothing lags), flow (causal, "
            "and heat travels with what moves), none, or flow-zero-phase.",
        ),
        option(
            "--scale",
            default="running",
            show_default=True,
            metavar="NAME",
            help="What full strength is: frame (each frame's own strongest place), running (what the class "
            "usually reaches in this shot), absolute (a probability of 100 %).",
        ),
        option("--dim-uncertain", is_flag=True, help="Weaken the heat of classes less probable than 50 %."),
        option(
            "--cuts",
            default="auto",
            show_default=True,
            metavar="NAME",
            help="auto starts afresh where another shot begins, off never does.",
        ),
        option(
            "--label-hold",
            "label_hold_s",
            type=NUMBER,
            default=0.5,
            show_default=True,
            metavar="SECONDS",
            help="How long another class must lead, unless it leads clearly, before it is shown and "
            "explained; 0 never waits.",
        ),
        option(
            "--every",
            type=COUNT_OR_AUTO if live else COUNT,
            default="auto" if live else 1,
            show_default=True,
            metavar="N",
            help="Explain every Nth frame, and carry heat and labels over those between"
            + ("; auto explains as many as the network can." if live else "."),
        ),
        to=_with_number,
    )


def _with_number(values: dict[str, Any]) -> dict[str, Any]:
    """Take ``auto`` for every frame: a live explainer gets only those that it has time for."""
    return {**values, "every": 1} if values["every"] == "auto" else values
