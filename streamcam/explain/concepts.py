"""The concepts of a video, which its frames are taken apart into: fitted once or slowly, and named."""

from __future__ import annotations

import collections
import contextlib
from collections.abc import Callable, Iterator, Sequence

import torch

from streamcam.explain.methods.factorization import factorize

SAMPLED_FRAMES = 24
"""Number of frames that concepts are fitted on."""

_MOST_PLACES = 4096
"""Places of all these frames together that are looked at; more would only take memory and time."""

_FIRST, _STRIDE = 8, 16
"""Without a sample of the video: each of the first frames counts, later on every 16th one."""

_MOVED = 0.98
"""Cosine similarity below which a concept is named again."""

Answer = Callable[[torch.Tensor], torch.Tensor]
"""Activations of a layer, (V, K, h, w) → the network's scores, (V, classes)."""


class Concepts:
    """The concepts of one video. Belongs to the thread that explains.

    They are fitted on a sample of the video's frames, where there is one, and stay. Otherwise they are fitted
    on the first frame, and again every now and then on the last ones, each time beginning from what they
    were, so that a concept keeps its place.

    Attributes:
        names: The class that each one speaks for.
        has_negative: Whether the activations had negative values, which no concept explains.
    """

    def __init__(self, count: int, labels: Sequence[str]) -> None:
        """Begin without concepts.

        Args:
            count: How many there will be.
            labels: Names of the network's classes.
        """
        self.count = count
        self.names = [""] * count
        self.has_negative = False
        self._labels = labels
        self._gathers = False
        self._is_fresh = False
        self.forget()

    def forget(self) -> None:
        """Begin again without concepts."""
        self._basis: torch.Tensor | None = None
        self._named: torch.Tensor | None = None
        self._places: collections.deque[torch.Tensor] = collections.deque(maxlen=SAMPLED_FRAMES)
        self._seen = 0
        self._is_sample = False

    @contextlib.contextmanager
    def gathering(self) -> Iterator[None]:
        """Take what is seen inside of the context as the sample that concepts are fitted on."""
        self.forget()
        self._gathers = True
        try:
            yield
        finally:
            self._gathers = False
            self._is_sample = self._is_fresh = bool(self._places)

    def begin_video(self) -> None:
        """Forget the last video's concepts, unless a sample of this one has just been seen."""
        if not self._is_fresh:
            self.forget()
        self._is_fresh = False

    def basis_for(self, activations: torch.Tensor, answer: Answer) -> torch.Tensor:
        """Return the concepts to explain frames with.

        Args:
            activations: Those of N frames in order, float32 (N, K, h, w).
            answer: What the network makes of other activations, for naming concepts.

        Returns:
            float32 (C, K), not negative.
        """
        if self._gathers:
            for image in activations:
                self._take(image)
            return activations.new_zeros(self.count, activations.shape[1])
        if self._is_sample:
            if self._basis is None:
                self._fit(activations, answer)
        else:
            taken = [self._take(image) for image in activations if self._is_due()]
            if any(taken) or self._basis is None:
                self._fit(activations, answer)
        assert self._basis is not None
        return self._basis

    def _is_due(self) -> bool:
        self._seen += 1
        return self._seen <= _FIRST or not self._seen % _STRIDE

    def _take(self, image: torch.Tensor) -> bool:
        """Remember some places of a frame, evenly chosen; not of one that is not finite."""
        if not bool(image.isfinite().all()):
            return False
        self.has_negative = self.has_negative or bool((image < 0).any())
        places = image.detach().clamp(min=0).flatten(1).T
        step = -(-len(places) // (_MOST_PLACES // SAMPLED_FRAMES))
        self._places.append(places[::step].clone())
        return True

    def _fit(self, activations: torch.Tensor, answer: Answer) -> None:
        empty = activations.new_zeros(self.count, activations.shape[1])
        if not self._places:
            self._basis = self._basis if self._basis is not None else empty
            return
        self._basis = factorize(torch.cat(list(self._places)), self.count, self._basis)
        if self._is_sample:
            self._places.clear()
        if self._named is None or _similarity(self._basis, self._named) < _MOVED:
            planes = self._basis[:, :, None, None].expand(-1, -1, *activations.shape[2:])
            best = answer(planes).argmax(dim=1).tolist()
            self.names = _distinct([self._labels[index] for index in best])
            self._named = self._basis.clone()


def _similarity(first: torch.Tensor, second: torch.Tensor) -> float:
    """Return the least cosine similarity of two concepts in the same place."""
    return float(torch.cosine_similarity(first, second, dim=1).min())


def _distinct(names: Sequence[str]) -> list[str]:
    """Number names that are there several times: ``cup``, ``cup (2)``."""
    counts: collections.Counter[str] = collections.Counter()
    apart = []
    for name in names:
        counts[name] += 1
        apart.append(name if counts[name] == 1 else f"{name} ({counts[name]})")
    return apart
