"""What a live session writes over its image."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from live_fakes import facts_of
from media_factory import make_image
from numpy.typing import NDArray

from streamcam.cli.flags import name_flags
from streamcam.media.images import planes_of
from streamcam.overlay import OverlaySettings
from streamcam.session.hud import HudPainter, HudState, hud_of
from streamcam.session.state import ExplainRequest, LiveState, StreamState

HELP = tuple((key, f"what {key} does") for key in "abcdefghijklmnopq")
STATISTICS = (("captured", "30.0 fps"), ("shown", "29.9 fps"), ("backend", "openvino fp32"))
ALL = HudState(
    statistics=STATISTICS,
    help=HELP,
    messages=("camera 0 is gone; trying again", "method hirescam"),
    trouble=True,
    recording="1:23",
    frozen=True,
    typed="eg",
    choices=("Egyptian cat", "egret"),
)


def written(state: HudState, size: tuple[int, int] = (640, 360)) -> NDArray[np.bool_]:
    """Where a state changes a gray image's luma."""
    image = make_image(*size)
    before = planes_of(image)[0].copy()
    HudPainter().paint(image, state)
    changed: NDArray[np.bool_] = planes_of(image)[0] != before
    return changed


def box(state: HudState, size: tuple[int, int] = (640, 360)) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of what is written, as shares of the image."""
    changed = written(state, size)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    width, height = size
    return columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height


def test_nothing_to_say_changes_nothing() -> None:
    assert not written(HudState()).any()


def test_statistics_stand_at_the_upper_right() -> None:
    left, top, right, bottom = box(HudState(statistics=STATISTICS))
    assert left > 0.6
    assert top < 0.05
    assert 0.95 < right < 1
    assert bottom < 0.3


def test_statistics_make_way_for_labels_at_the_upper_right() -> None:
    left, top, right, _ = box(HudState(statistics=STATISTICS, recording="0:12", frozen=True, at_left=True))
    assert 0 < left < 0.05
    assert top < 0.05
    assert right < 0.5
    overlay = OverlaySettings(label_position="top-right")
    state = LiveState((StreamState("camera 0"),), ExplainRequest("gradcam")).with_view(overlay=overlay)
    assert hud_of(state).at_left
    assert not hud_of(state.with_view(overlay=dataclasses.replace(overlay, labels=False))).at_left


def test_messages_stand_above_a_caption() -> None:
    image = make_image(640, 360)
    HudPainter().paint(image, HudState(messages=("loading the network",)), inset=100)
    rows = np.flatnonzero((planes_of(image)[0] != planes_of(make_image(640, 360))[0]).any(axis=1))
    assert 220 < rows[0] < rows[-1] < 260


def test_messages_stand_in_the_middle_of_the_lower_edge() -> None:
    left, top, right, bottom = box(HudState(messages=("loading the network",)))
    assert left + right == pytest.approx(1, abs=0.02)
    assert top > 0.85
    assert bottom < 1


def test_a_long_notice_is_broken_into_three_lines_at_most() -> None:
    _, one_line, _, _ = box(HudState(messages=("word",)))
    left, top, right, _ = box(HudState(messages=("a long word or two " * 60,)))
    assert one_line - top == pytest.approx(2 * 16 / 360, abs=0.03)
    assert left > 0.05
    assert right < 0.95


def test_a_name_being_typed_stands_at_the_lower_left_above_messages() -> None:
    typing = HudState(typed="eg", choices=("Egyptian cat", "egret"))
    left, top, right, _ = box(typing)
    assert left < 0.03
    assert right < 0.4
    assert top > 0.7
    raised = box(dataclasses.replace(typing, messages=("a",)))
    assert raised[1] < top


def test_help_stands_in_the_middle() -> None:
    left, top, right, bottom = box(HudState(help=HELP))
    assert left + right == pytest.approx(1, abs=0.02)
    assert top + bottom == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("size", [(320, 180), (400, 300), (240, 320), (1920, 1080)])
def test_the_whole_help_fits_into_small_and_large_windows(size: tuple[int, int]) -> None:
    left, top, right, bottom = box(HudState(help=HELP), size)
    assert right - left > 0.1
    assert min(left, top, 1 - right, 1 - bottom) > 0


def test_badges_do_not_cover_statistics() -> None:
    badges = written(HudState(recording="0:12", frozen=True))
    statistics = written(HudState(statistics=STATISTICS, recording="0:12", frozen=True)) & ~badges
    assert np.flatnonzero(badges.any(axis=1))[-1] < np.flatnonzero(statistics.any(axis=1))[0]


@pytest.mark.parametrize("size", [(2, 2), (16, 16), (65, 49), (100, 40), (160, 120), (64, 800)])
def test_what_does_not_fit_is_left_out(size: tuple[int, int]) -> None:
    assert written(ALL, size).shape == (size[1], size[0])


def test_text_appears_in_light_on_dark() -> None:
    image = make_image(640, 360, 4)
    HudPainter().paint(image, HudState(messages=("MMMM",)))
    luma = planes_of(image)[0]
    assert luma.min() < 50
    assert luma.max() > 200


def test_messages_name_parameters_as_those_call_them_who_see_them() -> None:
    request = ExplainRequest("gradcam")
    state = LiveState((StreamState("camera 0"),), request, facts=facts_of(request))
    message = "no gradient reaches it; choose another `target_layer`"
    assert hud_of(state.with_message(message)).messages == (message,)
    for_the_terminal = dataclasses.replace(state, wording=name_flags).with_message(message)
    assert hud_of(for_the_terminal).messages == ("no gradient reaches it; choose another --target-layer",)
    noticed = dataclasses.replace(state, wording=name_flags).with_stream(0, notice="gone; raise `give_up_s`")
    assert hud_of(noticed).messages[:1] == ("gone; raise --give-up",)
