"""What holds for every sink, wherever the images go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from media_factory import RATE, info_of, make_image, names_in, paint_noise
from video_runs import FAST, rendered

from streamcam.errors import SinkError
from streamcam.media.images import planes_of
from streamcam.sinks import SINKS, MemorySink, Sink, SinkKind, open_sink
from streamcam.sinks.annotations.yolo import CLASSES

SPECIAL: dict[str, Callable[[Path], Sink]] = {
    "odd size": lambda folder: open_sink(folder / "out.mp4", info_of(size=(65, 47)), settings=FAST),
    "memory": lambda _folder: MemorySink(),
}


def kinds_of(row: SinkKind) -> Iterator[str]:
    """Yield a location for every suffix of a row, with ``still`` before it where the input is an image."""
    is_still = not row.takes(row.example, info_of())
    for suffix in row.keys:
        if suffix.startswith("."):
            yield f"{'still ' if is_still else ''}{Path(row.example).stem}{suffix}"
        else:
            yield row.example


KINDS = [*(kind for row in SINKS for kind in kinds_of(row)), *SPECIAL]


def test_every_row_is_tested() -> None:
    assert all(list(kinds_of(row)) for row in SINKS)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def sink(kind: str, tmp_path: Path) -> Sink:
    if kind in SPECIAL:
        return SPECIAL[kind](tmp_path)
    name, is_still = kind.removeprefix("still "), kind.startswith("still ")
    settings = FAST if name.endswith((".mp4", ".m4v", ".mov", ".mkv", ".ts")) else None
    scheme, colon, folder = name.rpartition(":")
    return open_sink(f"{scheme}{colon}{tmp_path / folder}", info_of(is_still=is_still), settings=settings)


@pytest.fixture
def outputs(kind: str) -> list[str]:
    """The files that a finished sink leaves."""
    if kind in SPECIAL:
        return [] if kind == "memory" else ["out.mp4"]
    name = kind.removeprefix("still ").rpartition(":")[2].replace("%05d", "00001")
    return [name, CLASSES] if name.endswith(".txt") else [name]


def image(kind: str, index: int = 0) -> av.VideoFrame:
    image = make_image(*((65, 47) if kind == "odd size" else (64, 48)), index, paint=paint_noise)
    image.pts, image.time_base = index, 1 / RATE
    return image


def test_nothing_appears_before_it_is_complete(
    sink: Sink, kind: str, outputs: list[str], tmp_path: Path
) -> None:
    sink.write(rendered(image(kind)))
    assert not set(outputs) & set(names_in(tmp_path))
    sink.finish()
    assert names_in(tmp_path) == outputs


def test_aborting_leaves_nothing(sink: Sink, kind: str, tmp_path: Path) -> None:
    sink.write(rendered(image(kind)))
    sink.abort()
    sink.abort()
    assert names_in(tmp_path) == []


def test_aborting_at_once_leaves_nothing(sink: Sink, tmp_path: Path) -> None:
    sink.abort()
    assert names_in(tmp_path) == []


def test_what_is_finished_stays(sink: Sink, kind: str, outputs: list[str], tmp_path: Path) -> None:
    sink.write(rendered(image(kind)))
    sink.finish()
    sink.finish()
    sink.abort()
    assert names_in(tmp_path) == outputs


def test_an_output_without_an_image_is_none(sink: Sink, tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"no image"):
        sink.finish()
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("end", ["finish", "abort"])
def test_nothing_is_taken_after_the_end(sink: Sink, kind: str, end: str) -> None:
    sink.write(rendered(image(kind)))
    getattr(sink, end)()
    with pytest.raises(SinkError):
        sink.write(rendered(image(kind, 1)))


def test_what_was_aborted_cannot_be_finished(sink: Sink, kind: str, tmp_path: Path) -> None:
    sink.write(rendered(image(kind)))
    sink.abort()
    with pytest.raises(SinkError):
        sink.finish()
    assert names_in(tmp_path) == []


def test_the_context_finishes_when_all_went_well(
    sink: Sink, kind: str, outputs: list[str], tmp_path: Path
) -> None:
    with sink:
        sink.write(rendered(image(kind)))
    assert names_in(tmp_path) == outputs


def fail_inside(sink: Sink, image: av.VideoFrame) -> None:
    with sink:
        sink.write(rendered(image))
        raise RuntimeError("of the caller")


def test_the_context_aborts_when_something_was_raised(sink: Sink, kind: str, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="of the caller"):
        fail_inside(sink, image(kind))
    assert names_in(tmp_path) == []


def test_the_callers_image_stays_as_it_is(sink: Sink, kind: str) -> None:
    image = make_image(*((65, 47) if kind == "odd size" else (64, 48)), paint=paint_noise)
    image.pts, image.time_base, image.pict_type = 7, 1 / RATE, 1
    before = [plane.copy() for plane in planes_of(image)]
    sink.write(rendered(image))
    sink.finish()
    assert (image.pts, image.time_base, image.pict_type) == (7, 1 / RATE, 1)
    for plane, kept in zip(planes_of(image), before, strict=True):
        np.testing.assert_array_equal(plane, kept)


def test_notes_are_sentences_for_the_user(sink: Sink) -> None:
    assert all(isinstance(note, str) and note for note in sink.notes)
    sink.abort()
