"""Your own networks, as ``package.module:factory``."""

from __future__ import annotations

import dataclasses
import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from streamcam.errors import InvalidArgumentError, ModelError, UnknownNameError, map_errors, unknown_name
from streamcam.models.base import InputSpec, Model
from streamcam.models.classifier import Classifier
from streamcam.models.detector import Detector
from streamcam.models.families.base import ModelFamily
from streamcam.models.families.detection import detector_of, is_torchvision_detector
from streamcam.models.labels import numbered_labels
from streamcam.models.refusals import refuse
from streamcam.models.request import ModelRequest
from streamcam.models.weights import load_into, read_state_dict


def _load(request: ModelRequest) -> Model:
    made = _make(request.name)
    if isinstance(made, Model):
        return _finish(made, request)
    module = made.to("cpu", torch.float32)
    origin = "as its factory makes it"
    if request.weights_file is not None:
        origin = str(request.weights_file)
        load_into(module, read_state_dict(request.weights_file), model=request.name, origin=origin)
    if is_torchvision_detector(module):
        return detector_of(request, module, origin)
    spec = request.input_spec(InputSpec())
    classes = _count_classes(module, request, spec)
    # Not ImageNet's labels, even for 1,000 classes: nothing says that they are those.
    return request.finish(module, spec, classes=classes, weights=origin, labels=numbered_labels)


def _finish(model: Model, request: ModelRequest) -> Model:
    """Apply to a model that its factory completed what a request may change of it."""
    for parameter in ("input_size", "mean", "std", "logits_key", "activation"):
        if getattr(request, parameter) is not None:
            raise InvalidArgumentError(
                f"{request.name} returns a complete model, so `{parameter}` cannot be changed; leave it out"
            )
    labels, weights = model.labels, model.weights
    if request.labels is not None:
        if len(request.labels) != len(labels):
            raise ModelError(
                f"{len(request.labels)} labels were given for the {len(labels)} classes of {request.name}; "
                "give one label for each class"
            )
        labels = request.labels
    if request.weights_file is not None:
        weights = str(request.weights_file)
        load_into(model.module, read_state_dict(request.weights_file), model=request.name, origin=weights)
    if isinstance(model, Detector):
        model = dataclasses.replace(model, **request.detection)
    return model.renamed(request.name, labels=labels, weights=weights)


def _make(name: str) -> nn.Module | Model:
    module_name, _, factory_name = name.partition(":")
    with _importable_from_here():  # the factory may import what it needs only when it runs
        factory = _factory(_import(module_name, name), factory_name, name)
        with map_errors(Exception, to=lambda error: ModelError(f"{name} failed: {_in_words(error)}")):
            made = factory()
    if not isinstance(made, nn.Module | Model):
        raise ModelError(f"{name} returned {_a_thing(made)}, not a torch.nn.Module or a streamcam Model")
    return made


def _import(module_name: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(module_name)
    except Exception as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if not module_name or (missing is not None and f"{module_name}.".startswith(f"{missing}.")):
            raise UnknownNameError(
                f"unknown model {name!r}; there is no module {missing or module_name!r} in "
                f"{str(Path.cwd())!r} or among what is installed"
            ) from error
        raise ModelError(f"importing {module_name} failed: {_in_words(error)}") from error


@contextmanager
def _importable_from_here() -> Iterator[None]:
    """Let modules in the current directory be imported, as ``python -m`` does."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)


def _factory(module: ModuleType, factory_name: str, name: str) -> Callable[[], Any]:
    found: Any = module
    for part in factory_name.split("."):
        if not hasattr(found, part):
            callables = [key for key, value in vars(module).items() if callable(value) and key[0] != "_"]
            raise unknown_name(f"factory in {module.__name__}", factory_name, callables)
        found = getattr(found, part)
    if not callable(found):
        raise ModelError(f"{name} is {_a_thing(found)}, not a function that makes a torch.nn.Module")
    factory: Callable[[], Any] = found
    return factory


def _count_classes(module: nn.Module, request: ModelRequest, spec: InputSpec) -> int:
    """Run the network once, on the CPU, to see the number of its logits."""
    reader = Classifier(request.name, module, (), spec, "", request.logits_key)
    image = torch.zeros(1, spec.channels, spec.size, spec.size)

    def refusal(error: Exception) -> ModelError:
        size = f"{spec.channels} channels and {spec.size}x{spec.size} pixels"
        return refuse(request.name, module, error, size, _in_words(error))

    with map_errors(Exception, to=refusal), torch.no_grad():
        output = module.eval()(image)
    return reader.find_logits(output).shape[1]


def _in_words(error: Exception) -> str:
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _a_thing(value: object) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"


OWN = ModelFamily(lambda name: ":" in name, _load, lambda: ())
