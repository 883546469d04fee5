"""Options for stability over time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streamcam.cli.options.declaring import Command, combine, grouped, option
from streamcam.cli.options.values import COUNT_OR_AUTO, NUMBER


def _strength_options(*, live: bool) -> Callable[[Command], Command]:
    """Add the options that decide how strong heat is shown, whatever was explained."""
    return combine(
        option(
            "--smoothing",
            "smoothing_s",
            type=NUMBER,
            default_of="TemporalSettings",
            metavar="SECONDS",
            help="Time constant of the smoothing; 0 turns it off.",
        ),
        option(
            "--smoothing-mode",
            "mode",
            **({"default": "causal", "show_default": True} if live else {"default_of": "TemporalSettings"}),
            metavar="NAME",
            help="causal (past frames only), zero-phase (past and future frames: no lag), flow (causal, and "
            "heat follows motion), flow-zero-phase (both), or none.",
        ),
        option(
            "--scale",
            default_of="TemporalSettings",
            metavar="NAME",
            help="What counts as full strength: frame (each frame's maximum), running (what the class "
            "usually reaches in this shot), absolute (a probability of 100 %).",
        ),
        option("--dim-uncertain", is_flag=True, help="Dim the heat of classes less probable than 50 %."),
    )


def temporal_options(*, live: bool) -> Callable[[Command], Command]:
    """Add the fields of `TemporalSettings`; the command receives them as one dict, ``temporal``.

    Args:
        live: Whether future frames are unknown.
    """
    return grouped(
        "temporal",
        _strength_options(live=live),
        option(
            "--cuts",
            default_of="TemporalSettings",
            metavar="NAME",
            help="auto detects cuts and starts each shot without the heat of the last one; off does not.",
        ),
        option(
            "--label-hold",
            "label_hold_s",
            type=NUMBER,
            default_of="TemporalSettings",
            metavar="SECONDS",
            help="How long another class must lead before it is shown and explained, unless it leads "
            "clearly; 0 switches at once.",
        ),
        option(
            "--every",
            type=COUNT_OR_AUTO,
            **({"default": "auto", "show_default": True} if live else {"default_of": "TemporalSettings"}),
            metavar="N",
            help="Explain every Nth frame and keep its heat and labels on the frames between; auto explains "
            + ("as many as the network can." if live else "those that show something new."),
        ),
        to=_with_number if live else dict,
    )


strength_options = grouped("temporal", _strength_options(live=False))
"""Those fields of `TemporalSettings` that can be changed when everything is explained already."""


def _with_number(values: dict[str, Any]) -> dict[str, Any]:
    """Replace ``auto`` by 1: a live explainer only receives the frames it has time for."""
    return {**values, "every": 1} if values["every"] == "auto" else values
