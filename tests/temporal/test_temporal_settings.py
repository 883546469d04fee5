"""Settings: what cannot be is refused, in words."""

from __future__ import annotations

import math

import pytest

from streamcam.errors import InvalidArgumentError, UnknownNameError
from streamcam.temporal import LIVE_MODE, MODES, Stabilizer, TemporalSettings, Tracker, check_live

BAD: list[tuple[dict[str, object], str]] = [
    ({"smoothing_s": -1.0}, "`smoothing_s` takes seconds from 0 to 60, not -1"),
    ({"smoothing_s": math.nan}, "`smoothing_s` takes seconds from 0 to 60, not nan"),
    ({"smoothing_s": math.inf}, "`smoothing_s` takes seconds from 0 to 60, not inf"),
    ({"smoothing_s": 61.0}, "`smoothing_s` takes seconds from 0 to 60, not 61"),
    ({"label_hold_s": -0.5}, "`label_hold_s` takes seconds from 0 to 60, not -0.5"),
    ({"mode": "zerophase"}, "unknown smoothing mode 'zerophase'; choose one of: causal, flow, .*zero-phase"),
    ({"scale": "log"}, "unknown scale 'log'; choose one of: absolute, frame, running"),
    ({"cuts": "on"}, "unknown cut detection 'on'; choose one of: auto, off"),
    ({"every": 0}, "`every` counts frames from 1, or is 'auto', not 0"),
    ({"every": "often"}, "`every` counts frames from 1, or is 'auto', not 'often'"),
]


@pytest.mark.parametrize(("values", "says"), BAD, ids=[str(row[0]) for row in BAD])
def test_what_cannot_be_used_is_refused_everywhere(values: dict[str, object], says: str) -> None:
    settings = TemporalSettings(**values)  # type: ignore[arg-type]
    for refuses in (Stabilizer, Tracker, check_live):
        with pytest.raises(InvalidArgumentError, match=says):
            refuses(settings)


def test_unknown_names_are_errors_of_their_own_kind() -> None:
    with pytest.raises(UnknownNameError):
        TemporalSettings(mode="slow").check()


@pytest.mark.parametrize("mode", MODES)
def test_a_live_source_takes_the_modes_that_do_not_look_ahead(mode: str) -> None:
    settings = TemporalSettings(mode=mode)
    if MODES[mode].looks_ahead:
        with pytest.raises(InvalidArgumentError, match=r"does not have; use 'flow' or 'causal'"):
            check_live(settings)
    else:
        check_live(settings)


def test_a_live_session_paces_itself() -> None:
    with pytest.raises(InvalidArgumentError, match=r"`every=\"auto\"` is for videos: .* as the network can"):
        check_live(TemporalSettings(mode=LIVE_MODE, every="auto"))


def test_the_mode_for_live_sources_suits_them() -> None:
    check_live(TemporalSettings(mode=LIVE_MODE))
