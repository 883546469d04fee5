"""Graphs as ONNX files, compared with torch by onnxruntime."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from streamcam.errors import ModelError
from streamcam.explain.activities import announce
from streamcam.explain.compiled.tracing import TracedGraphs
from streamcam.explain.exported.container import GraphEntries, input_names
from streamcam.explain.precision_check import close_to
from streamcam.models.check_images import check_images
from streamcam.models.geometry import Size

if TYPE_CHECKING:
    from streamcam.explain.explainer import Explainer

_OPSET = 17
_IMAGES = "images"
_TOLERANCE = 1e-4
"""How far onnxruntime's values may be from torch's, as a fraction of the largest."""


def as_onnx(
    explainer: Explainer, traced: Mapping[Size, TracedGraphs], batch_size: int
) -> tuple[tuple[GraphEntries, ...], dict[str, bytes]]:
    """Return the graphs, and the ONNX files by name.

    The backbone takes normalized images, float32 (N, C, H, W) of any size where the network allows it.

    Args:
        explainer: What is exported, in float32.
        traced: Its graphs for each size of input.
        batch_size: Size of batches.

    Raises:
        ModelError: if torch cannot write them, or onnxruntime computes something else.
    """
    split = explainer.runner.split
    assert split is not None
    entries: dict[str, bytes] = {}
    graphs = []
    for (width, height), each in traced.items():
        announce(f"writing ONNX for {width}x{height}")
        size = f"{width}x{height}"
        pixels = torch.from_numpy(check_images(height, width, batch_size)).permute(0, 3, 1, 2)
        images = explainer.model.prepare(pixels).contiguous()
        with torch.no_grad():
            features = tuple(output.float() for output in split.backbone_in_torch(images))
        backbone = "backbone.onnx"
        if backbone not in entries:
            entries[backbone] = _write(split.backbone_in_torch, [images], [_IMAGES], features, any_size=True)
        if not _gives(entries[backbone], [_IMAGES], [images], features):
            # Some networks' Python looks at the size of their input, and writing the file fixes that size.
            backbone = f"backbone-{size}.onnx"
            entries[backbone] = _write(split.backbone_in_torch, [images], [_IMAGES], features, any_size=False)
            _check(entries[backbone], [_IMAGES], [images], features)
        weights, *_ = each.inputs
        names = input_names(1 + len(features))
        scores_of, maps_of = each.steps
        head, maps = f"head-{size}.onnx", f"maps-{size}.onnx"
        for entry, module, inputs, named in (
            (head, scores_of, features, names[1:]),
            (maps, maps_of, (weights, *features), names),
        ):
            with torch.no_grad():
                expected = (module(*inputs),)
            entries[entry] = _write(module, inputs, named, expected, any_size=False)
            _check(entries[entry], named, inputs, expected)
        graphs.append(GraphEntries(width, height, backbone, head, maps, "fp32"))
    return tuple(graphs), entries


def _write(
    module: torch.nn.Module,
    inputs: Sequence[torch.Tensor],
    names: Sequence[str],
    outputs: Sequence[torch.Tensor],
    *,
    any_size: bool,
) -> bytes:
    file = io.BytesIO()
    export: Callable[..., Any] = torch.onnx.export
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # about traced sizes, and that there is another exporter
        try:
            export(
                module,
                tuple(inputs),
                file,
                input_names=list(names),
                output_names=[f"output_{number}" for number in range(len(outputs))],
                dynamic_axes={name: {0: "N", 2: "H", 3: "W"} for name in names} if any_size else None,
                opset_version=_OPSET,
                dynamo=False,
            )
        except Exception as error:  # its errors have no class in common
            raise ModelError(
                f"torch cannot write this network as ONNX ({' '.join(str(error).split())[:200]}); "
                "use `format='openvino'`"
            ) from error
    return file.getvalue()


def _check(
    content: bytes, names: Sequence[str], inputs: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]
) -> None:
    if not _gives(content, names, inputs, expected):
        raise ModelError(
            "onnxruntime computes something else than torch, so nothing was written; use `format='openvino'`"
        )


def _gives(
    content: bytes, names: Sequence[str], inputs: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]
) -> bool:
    """Return whether onnxruntime gives torch's values."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # its warnings are about what it leaves out
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        taken = {port.name for port in session.get_inputs()}
        found = session.run(
            None,
            {name: value.numpy() for name, value in zip(names, inputs, strict=True) if name in taken},
        )
    except Exception:  # its errors have no class in common
        return False
    return all(
        ours.shape == tuple(torchs.shape) and close_to(ours, torchs.numpy(), _TOLERANCE)
        for ours, torchs in zip(found, expected, strict=True)
    )
