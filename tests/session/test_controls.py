"""What the keys of a live preview do."""

from __future__ import annotations

import dataclasses

import pytest
from live_fakes import facts_of, live_frame
from stage_fakes import CAT, explanation_of

from streamcam.explanations import StabilizedFrame
from streamcam.overlay import COLORMAPS
from streamcam.session.compositor import LAYOUTS
from streamcam.session.controls import BINDINGS, Controls, Deed, View
from streamcam.session.stages import ExplainRequest

METHODS = ("gradcam", "hirescam", "eigencam")
START = ExplainRequest("gradcam")


@pytest.fixture
def controls() -> Controls:
    controls = Controls(View(), START, METHODS)
    controls.facts = facts_of(START)
    explanation = explanation_of(0)
    controls.shown = StabilizedFrame(
        live_frame(0), explanation.heatmaps, explanation.targets, explanation.predictions, explanation
    )
    return controls


def press(controls: Controls, *keys: str) -> list[Deed | None]:
    return [controls.press(key) for key in keys]


def test_every_key_has_one_meaning_and_a_line_in_the_help() -> None:
    keys = [key for binding in BINDINGS for key in binding.keys]
    assert len(keys) == len(set(keys))
    assert set(keys) == {*"qfmMlLc/12345k[]sovprih ", "escape"}
    assert all(binding.shown and binding.purpose for binding in BINDINGS)


@pytest.mark.parametrize(
    ("key", "deed"),
    [
        ("q", Deed.QUIT),
        ("escape", Deed.QUIT),
        ("f", Deed.FULL_SCREEN),
        ("p", Deed.SAVE_IMAGE),
        ("r", Deed.RECORD),
        ("Q", Deed.QUIT),
        ("z", None),
        ("up", None),
    ],
)
def test_keys_that_ask_for_deeds_change_nothing(controls: Controls, key: str, deed: Deed | None) -> None:
    assert press(controls, key) == [deed]
    assert (controls.view, controls.wanted) == (View(), START)


def test_methods_go_round_both_ways(controls: Controls) -> None:
    seen = []
    for key in "mmmMM":
        controls.press(key)
        seen.append(controls.wanted.method)
    assert seen == ["hirescam", "eigencam", "gradcam", "eigencam", "hirescam"]
    assert controls.said == "method hirescam …"


def test_the_options_of_a_method_are_no_part_of_its_place() -> None:
    controls = Controls(View(), ExplainRequest("hirescam:x=1"), METHODS)
    controls.press("m")
    assert controls.wanted.method == "eigencam"


def test_keys_that_need_a_network_wait_for_it() -> None:
    controls = Controls(View(), START, ())
    press(controls, "m", "l", "/", "c")
    assert (controls.view, controls.wanted) == (View(), START)


def test_layers_go_towards_the_image_and_back(controls: Controls) -> None:
    seen = []
    for key in "llLLL":
        controls.press(key)
        seen.append(controls.wanted.layer)
    assert seen == ["middle", "shallow", "middle", "deep", "shallow"]


def test_the_class_shown_is_locked_and_unlocked(controls: Controls) -> None:
    controls.press("c")
    assert controls.wanted == dataclasses.replace(START, class_index=CAT)
    assert controls.said == "locked: cat"
    controls.press("c")
    assert controls.wanted == dataclasses.replace(START, rank=0)


def test_a_prediction_is_followed_by_its_rank(controls: Controls) -> None:
    press(controls, "c", "3")
    assert controls.wanted == dataclasses.replace(START, rank=2)


def test_a_class_is_typed_and_chosen(controls: Controls) -> None:
    press(controls, "/", "c", "a", "t")
    entry = controls.view.entry
    assert entry is not None
    # "catamaran" begins with it; then come those with a word that does, the shorter one first.
    assert [entry.labels[index] for index in entry.matches] == ["catamaran", "tiger cat", "Egyptian cat"]
    press(controls, "down", "down", "enter")
    assert controls.view.entry is None
    assert controls.wanted == dataclasses.replace(START, class_index=2)
    assert controls.said == "locked: Egyptian cat"


def test_while_typing_keys_are_letters(controls: Controls) -> None:
    assert press(controls, "/", "q", "r", "1") == [None] * 4
    entry = controls.view.entry
    assert entry is not None
    assert entry.text == "qr1"
    press(controls, "backspace", "backspace", "backspace", "e", "g", "y", "tab")
    assert controls.view.entry is not None
    assert controls.view.entry.text == "Egyptian cat"
    press(controls, "escape")
    assert controls.view.entry is None
    assert controls.wanted == START


def test_a_name_that_fits_no_class_is_said(controls: Controls) -> None:
    press(controls, "/", "x", "y", "enter")
    assert controls.wanted == START
    assert controls.said == "no class is called 'xy'"


def test_opacity_stays_a_weight(controls: Controls) -> None:
    press(controls, *"]" * 20)
    assert controls.view.overlay.alpha == 1.0
    press(controls, "[")
    assert controls.view.overlay.alpha == 0.95
    press(controls, *"[" * 30)
    assert controls.view.overlay.alpha == 0.0


def test_smoothing_goes_through_its_steps(controls: Controls) -> None:
    seen = []
    for _ in range(4):
        controls.press("s")
        seen.append(controls.view.smoothing_s)
    assert seen == [0.5, 1.0, 0.0, 0.12]


def test_looks_change_and_change_back(controls: Controls) -> None:
    press(controls, "o", " ", "i", "h", "v")
    view = controls.view
    assert (view.heat_shown, view.frozen, view.figures, view.help) == (False, True, True, True)
    assert view.layout == LAYOUTS[1]
    assert press(controls, "escape") == [None]  # closes the help, and does not quit
    press(controls, "o", " ", "i", "v", "v")
    assert controls.view == View()


def test_colour_maps_go_round(controls: Controls) -> None:
    press(controls, *"k" * len(COLORMAPS))
    assert controls.view == View()
    controls.press("k")
    assert controls.view.overlay.colormap != View().overlay.colormap
