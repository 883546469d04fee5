"""Plans: everything is opened and checked once, before a network is loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from media_factory import frame_times_of, make_clip, names_in
from stage_fakes import FakeExplainer

from streamcam.errors import InvalidArgumentError, OutputExistsError, SourceError, UnknownNameError
from streamcam.media.encoders import EncoderSettings
from streamcam.overlay import OverlaySettings
from streamcam.pipeline.render import plan_render, render
from streamcam.pipeline.settings import RenderSettings
from streamcam.sources import SourceSettings, open_source
from streamcam.temporal import TemporalSettings


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return make_clip(tmp_path / "clip.mp4", frames=6)


@pytest.fixture
def out(clip: Path) -> Path:
    return clip.parent / "out"


@pytest.mark.parametrize("name", ["video.mp4", "video.gif", "%03d.png", "maps.jsonl"])
@pytest.mark.parametrize("resume", [False, True])
def test_a_plan_that_is_not_run_leaves_nothing(clip: Path, out: Path, name: str, resume: bool) -> None:
    settings = RenderSettings(sidecar=out / "side.jsonl", resume=resume and name == "video.mp4")
    with plan_render(clip, out / name, settings) as plan:
        assert (plan.info.width, plan.info.height) == (64, 48)
        assert repr(plan) == f"<RenderPlan of {str(clip)!r} to {str(out / name)!r}>"
    plan.close()
    assert names_in(out) == []


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        (RenderSettings(overlay=OverlaySettings(alpha=2)), InvalidArgumentError),
        (RenderSettings(temporal=TemporalSettings(smoothing_s=-1)), InvalidArgumentError),
        (RenderSettings(encoder=EncoderSettings("nonsuch")), UnknownNameError),
        (RenderSettings(sidecar="nowhere/maps.jsonl"), OSError),
        (RenderSettings(source=SourceSettings(start_s=99)), SourceError),
    ],
)
def test_a_plan_that_cannot_be_leaves_nothing(
    clip: Path, out: Path, settings: RenderSettings, error: type[Exception]
) -> None:
    with pytest.raises(error):
        plan_render(clip, out / "video.mp4", settings)
    assert names_in(out) == []


def test_a_plan_is_run_once(clip: Path, out: Path) -> None:
    with plan_render(clip, out / "video.mp4") as plan:
        assert plan.run(FakeExplainer()).frames == 6
        with pytest.raises(RuntimeError, match="was run or closed already"):
            plan.run(FakeExplainer())
    assert frame_times_of(out / "video.mp4") == frame_times_of(clip)
    with plan_render(clip, out / "other.mp4") as plan:
        plan.close()
        with pytest.raises(RuntimeError, match="was run or closed already"):
            plan.run(FakeExplainer())
    assert names_in(out) == ["video.mp4"]


def test_a_file_that_appears_meanwhile_is_checked_at_the_plan_only(clip: Path, out: Path) -> None:
    (out / "video.mp4").touch()
    with pytest.raises(OutputExistsError, match="exists already"):
        plan_render(clip, out / "video.mp4")


def test_everything_is_opened_checked_and_tried_once(
    clip: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def count(module: str, name: str) -> None:
        function: Callable[..., Any] = getattr(__import__(module, fromlist=[name]), name)

        def counted(*arguments: Any, **settings: Any) -> Any:
            calls.append(name)
            return function(*arguments, **settings)

        monkeypatch.setattr(f"{module}.{name}", counted)

    count("streamcam.pipeline.render", "open_source")
    count("streamcam.sinks.table", "check_output")
    count("streamcam.sinks.video", "choose_encoding")
    count("streamcam.sinks.video", "start_video")
    with plan_render(clip, out / "video.mp4") as plan:
        made = list(calls)
        plan.run(FakeExplainer())
    assert calls == made == ["open_source", "check_output", "choose_encoding", "start_video"]


def test_an_open_source_is_rendered_too(clip: Path, out: Path) -> None:
    result = render(open_source(clip, SourceSettings(end_s=0.1)), out / "video.mp4", FakeExplainer())
    assert result.frames == 3
    with open_source(clip) as source, pytest.raises(InvalidArgumentError, match="takes no `settings`"):
        plan_render(source, out / "other.mp4", RenderSettings(source=SourceSettings(end_s=0.1)))


def test_what_has_no_end_is_refused(clip: Path, out: Path) -> None:
    settings = RenderSettings(source=SourceSettings(real_time=True))
    with pytest.raises(InvalidArgumentError, match=r"clip.mp4' is live and has no end"):
        plan_render(clip, out / "video.mp4", settings)
    assert names_in(out) == []
