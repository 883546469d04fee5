"""Compile an explanation: trace what follows the target layer, its gradient and the method, and convert them.

Gradients are traced through autograd by `torch.fx`'s make_fx, with operations decomposed into those that
OpenVINO converts; a convolution's backward pass becomes a transposed convolution. What was compiled is used
only if it computes what torch computes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn
from torch.overrides import TorchFunctionMode

from streamcam.explain.activities import announce
from streamcam.explain.backends.backbone import OpenVinoBackbone
from streamcam.explain.backends.split_network import BackendMismatchError, SplitNetwork
from streamcam.explain.compiled.criteria import CRITERIA, weights_of
from streamcam.explain.compiled.decompositions import decompositions
from streamcam.explain.compiled.folding import fold_constants
from streamcam.explain.compiled.graphs import CompiledGraphs
from streamcam.explain.compiled.narrowing import narrow
from streamcam.explain.compiled.record import CompiledModel, Record
from streamcam.explain.compiled.store import ExplanationStore
from streamcam.explain.hooks import evaluating, plain_attention
from streamcam.explain.memory import HEAVY_HEAD
from streamcam.explain.methods import METHODS
from streamcam.explain.objectives import Objective
from streamcam.explain.precision_check import close_to
from streamcam.models import Classifier, stage_layers
from streamcam.models.check_images import check_images
from streamcam.models.geometry import Size
from streamcam.models.layouts import Layout
from streamcam.models.openvino_runtime import load_openvino

if TYPE_CHECKING:
    import openvino

    from streamcam.explain.explainer import Explainer

_logger = logging.getLogger("streamcam.explain")

_TOLERANCE = 1e-4
"""How far from torch's scores and maps those of the graphs may be, as a fraction of the largest."""


def reason_against(explainer: Explainer) -> str | None:
    """Return why an explainer cannot be compiled, as part of a sentence; None if it may be."""
    model, method = explainer.model, METHODS[explainer.method]
    if type(model) is not Classifier:
        return f"{model.name} is no classifier of images"
    if not set(method.needs) <= {"activations", "gradients"} or (
        method.criterion is not None and explainer.method not in CRITERIA
    ):
        return f"method {explainer.method!r} does more than one pass through the layer"
    if method.looks_at_values:
        return f"method {explainer.method!r} takes steps that depend on values, or that OpenVINO lacks"
    if explainer.runner.split is None:
        return f"OpenVINO does not run it: {explainer.backend_reason}"
    return None


def has_heavy_head(explainer: Explainer) -> bool:
    """Return whether what follows the target layer is too large to be kept in the cache, and that twice."""
    split = explainer.runner.split
    return split is not None and split.head_parameters > HEAVY_HEAD


def record_of(explainer: Explainer) -> Record | None:
    """Describe an explainer for compiling; None if it cannot be compiled.

    Args:
        explainer: Of a classifier, whose backbone runs on OpenVINO.
    """
    model, split = explainer.model, explainer.runner.split
    if reason_against(explainer) is not None or split is None or not isinstance(model, Classifier):
        return None
    spec = model.input
    return Record(
        model=CompiledModel(
            model.name,
            model.weights,
            tuple(model.labels),
            model.activation,
            spec.sides,
            spec.resize,
            tuple(spec.mean),
            tuple(spec.std),
        ),
        fit=explainer.fit,
        method=explainer.method,
        target_layer=explainer.target_layer,
        signed=explainer.settings["signed"],
        batch_size=explainer.batch_size,
        device="CPU",
        has_large_head=split.head_threads > 1,
        notes=tuple(explainer.notes),
        layers=stage_layers(explainer.prepared.probe.layers, explainer.target_layer),
        methods=tuple(METHODS),
        precision=split.precision,
        identity=explainer.identity(),
        knows_opposites=METHODS[explainer.method].signed,
    )


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class TracedGraphs:
    """The graphs for images of one shape, which compute what torch computes."""

    backbone: OpenVinoBackbone
    """From pixels to features, in the precision that this shape tolerates."""
    entry: str | None
    """Name of the converted network in the cache; None if it is not kept."""
    head: openvino.Model
    """As for `CompiledGraphs`."""
    maps: openvino.Model
    """As for `CompiledGraphs`."""
    compiled: CompiledGraphs
    steps: tuple[torch.jit.ScriptModule, torch.jit.ScriptModule]
    """Head and maps before their conversion."""
    inputs: tuple[torch.Tensor, ...]
    """Inputs of the maps to try them with: weights of the classes, and features."""


