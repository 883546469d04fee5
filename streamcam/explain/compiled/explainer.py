"""An explainer that runs compiled graphs, in the place of `streamcam.Explainer`."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import itertools
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from streamcam.errors import InvalidArgumentError
from streamcam.explain.assembly import Assembler, BatchResult, note_emptiness
from streamcam.explain.backends.backbone import NOT_INT8
from streamcam.explain.compiled.criteria import weights_of
from streamcam.explain.compiled.graphs import CompiledGraphs
from streamcam.explain.compiled.record import CompiledModel, Record
from streamcam.explain.deletion import remove_hottest
from streamcam.explain.description import DescribedExplainer
from streamcam.explain.ranking import rank_over_time
from streamcam.explain.short_batches import ShortBatches
from streamcam.explain.targets import Target, TargetRequest, check_targets, resolve_targets
from streamcam.explanations import Explanation
from streamcam.frames import FloatArray, Frame
from streamcam.milestones import reach
from streamcam.models.fitting import FrameFitter
from streamcam.models.geometry import Size, fit_geometry
from streamcam.sources.given_images import frames_of

if TYPE_CHECKING:
    from streamcam.explain.explainer import Explainer
    from streamcam.sources.given_images import ImageLike
    from streamcam.temporal import Tracker

_logger = logging.getLogger("streamcam.explain")


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Classes:
    """The class that is explained of each image."""

    classes: NDArray[np.int64]
    objects: None = None


class CompiledExplainer(DescribedExplainer, ShortBatches):
    """Computes class activation maps on OpenVINO alone. Use it in one thread at a time.

    Attributes:
        model: Stands for the model.
        method: Name of the method.
        target_layer: Dotted name of the layer that the maps are made of.
        fit: How frames are fitted into the network's input.
        batch_size: Number of images that go through the network at once.
        layers: Target layers to choose from, in the order in which they run.
        methods: Methods to choose from.
        clip_s: 0: it explains single images.
        notes: What the user should know, one sentence each.
    """

    clip_s = 0.0

    def __init__(
        self,
        record: Record,
        graphs_for: Callable[[Size, int], CompiledGraphs | None],
        in_torch: Callable[[], Explainer],
        *,
        fills_up: bool = False,
        classes: TargetRequest | Sequence[TargetRequest] | None = None,
        against: int | str | None = None,
        top_k: int = 3,
    ) -> None:
        """Choose what is explained.

        Args:
            record: What was compiled.
            graphs_for: Returns the graphs for an input's (width, height) and a size of batches, or None if
                there can be none.
            in_torch: Makes the explainer that explains where there are no graphs.
            fills_up: Whether there are graphs for full batches only.
            classes: As for `streamcam.Explainer`.
            against: As for `streamcam.Explainer`.
            top_k: As for `streamcam.Explainer`.

        Raises:
            UnknownNameError: if there is no such class.
            InvalidArgumentError: if these settings do not go together.
        """
        if top_k < 0:
            raise InvalidArgumentError(f"`top_k` is 0 or more, not {top_k}")
        self.model: CompiledModel = record.model
        self.method, self.target_layer, self.fit = record.method, record.target_layer, record.fit
        self.batch_size = record.batch_size
        self.layers, self.methods = record.layers, record.methods
        self.notes = list(record.notes)
        self.targets = resolve_targets(record.model, classes, against)
        check_targets(self.targets, record.signed)
        self.top_k = min(top_k, len(record.model.labels))
        self._record = record
        self._graphs_for = graphs_for
        self._in_torch = in_torch
        self._graphs: dict[tuple[Size, int], CompiledGraphs | None] = {}
        self._fills_up = fills_up
        self._last: CompiledGraphs | Explainer | None = None
        self._fitter = FrameFitter(record.fit, record.model, record.model.mean)
        self._assembler = self._assembler_of(self.targets)
        _logger.info("device cpu; layer %s; batches of %d", self.target_layer, self.batch_size)

    def __repr__(self) -> str:
        return (
            f"CompiledExplainer({self.model.name!r}, method={self.method!r}, "
            f"target_layer={self.target_layer!r})"
        )

    @property
    def backend(self) -> str:
        """The backend that ran the network for the last images: ``"openvino"`` or ``"torch"``."""
        return self._last.backend if self._last is not None else "openvino"

    @property
    def precision(self) -> str:
        """Precision of the network for the last images; before the first, the preferred one."""
        return self._last.precision if self._last is not None else self._record.precision

    def in_torch(self) -> Explainer:
        """Return an explainer of the same that runs in torch, which is loaded at the first call."""
        return self._in_torch()

    def graphs_for(
        self, width: int, height: int, count: int | None = None
    ) -> tuple[Size, CompiledGraphs | None]:
        """Return the graphs for frames of a shape, which are compiled if need be.

        Args:
            width: Width of the frames, in any unit.
            height: Height of the frames, in the same unit.
            count: How many are explained at once; a full batch if None.

        Returns:
            (width, height) of the network's input, in pixels, and the graphs, or None if torch explains.
        """
        size = fit_geometry(self.fit, (width, height), self.model).size
        batch_size = self.batch_size if self._fills_up or self._fills_singles or count != 1 else 1
        if (size, batch_size) not in self._graphs:
            self._graphs[size, batch_size] = self._load_graphs(size, batch_size)
        return size, self._graphs[size, batch_size]

    def with_targets(self, targets: Sequence[Target]) -> CompiledExplainer:
        """Return an explainer of other targets that shares the graphs; use both in the same thread.

        Args:
            targets: At least one.
        """
        other = copy.copy(self)
        other.targets = tuple(targets)
        other._assembler = self._assembler_of(other.targets)
        other._in_torch = functools.cache(lambda: self._in_torch().with_targets(targets))
        return other

    def beside(self) -> CompiledExplainer:
        """Return an explainer for another video at the same time, in another thread."""
        other = copy.copy(self)
        other.notes = list(self.notes)
        other._graphs = {}
        other._fitter = FrameFitter(self.fit, self.model, self.model.mean)
        other._in_torch = functools.cache(lambda: self._in_torch().beside())
        return other

    def identity(self) -> dict[str, object]:
        """Return all that explanations depend on besides the images, as plain values."""
        return {
            **self._record.identity,
            "classes": repr(self.targets),
            "top-k": self.top_k,
            "backend": "openvino, compiled",
        }

    def explain(self, images: ImageLike | Sequence[ImageLike]) -> list[Explanation]:
        """Explain an image, or several; see `streamcam.Explainer.explain`.

        Args:
            images: One image or a sequence of them, of any shapes: RGB arrays, uint8 (H, W, 3); PIL images;
                or paths.

        Returns:
            One explanation for each image, in order.

        Raises:
            InvalidArgumentError: if something is not an image.
            SourceError: if a file cannot be read.
        """
        explanations = self.explain_frames(frames_of(images))
        note_emptiness(explanations, self.notes)
        return explanations

    def explain_frames(
        self,
        frames: Sequence[Frame],
        tracker: Tracker | None = None,
        context: Sequence[Frame] = (),  # noqa: ARG002
    ) -> list[Explanation]:
        """Explain frames of a source; see `streamcam.Explainer.explain_frames`."""
        explanations: list[Explanation] = []
        for _, alike in itertools.groupby(frames, lambda frame: (frame.image.width, frame.image.height)):
            waiting = list(alike)
            for start in range(0, len(waiting), self.batch_size):
                explanations += self._explain_batch(waiting[start : start + self.batch_size], tracker)
        return explanations

    def probabilities_without(self, frame: Frame, heatmap: FloatArray) -> FloatArray:
        """Return the probabilities of a frame whose hottest part is removed; see `streamcam.Explainer`."""
        _, graphs = self.graphs_for(frame.image.width, frame.image.height)
        if graphs is None:
            return self._in_torch().probabilities_without(frame, heatmap)
        pixels = self._fitter.fit(frame, self._fitter.geometry(frame))
        changed = remove_hottest(pixels, heatmap, self.model.mean)
        probabilities: FloatArray = self.model.probabilities(graphs.run(changed[None]).scores)[0]
        return probabilities

    def skip_frames(
        self, frames: Sequence[Frame], tracker: Tracker | None = None, context: Sequence[Frame] = ()
    ) -> None:
        """Do nothing: single images do not depend on those before."""

    def _explain_batch(self, frames: Sequence[Frame], tracker: Tracker | None) -> list[Explanation]:
        geometry = self._fitter.geometry(frames[0])
        _, graphs = self.graphs_for(frames[0].image.width, frames[0].image.height, len(frames))
        if graphs is None:
            self._last = in_torch = self._in_torch()
            with contextlib.nullcontext() if self._fills_singles else in_torch.short_batches():
                return in_torch.explain_frames(frames, tracker)
        self._last = graphs
        run = graphs.run(np.stack([self._fitter.fit(frame, geometry) for frame in frames]))
        probabilities = self.model.probabilities(run.scores)
        ranking = _ranked(probabilities)
        followed = ranking
        if tracker is not None:
            followed = rank_over_time(
                frames, probabilities, None, self.model, self.targets, self.top_k, tracker
            )
        aims = [_Classes(_classes_of(target, followed)) for target in self.targets]
        result = BatchResult(
            maps=np.stack(
                [
                    graphs.maps(run, weights_of(self.method, run.scores, aim.classes, target.against))
                    for aim, target in zip(aims, self.targets, strict=True)
                ]
            ),
            targets=list(self.targets),
            objectives=aims,
            best=ranking[:, : self.top_k].tolist(),
            probabilities=probabilities,
            values=None,
            found=None,
        )
        return self._assembler.assemble(frames, result, geometry.region)

    def _assembler_of(self, targets: Sequence[Target]) -> Assembler:
        record = self._record
        return Assembler(
            record.model.labels,
            targets,
            record.method,
            record.target_layer,
            record.signed,
            record.model.answers_values,
            knows_opposites=record.knows_opposites,
        )

    def _load_graphs(self, size: Size, batch_size: int) -> CompiledGraphs | None:
        graphs = self._graphs_for(size, batch_size)
        reach("the network is compiled")
        if graphs is None:
            _logger.info("torch explains images of %dx%d", *size)
        else:
            _logger.info("images of %dx%d: compiled, the backbone in %s", *size, graphs.precision)
            if self._record.precision == "int8" != graphs.precision and NOT_INT8 not in self.notes:
                self.notes.append(NOT_INT8)
        return graphs


def _ranked(probabilities: FloatArray) -> NDArray[np.int64]:
    """Return the classes of each image, best first; what is no number comes first, as in torch."""
    keys = np.where(np.isnan(probabilities), -np.inf, -probabilities)
    return np.argsort(keys, axis=1, kind="stable")


def _classes_of(target: Target, ranking: NDArray[np.int64]) -> NDArray[np.int64]:
    if target.class_index is not None:
        return np.full(len(ranking), target.class_index, np.int64)
    return ranking[:, target.rank or 0]
