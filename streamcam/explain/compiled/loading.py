"""Load explainers: compiled ones where that is possible, and compile what is not compiled yet."""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from streamcam.explain.compiled.store import store_for
from streamcam.explain.network_loading import load_network
from streamcam.models.model_names import is_explainer_file

if TYPE_CHECKING:
    from streamcam.explain.compiled.explainer import CompiledExplainer
    from streamcam.explain.compiled.graphs import CompiledGraphs
    from streamcam.explain.explainer import Explainer
    from streamcam.models import Model
    from streamcam.models.geometry import Size


def load_explainer(
    model: Mapping[str, Any],
    settings: Mapping[str, Any],
    network: Callable[[], Model] | None = None,
) -> Explainer | CompiledExplainer:
    """Load an explainer; torch is imported only for what is neither exported nor compiled yet.

    Args:
        model: Arguments of `streamcam.load_model`.
        settings: Arguments of `streamcam.Explainer`.
        network: Returns the model where torch is needed, for explainers that share it; None loads it.

    Raises:
        StreamcamError: one of its subclasses, as from `streamcam.load_model` and `streamcam.Explainer`.
    """
    if is_explainer_file(model.get("name")):
        from streamcam.explain.exported.opening import open_for

        return open_for(model, settings)

    @functools.cache
    def in_torch() -> Explainer:
        loaded = load_network(model, settings) if network is None else network()
        from streamcam.explain.explainer import Explainer  # torch, once nothing is wrong with the settings

        return Explainer(loaded, **settings)

    store = store_for(model, settings)
    if store is None:
        return in_torch()
    record = store.record()
    if record is None:
        from streamcam.explain.compiled.tracing import has_heavy_head, record_of

        record = record_of(in_torch())
        if record is None or has_heavy_head(in_torch()):
            return in_torch()
        store.save_record(record)

    compiling = threading.Lock()

    def graphs_for(size: Size, batch_size: int) -> CompiledGraphs | None:
        described, kept_in = record, store
        if batch_size != record.batch_size:  # where explainers of such batches keep theirs
            others = store_for(model, {**settings, "batch_size": batch_size})
            assert others is not None, "whether anything is kept does not depend on it"
            described, kept_in = dataclasses.replace(record, batch_size=batch_size), others
        with compiling:
            kept = kept_in.graphs(described, size)
            if kept is not None:
                return kept
            if not kept_in.can_have_graphs(size):
                return None
            from streamcam.explain.compiled.tracing import compile_graphs

            compiled = compile_graphs(in_torch(), described, kept_in, size)
            if compiled is None:
                kept_in.save_failure(size)
            return compiled

    from streamcam.explain.compiled.explainer import CompiledExplainer

    return CompiledExplainer(
        record,
        graphs_for,
        in_torch,
        classes=settings.get("classes"),
        against=settings.get("against"),
        top_k=settings.get("top_k", 3),
    )
