"""Models of networks in files, by what they answer an image with: logits, planes, or rows of boxes."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence

import torch
from torch import fx, nn

from streamcam.errors import ModelError
from streamcam.models.base import InputSpec, Model
from streamcam.models.classifier import Classifier
from streamcam.models.detector import Candidates, Detector
from streamcam.models.labels import numbered_labels
from streamcam.models.request import ModelRequest
from streamcam.models.segmenter import Segmenter

_BOX = 4
"""Numbers of a box in a row."""


def model_by_answer(
    request: ModelRequest, module: nn.Module, spec: InputSpec, answer: object, found: tuple[str, ...] | None
) -> Model:
    """Make a model of a network that nothing but its answer is known of.

    Args:
        request: What was asked for.
        module: The network, in evaluation mode.
        spec: Its input.
        answer: What it returned for one image.
        found: Names of its classes, where the file has them.

    Raises:
        ModelError: if the answer is none of those, or does not go with the request.
    """
    names = request.labels or found
    planes = _planes_in(answer)
    if planes is not None:
        return _segmenter(request, module, spec, planes, found)
    if isinstance(answer, torch.Tensor) and answer.ndim == 3:
        _, rows, columns = answer.shape
        if names is not None and rows == _BOX + len(names) and columns > 1:
            return _detector(request, module, spec, names)
        raise _refuse_rows(request.name, answer)
    logits = Classifier(request.name, module, (), spec, "", request.logits_key).find_logits(answer)
    return request.finish(
        module, spec, classes=logits.shape[1], weights=request.name, labels=numbered_labels, found=found
    )


def answers_at_places(module: nn.Module, spec: InputSpec) -> bool:
    """Return whether a network answers with planes, or with rows of boxes, as segmenters and detectors do.

    Args:
        module: The network, in evaluation mode, on the CPU.
        spec: Its input; what does not take it answers with nothing.
    """
    width, height = spec.sides
    # Whatever a network raises on what it does not take.
    with contextlib.suppress(Exception), torch.no_grad():
        answer = module(spec.as_taken(torch.zeros(1, spec.channels, height, width)))
        return _planes_in(answer) is not None or (isinstance(answer, torch.Tensor) and answer.ndim == 3)
    return False


def _planes_in(answer: object) -> torch.Tensor | None:
    """Return what a segmenter answers with, (N, classes, h, w); None where it is something else."""
    found = answer.get("out", answer.get("logits")) if isinstance(answer, dict) else answer
    return found if isinstance(found, torch.Tensor) and found.ndim == 4 else None


def _segmenter(
    request: ModelRequest,
    module: nn.Module,
    spec: InputSpec,
    planes: torch.Tensor,
    found: tuple[str, ...] | None,
) -> Segmenter:
    classes = planes.shape[1]
    if classes == 1:
        raise ModelError(
            f"{request.name} answers with one plane {tuple(planes.shape)}, as segmenters of one class and "
            "depth estimators do; export it with logits for each class, the background among them"
        )
    labels = request.class_names(classes, numbered_labels(classes), found)
    note = f"{request.name} answers with planes {tuple(planes.shape)}: it is taken for a segmenter"
    return Segmenter(
        request.name,
        module,
        labels,
        spec,
        request.name,
        layer=_layer_before(module, spec, classes) if isinstance(module, fx.GraphModule) else "auto",
        notes=(*request.notes(), note),
    )


def _detector(request: ModelRequest, module: nn.Module, spec: InputSpec, names: Sequence[str]) -> Detector:
    if request.mean is None and request.std is None:  # ultralytics' networks see values from 0 to 1
        spec = dataclasses.replace(spec, mean=(0.0,) * spec.channels, std=(1.0,) * spec.channels)
    note = f"{request.name} answers with boxes and scores of {len(names)} classes: it is taken for a detector"
    return RowDetector(
        request.name,
        module,
        tuple(names),
        spec,
        request.name,
        levels=_levels_of(module),
        notes=(*request.notes(), note),
        **request.detection,
    )


def _levels_of(module: nn.Module) -> tuple[str, ...]:
    """Return the layers that a detector's head reads, by name; none where the graph does not show them.

    They are the last ones that both boxes and scores depend on, which are put together at the end.
    """
    if not isinstance(module, fx.GraphModule):
        return ()
    (end,) = (node for node in module.graph.nodes if node.op == "output")
    while len(end.all_input_nodes) == 1:
        (end,) = end.all_input_nodes
    if len(end.all_input_nodes) != 2:
        return ()
    boxes, scores = (_ancestors(node) for node in end.all_input_nodes)
    shared = boxes & scores
    last = [node for node in module.graph.nodes if node in shared and not shared.issuperset(node.users)]
    return tuple(str(node.target) for node in last if node.op == "call_module")


def _ancestors(node: fx.Node) -> set[fx.Node]:
    """Return a node of a graph and all that it is computed from."""
    found, waiting = set(), [node]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += node.all_input_nodes
    return found


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class RowDetector(Detector):
    """A network that returns (N, 4 + classes, R), as ultralytics exports it: R boxes without suppression.

    The first four rows are a box's center and size in pixels of the input, the others its scores, 0 to 1.
    """

    levels: tuple[str, ...] = ()
    """See `Model.pyramid`."""

    @property
    def pyramid(self) -> tuple[str, ...]:
        """As in `Model`."""
        return self.levels

    def candidates(self, answer: object) -> Sequence[Candidates]:
        """Return the boxes of each image."""
        assert isinstance(answer, torch.Tensor)
        scale = answer.new_tensor(self.input.sides)
        return [self._of_image(rows, scale) for rows in answer.mT]

    def _of_image(self, rows: torch.Tensor, scale: torch.Tensor) -> Candidates:
        center, size = rows[:, :2].detach() / scale, rows[:, 2:_BOX].detach() / scale
        scores = rows[:, _BOX:]
        return Candidates(
            torch.cat([center - size / 2, center + size / 2], dim=1).float(),
            scores.detach().float(),
            lambda candidates: torch.logit(scores[candidates].float(), eps=1e-6),
        )


def _refuse_rows(name: str, answer: torch.Tensor) -> ModelError:
    """Build the error for an answer (N, a, b) that may be a detector's."""
    _, rows, columns = answer.shape
    if columns in (6, 7):
        return ModelError(
            f"{name} answers with finished detections {tuple(answer.shape)}, which say nothing about other "
            "classes; export it without suppression (ultralytics: nms=False, end2end=False)"
        )
    return ModelError(
        f"{name} answers with a tensor {tuple(answer.shape)}, as detectors and depth estimators do; if its "
        f"{rows} rows are a box and a score from 0 to 1 for each class, give the names of "
        f"{max(rows - _BOX, 0)} classes with `labels`, and else export it with logits (N, classes)"
    )


def _layer_before(module: nn.Module, spec: InputSpec, classes: int) -> str:
    """Return the last layer of planes that are not yet the classes', whose maps would repeat the answer."""
    last = "auto"

    def hook_for(name: str) -> object:
        def hook(_module: nn.Module, _inputs: object, output: object) -> None:
            nonlocal last
            if isinstance(output, torch.Tensor) and output.ndim == 4 and output.shape[1] != classes:
                last = name if min(output.shape[2:]) > 1 else last

        return hook

    parts = [(name, part) for name, part in module.named_modules() if name and not any(part.children())]
    width, height = spec.sides
    image = torch.zeros(1, spec.channels, height, width)
    handles = [part.register_forward_hook(hook_for(name)) for name, part in parts]
    try:
        with torch.no_grad():
            module(spec.as_taken(image))
    finally:
        for handle in handles:
            handle.remove()
    return last
