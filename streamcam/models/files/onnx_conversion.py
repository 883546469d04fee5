"""ONNX networks as torch networks, with gradients and layers, by onnx2torch.

onnx2torch knows the operators of opset 17 and before; exporters write later ones. What changed since then is
undone first: most later versions only take more types of numbers.
"""

from __future__ import annotations

import functools
import operator
import re
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import fx, nn

from streamcam.models.files.image_input import ImageInput
from streamcam.models.refusals import in_words

KNOWN_OPSET = 17
"""The operators of later sets are rewritten to those of this one."""

_REDUCING = frozenset(
    (
        *("ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2"),
        *("ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"),
    )
)
"""Operators whose axes became an input in opset 18; that of ReduceSum was one before."""


class ConversionError(Exception):
    """A network cannot be converted; says why, as a part of a sentence."""


class Slice(nn.Module):
    """Take parts along axes, as onnx2torch's own did until torch 2.9 changed how lists index."""

    def forward(
        self,
        input_tensor: torch.Tensor,
        starts: torch.Tensor,
        ends: torch.Tensor,
        axes: torch.Tensor | None = None,
        steps: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return a part of a tensor; the parameters are those of the operator."""
        along = range(len(starts)) if axes is None else axes.tolist()
        by = [1] * len(starts) if steps is None else steps.tolist()
        for axis, start, end, step in zip(along, starts.tolist(), ends.tolist(), by, strict=True):
            if step < 0:
                input_tensor = input_tensor.flip(axis)
                start, end, step = -start - 1, -end - 1, -step
            index = [slice(None)] * input_tensor.ndim
            index[axis] = slice(start, end, step)
            input_tensor = input_tensor[tuple(index)]
        return input_tensor


class ScatterND(nn.Module):
    """Put values at places, likewise."""

    def forward(self, data: torch.Tensor, indices: torch.Tensor, updates: torch.Tensor) -> torch.Tensor:
        """Return a copy of a tensor with other values; the parameters are those of the operator."""
        output = data.clone()
        output[tuple(indices.unbind(dim=-1))] = updates
        return output


class GroupNormalization(nn.Module):
    """Normalize groups of channels; scale and bias are one number for each channel."""

    def __init__(self, groups: int, epsilon: float) -> None:
        super().__init__()
        self.groups = groups
        self.epsilon = epsilon

    def forward(self, values: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """Map (N, C, ...) to the same shape."""
        return nn.functional.group_norm(values, self.groups, scale, bias, self.epsilon)


def convert_onnx(path: Path, given: ImageInput) -> tuple[fx.GraphModule, dict[str, str]]:
    """Convert a network.

    Args:
        path: The file.
        given: Its input.

    Returns:
        A network that takes images (N, C, H, W) of the size in the file, and the texts in the file by name.
        It returns a dict where it has several outputs.

    Raises:
        ConversionError: if it cannot be.
    """
    try:
        import onnx
        import onnx2torch
    except ImportError as error:
        raise ConversionError('that needs onnx2torch: pip install "streamcam[onnx]"') from error
    _register_operators()
    # Files hold anything, and both libraries raise anything.
    try:
        proto = onnx.load(path)
        texts = {entry.key: entry.value for entry in proto.metadata_props}
        outputs = [output.name for output in proto.graph.output]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module: fx.GraphModule = onnx2torch.convert(_with_known_operators(onnx, proto))
    except ConversionError:
        raise
    except NotImplementedError as error:
        raise ConversionError(_unknown_operator(error)) from error
    except Exception as error:
        raise ConversionError(in_words(error)) from error
    _mend(module)
    _adapt_ends(module, given, outputs)
    return module, texts


def _unknown_operator(error: NotImplementedError) -> str:
    """Say which operator has no counterpart."""
    operator = re.search(r"operation_type='(\w+)'", str(error))
    return in_words(error) if operator is None else f"it does not know the operator {operator[1]}"


def _with_known_operators(onnx: ModuleType, proto: Any) -> Any:
    """Rewrite a network's operators to those of the opset that onnx2torch knows."""
    opset = max((entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")), default=1)
    if opset > onnx.defs.onnx_opset_version():
        raise ConversionError(f"its opset {opset} is newer than onnx {onnx.__version__} knows")
    # While the operators are what they say.
    proto = onnx.shape_inference.infer_shapes(proto)
    if proto.functions:
        proto = onnx.inliner.inline_local_functions(proto)
    graph = proto.graph
    constants = {constant.name: constant for constant in graph.initializer}
    kept = []
    for node in graph.node:
        constant = _constant_of(onnx, node, constants)
        if constant is not None:
            constants[constant.name] = constant
            graph.initializer.append(constant)
            continue
        if node.op_type in _REDUCING and opset > KNOWN_OPSET and len(node.input) > 1 and node.input[1]:
            if node.input[1] not in constants:
                raise ConversionError(f"the axes of its {node.op_type} are computed")
            axes = onnx.numpy_helper.to_array(constants[node.input[1]]).tolist()
            del node.input[1:]
            node.attribute.append(onnx.helper.make_attribute("axes", axes))
        if node.op_type == "Reshape":  # zeros mean lengths of zero there, which no image has
            others = [attribute for attribute in node.attribute if attribute.name != "allowzero"]
            del node.attribute[:]
            node.attribute.extend(others)
        kept.append(node)
    del graph.node[:]
    graph.node.extend(kept)
    for entry in proto.opset_import:
        if entry.domain in ("", "ai.onnx"):
            entry.version = min(entry.version, KNOWN_OPSET)
    return proto


def _constant_of(onnx: ModuleType, node: Any, constants: dict[str, Any]) -> Any:
    """Return the tensor that a node puts out, where it is always the same; else None."""
    if node.op_type == "Constant" and node.attribute[0].name == "value":
        tensor = node.attribute[0].t
    elif node.op_type == "Identity" and node.input[0] in constants:
        tensor = constants[node.input[0]]
    else:
        return None
    constant = onnx.TensorProto()
    constant.CopyFrom(tensor)
    constant.name = node.output[0]
    return constant


def _mend(module: fx.GraphModule) -> None:
    """Replace what onnx2torch makes and today's torch computes otherwise."""
    for name, part in module.named_children():
        if isinstance(part, nn.LayerNorm):  # in a graph of free sizes it may not know how many channels
            part.normalized_shape = tuple(part.weight.shape)
        replacement = {"OnnxSlice": Slice, "OnnxScatterND": ScatterND}.get(type(part).__name__)
        if replacement is not None:
            setattr(module, name, replacement())


def _adapt_ends(module: fx.GraphModule, given: ImageInput, outputs: list[str]) -> None:
    """Let a network refuse other sizes than the file's, take channels first, and name its outputs.

    In its graph, not around it: layers keep their names, and the graph can be cut at any of them.
    """
    graph = module.graph
    (image,) = graph.find_nodes(op="placeholder")
    readers = list(image.users)
    with graph.inserting_after(image):
        taken = image
        if given.channels_last:
            taken = graph.call_method("permute", (image, 0, 2, 3, 1))
        for reader in readers:
            reader.replace_input_with(image, taken)
    if given.size is not None:
        width, height = given.size
        for axis, length in ((3, width), (2, height)):
            with graph.inserting_after(image):
                side = graph.call_method("size", (image, axis))
            with graph.inserting_after(side):
                fits = graph.call_function(operator.eq, (side, length))
            with graph.inserting_after(fits):
                message = f"expected images of {width}x{height} pixels"
                graph.call_function(torch._assert, (fits, message))
    if len(outputs) > 1:
        (end,) = graph.find_nodes(op="output")
        values = end.args[0]
        if isinstance(values, list | tuple) and len(values) == len(outputs):
            end.args = (dict(zip(outputs, values, strict=True)),)
    graph.lint()
    module.recompile()


@functools.cache
def _register_operators() -> None:
    """Teach onnx2torch operators that came after those it knows."""
    from onnx2torch.node_converters.registry import add_converter
    from onnx2torch.utils.common import OperationConverterResult, onnx_mapping_from_node

    def register(operator: str, make: Any) -> None:
        def convert(node: Any, _graph: Any) -> Any:
            return OperationConverterResult(make(node.attributes), onnx_mapping_from_node(node))

        add_converter(operator, KNOWN_OPSET)(convert)

    register("Gelu", lambda given: nn.GELU(approximate=given.get("approximate", "none")))
    register("Mish", lambda _given: nn.Mish())
    register(
        "GroupNormalization",
        lambda given: GroupNormalization(given["num_groups"], given.get("epsilon", 1e-5)),
    )
