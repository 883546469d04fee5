"""Panes: what is compared side by side in one image, and how the pictures of it lie."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Mapping

from streamcam.errors import InvalidArgumentError

COMPARED_METHODS = ("gradcam", "hirescam", "gradcam++", "eigencam")
"""The methods that are compared where nothing else is; each needs a single pass."""

MOST_PANES = 64
"""More could not be distinguished on a screen."""

_BETWEEN = " · "
_TARGET, _LAYER = "{target}", "{layer}"
"""Parts of names that are known only when the network is."""


@dataclasses.dataclass(frozen=True, slots=True)
class Pane:
    """One picture of a comparison; None stands for what the explainer is set up for."""

    name: str = ""
    """Its name, perhaps with places for a class's or a layer's; see `named`."""
    model: int = 0
    """Index of the network among those that are compared."""
    class_request: str | int | None = None
    """A class's name or index."""
    rank: int | None = None
    """Or the place among each frame's predictions: 0 for the most probable class, 1 for the second."""
    method: str | None = None
    """Name of a method, with options."""
    layer: str | None = None
    """Dotted name of a layer, or several joined by ``+``."""
    stage: tuple[int, int] | None = None
    """Or which of how many layers that are chosen from the network's first stage to its last."""
    mode: int = 0
    """Index of the smoothing mode among those that are compared."""

    def named(self, target: str, layer: str) -> str:
        """Return its name where it shows a class and a layer of these names."""
        return self.name.replace(_LAYER, layer).replace(_TARGET, target)


@dataclasses.dataclass(frozen=True, slots=True)
class PaneGrid:
    """How the panes of a comparison lie."""

    panes: int
    """How many there are, besides the original."""
    columns: int | None = None
    """How many are in a row; None if they may lie as suits the image."""
    lists_labels: bool = False
    """Whether each pane lists its own predictions; if not, all panes of a row have the same."""

    @property
    def rows(self) -> int:
        """How many rows there are, each with an original; one if panes may lie as suits the image."""
        return 1 if self.columns is None else self.panes // self.columns


@dataclasses.dataclass(frozen=True, slots=True)
class _Axis:
    """One thing that differs between panes."""

    parameter: str
    """The field of `Comparison`."""
    values: tuple[tuple[str, Mapping[str, object]], ...]
    """The name of each value, and the fields of its panes."""

    def check(self) -> None:
        """Refuse a value that is there twice."""
        for (name, fields), (_, others) in itertools.combinations(self.values, 2):
            if fields == others:
                named = name.replace(_TARGET, str(fields.get("class_request", ""))).rstrip(_BETWEEN)
                named = named.replace(_LAYER, str(fields.get("layer", "")))
                raise InvalidArgumentError(f"`{self.parameter}` has {named!r} twice; name it once")


