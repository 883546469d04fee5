"""Files in object stores, copied to a temporary file first."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

from streamcam.media.stores import download, name_in
from streamcam.media.urls import redact
from streamcam.sources.base import Source
from streamcam.sources.fetched import FetchedSource, TemporaryFile

_log = logging.getLogger("streamcam.sources")


def fetch_stored_file(url: str, open_file: Callable[[Path], Source]) -> Source:
    """Copy a file from a store and open it.

    Args:
        url: With a scheme of `streamcam.media.stores.STORES`.
        open_file: Opens a file as what it is.

    Raises:
        SourceNotFoundError: if it is not there.
        SourceError: if it cannot be read, or holds no image that can be decoded.
        InvalidArgumentError: if a package that the store needs is not installed.
    """
    name = redact(url)
    with contextlib.ExitStack() as undo:
        file = undo.enter_context(TemporaryFile(name, Path(name_in(url)).suffix.lower()))
        _log.info("%r is copied from its store", name)
        download(url, file.fill)
        source = FetchedSource(file, open_file)
        undo.pop_all()
    return source
