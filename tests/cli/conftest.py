"""What the tests of the command line share: videos to render, and an explainer that needs no network."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from media_factory import make_clip
from stage_fakes import FakeExplainer, FakeModel, fake_modules

FRAMES = 20


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("STREAMCAM_")]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _hang_up_is_heard() -> Iterator[None]:
    """Undo nohup, under which the tests may run: child processes inherit that the signal is ignored."""
    former = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, former)


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def clip(work: Path) -> Path:
    """A video of 20 frames, ``clip.mp4`` in the current directory."""
    return make_clip(work / "clip.mp4", frames=FRAMES)


@pytest.fixture
def explainers(monkeypatch: pytest.MonkeyPatch) -> list[FakeExplainer]:
    """Let the command line build explainers that need no network; every one built is in the list."""
    built: list[FakeExplainer] = []

    def build(model: FakeModel, **settings: object) -> FakeExplainer:
        built.append(FakeExplainer(model, **settings))
        return built[-1]

    for name, module in fake_modules(build).items():
        monkeypatch.setitem(sys.modules, name, module)
    return built
