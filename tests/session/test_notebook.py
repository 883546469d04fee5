"""A live session in a notebook: its page in an output cell, and nobody else's."""

from __future__ import annotations

import http.client
import http.server
import json
import re
import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from browsers import open_chromium, open_tab
from live_fakes import FakeExplainers, ScriptedLiveSource
from stage_fakes import LIMIT_S

import streamcam
from streamcam.errors import InvalidArgumentError, SourceError
from streamcam.session.notebook import NotebookSession
from streamcam.session.settings import LiveSettings, PageSettings

JUPYTER = "http://localhost:8888"


@pytest.fixture
def source() -> Iterator[ScriptedLiveSource]:
    scripted = ScriptedLiveSource()
    yield scripted
    scripted.end()


def begin(source: ScriptedLiveSource, *origins: str) -> NotebookSession:
    page = PageSettings(frame_origins=origins or (JUPYTER,))
    return streamcam.live(
        source,
        FakeExplainers(),  # type: ignore[arg-type]
        display="notebook",
        settings=LiveSettings(page=page),
    )


def link_in(shown: NotebookSession) -> str:
    match = re.fullmatch(r'<iframe src="([^"]+)" [^<>]*></iframe>', shown._repr_html_())
    assert match is not None
    return match[1]


def ask(link: str, path: str, body: str | None = None) -> tuple[int, str, http.client.HTTPMessage]:
    host = urlsplit(link).netloc
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(link).port, timeout=10)
    headers = {"Host": host, "Origin": f"http://{host}"}
    connection.request("GET" if body is None else "POST", path, body, headers)
    answer = connection.getresponse()
    read = answer.status, answer.read().decode(), answer.headers
    connection.close()
    return read


def test_the_page_is_shown_in_a_cell_until_it_is_stopped(source: ScriptedLiveSource) -> None:
    running = begin(source)
    try:
        link, other = link_in(running), link_in(running)
        assert (
            urlsplit(link).hostname == "localhost"
        )  # the notebook's own: a frame of another site has no cookies
        assert link != other
        token = urlsplit(link).fragment
        status, body, _ = ask(link, "/session", token)
        assert (status, json.loads(body)) == (200, {"role": "control"})
        assert ask(link, "/session", token)[0] == 403  # a saved notebook lets nobody in
        assert ask(link, "/session", urlsplit(other).fragment)[0] == 200
        assert running.is_running
    finally:
        result = running.stop()
    assert running.stop() is result
    assert not running.is_running
    assert running._repr_html_() == "<p>this live session has ended</p>"
    with pytest.raises(ConnectionRefusedError):
        ask(link, "/")


def test_only_the_notebook_may_hold_the_page_in_a_frame(source: ScriptedLiveSource) -> None:
    running = begin(source)
    try:
        policy = ask(link_in(running), "/")[2]["Content-Security-Policy"]
    finally:
        running.stop()
    assert policy.endswith(f"frame-ancestors {JUPYTER}")
    assert "'unsafe" not in policy


def test_a_browser_shows_it_in_the_notebook_only(source: ScriptedLiveSource) -> None:
    shown, again = "", ScriptedLiveSource()

    class Notebook(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_arguments: object) -> None:
            pass

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(shown.encode())

    with open_chromium() as chromium, http.server.ThreadingHTTPServer(("127.0.0.1", 0), Notebook) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        running = begin(source, f"http://localhost:{server.server_port}")
        try:
            source.go()
            shown = running._repr_html_()
            with open_tab(chromium) as (tab, _):
                tab.goto(f"http://localhost:{server.server_port}/")
                tab.frame_locator("iframe").locator("#network", has_text="fake").wait_for()
            with open_tab(chromium) as (tab, complaints):
                tab.goto(f"http://127.0.0.1:{server.server_port}/")
                assert any("frame-ancestors" in each for each in complaints), complaints
        finally:
            running.stop()
        names = ("localhost", "127.0.0.1")
        running = begin(again, *(f"http://{name}:{server.server_port}" for name in names))
        try:
            again.go()
            for name in names:  # whichever link of Jupyter's was opened
                shown = running._repr_html_()
                with open_tab(chromium) as (tab, complaints):
                    tab.goto(f"http://{name}:{server.server_port}/")
                    tab.frame_locator("iframe").locator("#network", has_text="fake").wait_for()
                    assert complaints == []
        finally:
            running.stop()
            server.shutdown()
            thread.join(LIMIT_S)


def test_what_ends_the_session_is_said(source: ScriptedLiveSource) -> None:
    running = begin(source)
    source.end(SourceError("the <camera> was unplugged"))
    running._worker.join()
    with pytest.raises(SourceError, match="unplugged"):
        running.stop()
    assert running._repr_html_() == "<p>the &lt;camera&gt; was unplugged</p>"


@pytest.mark.parametrize(
    ("url", "origins"),
    [
        ("https://hub.example:9999/user/me/", "https://hub.example:9999"),
        ("http://localhost:8888/", "http://localhost:8888 http://127.0.0.1:8888"),
    ],
)
def test_the_server_that_shows_the_notebook_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: ScriptedLiveSource, url: str, origins: str
) -> None:
    for number, server in ((7, url), (8, "http://localhost:8889/lab")):
        (tmp_path / f"jpserver-{number}.json").write_text(json.dumps({"url": server}))
    paths = types.SimpleNamespace(jupyter_runtime_dir=lambda: str(tmp_path))
    monkeypatch.setitem(sys.modules, "jupyter_core", types.ModuleType("jupyter_core"))
    monkeypatch.setitem(sys.modules, "jupyter_core.paths", paths)
    monkeypatch.setenv("JPY_PARENT_PID", "7")
    running = streamcam.live(source, FakeExplainers(), display="notebook")  # type: ignore[arg-type]
    try:
        policy = ask(link_in(running), "/")[2]["Content-Security-Policy"]
    finally:
        running.stop()
    assert policy.endswith(f"frame-ancestors {origins}")


def test_without_jupyter_its_address_has_to_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jupyter_core.paths", None)
    with pytest.raises(InvalidArgumentError, match="no Jupyter server is found"):
        streamcam.live(ScriptedLiveSource(), FakeExplainers(), display="notebook")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "origin", ["*", "http://*", "http://a b", "http://host/path", "'self'", "http://a; x"]
)
def test_only_whole_origins_are_taken(origin: str) -> None:
    with pytest.raises(InvalidArgumentError, match="is no origin"):
        PageSettings(frame_origins=(origin,)).check()


def test_other_displays_are_settings() -> None:
    with pytest.raises(InvalidArgumentError, match="LiveSettings"):
        streamcam.live(ScriptedLiveSource(), display="window")  # type: ignore[call-overload]
