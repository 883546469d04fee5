"""``streamcam.live``: sessions from Python."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import toy_models
from live_fakes import FakeExplainers, ScriptedLiveSource
from media_factory import frame_times_of, make_clip

import streamcam
from streamcam import LiveSettings, OverlaySettings, SourceSettings, StreamcamError
from streamcam.errors import InvalidArgumentError
from streamcam.session import window
from streamcam.session.command_sources import CommandQueue
from streamcam.session.live import open_session
from streamcam.session.outputs import LiveFrame, Output
from streamcam.session.session import LiveSession
from streamcam.session.state import ExplainRequest
from streamcam.temporal import TemporalSettings

UNSEEN = LiveSettings(display="none")
UNSEEN_LOOP = dataclasses.replace(UNSEEN, source=SourceSettings(real_time=True, loop=True))


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "clip.mp4", frames=6)


class Collector(Output):
    """Remembers the frames, as a program of the user's own might show them.

    Attributes:
        on_frame: Called with every frame.
    """

    may_block = False

    def __init__(self, on_frame: Callable[[LiveFrame], object] = lambda _live_frame: None) -> None:
        self.indices: list[int] = []
        self.on_frame = on_frame

    def write(self, live_frame: LiveFrame) -> None:
        if live_frame.frame.index not in self.indices:
            self.indices.append(live_frame.frame.index)
        self.on_frame(live_frame)


def test_a_video_is_shown_to_an_output_and_recorded(clip: Path, tmp_path: Path) -> None:
    output = Collector()
    settings = LiveSettings(
        display="none",
        record=str(tmp_path / "r.mkv"),
        statistics=tmp_path / "s.jsonl",
        overlay=OverlaySettings(labels=False),
    )
    result = streamcam.live(clip, FakeExplainers(), settings=settings, outputs=[output])
    assert result.statistics.captured == 6
    assert result.statistics.shown == len(output.indices)
    assert [recording.written for recording in result.recordings] == [len(output.indices)]
    assert len(frame_times_of(tmp_path / "r.mkv")) == len(output.indices)
    *_, whole = [json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines()]
    assert (whole["whole_run"], whole["shown"]) == (True, len(output.indices))


def test_commands_come_from_python(clip: Path) -> None:
    queue = CommandQueue()
    explainers = FakeExplainers()

    def steer(live_frame: LiveFrame) -> None:
        facts = live_frame.state.facts
        if facts is not None and facts.method == "other":
            queue.send("quit")
        elif facts is not None and live_frame.state.request.method != "other":
            queue.send("method", "other")

    streamcam.live(
        clip,
        explainers,
        settings=UNSEEN_LOOP,
        outputs=[Collector(steer)],
        commands=[queue],
    )
    assert [request.method for request in explainers.requests][:2] == ["auto", "other"]


def test_a_session_frozen_from_the_beginning_holds_its_first_frame() -> None:
    source, queue = ScriptedLiveSource(), CommandQueue()
    queue.send("freeze")
    source.go(2)

    def quit_with_heat(live_frame: LiveFrame) -> None:
        if live_frame.heat is not None:
            queue.send("quit")

    output = Collector(quit_with_heat)
    streamcam.live(source, FakeExplainers(), settings=UNSEEN, outputs=[output], commands=[queue])
    assert len(output.indices) == 1


def run_until_facts(explainer: Any, clip: Path) -> LiveSession:
    """Run a session until an explainer is in use."""
    queue = CommandQueue()

    def quit_with_facts(live_frame: LiveFrame) -> None:
        if live_frame.state.facts is not None and live_frame.heat is not None:
            queue.send("quit")

    session = open_session(
        clip,
        explainer,
        settings=UNSEEN_LOOP,
        outputs=[Collector(quit_with_facts)],
        commands=[queue],
    )
    session.run()
    return session


def test_an_explainer_of_the_callers_own_goes_on_and_others_are_built_like_it(clip: Path) -> None:
    from streamcam.session.explainers import Explainers, build_from_explainer

    model = streamcam.load_model("resnet18", weights="none")
    explainer = streamcam.Explainer(model, method="hirescam", target_layer="layer3", top_k=2, backend="torch")
    facts = run_until_facts(explainer, clip).state.facts
    assert facts is not None
    assert (facts.model, facts.method, facts.layer, facts.backend) == (
        "resnet18",
        "hirescam",
        "layer3",
        "torch",
    )
    explainers = Explainers(build_from_explainer(explainer))
    assert explainers(ExplainRequest("hirescam", "layer3")).explainer is explainer
    other = explainers(ExplainRequest("gradcam", "layer4")).explainer
    assert (other.method, other.target_layer, other.top_k, other.backend) == ("gradcam", "layer4", 2, "torch")
    assert other.model is explainer.model


def test_a_model_is_enough(clip: Path) -> None:
    facts = run_until_facts(streamcam.load_model("resnet18", weights="none"), clip).state.facts
    assert facts is not None
    assert (facts.model, facts.method) == ("resnet18", "gradcam")


def test_an_open_source_is_taken_as_it_is() -> None:
    source = ScriptedLiveSource()
    source.go()
    outputs = [Collector(lambda _live_frame: source.end())]
    result = streamcam.live(source, FakeExplainers(), settings=UNSEEN, outputs=outputs)
    assert result.statistics.captured == 1


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (LiveSettings(display="nowhere"), "unknown display 'nowhere'"),
        (LiveSettings(overlay=OverlaySettings(layout="upside down"), display="none"), "unknown layout"),
        (LiveSettings(display="none", duration_s=0), "`duration_s` 0 is not above 0"),
        (LiveSettings(display="none", give_up_s=-1), "`give_up_s` -1 is not above 0"),
        (LiveSettings(display="none", record="out.avi"), "a recording is one of"),
        (LiveSettings(display="none", statistics="no/where.jsonl"), "there is no directory"),
        (LiveSettings(display="none", overlay=OverlaySettings(colormap="mauve")), "mauve"),
        (LiveSettings(display="none", temporal=TemporalSettings(mode="zero-phase")), "future frames"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_opened(settings: LiveSettings, words: str) -> None:
    with pytest.raises(StreamcamError, match=words):
        streamcam.live("nowhere.mp4", FakeExplainers(), settings=settings)


def test_without_a_display_the_error_names_the_way_out(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "find_display", lambda: "there is no display; use `display='none'`")
    with pytest.raises(StreamcamError, match="use `display='none'`"):
        streamcam.live(clip, FakeExplainers())


def test_the_command_line_is_not_imported(clip: Path) -> None:
    program = (
        "import sys, streamcam\n"
        "from live_fakes import FakeExplainers\n"
        f"streamcam.live({str(clip)!r}, FakeExplainers(), settings=streamcam.LiveSettings(display='none'))\n"
        "assert not {'click', 'torch', 'streamcam.cli'} & set(sys.modules)\n"
    )
    environment = {"PYTHONPATH": ":".join(sys.path), "PATH": ""}
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60, env=environment)


@pytest.mark.parametrize(
    "factory", [toy_models.cell_detector, toy_models.clip_colors], ids=["boxes", "clips"]
)
def test_detectors_and_networks_of_clips_run_live(factory: Callable[[], Any], clip: Path) -> None:
    session = run_until_facts(factory(), clip)
    assert session.state.streams[0].target is not None
    facts = session.state.facts
    assert facts is not None
    assert session.state.streams[0].target.label in facts.labels


def test_a_network_of_clips_of_ones_own_refuses_a_slide_show(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), np.full((32, 32, 3), 90, np.uint8))
    with pytest.raises(InvalidArgumentError, match=r"clips looks at clips, .* is a slide show; if these are"):
        streamcam.live(tmp_path, toy_models.clip_colors(), settings=UNSEEN_LOOP)


def test_detected_objects_reach_the_outputs(tmp_path: Path) -> None:
    def paint_white(_index: int, planes: Any) -> None:  # all cells are bright in every color
        for plane, value in zip(planes, (235, 128, 128), strict=True):
            plane[:] = value

    clip = make_clip(tmp_path / "white.mp4", frames=6, paint=paint_white)
    queue = CommandQueue()
    labels: set[str] = set()

    def collect(live_frame: LiveFrame) -> None:
        if live_frame.heat is not None:
            labels.update(instance.label for instance in live_frame.heat.instances)
            queue.send("quit")

    streamcam.live(
        clip,
        toy_models.cell_detector(),
        settings=UNSEEN_LOOP,
        outputs=[Collector(collect)],
        commands=[queue],
    )
    assert labels == set(toy_models.cell_detector().labels)