_DIFFERS = "the compiled explanation differs from torch's"


class TracingError(Exception):
    """An explanation cannot be traced or converted, or computes something else than torch."""


def trace_graphs(explainer: Explainer, record: Record, size: Size) -> TracedGraphs:
    """Trace and convert an explanation for images of a size.

    Args:
        explainer: Explains them in torch.
        record: Describes it.
        size: (width, height) of the network's input.

    Raises:
        TracingError: if that fails, or gives other values than torch.
    """
    split = explainer.runner.split
    if split is None:
        raise TracingError(explainer.backend_reason)
    width, height = size
    announce(f"compiling the explanation for {width}x{height}, once")
    with torch.inference_mode(False), evaluating(explainer.model.module):
        pixels = check_images(height, width, record.batch_size)
        try:
            backbone, entry = split.backbone_for(pixels)
        except BackendMismatchError:
            raise TracingError("OpenVINO computes the network differently from torch") from None
        features = [torch.from_numpy(values) for values in backbone.run(pixels, record.batch_size)]
        answer = _answer_of(split, features)
        scores_of = _trace(lambda *given: answer(given)[1], features)
        with torch.no_grad():
            scores = answer(features)[1].detach()
        weights = torch.zeros_like(scores)
        weights[torch.arange(len(weights)), scores.argmax(dim=1)] = 1
        maps_of = _trace(_maps_of(explainer, split.layout, answer, (height, width)), [weights, *features])
        head = _convert(scores_of, features)
        maps = _convert(maps_of, [weights, *features])
        request = backbone.request_for(pixels.shape)
        graphs = CompiledGraphs.compile(request, head, maps, record, backbone.precision)
        if not _agrees(explainer, graphs, split, pixels):
            raise TracingError(_DIFFERS)
    return TracedGraphs(
        backbone, entry, head, maps, graphs, steps=(scores_of, maps_of), inputs=(weights, *features)
    )


def compile_graphs(
    explainer: Explainer, record: Record, store: ExplanationStore, size: Size
) -> CompiledGraphs | None:
    """Compile an explanation for images of a size, and keep it in the cache.

    Args:
        explainer: Explains them in torch.
        record: Describes it.
        store: Where it is kept.
        size: (width, height) of the network's input.

    Returns:
        None where it cannot be traced or converted, or computes something else than torch.
    """
    try:
        traced = trace_graphs(explainer, record, size)
    except TracingError as error:
        _logger.info("torch explains, because the explanation cannot be compiled: %s", error)
        return None
    if traced.entry is None:
        return None
    store.save_graphs(size, traced.compiled, traced.entry)
    kept = store.graphs(record, size)
    if kept is not None and not _agrees_once_read(explainer, kept, record, size):
        _logger.info("torch explains, because what was kept differs: %s", _DIFFERS)
        return None
    return kept or traced.compiled


def _agrees_once_read(explainer: Explainer, graphs: CompiledGraphs, record: Record, size: Size) -> bool:
    """Compare what is read from the cache with torch: OpenVINO treats equal weights in a file as one."""
    split = explainer.runner.split
    assert split is not None  # else it were not traced
    with torch.inference_mode(False), evaluating(explainer.model.module):
        return _agrees(explainer, graphs, split, check_images(size[1], size[0], record.batch_size))


def _agrees(explainer: Explainer, graphs: CompiledGraphs, split: SplitNetwork, pixels: Any) -> bool:
    """Compare the graphs with torch, for the best class of each image and for the worst."""
    run = graphs.run(pixels)
    in_eager_steps = explainer.runner.map_maker.run(pixels, split.run(pixels))
    scores = in_eager_steps.scores
    if not close_to(run.scores, scores.numpy(), _TOLERANCE):
        return False
    for classes in (scores.argmax(dim=1), scores.argmin(dim=1)):
        (in_torch,) = in_eager_steps.maps([Objective(classes)])
        weights = weights_of(explainer.method, run.scores, classes.numpy())
        if not close_to(graphs.maps(run, weights), in_torch, _TOLERANCE):
            return False
    return True


_Answer = Callable[[Sequence[torch.Tensor]], tuple[torch.Tensor, torch.Tensor]]
"""Features → the target layer's output as a leaf, and the scores, which depend on it."""


