"""Outputs in object stores: made in a folder on this machine, and copied when all are complete.

The folder's name follows from the output's, so that an interrupted render is resumed on the same machine.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import tempfile
from pathlib import Path

from streamcam.errors import OutputExistsError, SinkError, map_errors
from streamcam.media.stores import is_stored, is_stored_there, local_path, name_in, upload
from streamcam.media.urls import redact
from streamcam.pipeline.settings import RenderSettings


def folder_here(location: str | Path) -> Path:
    """Return the folder, of this machine, of what belongs to an output in a store."""
    digest = hashlib.sha256(os.fsencode(location)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"streamcam-outputs-{digest}"


def make_private(folder: Path) -> None:
    """Make a folder that nobody else can use, unless it is there.

    Raises:
        OSError: if it cannot be made, or is another user's.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    if hasattr(os, "getuid") and folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{str(folder)!r} is another user's")


class Uploads:
    """The outputs of one render that belong into a store.

    Attributes:
        urls: The URLs, in the order in which they were placed.
    """

    def __init__(self, output: str | Path) -> None:
        """Prepare for the outputs beside a main one."""
        self.urls: list[str] = []
        self._root = folder_here(output)
        self._folders: dict[Path, str] = {}

    def place(self, location: str | Path, *, overwrite: bool) -> str | Path:
        """Return where an output is made: a path on this machine.

        Raises:
            OutputExistsError: if it exists in its store, and may not be replaced.
            SinkError: if the store cannot be asked, or there is no room for it here.
            InvalidArgumentError: if a package that the store needs is not installed.
        """
        location = local_path(location)
        if not is_stored(location):
            return location
        url = str(location)
        if is_stored_there(url) and not overwrite:
            raise OutputExistsError(f"{redact(url)!r} exists already; give `overwrite=True` to replace it")
        parent = url.rstrip("/").rpartition("/")[0]
        folder = self._root / hashlib.sha256(parent.encode()).hexdigest()[:16]
        path = folder / name_in(url.rstrip("/"))
        with map_errors(OSError, to=lambda error: SinkError(f"{redact(url)!r} cannot be made here: {error}")):
            make_private(self._root)
            folder.mkdir(exist_ok=True)
            if path.is_file():  # which could not be copied at the end of an earlier run
                path.unlink()
        self._folders[folder] = parent
        self.urls.append(url)
        return path

    def place_all(self, output: str | Path, settings: RenderSettings) -> tuple[str | Path, RenderSettings]:
        """Return where the outputs of a render are made; see `place`.

        Args:
            output: The main output.
            settings: They name the others.

        Returns:
            The main output's path, and settings that name the others' paths.
        """

        def place(location: str | Path) -> str | Path:
            return self.place(location, overwrite=settings.overwrite)

        def place_one(location: str | Path | None) -> str | Path | None:
            return None if location is None else place(location)

        main = place(output)
        return main, dataclasses.replace(
            settings,
            sidecar=place_one(settings.sidecar),
            evidence=place_one(settings.evidence),
            masks=place_one(settings.masks),
            annotations=tuple(map(place, settings.annotations)),
        )

    def send(self) -> None:
        """Copy all outputs into their stores, the main one last.

        Raises:
            SinkError: if one cannot be written; it stays here, and so do those behind it.
        """
        for path, url in self._files():
            try:
                upload(path, url)
            except SinkError as error:
                raise SinkError(f"{error}; what was made is {str(path)!r}") from error
            path.unlink()

    def close(self) -> None:
        """Remove the folders here that are empty: another render may use them, or a resumed one."""
        for folder in sorted(self._root.rglob("*"), reverse=True):
            with contextlib.suppress(OSError):
                folder.rmdir()
        with contextlib.suppress(OSError):
            self._root.rmdir()

    def _files(self) -> list[tuple[Path, str]]:
        """List the files that are here, and the URL of each."""
        found = []
        for folder, parent in reversed(self._folders.items()):
            files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
            found += [(path, f"{parent}/{path.relative_to(folder).as_posix()}") for path in files]
        main = name_in(self.urls[0]) if self.urls else ""
        return sorted(found, key=lambda pair: pair[0].name == main)
