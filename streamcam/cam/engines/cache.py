"""Converted networks kept on disk, so that the second start is quick.

An entry is named after everything it was made from: the graph, the weights, and the versions of what
converted it. It carries the hash of its own files, and one that does not match is thrown away and made
again, never trusted.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

import streamcam
from streamcam.cam.engines.runtime import core, load_openvino
from streamcam.models.weights import fingerprint

if TYPE_CHECKING:
    import openvino

_MAX_ENTRIES = 16
_MANIFEST = "manifest.json"
_FILES = ("model.xml", "model.bin")
_VERDICTS = {"holds": True, "fails": False}
"""Whole words: what is left of a damaged one is neither."""


def cache_directory() -> Path:
    """Where streamcam keeps what it can make again: STREAMCAM_CACHE, or the user's cache directory."""
    chosen = os.environ.get("STREAMCAM_CACHE")
    if chosen:
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "streamcam" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "streamcam"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "streamcam"


class ModelCache:
    """The place of one converted network."""

    def __init__(self, directory: Path, backbone: nn.Module) -> None:
        """Work out the entry's name.

        Args:
            directory: Where entries are kept.
            backbone: What is converted.
        """
        self._directory = directory
        self._entry = directory / f"openvino-{_fingerprint(backbone)}"

    def load(self) -> openvino.Model | None:
        """Return the converted network, or None if there is none or it is damaged."""
        try:
            manifest = json.loads((self._entry / _MANIFEST).read_text("utf-8"))
            if manifest != _hashes(self._entry):
                raise ValueError("damaged")
            model: openvino.Model = core().read_model(self._entry / _FILES[0])
        except (OSError, ValueError, RuntimeError):  # RuntimeError: what OpenVINO cannot read
            shutil.rmtree(self._entry, ignore_errors=True)
            return None
        with contextlib.suppress(OSError):  # a cache that cannot be written to still serves
            os.utime(self._entry)  # the least recently used entries go first
        return model

    def save(self, model: openvino.Model) -> None:
        """Keep a converted network; a disk that is full or read-only only costs time at the next start."""
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            fresh = Path(tempfile.mkdtemp(prefix="making-", dir=self._directory))
        except OSError:
            return
        try:
            load_openvino().save_model(model, fresh / _FILES[0], compress_to_fp16=False)
            (fresh / _MANIFEST).write_text(json.dumps(_hashes(fresh)), "utf-8")
            fresh.rename(self._entry)  # in one step: nobody ever sees half an entry
            self._drop_oldest()
        except (OSError, RuntimeError):  # RuntimeError is how OpenVINO reports a full disk
            shutil.rmtree(fresh, ignore_errors=True)

    def verdict(self, question: str) -> bool | None:
        """Return what was found out about the converted network before, or None if that is not known.

        Args:
            question: All that the answer depends on besides the network.
        """
        try:
            return _VERDICTS.get(self._verdict_path(question).read_text("utf-8"))
        except (OSError, ValueError):  # ValueError: what is no text
            return None

    def keep_verdict(self, question: str, answer: bool) -> None:
        """Keep what was found out; without an entry there is nowhere to."""
        words = {held: word for word, held in _VERDICTS.items()}
        with contextlib.suppress(OSError):
            self._verdict_path(question).write_text(words[answer], "utf-8")

    def _verdict_path(self, question: str) -> Path:
        return self._entry / f"verdict-{hashlib.sha256(question.encode()).hexdigest()[:16]}"

    def _drop_oldest(self) -> None:
        entries = sorted(self._directory.glob("openvino-*"), key=lambda entry: entry.stat().st_mtime)
        for entry in entries[:-_MAX_ENTRIES]:
            shutil.rmtree(entry, ignore_errors=True)


def _fingerprint(backbone: nn.Module) -> str:
    """Hash all that decides what the conversion gives."""
    versions = (streamcam.__version__, torch.__version__, load_openvino().__version__)
    made_from = (versions, getattr(backbone, "code", ""), str(backbone), fingerprint(backbone))
    return hashlib.sha256(repr(made_from).encode()).hexdigest()[:32]


def _hashes(entry: Path) -> dict[str, str]:
    found = {}
    for name in _FILES:
        with (entry / name).open("rb") as file:
            found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found
