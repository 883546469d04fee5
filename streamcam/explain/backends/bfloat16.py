"""Prepare a converted network for bfloat16, so that little of its accuracy is lost.

Rounding every number to eight bits hurts in few places, and most of the error is systematic: it comes from
weights and biases, which are the same for every image. Three changes avoid it, at next to no cost:

- A spatial kernel's weights are rounded so that their sum stays what it was. Neighbouring activations are
  alike, so that what their products with the weights' errors add up to is nearly the sum of those errors.
- Biases stay in float32. OpenVINO rounds a bias to what the convolution puts out; behind an operation that
  changes nothing it is added to the sum of products before that is rounded.
- The first convolution, and those of single channels that follow it, are computed in float32: every later
  layer reads what they put out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from streamcam.models.openvino_runtime import core, load_openvino

if TYPE_CHECKING:
    import openvino

_CONVOLUTIONS = ("Convolution", "GroupConvolution")
_LARGEST = 3e38
"""More than any activation: a clamp to it changes nothing, and OpenVINO does not know that."""

# A network with a single operation that is marked to stay in float32. OpenVINO reads this mark from a file,
# and its Python API has no other way to make it.
_MARKED_NETWORK = """<?xml version="1.0"?>
<net name="marked" version="11">
  <layers>
    <layer id="0" name="input" type="Parameter" version="opset1">
      <data shape="1" element_type="f32"/>
      <output><port id="0" precision="FP32"><dim>1</dim></port></output>
    </layer>
    <layer id="1" name="marked" type="ReLU" version="opset1">
      <rt_info><attribute name="DisablePrecisionConversion" version="0" value="dynamic:f16"/></rt_info>
      <input><port id="0" precision="FP32"><dim>1</dim></port></input>
      <output><port id="1" precision="FP32"><dim>1</dim></port></output>
    </layer>
    <layer id="2" name="result" type="Result" version="opset1">
      <input><port id="0" precision="FP32"><dim>1</dim></port></input>
    </layer>
  </layers>
  <edges>
    <edge from-layer="0" from-port="0" to-layer="1" to-port="0"/>
    <edge from-layer="1" from-port="1" to-layer="2" to-port="0"/>
  </edges>
</net>"""


def prepare_for_bfloat16(model: openvino.Model) -> openvino.Model:
    """Return a copy of a network that loses less when it is compiled for bfloat16."""
    prepared = model.clone()
    operations = prepared.get_ordered_ops()
    convolutions = [each for each in operations if each.get_type_name() in _CONVOLUTIONS]
    rounded_from = next((each for each in convolutions[1:] if each.get_type_name() == "Convolution"), None)
    exact = operations[: operations.index(rounded_from)] if rounded_from is not None else []
    for operation in exact:
        if operation.get_type_name() not in ("Parameter", "Constant"):
            _keep_in_float32(operation)
    for convolution in convolutions:
        if convolution not in exact:
            _round_weights(convolution)
        _keep_bias(convolution)
    prepared.validate_nodes_and_infer_types()
    return prepared


def round_to_bfloat16(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Round each row to bfloat16 so that its sum stays what it was.

    The rounding error of each number is added to the next. The smallest number, with the smallest error,
    comes last.

    Args:
        weights: float32 (rows, n).

    Returns:
        float32 (rows, n), numbers that bfloat16 represents exactly.
    """
    order = np.argsort(-np.abs(weights), axis=1, kind="stable")
    ordered = np.take_along_axis(weights, order, axis=1)
    error = np.zeros(len(weights), np.float32)
    for column in range(weights.shape[1]):
        target = ordered[:, column] + error
        ordered[:, column] = _nearest_bfloat16(target)
        error = target - ordered[:, column]
    rounded = np.empty_like(ordered)
    np.put_along_axis(rounded, order, ordered, axis=1)
    return rounded


def _nearest_bfloat16(numbers: NDArray[np.float32]) -> NDArray[np.float32]:
    """Round to nearest, ties to even: bfloat16 is the upper half of a float32."""
    bits = numbers.view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
    return rounded.view(np.float32)


def _round_weights(convolution: Any) -> None:
    held = convolution.input_value(1).get_node()
    if held.get_type_name() != "Constant":
        return
    weights = np.array(held.data, np.float32)
    kernel = weights.shape[-1] * weights.shape[-2]
    if kernel == 1:
        return  # a point has no neighbours: OpenVINO's own rounding is the best there is
    rounded = round_to_bfloat16(weights.reshape(-1, kernel)).reshape(weights.shape)
    opset = load_openvino().opset13
    convolution.input(1).replace_source_output(opset.constant(rounded).output(0))


def _keep_bias(convolution: Any) -> None:
    readers = list(convolution.output(0).get_target_inputs())
    apart = load_openvino().opset13.clamp(convolution, -_LARGEST, _LARGEST)
    for reader in readers:
        reader.replace_source_output(apart.output(0))


def _keep_in_float32(operation: Any) -> None:
    (marked,) = (each for each in _marked_network().get_ops() if each.get_friendly_name() == "marked")
    for name, value in marked.get_rt_info().items():
        operation.set_rt_info(value, name)


def _marked_network() -> openvino.Model:
    return core().read_model(_MARKED_NETWORK.encode(), b"")
