"""``streamcam.prepare``: everything that renders and live sessions of a model load, made beforehand."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamcam.errors import InvalidArgumentError, SinkError
from streamcam.explain.backends.cache import cache_directory, size_of
from streamcam.explain.compiled.explainer import CompiledExplainer
from streamcam.explain.compiled.loading import load_explainer
from streamcam.explain.compiled.store import reason_against_keeping, store_for
from streamcam.explain.network_loading import load_network
from streamcam.models.default_model import DEFAULT_MODEL
from streamcam.models.geometry import SHAPES, Size
from streamcam.session.explainers import live_batch_size

if TYPE_CHECKING:
    from streamcam.explain import Explainer
    from streamcam.models import Model

_FOLDERS = 3
"""Of a description, of graphs, and of the converted network."""


@dataclasses.dataclass(frozen=True, slots=True)
class Preparation:
    """The compiled parts of one model and method."""

    model: str
    method: str
    """Name of the method."""
    sizes: tuple[Size, ...]
    """(width, height) of the inputs that are compiled, in pixels; runs with these need no torch."""
    batch_sizes: tuple[int, ...]
    """How many frames are explained at once, in live sessions and in renders."""
    precision: str
    """Precision of the network."""
    reasons: tuple[str, ...]
    """Why torch explains what is not compiled, as parts of sentences; empty if all is."""
    folders: tuple[Path, ...]
    """Where it is kept."""
    notes: tuple[str, ...] = ()
    """Sentences for the user about them."""

    @property
    def is_kept(self) -> bool:
        """Whether it is all still there: what was made later may have taken its place."""
        return all(folder.is_dir() for folder in self.folders)

    @property
    def size_bytes(self) -> int:
        """Size on the disk."""
        return sum(map(size_of, self.folders))


def prepare(
    model: str = DEFAULT_MODEL,
    *,
    method: str = "auto",
    shapes: Sequence[Size] = SHAPES,
    streams: int = 1,
    loading: dict[str, Any] | None = None,
    **settings: Any,
) -> Preparation:
    """Convert and compile a model for this machine, so that later starts load it in a second.

    A render or live session with the same arguments then imports no torch, unless something else is chosen
    in it.

    Args:
        model: Name of the model, as for `streamcam.load_model`.
        method: The method.
        shapes: (width, height) of frames, in any unit, for networks that take these at their own shape.
        streams: How many sources live sessions have at once.
        loading: Other arguments of `streamcam.load_model`.
        settings: Other arguments of `streamcam.Explainer`.

    Raises:
        StreamcamError: one of its subclasses, if the model does not load, the method does not go with it, or
            nothing can be kept.
    """
    if not shapes or any(side < 1 for shape in shapes for side in shape):
        raise InvalidArgumentError(f"`shapes` has widths and heights above 0, not {list(shapes)}")
    if streams < 1:
        raise InvalidArgumentError(f"`streams` is 1 or more, not {streams}")
    chosen = {"name": model, **(loading or {})}
    network = functools.cache(lambda: load_network(chosen, settings))
    loaded = [
        _load(chosen, {**settings, "method": method, "batch_size": size}, shapes, network)
        for size in dict.fromkeys((live_batch_size(streams), "auto"))
    ]
    explainer = loaded[-1].explainer
    return Preparation(
        explainer.model.name,
        explainer.method,
        tuple(size for size in dict.fromkeys(loaded[0].ready) if all(size in each.ready for each in loaded)),
        tuple(dict.fromkeys(each.explainer.batch_size for each in loaded)),
        loaded[-1].precision,
        tuple(dict.fromkeys(reason for each in loaded for reason in each.reasons)),
        tuple(dict.fromkeys(folder for each in loaded for folder in each.folders)),
        tuple(loaded[-1].explainer.notes),
    )


@dataclasses.dataclass(slots=True, eq=False)
class _Loaded:
    """The compiled parts for one size of batches."""

    explainer: Explainer | CompiledExplainer
    precision: str
    ready: list[Size] = dataclasses.field(default_factory=list)
    reasons: list[str] = dataclasses.field(default_factory=list)
    folders: list[Path] = dataclasses.field(default_factory=list)


def _load(
    model: dict[str, Any], settings: dict[str, Any], shapes: Sequence[Size], network: Callable[[], Model]
) -> _Loaded:
    explainer = load_explainer(model, settings, network)
    if not isinstance(explainer, CompiledExplainer):
        from streamcam.explain.compiled.tracing import reason_against

        reason = (
            reason_against_keeping(model, settings)
            or reason_against(explainer)
            or "what follows its target layer is too large to be kept"
        )
        loaded = _Loaded(explainer, explainer.precision, reasons=[reason])
        split = explainer.runner.split
        if split is not None and split.fidelity is not None:
            if split.quantized_in is None:
                raise _keeps_nothing(cache_directory())
            loaded.folders.append(split.quantized_in)
        return loaded
    store = store_for(model, settings)
    assert store is not None  # else it were not compiled
    loaded = _Loaded(explainer, explainer.precision)
    for shape in shapes:
        size, graphs = explainer.graphs_for(*shape)
        if graphs is None:
            loaded.reasons.append(
                f"its graph for {size[0]}x{size[1]} cannot be converted, or differs from PyTorch's"
            )
            continue
        folders = store.folders(size)
        if len(folders) < _FOLDERS:
            raise _keeps_nothing(store.directory)
        loaded.precision = graphs.precision
        loaded.ready.append(size)
        loaded.folders += folders
    return loaded


def _keeps_nothing(directory: Path) -> SinkError:
    return SinkError(f"{str(directory)!r} keeps nothing: the disk is full, or it is read-only")
