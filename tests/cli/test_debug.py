"""``--debug`` shows the library's log; without it nothing is shown."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from streamcam.cli import run
from streamcam.sources import open_source


@pytest.fixture(autouse=True)
def _log_while_opening(monkeypatch: pytest.MonkeyPatch) -> None:
    def log(*_arguments: object, **_settings: object) -> None:
        logging.getLogger("streamcam.sources").info("decoding %s in software", "clip.mp4")
        logging.getLogger("another.library").error("not ours")
        raise FileNotFoundError(2, "no such file", "clip.mp4")

    monkeypatch.setattr("streamcam.pipeline.render.open_source", log)


RENDER = ["render", "clip.mp4", "-o", "out.mp4"]
LINE = "debug: streamcam.sources: decoding clip.mp4 in software"


@pytest.mark.parametrize(
    ("before", "after"), [(["--debug"], []), ([], ["--debug"]), (["--debug"], ["--debug"])]
)
def test_the_log_is_shown_once(
    work: Path, capfd: pytest.CaptureFixture[str], before: list[str], after: list[str]
) -> None:
    assert run([*before, *RENDER, *after]) == 1
    lines = capfd.readouterr().err.splitlines()
    assert lines.count(LINE) == 1
    assert list(work.iterdir()) == []


STAGES = (
    "the command line is read",
    "input and outputs are open",
    "a frame is decoded",
    "a frame has heat",
    "a frame is written",
)


@pytest.mark.usefixtures("explainers")
def test_the_start_is_told_by_stage(
    clip: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("streamcam.pipeline.render.open_source", open_source)
    monkeypatch.setattr("streamcam.milestones._reached", set())
    assert run(["render", str(clip), "-o", "out.mp4", "--debug"]) == 0
    lines = capfd.readouterr().err.splitlines()
    starts = [line.partition("streamcam.start: ")[2] for line in lines if "streamcam.start: " in line]
    reached = {stage: float(text) for text, _, stage in (line.partition(" s: ") for line in starts)}
    assert len(starts) == len(reached), "a stage is told once"
    times = [reached[stage] for stage in STAGES]
    assert times == sorted(times)
    assert times[0] > 0


@pytest.mark.usefixtures("work")
def test_nothing_stays_installed(capfd: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("streamcam")
    before = (list(logger.handlers), logger.level)
    run(["--debug", *RENDER])
    assert (logger.handlers, logger.level) == before
    capfd.readouterr()
    run(RENDER)
    assert "debug" not in capfd.readouterr().err.replace("(--debug shows where)", "")
