"""Your own networks, as ``package.module:factory``."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import inspect
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from streamcam.errors import InvalidArgumentError, ModelError, UnknownNameError, map_errors, unknown_name
from streamcam.models.base import InputSpec, Model
from streamcam.models.classifier import Classifier
from streamcam.models.comparison import SIMILARITY_LABELS, PairModel, two_embeddings
from streamcam.models.compiled import start_evaluating, uncompiled
from streamcam.models.detector import Detector
from streamcam.models.families.base import ModelFamily
from streamcam.models.families.detection import detector_of, is_torchvision_detector
from streamcam.models.float32 import to_float32
from streamcam.models.labels import numbered_labels
from streamcam.models.model_names import check_name
from streamcam.models.refusals import in_words, refuse_input, takes_two_images
from streamcam.models.refused_answers import describe
from streamcam.models.request import ModelRequest, changed_counts
from streamcam.models.self_preparing import SelfPreparingClassifier, prepares_itself
from streamcam.models.state_dicts import StateDict, load_into, match_names

_logger = logging.getLogger("streamcam.models")


def _load(request: ModelRequest) -> Model:
    check_name(request.name)
    made = _make(request.name, request.num_classes)
    if isinstance(made, Model):
        return _finish(made, request)
    return _with_weights(made, request, "as its factory makes it", can_make_again=True)


def load_module(network: nn.Module | Model, request: ModelRequest) -> Model:
    """Make a model of a network that is at hand, in place.

    Args:
        network: The network, or a model that is complete but for its weights and labels.
        request: What was asked for; its name is that of the network.

    Raises:
        InvalidArgumentError: if it was asked for what cannot be changed.
        ModelError: if it is no network for images, or weights or labels do not fit.
    """
    if request.num_classes is not None:
        raise InvalidArgumentError(f"{request.name} is made already; leave `num_classes` out")
    if isinstance(network, Model):
        return _finish(network.uncompiled(), request)
    return _with_weights(uncompiled(network), request, "as they were given", can_make_again=False)


def _with_weights(made: nn.Module, request: ModelRequest, origin: str, *, can_make_again: bool) -> Model:
    """Read the weights of a network, if they are in a file, and make a model of it."""
    module, found = put_into_float32(made, request), None
    if request.weights_file is not None:
        origin = str(request.weights_file)
        tensors = request.read_weights()
        found = tensors.labels
        if can_make_again:
            module = _for_classes_in(tensors, module, request)
        load_into(module, tensors, model=request.name, origin=origin)
    return model_of(request, module, origin, found)


def model_of(
    request: ModelRequest, module: nn.Module, origin: str, found: tuple[str, ...] | None = None
) -> Model:
    """Make a model of any network, by what it takes and returns when it is tried.

    Args:
        request: What was asked for.
        module: The network, in float32, on the CPU.
        origin: Where its weights came from.
        found: Names of its classes, where they came with it.

    Raises:
        ModelError: if it is no network for images, or not one that makes scores.
    """
    if is_torchvision_detector(module):
        return detector_of(request, module, origin, found=found)
    spec = request.input_spec(InputSpec())
    start_evaluating(module)
    if prepares_itself(module):
        return _self_preparing(module, request, spec, origin, found)
    if takes_two_images(module, spec):
        return _pair(module, request, spec, origin, found)
    spec, classes = _try(module, request, spec)
    # Not ImageNet's labels, even for 1,000 classes: nothing says that they are those.
    return request.finish(module, spec, classes=classes, weights=origin, labels=numbered_labels, found=found)


def _pair(
    module: nn.Module, request: ModelRequest, spec: InputSpec, origin: str, found: tuple[str, ...] | None
) -> Classifier:
    """Make a model of a network that compares two images."""
    width, height = spec.sides
    image = torch.zeros(1, spec.channels, height, width)
    with torch.no_grad():
        answer = module(image, image)
    pair = PairModel(request.name, module, (), spec, "", request.logits_key)
    made = request.finish(
        module,
        spec,
        classes=pair.find_logits(answer).shape[1],
        weights=origin,
        labels=numbered_labels,
        found=found,
        kind=PairModel,
    )
    if request.labels is not None or request.logits_key is not None or two_embeddings(answer) is None:
        return made
    return made.renamed(made.name, labels=SIMILARITY_LABELS, weights=origin, notes=made.notes)


def _self_preparing(
    module: nn.Module, request: ModelRequest, spec: InputSpec, origin: str, found: tuple[str, ...] | None
) -> Classifier:
    """Make a model of a network that makes its own input of pixels."""
    for parameter in ("mean", "std"):
        if getattr(request, parameter) is not None:
            raise InvalidArgumentError(
                f"{request.name} makes its own input, so `{parameter}` cannot be changed; leave it out"
            )
    width, height = spec.sides
    model = SelfPreparingClassifier(request.name, module, (), spec, "", request.logits_key)
    pixels = torch.zeros(1, 3 * model.images_at_once, height, width, dtype=torch.uint8)
    inputs = model.prepare(pixels)

    def failure(error: Exception) -> ModelError:
        return ModelError(
            f"{request.name} does not run on what its prepare() makes, {describe(inputs)} "
            f"({in_words(error)}); make what its forward() takes, or set `input_size`"
        )

    with map_errors(Exception, to=failure), torch.no_grad():
        answer = module(inputs)
    return request.finish(
        module,
        spec,
        classes=model.find_logits(answer).shape[1],
        weights=origin,
        labels=numbered_labels,
        found=found,
        kind=SelfPreparingClassifier,
    )


def _for_classes_in(tensors: StateDict, module: nn.Module, request: ModelRequest) -> nn.Module:
    """Make the network again for the number of classes in a file, if its factory takes that."""
    own = module.state_dict()
    counts = changed_counts(match_names(tensors, own), own)
    if counts is None or request.num_classes is not None:
        return module
    try:
        made = _make(request.name, counts[1])
    except InvalidArgumentError:  # the message about the shapes says more
        return module
    return put_into_float32(made, request) if isinstance(made, nn.Module) else module


def put_into_float32(module: nn.Module, request: ModelRequest) -> nn.Module:
    """Put a network onto the CPU, in float32."""
    spec = request.input_spec(InputSpec())
    return to_float32(start_evaluating(module.to("cpu")), lambda one: _run_on_any(one, spec))


def _run_on_any(module: nn.Module, spec: InputSpec) -> None:
    """Run a network on an image in the first form that it takes."""
    pixels = torch.zeros(1, 3, *reversed(spec.sides), dtype=torch.uint8)
    image = spec.normalize(pixels)
    if prepares_itself(module):
        image = SelfPreparingClassifier("", module, (), spec, "").prepare(pixels)
    forms = [(image,), (image, image), *((image.to(dtype),) for dtype in (torch.uint8, torch.int64))]
    for form in forms:
        with contextlib.suppress(Exception):  # whatever a network raises
            module(*form)
            return
    module(image)


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
        tensors = request.read_weights()
        load_into(model.module, tensors, model=request.name, origin=weights)
        if request.labels is None and tensors.labels is not None and len(tensors.labels) == len(labels):
            labels = tensors.labels
    if isinstance(model, Detector):
        model = dataclasses.replace(model, **request.detection)
    return model.renamed(request.name, labels=labels, weights=weights, notes=(*model.notes, *request.notes()))


def _make(name: str, num_classes: int | None) -> nn.Module | Model:
    module_name, _, factory_name = name.partition(":")
    with importable_from_here():  # the factory may import what it needs only when it runs
        factory = _factory(_import(module_name, name), factory_name, name)
        settings = None if num_classes is None else {"num_classes": num_classes}
        if settings is not None and not _takes(factory, "num_classes"):
            raise InvalidArgumentError(
                f"{name} takes no argument num_classes; leave `num_classes` out, or let the function take it"
            )
        with map_errors(Exception, to=lambda error: ModelError(f"{name} failed: {in_words(error)}")):
            made = factory() if settings is None else factory(**settings)
    if not isinstance(made, nn.Module | Model):
        raise ModelError(f"{name} returned {_a_thing(made)}, not a torch.nn.Module or a streamcam Model")
    return made.uncompiled() if isinstance(made, Model) else uncompiled(made)


def _takes(factory: Callable[..., Any], argument: str) -> bool:
    try:
        parameters = inspect.signature(factory).parameters
    except (TypeError, ValueError):  # of compiled code
        return False
    return argument in parameters or any(one.kind is one.VAR_KEYWORD for one in parameters.values())


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
        raise ModelError(f"importing {module_name} failed: {in_words(error)}") from error


@contextlib.contextmanager
def importable_from_here() -> Iterator[None]:
    """Let modules in the current directory be imported, as ``python -m`` does."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)


