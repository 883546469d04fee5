"""Networks that OpenVINO runs whole. They have no gradients, but their operations can be read and replaced.

Each operation with a grid stands in the module as a part of that name. Hooks of a part see what the operation
puts out, and what they return takes its place: methods that change activations work as with layers of torch.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from streamcam.caching import cached_method
from streamcam.errors import ModelError, SourceNotFoundError, map_errors
from streamcam.models.base import InputSpec
from streamcam.models.files.image_input import ImageInput, describe_input
from streamcam.models.openvino_runtime import available, core, load_openvino

if TYPE_CHECKING:
    import openvino

_MAX_COMPILED = 8
"""How many compiled networks are kept: one for each size of batch, and each choice of operations."""

_NO_LAYERS = frozenset(
    (
        *(
            "Parameter",
            "Result",
            "Constant",
            "Convert",
            "ConvertLike",
            "FakeQuantize",
            "Pad",
            "Broadcast",
            "Tile",
        ),
        *("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Gather", "Slice", "StridedSlice", "Split"),
        *("VariadicSplit", "MaxPool", "AvgPool", "AdaptiveAvgPool", "AdaptiveMaxPool", "Softmax"),
        *("ReduceMean", "ReduceMax", "ReduceSum", "ReduceMin", "Interpolate"),
    )
)
"""Operations that only rearrange, pool or weigh what came before; of others the methods make maps."""


class Operation(nn.Module):
    """Stands for what an operation puts out."""

    def forward(self, output: torch.Tensor) -> torch.Tensor:
        """Return it as it is; hooks may replace it."""
        return output


class OpenVinoNetwork(nn.Module):
    """A network that OpenVINO runs, on the CPU and in float32."""

    digest: torch.Tensor

    def __init__(self, model: openvino.Model, given: ImageInput, name: str) -> None:
        """Wrap a network.

        Args:
            model: With one input.
            given: Describes that.
            name: What a message calls the network.
        """
        super().__init__()
        self.given = given
        self.no_gradients = f"OpenVINO, which runs {name}, has none"
        self._model = model
        answers = {_name_of(result.input_value(0).get_node()) for result in model.get_results()}
        for operation in model.get_ordered_ops():
            name, kind = _name_of(operation), operation.get_type_name()
            if name in answers or kind in _NO_LAYERS or not _may_have_a_grid(operation):
                continue
            if name and not hasattr(self, name):
                self.add_module(name, type(kind, (Operation,), {})())
        # What tells networks apart: the parameters are not torch's.
        self.register_buffer("digest", torch.frombuffer(bytearray(_hash(model)), dtype=torch.uint8))

    def forward(self, batch: torch.Tensor) -> torch.Tensor | dict[str, torch.Tensor]:
        """Map images (N, C, H, W) to the network's answer, a dict where it has several outputs."""
        if self.given.size is not None and batch.shape[2:] != self.given.size[::-1]:
            raise ValueError(f"expected images of {self.given.size[0]}x{self.given.size[1]} pixels")
        layers = [name for name, part in self.named_children() if part._forward_hooks]
        answer: torch.Tensor | dict[str, torch.Tensor]
        *values, answer = self._run(batch, layers)
        for number, name in enumerate(layers):
            changed = self._modules[name](values[number])  # type: ignore[misc]
            if changed is not values[number] and not torch.equal(changed, values[number]):
                later = layers[number + 1 :]
                *values[number + 1 :], answer = self._run(batch, later, replaced=(name, changed))
        return answer

    def _run(
        self, batch: torch.Tensor, layers: Sequence[str], replaced: tuple[str, torch.Tensor] | None = None
    ) -> list[Any]:
        """Return what operations put out, and last the network's answer."""
        images = batch.permute(0, 2, 3, 1) if self.given.channels_last else batch
        arrays = [np.ascontiguousarray(images.detach().cpu().numpy())]
        if replaced is not None:
            arrays.append(np.ascontiguousarray(replaced[1].detach().cpu().numpy()))
        name = None if replaced is None else replaced[0]
        request = self._compile(tuple(array.shape for array in arrays), tuple(layers), name)
        taken = request.model_inputs
        request.infer(
            {
                port: array.astype(port.get_element_type().to_dtype())
                for port, array in zip(taken, arrays, strict=True)
            }
        )
        outputs = [
            torch.from_numpy(np.array(request.get_output_tensor(number).data, np.float32)).to(batch.device)
            for number in range(len(request.model_outputs))
        ]
        answers, values = outputs[: len(outputs) - len(layers)], outputs[len(outputs) - len(layers) :]
        return [
            *values,
            answers[0] if len(answers) == 1 else dict(zip(self._answer_names(), answers, strict=True)),
        ]

    def _answer_names(self) -> list[str]:
        return [
            min(output.get_names(), default=str(number)) for number, output in enumerate(self._model.outputs)
        ]

    @cached_method(maxsize=_MAX_COMPILED)
    def _compile(
        self, shapes: tuple[tuple[int, ...], ...], layers: tuple[str, ...], replaced: str | None
    ) -> Any:
        """Compile the network for inputs of these shapes: the images, and what replaces an operation."""
        opset = load_openvino().opset13
        model = self._model.clone()
        outputs = {
            _name_of(operation): operation.output(0)
            for operation in model.get_ordered_ops()
            if operation.get_output_size()
        }
        given = dict(zip(model.inputs, shapes, strict=False))
        if replaced is not None:
            output = outputs[replaced]
            parameter = opset.parameter(output.partial_shape, output.element_type)
            for reader in output.get_target_inputs():
                reader.replace_source_output(parameter.output(0))
            model.add_parameters([parameter])
            given[parameter.output(0)] = shapes[-1]
        if layers:
            model.add_outputs([outputs[name] for name in layers])
        model.reshape({port: list(shape) for port, shape in given.items()})
        properties = {
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,
        }
        return core().compile_model(model, "CPU", properties).create_infer_request()


