"""What holds for every source, whatever it reads."""

from __future__ import annotations

import contextlib
import functools
import http.server
import io
import itertools
import os
import threading
import time
import types
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import fsspec
import numpy as np
import pytest
from av.container import InputContainer
from media_factory import make_clip
from PIL import Image
from stage_fakes import LIMIT_S, FakeExplainer
from toy_source import TOY, ToySource

import streamcam
from streamcam.errors import InvalidArgumentError
from streamcam.frames import Frame
from streamcam.media.images import PLANAR_FORMATS, planes_of, tags_of
from streamcam.sources import (
    SOURCES,
    LentCamera,
    Source,
    SourceSettings,
    SyntheticSource,
    camera,
    open_source,
)
from streamcam.sources.capture import ReconnectingSource
from streamcam.sources.screen import ScreenCapture

ENOUGH = 5
"""A live source is stopped after so many frames."""


class FakeDevice:
    """A camera of OpenCV's that is always there."""

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return True

    def set(self, setting: int, value: float) -> bool:  # noqa: ARG002
        return True

    def get(self, setting: int) -> float:
        return 30.0 if setting == cv2.CAP_PROP_FPS else 0.0

    def read(self) -> tuple[bool, np.ndarray]:
        time.sleep(0.001)
        return True, np.full((48, 64, 3), 99, np.uint8)

    def release(self) -> None:
        pass


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plug a camera in, whatever its number."""
    monkeypatch.setattr(camera, "check_camera", lambda _location: None)
    monkeypatch.setattr(camera, "open_device", lambda _location: FakeDevice())


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """The address of a stream that is sent on this machine."""
    make_clip(tmp_path / "live.ts", frames=50, gop=5)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_arguments: object) -> None:
            pass

        def do_GET(self) -> None:
            with contextlib.suppress(ConnectionError):  # whoever has seen enough hangs up
                super().do_GET()

    handler = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/live.ts"
        server.shutdown()
        thread.join(LIMIT_S)


def make_photo(path: Path) -> Path:
    Image.new("RGB", (65, 47), "olive").save(path)
    return path


def make_pages(path: Path) -> Path:
    first, *rest = (Image.new("RGB", (65, 47), (40 * number, 99, 99)) for number in range(4))
    first.save(path, save_all=True, append_images=rest)
    return path


def make_animation(path: Path) -> Path:
    first, *rest = (Image.new("RGB", (65, 47), (40 * number, 99, 99)) for number in range(4))
    first.save(path, save_all=True, append_images=rest, duration=[40, 100, 40, 300], lossless=True)
    return path


def make_sequence(folder: Path, count: int = 4) -> Path:
    for number in range(1, count + 1):
        Image.new("RGB", (65, 47), (40 * number, 99, 99)).save(folder / f"{number:03d}.png")
    return folder / "%03d.png"


def of_camera(_folder: Path, request: pytest.FixtureRequest) -> Source:
    request.getfixturevalue("device")
    return open_source(0)


def of_browser(_folder: Path, _request: pytest.FixtureRequest) -> Source:
    """Open a camera that is lent by a thread, until it is stopped."""
    source = open_source("browser")
    assert isinstance(source, LentCamera)
    file = io.BytesIO()
    Image.new("RGB", (65, 47), "olive").save(file, "JPEG")

    def lend() -> None:
        while not source.stop_flag.wait(0.002):
            source.put(file.getvalue())

    threading.Thread(target=lend).start()
    return source


def of_stream(_folder: Path, request: pytest.FixtureRequest) -> Source:
    return open_source(request.getfixturevalue("url"), SourceSettings(real_time=True))


def of_web_file(_folder: Path, request: pytest.FixtureRequest) -> Source:
    return open_source(request.getfixturevalue("url"))


def of_pipe(folder: Path, request: pytest.FixtureRequest) -> Source:
    """Open a pipe that a thread fills as long as somebody reads."""
    reading, writing = os.pipe()
    video = make_clip(folder / "clip.ts", frames=10).read_bytes()

    def send() -> None:
        with contextlib.suppress(BrokenPipeError), os.fdopen(writing, "wb") as pipe:
            pipe.write(video)

    threading.Thread(target=send).start()
    request.addfinalizer(lambda: os.close(reading))
    piped = types.SimpleNamespace(fileno=lambda: reading, isatty=lambda: False)
    request.getfixturevalue("monkeypatch").setattr("sys.stdin", piped)
    return open_source("-", SourceSettings(real_time=True))


class FakeGrabber(ScreenCapture):
    """Grabs a video instead of a screen."""

    def connect(self) -> InputContainer:
        return av.open(str(self.name))


def of_screen(folder: Path, _request: pytest.FixtureRequest) -> Source:
    clip = make_clip(folder / "clip.ts", frames=10)
    return ReconnectingSource(FakeGrabber(str(clip), "x11grab", None, SourceSettings()))


def of_standard_input(folder: Path, request: pytest.FixtureRequest) -> Source:
    sent = io.TextIOWrapper(io.BytesIO(make_clip(folder / "clip.mp4").read_bytes()))
    request.getfixturevalue("monkeypatch").setattr("sys.stdin", sent)
    return open_source("-")


def of_store(folder: Path, _request: pytest.FixtureRequest) -> Source:
    """A file in memory, which is there as long as its source is being opened."""
    system = fsspec.filesystem("memory")
    system.pipe_file("/clips/clip.mp4", make_clip(folder / "clip.mp4").read_bytes())
    source = open_source("memory://clips/clip.mp4")
    system.rm("/", recursive=True)
    return source


def of_clip(name: str, settings: SourceSettings | None = None, **options: object) -> Opener:
    return lambda folder, _request: open_source(make_clip(folder / name, **options), settings)  # type: ignore[arg-type]


Opener = Callable[[Path, pytest.FixtureRequest], Source]

EXAMPLES: dict[tuple[str, str], Opener] = {
    ("video", "mp4"): of_clip("clip.mp4", b_frames=2),
    ("video", "mkv with gaps"): of_clip("clip.mkv", time_base=Fraction(1, 1000), pts=[0, 7, 400, 401, 900]),
    ("video", "trimmed"): of_clip("clip.mp4", SourceSettings(start_s=0.4, end_s=1), frames=30),
    ("video", "turned"): of_clip("clip.mp4", rotation=90),
    ("video", "10 bits"): of_clip("clip.mp4", encoded_format="yuv420p10le"),
    ("video", "no times"): of_clip("clip.h264", container_format="h264"),
    ("video", "played"): of_clip("clip.mp4", SourceSettings(real_time=True), frames=4),
    ("video", "played in a loop"): of_clip("clip.mp4", SourceSettings(real_time=True, loop=True), frames=2),
    ("animation", "webp"): lambda folder, _request: open_source(make_animation(folder / "dance.webp")),
    ("animation", "scaled and trimmed"): lambda folder, _request: open_source(
        make_animation(folder / "dance.webp"), SourceSettings(start_s=0.1, size=(32, 32))
    ),
    ("stored file", "mp4"): of_store,
    ("paged image", "tiff"): lambda folder, _request: open_source(make_pages(folder / "scan.tif")),
    ("image", "png"): lambda folder, _request: open_source(make_photo(folder / "photo.png")),
    ("image sequence", "png"): lambda folder, _request: open_source(make_sequence(folder)),
    ("image sequence", "folder"): lambda folder, _request: open_source(make_sequence(folder).parent),
    ("image sequence", "glob"): lambda folder, _request: open_source(make_sequence(folder).parent / "*.png"),
    ("image sequence", "scaled and trimmed"): lambda folder, _request: open_source(
        make_sequence(folder), SourceSettings(start_s=0.1, rate=Fraction(10), size=(32, 32))
    ),
    ("image sequence", "played"): lambda folder, _request: open_source(
        make_sequence(folder), SourceSettings(real_time=True)
    ),
    ("image sequence", "slide show"): lambda folder, _request: open_source(
        make_sequence(folder).parent, SourceSettings(real_time=True, slide_s=0.4)
    ),
    ("screen", "all"): of_screen,
    ("standard input", "pipe"): of_pipe,
    ("lent camera", "browser"): of_browser,
    ("camera", "number"): of_camera,
    ("network stream", "http"): of_stream,
    ("web file", "ts"): of_web_file,
    ("standard input", "mp4"): of_standard_input,
    ("", "synthetic"): lambda _folder, _request: SyntheticSource(
        width=65, height=47, frame_count=5, rate=Fraction(30)
    ),
}
"""Kind of source and what is special about it → opens an example."""


def test_every_kind_has_an_example() -> None:
    assert set(SOURCES) <= {kind for kind, _ in EXAMPLES}


@pytest.fixture(params=EXAMPLES, ids=lambda example: " ".join(example))
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    return EXAMPLES[request.param](tmp_path, request)


def read(source: Source) -> list[Frame]:
    """Read a source to its end; one that may go on for ever is stopped."""
    frames = []
    for frame in source:
        frames.append(frame)
        if source.is_live and len(frames) == ENOUGH:
            source.stop()
    return frames


def test_frames_are_numbered_from_zero(source: Source) -> None:
    with source:
        frames = read(source)
        assert [frame.index for frame in frames] == list(range(source.report().frames_read))


def test_times_increase_strictly_in_the_sources_own_unit(source: Source) -> None:
    with source:
        frames = read(source)
    assert frames
    assert all(earlier.pts < later.pts for earlier, later in itertools.pairwise(frames))
    assert {frame.time_base for frame in frames} == {source.info.time_base}
    assert [frame.time_s for frame in frames] == [float(frame.pts * frame.time_base) for frame in frames]


def test_frames_are_planar_and_of_the_announced_size_and_color(source: Source) -> None:
    with source:
        for frame in source:
            info = source.info  # of a live source it is known with the first frame
            assert frame.image.format.name in PLANAR_FORMATS
            assert frame.image.format.name == info.pixel_format
            assert (frame.image.width, frame.image.height) == (info.width, info.height)
            if info.color.color_range:
                assert tags_of(frame.image) == info.color
            if frame.index == ENOUGH:
                source.stop()


def test_the_size_is_known_before_the_first_frame_unless_it_is_live(source: Source) -> None:
    with source:
        assert source.info.width > 0 or source.is_live


def test_what_was_announced_comes(source: Source) -> None:
    with source:
        frames = read(source)
        report = source.report()
    assert report.frames_read == len(frames)
    assert (report.packets_damaged, report.shortfall, report.notes) == (0, None, ())
    assert source.info.name
    assert source.info.frame_count is None or source.info.frame_count > 0
    assert source.info.rate is None or source.info.rate > 0
    assert source.notice is None


def test_a_source_that_was_stopped_before_yields_no_frame(source: Source) -> None:
    with source:
        source.stop()
        source.stop()
        assert list(source) == []


def test_a_stop_from_another_thread_ends_the_iteration(source: Source) -> None:
    with source:
        for frame in source:
            assert frame.index < ENOUGH, "it goes on and on"
            thread = threading.Thread(target=source.stop)
            thread.start()
            thread.join(LIMIT_S)


def test_closing_may_be_repeated_and_comes_at_any_time(source: Source) -> None:
    next(iter(source))
    source.close()
    source.close()


def test_frames_outlive_their_source(source: Source) -> None:
    with source:
        frames = read(source)
    assert all(plane.shape for frame in frames for plane in planes_of(frame.image))
    assert sum(int(plane.sum()) for frame in frames for plane in planes_of(frame.image)) > 0


def test_a_closed_source_still_reports(source: Source) -> None:
    with source:
        count = len(read(source))
        report = source.report()
    assert report.frames_read == count
    assert source.report() == report
    assert source.info.width > 0


def test_a_source_closes_when_its_reader_fails(source: Source) -> None:
    with pytest.raises(RuntimeError, match=r"reader"), source:
        raise RuntimeError("of the reader")
    source.close()


def test_every_source_can_be_explained(source: Source) -> None:
    with streamcam.stream(source, FakeExplainer()) as running:
        frame, explanation = next(iter(running))
    assert frame.index == explanation.frame_index
    assert running.info.width > 0


# --- settings -----------------------------------------------------------------------------------------------

SOME_SETTINGS: dict[str, SourceSettings] = {
    "start_s": SourceSettings(start_s=1),
    "end_s": SourceSettings(end_s=1),
    "video_stream": SourceSettings(video_stream=0),
    "keep_interlaced": SourceSettings(keep_interlaced=True),
    "size": SourceSettings(size=(64, 48)),
    "rate": SourceSettings(rate=Fraction(25)),
    "depth": SourceSettings(depth=8),
    "chroma": SourceSettings(chroma="420"),
    "hwaccel": SourceSettings(hwaccel="auto"),
    "range": SourceSettings(range=(0, 4095)),
    "mirror": SourceSettings(mirror=True),
}
LOCATIONS: dict[str, str] = {
    "standard input": "-",
    "web file": "http://127.0.0.1:9/clip.mp4",
    "stored file": "memory://clips/clip.mp4",
    "network stream": "rtsp://127.0.0.1:9/cam",
    "screen": "screen:",
    "lent camera": "browser",
    "camera": "0",
    "animation": "dance.webp",
    "paged image": "scan.tif",
    "image": "photo.png",
    "image sequence": "%03d.png",
    "video": "clip.mp4",
}


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("setting", SOME_SETTINGS)
def test_settings_that_a_kind_does_not_take_are_refused(
    kind: str, setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_photo(tmp_path / "photo.png")
    make_animation(tmp_path / "dance.webp")
    make_pages(tmp_path / "scan.tif")
    (tmp_path / "clip.mp4").write_text("any file")
    location = LOCATIONS[kind]
    assert SOURCES[kind].recognize(location)
    assert not any(
        other.recognize(location)
        for other in itertools.takewhile(lambda other: other is not SOURCES[kind], SOURCES.values())
    )
    if setting not in SOURCES[kind].settings:
        with pytest.raises(InvalidArgumentError, match=rf"'{location}' is an? {kind}; leave out `{setting}`"):
            open_source(location, SOME_SETTINGS[setting])


# --- a new kind of source -----------------------------------------------------------------------------------


@pytest.fixture
def _toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SOURCES, "toy", TOY)


@pytest.mark.usefixtures("_toy")
def test_a_new_kind_of_source_takes_a_class_and_a_row() -> None:
    source = open_source("toy:red")
    assert isinstance(source, ToySource)
    assert [frame.index for frame in source] == list(range(5))
    pairs = list(streamcam.stream("toy:red", FakeExplainer()))
    assert [explanation.frame_index for _, explanation in pairs] == list(range(5))
    with pytest.raises(InvalidArgumentError, match="'toy:red' is a toy; leave out `start_s`"):
        open_source("toy:red", SourceSettings(start_s=1))
