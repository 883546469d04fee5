"""Live sessions beside a notebook: the page of one in an output cell, while the notebook goes on."""

from __future__ import annotations

import dataclasses
import html
import importlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from streamcam.errors import InvalidArgumentError
from streamcam.pipeline.workers import Worker
from streamcam.session.page.page import Page
from streamcam.session.result import LiveResult
from streamcam.session.session import LiveSession
from streamcam.session.settings import PageSettings

NOTEBOOK = "notebook"

_HEIGHT = 620
"""Height of the cell's output, in pixels."""

_STOP_PATIENCE_S = 30.0


class NotebookSession:
    """A running live session, which shows its page where a notebook shows it."""

    def __init__(self, session: LiveSession, page: Page) -> None:
        """Start it.

        Args:
            session: Runs in a thread of its own from now on; the page is among its outputs.
            page: The page that is shown.
        """
        self._session = session
        self._page = page
        self._error: BaseException | None = None
        self._result: LiveResult | None = None
        self._worker = Worker("notebook-session", self._run, on_error=self._fail)
        self._worker.start()

    @property
    def is_running(self) -> bool:
        """Whether it goes on."""
        return not self._worker.join(0)

    def stop(self) -> LiveResult:
        """End it, and return its summary. May be called again.

        Raises:
            StreamcamError: what ended it before, if that was a fault.
        """
        self._session.stop()
        self._worker.join(_STOP_PATIENCE_S)
        if self._error is not None:
            raise self._error
        assert self._result is not None
        return self._result

    def _repr_html_(self) -> str:
        """Show the page, by a link that opens it once: who gets the saved notebook cannot use it."""
        if not self.is_running:
            return f"<p>{html.escape(str(self._error or 'this live session has ended'))}</p>"
        link = html.escape(self._page.link_for_a_frame(), quote=True)
        look = f'width="100%" height="{_HEIGHT}" style="border:0" allow="fullscreen"'
        return f'<iframe src="{link}" {look}></iframe>'

    def _run(self) -> None:
        self._result = self._session.run()

    def _fail(self, error: BaseException) -> None:
        self._error = error


def page_for_notebook(settings: PageSettings) -> Page:
    """Make a page that the notebook may hold in a frame, and nobody else.

    Args:
        settings: How it is served: at any free port unless they name one.

    Raises:
        InvalidArgumentError: if it is not known which server shows the notebook.
        SinkError: if the port is taken.
    """
    origins = settings.frame_origins or tuple(_jupyter_origins())
    if not origins:
        raise InvalidArgumentError(
            "no Jupyter server is found that shows this notebook; name its address as in "
            'PageSettings(frame_origins=("http://localhost:8888",))'
        )
    port = 0 if settings.port == PageSettings().port else settings.port
    return Page(dataclasses.replace(settings, frame_origins=origins, port=port))


def _jupyter_origins() -> Iterator[str]:
    """Yield the origins of the Jupyter server that started this process, from the file that it writes."""
    try:
        paths = importlib.import_module("jupyter_core.paths")
    except ModuleNotFoundError:  # Jupyter's kernels bring it
        return
    parent = os.environ.get("JPY_PARENT_PID", "*")
    for file in Path(paths.jupyter_runtime_dir()).glob(f"jpserver-{parent}.json"):
        parts = urlsplit(str(json.loads(file.read_text("utf-8")).get("url", "")))
        if parts.scheme in ("http", "https") and parts.netloc:
            yield f"{parts.scheme}://{parts.netloc}"
            if parts.hostname == "localhost":  # Jupyter prints links by either name
                yield f"{parts.scheme}://{parts.netloc.replace('localhost', '127.0.0.1')}"
