"""Networks in files of their own, by their path: ONNX, OpenVINO, exported programs, TorchScript, modules."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path, PurePath

import torch
from torch import nn

from streamcam.errors import InvalidArgumentError
from streamcam.models.base import InputSpec, Model
from streamcam.models.check_images import check_images
from streamcam.models.checkpoint_labels import labels_beside, labels_in
from streamcam.models.compiled import uncompiled
from streamcam.models.families.base import ModelFamily
from streamcam.models.families.own import importable_from_here, model_of, put_into_float32
from streamcam.models.files.answers import answers_at_places, model_by_answer
from streamcam.models.files.onnx_conversion import ConversionError, convert_onnx
from streamcam.models.files.openvino_network import OpenVinoNetwork, convert_program, open_openvino
from streamcam.models.files.programs import kind_of_program, open_exported, open_pickled, open_scripted
from streamcam.models.refusals import refuse_input
from streamcam.models.request import ModelRequest

_TOLERANCE = 1e-3
"""How far a converted network's answers may be from the file's, as a fraction of the largest."""


def _load(request: ModelRequest) -> Model:
    if request.weights_file is not None:
        raise InvalidArgumentError(f"{request.name} has its weights in it; leave `weights` out")
    path = Path(request.name)
    return _OPENERS[path.suffix.lower()](request, path)


def _load_onnx(request: ModelRequest, path: Path) -> Model:
    network = open_openvino(path, request.name)
    spec = network.given.spec(request)
    try:
        module, texts = convert_onnx(path, network.given)
    except ConversionError as error:
        return _without_gradients(request, network, spec, f"{error}")
    if not _agree(module.eval(), network, spec):
        return _without_gradients(request, network, spec, "onnx2torch computes it differently from OpenVINO")
    return _finish(request, module, spec, labels_in(texts))


def _load_openvino(request: ModelRequest, path: Path) -> Model:
    network = open_openvino(path, request.name)
    return _finish(request, network, network.given.spec(request), None)


def _load_exported(request: ModelRequest, path: Path) -> Model:
    module, given = open_exported(path, request.name)
    return _finish(request, module.eval(), given.spec(request), None)


def _load_torch(request: ModelRequest, path: Path) -> Model:
    """Load a file of PyTorch by what it holds."""
    kind = kind_of_program(path)
    if kind == "exported":
        return _load_exported(request, path)
    if kind == "scripted":
        return _load_scripted(request, path)
    with importable_from_here():  # its classes may come from modules that lie here
        module, loaded, note = open_pickled(
            path, request.name, trust_pickle=request.trust_pickle, key=request.weights_key
        )
        request.read.append(note)
        module = put_into_float32(uncompiled(module), request)
        model = model_of(request, module, request.name, labels_in(loaded))
    notes = (*model.notes, f"{request.name!r} was trusted: code in it may have run")
    return model.renamed(model.name, labels=model.labels, weights=model.weights, notes=notes)


def _load_scripted(request: ModelRequest, path: Path) -> Model:
    program = open_scripted(path)
    spec = request.input_spec(InputSpec())
    if answers_at_places(program, spec):
        network = convert_program(program, spec, request.name)
        if network is None or not _agree(program, network, spec):
            return _finish(request, program, spec, None)
        return _finish(request, network, spec, None)
    model = model_of(request, program, request.name, labels_beside(path))
    network = convert_program(program, model.input, request.name)
    if network is None or not _agree(program, network, model.input):
        return model
    return model.with_module(network)


def _without_gradients(
    request: ModelRequest, network: OpenVinoNetwork, spec: InputSpec, reason: str
) -> Model:
    network.no_gradients += f" (it cannot be converted for them: {reason})"
    model = _finish(request, network, spec, None)
    note = f"OpenVINO runs {request.name} without gradients, for which it cannot be converted: {reason}"
    return dataclasses.replace(model, notes=(*model.notes, note))


def _finish(
    request: ModelRequest, module: nn.Module, spec: InputSpec, found: tuple[str, ...] | None
) -> Model:
    found = found or labels_beside(Path(request.name))
    return model_by_answer(request, module, spec, _run(request, module, spec), found)


def _run(request: ModelRequest, module: nn.Module, spec: InputSpec) -> object:
    """Run a network on an image, to see what it returns."""
    try:
        with torch.no_grad():
            return module(_images(spec)[:1])
    except Exception as error:  # whatever a network raises
        raise refuse_input(request.name, module, error, spec) from error


def _agree(module: nn.Module, network: nn.Module, spec: InputSpec) -> bool:
    """Return whether two networks answer alike."""
    images = _images(spec)
    answers = []
    with torch.no_grad():
        for one in (module, network):
            try:
                answer = one(images[:1])
            except Exception:  # whatever a network raises
                return False
            answers.append(list(answer.values()) if isinstance(answer, dict) else [answer])
    return all(
        isinstance(ours, torch.Tensor)
        and ours.shape == theirs.shape
        and torch.allclose(
            ours.float(), theirs, rtol=0, atol=_TOLERANCE * float(theirs.abs().max()), equal_nan=True
        )
        for ours, theirs in zip(*answers, strict=True)
    )


def _images(spec: InputSpec) -> torch.Tensor:
    width, height = spec.sides
    pixels = torch.from_numpy(check_images(height, width, 1)).movedim(-1, 1)
    return spec.as_taken(spec.normalize(pixels))


_OPENERS: dict[str, Callable[[ModelRequest, Path], Model]] = {
    ".onnx": _load_onnx,
    ".xml": _load_openvino,
    ".pt2": _load_exported,
    **dict.fromkeys((".pt", ".pth", ".ts", ".jit", ".torchscript"), _load_torch),
}
"""Suffix → what opens such files."""


def _accepts(name: str) -> bool:
    opener = _OPENERS.get(PurePath(name).suffix.lower())
    # A file of weights is no network.
    return opener is not None and (opener is not _load_torch or kind_of_program(Path(name)) is not None)


FILES = ModelFamily(_accepts, _load, lambda: ())
