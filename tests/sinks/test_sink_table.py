"""The table of outputs: a new kind is a class and a row."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from media_factory import info_of, make_clip, make_image, names_in
from stage_fakes import FakeExplainer, fake_modules
from video_runs import rendered

import streamcam
from streamcam.cli import run
from streamcam.errors import InvalidArgumentError, OutputExistsError
from streamcam.explanations import RenderedFrame
from streamcam.frames import SourceInfo
from streamcam.sinks import (
    SINKS,
    SidecarSink,
    Sink,
    SinkKind,
    SinkSettings,
    TextSink,
    check_resumable,
    open_sink,
    table,
)


class LabelsSink(TextSink):
    """A text file with the labels of every frame."""

    def format_line(self, frame: RenderedFrame) -> str:
        labels = () if frame.stabilized is None else frame.stabilized.labels
        return ", ".join(label.label for label in labels)


def open_labels(location: str, _info: SourceInfo, settings: SinkSettings) -> Sink:
    return LabelsSink.open(Path(location), overwrite=settings.overwrite)


@pytest.fixture(autouse=True)
def _toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "streamcam.sinks.table.SINKS",
        [*SINKS, SinkKind("labels", (".toylabels",), open_labels, "out.toylabels")],
    )


def test_a_new_kind_is_reached_from_render(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=3)
    result = streamcam.render(clip, tmp_path / "out.toylabels", FakeExplainer())
    assert result.frames == 3
    assert (tmp_path / "out.toylabels").read_text() == "cat, dog\n" * 3


def test_a_new_kind_is_reached_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    make_clip(tmp_path / "in.mp4", frames=3)
    for name, module in fake_modules(FakeExplainer).items():
        monkeypatch.setitem(sys.modules, name, module)
    assert run(["render", "in.mp4", "-o", "out.toylabels"]) == 0
    assert capfd.readouterr().out.startswith("wrote out.toylabels (")
    assert (tmp_path / "out.toylabels").read_text() == "cat, dog\n" * 3


def test_a_new_kind_is_checked_like_the_others(tmp_path: Path) -> None:
    (tmp_path / "out.toylabels").write_text("precious")
    with pytest.raises(OutputExistsError, match="exists already"):
        open_sink(tmp_path / "out.toylabels", info_of())
    open_sink(tmp_path / "out.toylabels", info_of(), overwrite=True).abort()
    assert (tmp_path / "out.toylabels").read_text() == "precious"


def test_a_kind_may_be_named_by_a_scheme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    def open_wire(location: str, _info: SourceInfo, _settings: SinkSettings) -> Sink:
        opened.append(location)
        return LabelsSink.open(tmp_path / "sent", overwrite=False)

    wire = SinkKind("wire", ("wire:",), open_wire, "wire://host/path")
    monkeypatch.setattr("streamcam.sinks.table.SINKS", [*SINKS, wire])
    with open_sink("Wire://host/path", info_of()) as sink:
        sink.write(rendered(make_image(64, 48)))
    assert opened == ["Wire://host/path"]
    assert names_in(tmp_path) == ["sent"]


def test_the_first_row_that_takes_a_location_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = SinkKind("own maps", (".jsonl",), open_labels, "out.jsonl")
    for rows, expected in (([*SINKS, own], SidecarSink), ([own, *SINKS], LabelsSink)):
        monkeypatch.setattr("streamcam.sinks.table.SINKS", rows)
        with open_sink(tmp_path / "out.jsonl", info_of(), overwrite=True) as sink:
            sink.write(rendered(make_image(64, 48)))
        assert type(sink) is expected


@pytest.mark.parametrize("is_still", [False, True])
def test_a_refusal_lists_every_row_that_takes_the_input(tmp_path: Path, is_still: bool) -> None:
    info = info_of(is_still=is_still)
    with pytest.raises(InvalidArgumentError) as caught:
        open_sink(tmp_path / "out.toy", info)
    message = str(caught.value)
    for kind in table.SINKS:
        assert (kind.example in message) == kind.takes(kind.example, info)
    assert "out.toylabels" in message
    assert len(message) < 300


def test_a_row_that_cannot_be_made_from_the_input_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stills = SinkKind("poster", (".toyposter",), open_labels, "a.toyposter", lambda _, info: info.is_still)
    monkeypatch.setattr("streamcam.sinks.table.SINKS", [*SINKS, stills])
    with pytest.raises(InvalidArgumentError, match="is of kind 'poster', which cannot be made from a video"):
        open_sink(tmp_path / "a.toyposter", info_of())


def test_examples_are_of_their_own_row() -> None:
    for kind in SINKS:
        info = info_of(is_still=not kind.takes(kind.example, info_of()))
        key = table._key_of(kind.example)
        assert next(row for row in SINKS if key in row.keys and row.takes(kind.example, info)) is kind


def test_what_can_be_resumed_is_listed(tmp_path: Path) -> None:
    for name in ("out.gif", "%03d.png", "out.jsonl"):
        sink = open_sink(tmp_path / name, info_of())
        with pytest.raises(
            InvalidArgumentError, match=r"only videos .*\.mp4.*\.ts\); leave out `resume=True`"
        ) as caught:
            check_resumable(sink)
        sink.abort()
        assert ".gif" not in str(caught.value)
