"""Standard input and files on web servers."""

from __future__ import annotations

import base64
import contextlib
import http.server
import io
import os
import shutil
import tempfile
import threading
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from media_factory import Audio, make_clip
from PIL import Image
from stage_fakes import LIMIT_S
from video_runs import pass_through

from streamcam.errors import InvalidArgumentError, SourceError, SourceNotFoundError
from streamcam.sources import SourceSettings, open_source

FRAMES = 10
SECRET = "pa:ss wörd"


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves a clip in all the ways that the path asks for; it knows no ranges."""

    clip = b""
    page = b"<html>a page with a video on it</html>"

    def log_message(self, *_arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        with contextlib.suppress(ConnectionError):
            getattr(self, self.path.strip("/").partition(".")[0].partition("/")[0])()

    def send(self, content: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def plain(self) -> None:
        date = "Sat, 28 Nov 2026 07:00:00 GMT"
        self.send(self.clip, Content_Length=str(len(self.clip)), Last_Modified=date)

    def endless(self) -> None:
        self.send(self.clip)

    def camera(self) -> None:
        self.send(self.clip, Content_Type="multipart/x-mixed-replace; boundary=x", Content_Length="99999")

    def html(self) -> None:
        self.send(self.page, Content_Type="text/html; charset=utf-8", Content_Length=str(len(self.page)))

    def short(self) -> None:
        self.send(self.clip[:-100], Content_Length=str(len(self.clip)))

    def text(self) -> None:
        self.send(b"nothing to see", Content_Length="14")

    def empty(self) -> None:
        self.send(b"", Content_Length="0")

    def moved(self) -> None:
        self.send(b"", 302, Location="/plain.mp4")

    def stolen(self) -> None:
        self.send(b"", 302, Location="file:///etc/passwd")

    def locked(self) -> None:
        expected = f"Basic {base64.b64encode(f'me:{SECRET}'.encode()).decode()}"
        if self.headers.get("Authorization") == expected:
            self.plain()
        else:
            self.send(b"", 401)

    def gone(self) -> None:
        self.send(b"", 404)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """The address of a web server on this machine."""
    Handler.clip = make_clip(tmp_path / "clip.mp4", frames=FRAMES, audio=[Audio()]).read_bytes()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(LIMIT_S)


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of temporary files, which is empty in the end."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert os.listdir(folder) == []  # noqa: PTH208


def pipe(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))


# --- web ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["plain.mp4", "plain.mp4?token=abc", "plain", "moved", "endless.mp4", "plain/a b.mp4"]
)
def test_a_file_on_a_web_server_is_a_file(path: str, web: str) -> None:
    with open_source(f"http://{web}/{path}", SourceSettings(start_s=0.2)) as source:
        assert not source.is_live
        assert source.info.name == f"http://{web}/{path}".replace("abc", "***")
        assert len(list(source)) == FRAMES - 5
        assert source.report().whole


def test_its_audio_is_copied(web: str, tmp_path: Path) -> None:
    passed = pass_through(f"http://{web}/plain.mp4", tmp_path / "out.mkv")  # type: ignore[arg-type]
    assert len(passed.pts) == FRAMES
    with av.open(str(tmp_path / "out.mkv")) as written:
        assert [stream.type for stream in written.streams] == ["video", "audio"]


def test_its_date_is_that_of_the_server(web: str) -> None:
    with open_source(f"http://{web}/plain.mp4") as source:
        assert source.info.path is not None
        assert source.info.path.stat().st_mtime == 1795849200


@pytest.mark.parametrize("path", ["endless.ts", "endless", "camera.mp4", "plain/live.m3u8"])
def test_what_has_no_end_is_a_stream(path: str, web: str) -> None:
    with open_source(f"http://{web}/{path}") as source:
        assert source.is_live
    with pytest.raises(InvalidArgumentError, match=r"is a network stream; leave out `start_s`"):
        open_source(f"http://{web}/{path}", SourceSettings(start_s=1))


def test_what_is_shown_as_it_comes_is_a_stream(web: str) -> None:
    with open_source(f"http://{web}/plain.mp4", SourceSettings(real_time=True)) as source:
        assert source.is_live
    with pytest.raises(InvalidArgumentError, match=r"is a network stream; leave out `loop`"):
        open_source(f"http://{web}/plain.mp4", SourceSettings(real_time=True, loop=True))


def test_a_password_is_sent_and_not_shown(web: str) -> None:
    quoted = SECRET.replace(" ", "%20").replace("ö", "%C3%B6")
    with open_source(f"http://me:{quoted}@{web}/locked.mp4") as source:
        assert source.info.name == f"http://***@{web}/locked.mp4"
    with pytest.raises(SourceError, match=r"cannot be downloaded \(401 Unauthorized\)") as raised:
        open_source(f"http://me:false@{web}/locked.mp4")
    assert "false" not in str(raised.value)


@pytest.mark.parametrize(
    ("path", "kind", "message"),
    [
        ("gone.mp4", SourceNotFoundError, r"gone.mp4' cannot be downloaded \(404 Not Found\)"),
        ("html", SourceError, r"html' is a web page; give the address of the video or image itself"),
        ("short.mp4", SourceError, r"short.mp4' broke off after \d+ of \d+ bytes; try again"),
        ("text.mp4", SourceError, r"'http://.*/text.mp4' is not a video that FFmpeg can read"),
        ("empty.mp4", SourceError, r"empty.mp4' is empty"),
        ("stolen.mp4", SourceError, r"stolen.mp4' cannot be downloaded"),
    ],
)
def test_what_cannot_be_downloaded_is_said(
    path: str, kind: type[SourceError], message: str, web: str
) -> None:
    with pytest.raises(SourceError, match=message) as raised:
        open_source(f"http://{web}/{path}")
    assert type(raised.value) is kind


def test_nobody_there() -> None:
    with pytest.raises(SourceError, match=r"cannot be downloaded \(connection refused\)"):
        open_source("http://127.0.0.1:9/clip.mp4")
    with pytest.raises(InvalidArgumentError, match=r"'http:///clip.mp4' names no host"):
        open_source("http:///clip.mp4")


def test_a_disk_that_is_too_small_is_said(web: str, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: usage(1, 1, 1 << 28))
    with pytest.raises(SourceError, match=r"plain.mp4' does not fit into '.*scratch'; set TMPDIR"):
        open_source(f"http://{web}/plain.mp4")


# --- standard input -----------------------------------------------------------------------------------------


def test_standard_input_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(make_clip(tmp_path / "clip.mp4", frames=FRAMES).read_bytes(), monkeypatch)
    with open_source("-", SourceSettings(start_s=0.2)) as source:
        assert (source.info.name, source.is_live, len(list(source))) == ("standard input", False, FRAMES - 5)


def test_an_image_is_one_there_too(monkeypatch: pytest.MonkeyPatch) -> None:
    photo = io.BytesIO()
    Image.new("RGB", (64, 48)).save(photo, "png")
    pipe(photo.getvalue(), monkeypatch)
    with open_source("-") as source:
        assert source.info.is_still
    pipe(photo.getvalue(), monkeypatch)
    with pytest.raises(InvalidArgumentError, match=r"'standard input' is an image; leave out `start_s`"):
        open_source("-", SourceSettings(start_s=1))


@pytest.mark.parametrize(("content", "message"), [(b"", "is empty"), (b"text", "is not a video that FFmpeg")])
def test_what_is_no_video_is_said(content: bytes, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(content, monkeypatch)
    with pytest.raises(SourceError, match=rf"'standard input' {message}"):
        open_source("-")


def test_a_terminal_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    for stream in (None, Terminal(io.BytesIO())):
        monkeypatch.setattr("sys.stdin", stream)
        with pytest.raises(InvalidArgumentError, match="nothing is sent to standard input"):
            open_source("-")