def _answer_of(split: SplitNetwork, features: Sequence[torch.Tensor]) -> _Answer:
    """Return what computes, of features of these shapes, the scores and nothing else."""

    def answer(given: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        leaf, output = split.answer(given)
        return leaf, output.scores

    leaf = features[0].detach().clone().requires_grad_()
    try:
        with torch.enable_grad():
            traced = _make_fx(
                lambda cut, *carried: split.output_of((cut.clone(), *carried)).scores,
                (leaf, *features[1:]),
                pre_dispatch=True,  # before operations are taken apart, as they are differentiated
            )
    except TracingError:
        return answer
    graph = narrow(traced.graph)
    if graph is None:
        return answer
    narrowed = fx.GraphModule(traced, graph)

    def narrowed_answer(given: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        leaf = given[0].detach().requires_grad_()
        with torch.enable_grad():
            return leaf, narrowed(leaf, *given[1:])

    return narrowed_answer


def _maps_of(
    explainer: Explainer, layout: Layout, answer: _Answer, size: tuple[int, int]
) -> Callable[..., torch.Tensor]:
    method, options = METHODS[explainer.method], explainer.runner.map_maker.options

    def maps(weights: torch.Tensor, *features: torch.Tensor) -> torch.Tensor:
        leaf, scores = answer(features)
        inputs = {"activations": layout.fold(leaf.detach(), size)}
        if "gradients" in method.needs:
            (gradients,) = torch.autograd.grad(scores, leaf, weights)
            inputs["gradients"] = layout.fold(gradients, size)
        return method.function(**{name: inputs[name] for name in method.needs}, **options).float()

    return maps


@contextlib.contextmanager
def _failing_to_trace() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # tracing runs the network's own Python, which can raise anything
        raise TracingError(_reason(error)) from error


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    lacking = re.search(r"No conversion rule found for operations: ([\w:.]+(?:, [\w:.]+)*)", text)
    return text[:300] if lacking is None else f"OpenVINO cannot convert {lacking[1]}"


class _Graph(nn.Module):
    """A traced graph as a module, which is what OpenVINO converts."""

    def __init__(self, graph: nn.Module) -> None:
        super().__init__()
        self.steps = graph  # a scripted module has a `graph` of its own

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Run it."""
        result: torch.Tensor = self.steps(*inputs)
        return result


class _PlainPooling(TorchFunctionMode):
    """Averages whole images by their mean: torch's own pooling keeps channels last, which none converts."""

    def __torch_function__(self, function: Any, _types: Any, arguments: Any = (), named: Any = None) -> Any:
        if function is nn.functional.adaptive_avg_pool2d and not named:
            inputs, size = arguments
            if size in (1, (1, 1)):
                return inputs.mean((-2, -1), keepdim=True)
        return function(*arguments, **(named or {}))


def _trace(function: Callable[..., torch.Tensor], inputs: Sequence[torch.Tensor]) -> torch.jit.ScriptModule:
    """Trace a function that may differentiate, for inputs of these shapes."""
    trace: Any = torch.jit.trace
    # OpenVINO has no gradient of fused attention.
    with warnings.catch_warnings(), plain_attention(), _PlainPooling():
        warnings.simplefilter("ignore")  # about torch.jit.trace, which the converters are built on
        graph = _make_fx(function, inputs, decomposition_table=decompositions())
        with torch.no_grad(), _failing_to_trace():
            fold_constants(graph)
            traced: torch.jit.ScriptModule = trace(
                _Graph(graph), tuple(inputs), strict=False, check_trace=False
            )
    return traced


def _make_fx(
    function: Callable[..., torch.Tensor], inputs: Sequence[torch.Tensor], **settings: Any
) -> fx.GraphModule:
    from torch.fx.experimental.proxy_tensor import make_fx

    with _failing_to_trace():
        return make_fx(function, **settings)(*inputs)


def _convert(traced: torch.jit.ScriptModule, inputs: Sequence[torch.Tensor]) -> openvino.Model:
    with warnings.catch_warnings(), _failing_to_trace(), torch.no_grad():
        warnings.simplefilter("ignore")
        model = load_openvino().convert_model(traced, example_input=tuple(inputs))
    # The converter leaves out inputs without a use. Values are numbered, from the first input's 1 on, and an
    # input that is passed on has the numbers of both values.
    for port in model.inputs:
        position = min(int(name) for name in port.get_names() if name.isdigit()) - 1
        port.get_tensor().set_names({str(position)})
        model.reshape({port: list(inputs[position].shape)})
    return model
