"""Renders on a Ray cluster: of several files, or of the parts of one."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal

from streamcam.cli.loading import chosen_method
from streamcam.cli.progress import ProgressLine

if TYPE_CHECKING:
    from streamcam.pipeline.explainers import NetworkExplainer
    from streamcam.pipeline.file_renderers import RendererPool
    from streamcam.pipeline.parts.explainer import PartedExplainer
    from streamcam.pipeline.render import RenderPlan


@dataclasses.dataclass(frozen=True, slots=True)
class ClusterOptions:
    """The options of a cluster."""

    address: str
    """As in `streamcam.cluster.RayCluster`."""
    part_s: float
    """As there."""
    jobs: int | Literal["auto"]
    """How many workers there are."""


@contextlib.contextmanager
def open_files(
    options: ClusterOptions, model: dict[str, Any], explainer: dict[str, Any], line: ProgressLine
) -> Iterator[RendererPool]:
    """Start workers that render files.

    Args:
        options: The cluster.
        model: Arguments of `load_model`.
        explainer: Arguments of `Explainer`.
        line: Shows what is being done.
    """
    line.begin("starting workers")
    from streamcam.cluster import RayCluster

    cluster = RayCluster(options.address, options.part_s)
    with cluster.open(_explainer_maker(model, explainer), options.jobs, _wait_printer(line)) as pool:
        yield pool


def load_parts(
    stack: contextlib.ExitStack,
    plan: RenderPlan,
    options: ClusterOptions,
    model: dict[str, Any],
    explainer: dict[str, Any],
    line: ProgressLine,
) -> PartedExplainer:
    """Start workers that explain the parts of a video.

    Args:
        stack: Ends them when it is left.
        plan: The render of the video.
        options: The cluster.
        model: Arguments of `load_model`.
        explainer: Arguments of `Explainer`.
        line: Shows what is being done.
    """
    line.begin("starting workers")
    from streamcam.cluster import RayCluster

    cluster = RayCluster(options.address, options.part_s)
    make_explainer = _explainer_maker(model, explainer)
    parts = cluster.open_parts(plan, make_explainer, options.jobs, line.begin, _wait_printer(line))
    return stack.enter_context(parts)


def _wait_printer(line: ProgressLine) -> Callable[[str], None]:
    return lambda what: line.print_above(f"streamcam: {what}")


def _explainer_maker(model: dict[str, Any], explainer: dict[str, Any]) -> Callable[[], NetworkExplainer]:
    from streamcam.cluster import build_explainer

    method = chosen_method(explainer["method"])
    return functools.partial(build_explainer, model, {**explainer, "method": method})
