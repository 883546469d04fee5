"""Converted networks in the cache."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

import streamcam
from streamcam.explain.backends.cache import MODEL_FILE, CacheEntry
from streamcam.models.openvino_runtime import core, load_openvino
from streamcam.models.weights import fingerprint

if TYPE_CHECKING:
    import openvino


class ModelCache(CacheEntry):
    """The cache entry of one converted network."""

    def __init__(self, directory: Path, backbone: nn.Module) -> None:
        """Work out the entry's name.

        Args:
            directory: Directory of the cache.
            backbone: The network before its conversion.
        """
        super().__init__(directory, f"openvino-{_fingerprint(backbone)}")

    def load(self) -> openvino.Model | None:
        """Return the converted network, or None if there is none or it is damaged."""
        entry = self.find()
        if entry is None:
            return None
        try:
            model: openvino.Model = core().read_model(entry / MODEL_FILE)
        except RuntimeError:  # what OpenVINO cannot read
            self.drop()
            return None
        return model

    def save(self, model: openvino.Model) -> None:
        """Save a converted network."""
        self.fill(
            lambda folder: load_openvino().save_model(model, folder / MODEL_FILE, compress_to_fp16=False)
        )


def _fingerprint(backbone: nn.Module) -> str:
    """Hash everything that the result of the conversion depends on."""
    versions = (streamcam.__version__, torch.__version__, load_openvino().__version__)
    made_from = (versions, getattr(backbone, "code", ""), str(backbone), fingerprint(backbone))
    return hashlib.sha256(repr(made_from).encode()).hexdigest()[:32]