@dataclasses.dataclass(frozen=True, slots=True)
class Comparison:
    """A choice of what is compared: one of these has several values, or two, the first of them in rows.

    Where none has, `COMPARED_METHODS` are compared.
    """

    models: tuple[str, ...] = ()
    """Names of networks, one for each explainer."""
    classes: tuple[str | int, ...] = ()
    """Names or indices of classes; ``"top4"`` for the four most probable ones of each frame."""
    methods: tuple[str, ...] = ()
    """Names in `METHODS`, with options."""
    layers: tuple[str, ...] = ()
    """Dotted names of layers; ``"auto:6"`` for six from the network's first stage to its last."""
    modes: tuple[str, ...] = ()
    """Names of smoothing modes."""

    def panes(self) -> list[Pane]:
        """Return every pane, row by row.

        Raises:
            InvalidArgumentError: as `grid` does.
        """
        is_single = self.grid().panes == 1
        panes = []
        for combined in itertools.product(*(axis.values for axis in self._axes())):
            fields: dict[str, object] = {}
            for _, own in combined:
                fields |= own
            several = zip(self._axes(), combined, strict=True)
            names = [name for axis, (name, _) in several if len(axis.values) > 1 or is_single]
            panes.append(Pane(_BETWEEN.join(names), **fields))  # type: ignore[arg-type]
        return panes

    def file_names(self) -> list[str]:
        """Return a word for each pane that can be part of a file's name; no two are the same.

        Raises:
            InvalidArgumentError: as `grid` does.
        """
        words: list[str] = []
        for pane in self.panes():
            layer = pane.layer or ("" if pane.stage is None else f"layer{pane.stage[0] + 1}")
            request = "" if pane.class_request is None else str(pane.class_request)
            word = re.sub(r"[^\w.+]+", "-", pane.named(request, layer)).strip("-.") or "pane"
            same = sum(other.casefold() == word.casefold() for other in words)
            words.append(f"{word}-{len(words) + 1}" if same else word)
        return words

    def grid(self) -> PaneGrid:
        """Return how the panes lie.

        Raises:
            InvalidArgumentError: if more than two things differ, one of them is there twice, or there are
                more panes than anybody can distinguish.
        """
        axes = self._axes()
        several = [axis for axis in axes if len(axis.values) > 1]
        if len(several) > 2:
            *first, last = (f"`{axis.parameter}`" for axis in several)
            raise InvalidArgumentError(
                f"{', '.join(first)} and {last} are more than rows and columns; compare two of them at once"
            )
        for axis in axes:
            axis.check()
        rows, columns = [*(len(axis.values) for axis in several), 1, 1][:2]
        if rows * columns > MOST_PANES:
            raise InvalidArgumentError(
                f"more than {MOST_PANES} panes cannot be distinguished in one image; compare fewer"
            )
        is_table = len(several) == 2
        lists_labels = [axis.parameter for axis in several] == ["models"]
        return PaneGrid(rows * columns, columns if is_table else None, lists_labels)

    def _axes(self) -> list[_Axis]:
        axes = [
            _Axis("models", tuple((name, {"model": index}) for index, name in enumerate(self.models))),
            _Axis("classes", tuple(itertools.chain.from_iterable(map(_class_values, self.classes)))),
            _Axis("methods", tuple((name, {"method": name}) for name in self.methods)),
            _Axis("layers", tuple(itertools.chain.from_iterable(map(_layer_values, self.layers)))),
            _Axis("modes", tuple((name, {"mode": index}) for index, name in enumerate(self.modes))),
        ]
        if not self.methods and not any(len(axis.values) > 1 for axis in axes):
            return dataclasses.replace(self, methods=COMPARED_METHODS)._axes()
        return [axis for axis in axes if axis.values]


def _ranks(request: str | int) -> int:
    """Return how many of the most probable classes a request asks for; 0 if it names a class."""
    found = re.fullmatch(r"top(\d+)", request, re.IGNORECASE) if isinstance(request, str) else None
    return 0 if found is None else int(found[1])


def _class_values(request: str | int) -> list[tuple[str, Mapping[str, object]]]:
    if isinstance(request, str) and re.fullmatch(r"instance(s|\d+)", request, re.IGNORECASE):
        raise InvalidArgumentError(f"{request!r} cannot be compared: objects come and go; name classes")
    if isinstance(request, str) and re.fullmatch("top0+", request, re.IGNORECASE):
        raise InvalidArgumentError(f"target {request!r} asks for no classes; use top1, top2 …")
    ranks = range(min(_ranks(request), MOST_PANES + 1))
    ranked = [(f"top {rank + 1}{_BETWEEN}{_TARGET}", {"rank": rank}) for rank in ranks]
    return [*ranked] or [(_TARGET, {"class_request": request})]


def _stages(name: str) -> int:
    """Return how many layers a name asks for that are to be chosen; 0 if it names one."""
    found = re.fullmatch(r"auto:(\d+)", name)
    return 0 if found is None else int(found[1])


def _layer_values(name: str) -> list[tuple[str, Mapping[str, object]]]:
    stages = _stages(name)
    if name.startswith("auto:") and stages < 2:
        raise InvalidArgumentError(f"layers {name!r} are none; use auto:2, auto:6 … or names")
    chosen = range(min(stages, MOST_PANES + 1))
    return [(_LAYER, {"stage": (place, stages)}) for place in chosen] or [(_LAYER, {"layer": name})]