def read_openvino(path: Path) -> openvino.Model:
    """Read a network that OpenVINO can run: ``.xml`` with its ``.bin``, or ``.onnx``.

    Raises:
        SourceNotFoundError: if there is no such file, or none of its weights.
        ModelError: if it cannot be read.
    """
    if not path.is_file():
        raise SourceNotFoundError(f"there is no file {str(path)!r}")
    weights = path.with_suffix(".bin")
    if path.suffix.lower() == ".xml" and not weights.is_file():
        raise SourceNotFoundError(
            f"{str(path)!r} has its weights in {weights.name!r}, which is not beside it; "
            "put both into one folder"
        )
    if not available():
        raise ModelError(f"{str(path)!r} is run by OpenVINO, which is not installed: pip install openvino")

    def failure(error: Exception) -> ModelError:
        return ModelError(f"{str(path)!r} cannot be read: it is damaged, or {_reason(error)}")

    # By name: OpenVINO would try every format that it knows, and print what each says of a damaged file.
    kind = {".onnx": "onnx", ".xml": "ir"}[path.suffix.lower()]
    with map_errors(Exception, to=failure):  # its own have no class in common
        reader = load_openvino().frontend.FrontEndManager().load_by_framework(kind)
        model: openvino.Model = reader.convert(reader.load(str(path)))
    return model


def open_openvino(path: Path, name: str) -> OpenVinoNetwork:
    """Read a network and find out what image it takes.

    Args:
        path: As for `read_openvino`.
        name: What a message calls the network.

    Raises:
        SourceNotFoundError: as `read_openvino` does.
        ModelError: likewise, and if it does not take one image.
    """
    model = read_openvino(path)
    if not model.inputs or not model.outputs:
        raise ModelError(f"{str(path)!r} cannot be read: it is damaged, or holds no network")
    inputs = [(_port_name(port), _shape_of(port), _dtype_of(port)) for port in model.inputs]
    return OpenVinoNetwork(model, describe_input(name, inputs), name)


def convert_program(program: torch.jit.ScriptModule, spec: InputSpec, name: str) -> OpenVinoNetwork | None:
    """Convert a TorchScript program, whose layers cannot be seen in torch; None where OpenVINO cannot.

    Args:
        program: The program.
        spec: What it takes.
        name: What a message calls the network.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = load_openvino().convert_model(program)
        model.reshape([-1, spec.channels, -1, -1])
    except Exception:  # its errors have no class in common
        return None
    return OpenVinoNetwork(model, ImageInput(None, spec.channels, None), name)


def _reason(error: Exception) -> str:
    """Return what matters of an error of OpenVINO, which begins with the places in its source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(("Exception from", "Check '"))]
    text = " ".join(telling or lines)
    return text[:200].rstrip() + ("…" if len(text) > 200 else "") or "it is empty"


def _name_of(operation: Any) -> str:
    """Return an operation's name as torch allows it: without dots."""
    return str(operation.get_friendly_name()).replace(".", "/")


def _may_have_a_grid(operation: Any) -> bool:
    if operation.get_output_size() != 1:
        return False
    shape = operation.get_output_partial_shape(0)
    return bool(
        shape.rank.is_static
        and shape.rank.get_length() in (3, 4)
        and operation.get_output_element_type(0).is_real()
    )


def _port_name(port: Any) -> str:
    return min(port.get_names(), default=str(port.get_node().get_friendly_name()))


def _shape_of(port: Any) -> list[int | None] | None:
    shape = port.get_partial_shape()
    if shape.rank.is_dynamic:
        return None
    return [None if length.is_dynamic else length.get_length() for length in shape]


_DTYPES = {
    "f32": torch.float32,
    "f16": torch.float16,
    "bf16": torch.float32,
    "f64": torch.float64,
    "u8": torch.uint8,
    "i32": torch.int32,
    "i64": torch.int64,
}


def _dtype_of(port: Any) -> torch.dtype | None:
    return _DTYPES.get(port.get_element_type().get_type_name())


def _hash(model: openvino.Model) -> bytes:
    """Hash operations and constants."""
    digest = hashlib.sha256()
    for operation in model.get_ordered_ops():
        digest.update(f"{operation.get_type_name()} {operation.get_friendly_name()}".encode())
        if operation.get_type_name() == "Constant":
            digest.update(np.ascontiguousarray(operation.get_data()).tobytes())
        else:
            digest.update(repr(sorted(operation.get_attributes().items(), key=str)).encode())
    return digest.digest()