def _factory(module: ModuleType, factory_name: str, name: str) -> Callable[..., Any]:
    found: Any = module
    for part in factory_name.split("."):
        if not hasattr(found, part):
            callables = [key for key, value in vars(module).items() if callable(value) and key[0] != "_"]
            raise unknown_name(f"factory in {module.__name__}", factory_name, callables)
        found = getattr(found, part)
    if not callable(found):
        raise ModelError(f"{name} is {_a_thing(found)}, not a function that makes a torch.nn.Module")
    factory: Callable[..., Any] = found
    return factory


def _try(module: nn.Module, request: ModelRequest, spec: InputSpec) -> tuple[InputSpec, int]:
    """Run the network once, on the CPU, to see what numbers it takes and how many logits it returns."""
    width, height = spec.sides
    image = torch.zeros(1, spec.channels, height, width)
    refusal: Exception | None = None
    for dtype in (torch.float32, torch.uint8, torch.int64):
        try:
            with torch.no_grad():
                answer = module(image.to(dtype))
        except Exception as error:  # whatever a network raises
            refusal = refusal or error
        else:
            spec = dataclasses.replace(spec, dtype=dtype)
            break
    else:
        assert refusal is not None
        raise refuse_input(request.name, module, refusal, spec) from refusal
    if dtype != torch.float32:
        _logger.info("%s takes %s: it gets pixels from 0 to 255", request.name, dtype)
    logits = Classifier(request.name, module, (), spec, "", request.logits_key).find_logits(answer)
    if len(logits) != 1:
        raise ModelError(
            f"{request.name} returns {len(logits)} answers for one image; return a torch.nn.Module around it "
            "that makes logits (N, classes) of N images"
        )
    return spec, logits.shape[1]


def _a_thing(value: object) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"


OWN = ModelFamily(lambda name: ":" in name, _load, lambda: ())
