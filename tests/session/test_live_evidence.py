"""Evidence of a live session."""

from __future__ import annotations

from pathlib import Path

import pytest
from live_fakes import FakeExplainers, ScriptedLiveSource, facts_of, live_frame
from stage_fakes import CAT, explanation_of

from streamcam.errors import InvalidArgumentError, OutputExistsError
from streamcam.evidence import open_evidence
from streamcam.overlay import OverlaySettings
from streamcam.pipeline.restyle import restyle
from streamcam.session.command_sources import CommandCall, CommandSource, KeyPress
from streamcam.session.events import Event, EvidenceKept, OutputFailed
from streamcam.session.evidence import LiveEvidence
from streamcam.session.live import open_session
from streamcam.session.settings import LiveSettings
from streamcam.session.state import ExplainRequest
from streamcam.session.threads import Explained

FACTS = facts_of(ExplainRequest("fake"))


def explained(index: int) -> Explained:
    return Explained(live_frame(index, received_at=100 + index / 10), explanation_of(index), FACTS)


def kept(path: Path, *indices: int) -> list[Event]:
    """Keep the explanations of some frames; return what was reported."""
    events: list[Event] = []
    output = LiveEvidence(
        path, ScriptedLiveSource(), {"overlay": {"colormap": "jet"}}, command="streamcam live"
    )
    output.start(events.append)
    for index in indices:
        output.take(explained(index))
    output.close()
    return events


def test_every_explanation_is_kept_once_with_the_time_of_its_frame(tmp_path: Path) -> None:
    path = tmp_path / "live.h5"
    assert kept(path, 2, 5, 5, 9) == [EvidenceKept(path, 3)]
    with open_evidence(path) as evidence:
        assert evidence.times_s.tolist() == [live_frame(index).time_s for index in (2, 5, 9)]
        assert [one.frame_index for one in evidence.explanations()] == [2, 5, 9]
        assert evidence.heatmaps_of(CAT)[1].tolist() == explanation_of(5).heatmaps[CAT].tolist()
        assert evidence.labels == FACTS.labels
        assert evidence.is_complete
        assert evidence.header["input"]["name"] == "scripted"
        assert evidence.header["run"]["model"] == "fake"
        assert evidence.header["command"] == "streamcam live"
        assert evidence.outcome["elapsed_s"] == pytest.approx(0.7)


def test_a_session_without_an_explanation_says_so(tmp_path: Path) -> None:
    (event,) = kept(tmp_path / "live.h5")
    assert isinstance(event, OutputFailed)
    assert "nothing was explained" in event.problem
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_came_meanwhile_stays(tmp_path: Path) -> None:
    path = tmp_path / "live.h5"
    path.write_text("mine")
    (event,) = kept(path, 1)
    assert isinstance(event, OutputFailed)
    assert path.read_text() == "mine"


def test_it_is_not_for_drawing_a_video_again(tmp_path: Path) -> None:
    kept(tmp_path / "live.h5", 1)
    with pytest.raises(InvalidArgumentError, match=r"live.h5' was kept live.*`evidence` in a render"):
        restyle("camera", tmp_path / "live.h5", tmp_path / "out.mp4")


class QuitWhen(CommandSource):
    """Quits when something was written."""

    def __init__(self, source: ScriptedLiveSource) -> None:
        self.output: LiveEvidence | None = None
        self._source = source

    def poll(self) -> list[KeyPress | CommandCall]:
        self._source.go()
        assert self.output is not None
        return [CommandCall("quit", None)] if self.output.counts()["evidence"] else []


def test_a_session_keeps_what_it_explains(tmp_path: Path) -> None:
    source = ScriptedLiveSource()
    quitting = QuitWhen(source)
    settings = LiveSettings(
        overlay=OverlaySettings(labels=False), display="none", evidence=tmp_path / "live.h5", folder=tmp_path
    )
    source.go()
    session = open_session(
        source, FakeExplainers(), settings=settings, request=ExplainRequest("fake"), commands=[quitting]
    )
    quitting.output = next(each for each in session._outputs if isinstance(each, LiveEvidence))
    assert session.run().saved == (tmp_path / "live.h5",)
    with open_evidence(tmp_path / "live.h5") as evidence:
        assert len(evidence) >= 1
        assert evidence.header["settings"]["overlay"]["labels"] is False
    with pytest.raises(OutputExistsError):
        settings.check()
