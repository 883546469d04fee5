"""The commands of a live session, and the keys that stand for them."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import pytest
from live_fakes import facts_of
from stage_fakes import CAT

from streamcam.errors import InvalidArgumentError, UnknownNameError
from streamcam.explanations import Prediction
from streamcam.overlay import COLORMAPS, LAYOUTS, OverlaySettings
from streamcam.session import commands
from streamcam.session.command_sources import Argument, CommandCall, CommandQueue, CommandSource, KeyPress
from streamcam.session.commands import COMMANDS, LIVE_LAYOUTS, Command, help_rows
from streamcam.session.dispatch import press_key, run_command
from streamcam.session.events import (
    Effect,
    Explain,
    ExplainerChanged,
    Freeze,
    Quit,
    SaveImage,
    Smooth,
    ToggleFullScreen,
    ToggleRecording,
    Update,
    update,
)
from streamcam.session.hud import hud_of
from streamcam.session.idle import IdleReset
from streamcam.session.state import ActiveRecording, ExplainRequest, LiveState, StreamState, View

START = ExplainRequest("gradcam")
FACTS = dataclasses.replace(facts_of(START), methods=("gradcam", "hirescam", "eigencam"))
LOADING = LiveState((StreamState("camera 0"),), START)
SHOWN = dataclasses.replace(LOADING, facts=FACTS).with_stream(0, target=Prediction(CAT, "cat", 0.75))


def press(state: LiveState, *keys: str) -> LiveState:
    for key in keys:
        state = press_key(state, key).state
    return state


def text_of(state: LiveState) -> str | None:
    return None if state.message is None else state.message.text


def test_every_key_has_one_meaning_and_a_line_in_the_help() -> None:
    keys = [key for command in COMMANDS for key in command.keys]
    assert len(keys) == len(set(keys))
    assert all(key == "escape" or len(key) == 1 for key in keys)
    assert all(label and words for label, words in help_rows(2))
    assert len({command.name for command in COMMANDS}) == len(COMMANDS)


@pytest.mark.parametrize(
    ("key", "effect"),
    [
        ("q", Quit()),
        ("escape", Quit()),
        ("f", ToggleFullScreen()),
        ("p", SaveImage()),
        ("r", ToggleRecording()),
        ("Q", Quit()),
        ("z", None),
        ("up", None),
    ],
)
def test_some_keys_change_nothing_in_the_state(key: str, effect: Effect | None) -> None:
    state, effects = press_key(SHOWN, key)
    assert state == SHOWN
    assert effects == (() if effect is None else (effect,))


def test_methods_go_around_in_both_directions() -> None:
    seen, state = [], SHOWN
    for key in "mmmMM":
        state, effects = press_key(state, key)
        seen.append(state.request.method)
        assert effects == (Explain(state.request),)
    assert seen == ["hirescam", "eigencam", "gradcam", "eigencam", "hirescam"]
    assert text_of(state) == "method hirescam …"


def test_the_method_after_one_that_was_chosen_by_itself_is_the_next() -> None:
    chosen = dataclasses.replace(FACTS, method="hirescam")
    state = dataclasses.replace(SHOWN, request=ExplainRequest(), facts=chosen)
    assert press_key(state, "m")[0].request.method == "eigencam"


def test_options_of_a_method_do_not_count_in_the_list_of_methods() -> None:
    state = dataclasses.replace(SHOWN, request=ExplainRequest("hirescam:x=1"))
    assert press(state, "m").request.method == "eigencam"


def test_layers_go_towards_the_image_and_back() -> None:
    states = itertools.accumulate("llLLL", press, initial=SHOWN)
    layers = [state.request.layer for state in states]
    assert layers == ["auto", "middle", "shallow", "middle", "deep", "shallow"]


def test_the_class_shown_is_locked_and_unlocked() -> None:
    locked = press(SHOWN, "c")
    assert locked.request == dataclasses.replace(START, class_index=CAT)
    assert text_of(locked) == "locked: cat"
    assert press(locked, "c").request == dataclasses.replace(START, rank=0)


def test_a_target_without_a_class_cannot_be_locked() -> None:
    state = SHOWN.with_stream(0, target=Prediction(-1, "a function", 0.5))
    assert press_key(state, "c") == (state, ())


def test_a_prediction_is_followed_by_its_rank() -> None:
    assert press(SHOWN, "c", "3").request == dataclasses.replace(START, rank=2)


def test_a_class_is_typed_and_chosen() -> None:
    state = press(SHOWN, "/", "c", "a", "t")
    entry = state.entry
    assert entry is not None
    # "catamaran" begins with it; then come names with a word that does, the shorter one first.
    assert [entry.labels[index] for index in entry.matches] == ["catamaran", "tiger cat", "Egyptian cat"]
    state = press(state, "down", "down", "enter")
    assert state.entry is None
    assert state.request == dataclasses.replace(START, class_index=2)
    assert text_of(state) == "locked: Egyptian cat"


PROMPTED = dataclasses.replace(
    SHOWN, facts=dataclasses.replace(FACTS, labels=("a cat", "a cup"), takes_prompts=True)
)


def test_a_text_that_is_no_prompt_yet_is_added_or_replaces_all() -> None:
    state = press(PROMPTED, "/", *"a ca")
    assert hud_of(state).choices == ("add 'a ca'", "only 'a ca'", "a cat")
    added = press(state, "enter")
    assert added.request == dataclasses.replace(START, prompts=("a cat", "a cup", "a ca"), class_index=2)
    assert added.entry is None
    assert text_of(added) == "prompt: a ca …"
    assert press(state, "down", "enter").request == dataclasses.replace(
        START, prompts=("a ca",), class_index=0
    )
    assert press(state, "up", "enter").request == dataclasses.replace(START, class_index=0)
    assert press(state, "up", "tab").entry == press(PROMPTED, "/", *"a cat").entry
    assert hud_of(press(state, "t")).choices == ("a cat",)  # one that is there already is only explained
    assert hud_of(press(state, *"p ")).choices == ("add 'a cap'", "only 'a cap'")


def test_prompts_come_from_python_too() -> None:
    added = run_command(PROMPTED, "add_prompt", " a dog ").state.request
    assert added == dataclasses.replace(START, prompts=("a cat", "a cup", "a dog"), class_index=2)
    assert run_command(PROMPTED, "add_prompt", "a cup").state.request.class_index == 1
    alone = run_command(PROMPTED, "replace_prompts", "a dog").state.request
    assert alone == dataclasses.replace(START, prompts=("a dog",), class_index=0)
    with pytest.raises(InvalidArgumentError, match="a prompt is a text, not 3"):
        run_command(PROMPTED, "add_prompt", 3)
    with pytest.raises(InvalidArgumentError, match="fake has classes of its own and takes no prompts"):
        run_command(SHOWN, "replace_prompts", "a dog")


def test_while_typing_keys_are_letters() -> None:
    state = SHOWN
    for key in ("/", "q", "r", "1"):
        state, effects = press_key(state, key)
        assert effects == ()
    assert state.entry is not None
    assert state.entry.text == "qr1"
    state = press(state, "backspace", "backspace", "backspace", "e", "g", "y", "tab")
    assert state.entry is not None
    assert state.entry.text == "Egyptian cat"
    state = press(state, "escape")
    assert state.entry is None
    assert state.request == START


def test_a_name_that_no_class_has_is_reported() -> None:
    state = press(SHOWN, "/", "x", "y", "enter")
    assert state.request == START
    assert text_of(state) == "no class is called 'xy'"


def test_a_class_can_be_typed_while_the_network_is_loading() -> None:
    state = press(LOADING, "/", *"qr", "backspace", "backspace", *"egy", "enter")
    assert (state.request, state.frozen, text_of(state)) == (START, False, "the network is still loading")
    assert SHOWN.facts is not None
    state = update(state, ExplainerChanged(SHOWN.facts)).state
    assert press(state, "enter").request == press(SHOWN, "/", *"egy", "enter").request != START


def test_whoever_is_typing_sees_the_classes_of_the_explainer_in_use() -> None:
    assert PROMPTED.facts is not None
    state = update(press(SHOWN, "/", "a"), ExplainerChanged(PROMPTED.facts)).state
    assert hud_of(state).choices == hud_of(press(PROMPTED, "/", "a")).choices


def test_opacity_stays_between_none_and_all() -> None:
    state = press(SHOWN, *"]" * 20)
    assert state.view.overlay.alpha == 1.0
    state = press(state, "[")
    assert state.view.overlay.alpha == 0.95
    assert press(state, *"[" * 30).view.overlay.alpha == 0.0


def test_smoothing_goes_through_its_steps() -> None:
    seen, state = [], SHOWN
    for _ in range(4):
        state, effects = press_key(state, "s")
        seen.append(state.view.smoothing_s)
        assert effects == (Smooth(state.view.smoothing_s),)
    assert seen == [0.5, 1.0, 0.0, 0.12]


def test_the_look_changes_and_changes_back() -> None:
    state, effects = press_key(SHOWN, " ")
    assert effects == (Freeze(True),)
    state = press(state, "o", "i", "h", "v")
    view = state.view
    assert (state.frozen, view.heat_shown, view.statistics_shown, view.help_shown) == (
        True,
        False,
        True,
        True,
    )
    assert view.overlay.layout == list(LAYOUTS)[1]
    state, effects = press_key(state, "escape")  # closes the help, and does not quit
    assert effects == ()
    state, effects = press_key(press(state, "o", "i", *"v" * (len(LIVE_LAYOUTS) - 1)), " ")
    assert effects == (Freeze(False),)
    assert (state.view, state.frozen) == (View(), False)


def test_behind_the_layouts_methods_and_layers_stand_side_by_side() -> None:
    state = press(SHOWN, *"v" * len(LAYOUTS))
    assert (state.request.panes, text_of(state)) == ("methods", "methods side by side …")
    state, effects = press_key(state, "v")
    assert effects == (Explain(state.request),)
    assert state.request.panes == "layers"
    state, effects = press_key(state, "v")
    assert effects == (Explain(state.request),)
    assert (state.request.panes, state.view) == (None, press(SHOWN, *"v" * len(LIVE_LAYOUTS)).view)


def test_another_method_leaves_the_grid_of_methods_and_stays_in_that_of_layers() -> None:
    grid = press(SHOWN, *"v" * len(LAYOUTS))
    assert press(grid, "m").request.panes is None
    assert press(grid, "v", "m").request.panes == "layers"
    assert press(grid, "l").request.panes == "methods"
    assert press(grid, "v", "l").request.panes is None


def test_messages_name_what_a_key_turns_off() -> None:
    off = press(SHOWN, "o")
    assert (text_of(off), text_of(press(off, "o"))) == ("heat off", "heat on")


def test_color_maps_go_around() -> None:
    state = press(SHOWN, *"k" * len(COLORMAPS))
    assert state.view == View()
    assert press(state, "k").view.overlay.colormap != View().overlay.colormap


def test_text_grows_and_shrinks_up_to_its_ends() -> None:
    larger = press(SHOWN, "+")
    assert (larger.view.overlay.label_size, text_of(larger)) == (1.25, "text size 125%")
    assert press(larger, "-").view == SHOWN.view
    assert press(SHOWN, *"=" * 20).view.overlay.label_size == 4
    assert press(SHOWN, *"-" * 20).view.overlay.label_size == 0.5


def test_the_method_that_a_session_began_with_comes_back_with_its_options() -> None:
    began = ExplainRequest("hirescam:some=4")
    state = dataclasses.replace(SHOWN, request=began, defaults=(began, View()))
    assert press(state, "m").request.method == "eigencam"
    assert press(state, "m", "M").request == began
    assert press(SHOWN, "m").request.method == "hirescam"


def test_the_caption_is_hidden_and_comes_back() -> None:
    assert text_of(press(SHOWN, "x")) == "there is no caption"
    told = SHOWN.with_view(overlay=OverlaySettings(caption="Where is the cat?"))
    hidden = press(told, "x")
    assert hidden.view.overlay.caption == ""
    assert press(hidden, "+", "-", "x").view == told.view


@pytest.mark.parametrize(
    ("name", "argument", "request_"),
    [
        ("method", "eigencam", ExplainRequest("eigencam")),
        ("method", None, ExplainRequest("hirescam")),
        ("method", -1, ExplainRequest("eigencam")),
        ("layer", "shallow", ExplainRequest("gradcam", "shallow")),
        ("class", "tabby", ExplainRequest("gradcam", class_index=4)),
        ("class", 5, ExplainRequest("gradcam", class_index=5)),
        ("prediction", 7, ExplainRequest("gradcam", rank=6)),
    ],
)
def test_a_command_takes_an_argument(
    name: str, argument: str | float | None, request_: ExplainRequest
) -> None:
    state, effects = run_command(SHOWN, name, argument)
    assert state.request == request_
    assert effects == (Explain(request_),)


@pytest.mark.parametrize(
    ("name", "argument", "words"),
    [
        ("colormap", "hot", "hot"),
        ("layout", "heat", "heat"),
        ("smoothing", 0.3, "smoothing 0.3 s"),
        ("opacity", -0.2, "opacity 25%"),
        ("label_size", 3, "text size 200%"),
    ],
)
def test_the_view_takes_arguments_too(name: str, argument: str | float, words: str) -> None:
    assert (text_of(run_command(SHOWN, name, argument).state) or "").endswith(words)


@pytest.mark.parametrize(
    ("name", "argument", "words"),
    [
        ("freeze", 1, "takes no argument"),
        ("method", "grad", "unknown method 'grad'"),
        ("method", 0.5, "a whole number"),
        ("class", "dodo", "unknown class 'dodo'"),
        ("class", 6, "there is no class 6"),
        ("class", None, "takes a number"),
        ("prediction", 0, "counted from 1"),
        ("opacity", "much", "takes a number"),
        ("opacity", float("nan"), "takes a number"),
        ("smoothing", -1, "from 0 up"),
        ("layout", "upside down", "unknown layout"),
    ],
)
def test_an_argument_that_does_not_fit_is_refused(
    name: str, argument: str | float | None, words: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=words):
        run_command(SHOWN, name, argument)


def test_an_unknown_command_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="unknown command 'jump'"):
        run_command(SHOWN, "jump")


RECORDING = ActiveRecording(Path("r.mp4"), 0.0)
STATES = {
    "loading": LOADING,
    "running": SHOWN,
    "before the first heat": SHOWN.with_stream(0, target=None),
    "frozen": dataclasses.replace(SHOWN, frozen=True),
    "stalled": dataclasses.replace(SHOWN, now_s=10.0).with_stream(0, notice="camera 0 is gone"),
    "recording": SHOWN.with_stream(0, recording=RECORDING),
    "frozen while recording": dataclasses.replace(SHOWN, frozen=True).with_stream(0, recording=RECORDING),
    "with the help": SHOWN.with_view(help_shown=True),
    "typing": press(SHOWN, "/", "e"),
}


@pytest.mark.parametrize("state", STATES.values(), ids=STATES.keys())
@pytest.mark.parametrize("key", [key for command in COMMANDS for key in command.keys])
def test_every_key_works_in_every_state(key: str, state: LiveState) -> None:
    after, _ = press_key(state, key)
    assert hash(after.request) is not None  # plain values: it can be compared at any time
    assert after == after
    hud_of(after)


@pytest.mark.parametrize("name", ["method", "layer", "lock", "class"])
def test_what_needs_a_network_waits_for_it(name: str) -> None:
    assert run_command(LOADING, name) == (LOADING, ())


def test_a_command_is_added_by_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def show_all(state: LiveState, _: Argument) -> Update:
        overlay = dataclasses.replace(state.view.overlay, alpha=1.0)
        return Update(state.with_view(overlay=overlay).with_message("all of the heat"))

    row = Command("full_heat", {"a": None}, "a", "show all of the heat", show_all)
    monkeypatch.setattr(commands, "COMMANDS", [*COMMANDS, row])
    for state in (press(SHOWN, "a"), run_command(SHOWN, "full_heat").state):
        assert (state.view.overlay.alpha, text_of(state)) == (1.0, "all of the heat")
    assert ("a", "show all of the heat") in hud_of(SHOWN.with_view(help_shown=True)).help


def test_a_queue_is_a_command_source() -> None:
    queue = CommandQueue()
    assert isinstance(queue, CommandSource)
    queue.send("method", "eigencam")
    queue.press("c", "q")
    assert list(queue.poll()) == [CommandCall("method", "eigencam"), KeyPress("c"), KeyPress("q")]
    assert list(queue.poll()) == []


def test_the_way_back_to_the_beginning() -> None:
    begun = dataclasses.replace(SHOWN, defaults=(SHOWN.request, SHOWN.view))
    changed = press(begun, "m", "k", "o", "s", " ", "c", "i")
    assert changed.request != begun.request
    restored, effects = press_key(changed, "0")
    assert (restored.request, restored.view, restored.frozen) == (begun.request, begun.view, False)
    assert effects == (Smooth(begun.view.smoothing_s), Explain(begun.request), Freeze(False))
    assert press_key(begun, "0").effects == (Smooth(begun.view.smoothing_s),)  # nothing to explain again
    assert press_key(SHOWN, "0") == (SHOWN, ())


def test_nobody_for_long_leads_back_to_the_beginning() -> None:
    clock = iter([0.0, 50.0, 51.0, 60.0, 61.0, 70.0, 200.0])
    queue = CommandQueue()
    idle = IdleReset([queue], 10.0, lambda: next(clock))
    assert idle.poll() == []
    assert idle.poll() == []  # nobody has changed anything
    queue.press("m")
    assert idle.poll() == [KeyPress("m")]
    assert idle.poll() == []
    assert idle.poll() == [CommandCall("end_recordings"), CommandCall("defaults")]  # ten seconds later
    assert idle.poll() == []
    assert idle.poll() == []  # once is enough
