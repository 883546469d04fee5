"""Refuse, before any network runs, methods and settings that do not go with each other or with a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from streamcam.errors import InvalidArgumentError, unknown_name
from streamcam.explain.methods import HEAD_ONLY, METHODS, parse_method
from streamcam.explain.targets import Target, TargetRequest, asks_for_objects
from streamcam.explanations import RATHER_THAN, UNTRUSTED_METHODS
from streamcam.models import AUTO, FITS, Layer, Model, Segmenter
from streamcam.models.kinds import Kind, check_use
from streamcam.models.model_names import kind_of

_KEEP_TO_OBJECTS = ("hirescam", "layercam", "gradcam-elementwise")
"""Methods that multiply activations and gradients place by place: heat stays where an object was found."""


_WITHOUT_GRADIENTS = "reciprocam"
"""The quickest method that needs none and shows a class."""


def check_settings(
    method: str, *, signed: bool, fit: str | None, top_k: int, batch_size: int | Literal["auto"]
) -> None:
    """Refuse settings that no model goes with.

    Args:
        method: A name in `METHODS`.
        signed: As for `Explainer`, like those below.
        fit: A name in `streamcam.models.FITS`, or None.
        top_k: Number of predictions to report.
        batch_size: Number of images at once.

    Raises:
        InvalidArgumentError: if a number is too small, or the method has no negative evidence.
        UnknownNameError: if there is no such fit.
    """
    if signed and not METHODS[method].signed:
        able = ", ".join(name for name, row in METHODS.items() if row.signed)
        raise InvalidArgumentError(
            f"method {method!r} has no negative evidence; `signed=True` works with {able}"
        )
    if fit is not None and fit not in FITS:
        raise unknown_name("fit", fit, FITS)
    if top_k < 0:
        raise InvalidArgumentError(f"`top_k` is 0 or more, not {top_k}")
    if batch_size != "auto" and batch_size < 1:
        raise InvalidArgumentError(f"`batch_size` is at least 1, not {batch_size}")


def check_method(method: str, model: Model, targets: Sequence[Target]) -> None:
    """Refuse methods that cannot explain what a model takes, or what is asked for.

    Args:
        method: A name in `METHODS`.
        model: The model that is explained.
        targets: What is explained of it.

    Raises:
        InvalidArgumentError: if the method cannot; it names those that can.
    """
    row = METHODS[method]
    needs = set(row.needs)
    if row.needs_gradients and model.no_gradients is not None:
        nearest, for_transformers = _WITHOUT_GRADIENTS, f"vit-{_WITHOUT_GRADIENTS}"
        able = [name for name, row in METHODS.items() if not row.needs_gradients]
        others = ", ".join(name for name in able if name not in (nearest, for_transformers))
        raise InvalidArgumentError(
            f"method {method!r} needs gradients, and {model.no_gradients}; set `method` to {nearest}, the "
            f"nearest without them ({for_transformers} for transformers), or to one of {others}"
        )
    if any(target.objects for target in targets) and not {"gradients"} <= needs <= HEAD_ONLY:
        names = [name for name, row in METHODS.items() if {"gradients"} <= set(row.needs) <= HEAD_ONLY]
        raise InvalidArgumentError(
            f"method {method!r} cannot explain objects one by one; use one of {', '.join(names)}"
        )
    _check_kind(method, model.kind, model.name)
    if row.criterion is not None and len(model.labels) < 2:
        raise InvalidArgumentError(
            f"method {method!r} compares a class with others, and {model.name} answers with one number; "
            "use gradcam or hirescam"
        )


def check_method_by_name(method: str, name: str) -> None:
    """Refuse a method that cannot explain a network whose kind its name tells, before it is loaded.

    Args:
        method: A name in `METHODS`, with its options, or ``"auto"``.
        name: Name of the network.

    Raises:
        InvalidArgumentError: if it cannot.
        UnknownNameError: if there is no such method.
    """
    kind = kind_of(name)
    if kind is not None and method != AUTO:
        _check_kind(parse_method(method)[0], kind, name)


def _check_kind(method: str, kind: Kind, name: str) -> None:
    row = METHODS[method]
    if kind == "detector" and method == "cam":
        raise InvalidArgumentError(
            f"method 'cam' is for classifiers that end in one linear layer, and {name} is a detector; "
            "use gradcam or hirescam"
        )
    if kind == "detector" and row.criterion is not None:
        raise InvalidArgumentError(
            f"method {method!r} compares classes of a whole image, and {name} is a detector; "
            "use gradcam, or name the other class with `against`"
        )
    if kind == "clips" and not set(row.needs) <= HEAD_ONLY:
        able = ", ".join(name for name, row in METHODS.items() if set(row.needs) <= HEAD_ONLY)
        raise InvalidArgumentError(
            f"method {method!r} explains single images, and {name} looks at clips; use one of {able}"
        )


def check_explains_classes(method: str, user: str) -> None:
    """Refuse methods whose maps are of no class.

    Args:
        method: A name in `METHODS`.
        user: What needs maps of classes, in words.

    Raises:
        InvalidArgumentError: if it is one.
    """
    if METHODS[method].finds_concepts:
        raise InvalidArgumentError(
            f"method {method!r} shows parts, whatever the class, and {user} needs the map of a class; set "
            "`method` to gradcam or hirescam"
        )


def check_layers(method: str, layers: Sequence[Layer]) -> None:
    """Refuse several layers for a method that takes one.

    Args:
        method: A name in `METHODS`.
        layers: The target layers.

    Raises:
        InvalidArgumentError: if there are several.
    """
    if METHODS[method].finds_concepts and len(layers) > 1:
        names = ", ".join(layer.name for layer in layers)
        raise InvalidArgumentError(
            f"method {method!r} takes one layer, not {len(layers)}; set `target_layer` to one of {names}"
        )


def same_maps_note(method: str, other: str) -> str:
    """Say that two methods give the same maps here, and where that is known, why.

    Args:
        method: Name of a method, with its options.
        other: Name of another one.
    """
    note = f"{method} and {other} give the same maps here"
    if {method, other} == {"gradcam", "hirescam"}:
        note += (
            ": behind this layer the network only averages over places and adds up, where both are equal; "
            "an earlier `target_layer` tells them apart"
        )
    return note


def choose_method(
    method: str, classes: TargetRequest | Sequence[TargetRequest] | None, model: Model | None = None
) -> str:
    """Return a method with its options, as `parse_method` takes it: what was asked for, if not ``"auto"``.

    Args:
        method: Name of a method with its options, or ``"auto"``.
        classes: What is to be explained.
        model: The network, where it is known already.
    """
    if method != AUTO:
        return method
    if asks_for_objects(classes):
        return "hirescam"
    if model is not None and model.no_gradients is not None:
        return _WITHOUT_GRADIENTS
    return "hirescam" if isinstance(model, Segmenter) else "gradcam"


def note_on_choice(method: str, model: Model) -> str | None:
    """Say why a method was chosen that is not the usual one; None where that is nothing to speak of.

    Args:
        method: The method that `choose_method` chose.
        model: The network.
    """
    if method != _WITHOUT_GRADIENTS:
        return None
    return f"{model.name} is explained by {method}, which needs no gradients"


def notes_on(method: str, targets: Sequence[Target], labels: Sequence[str]) -> Iterator[str]:
    """Yield what to know of a method's maps of some targets, a sentence each.

    Args:
        method: A name in `METHODS`.
        targets: What is explained.
        labels: Name of each class.
    """
    if method in UNTRUSTED_METHODS:
        yield UNTRUSTED_METHODS[method]
    if METHODS[method].finds_concepts:
        if any(target.class_index is not None or target.against is not None for target in targets):
            yield f"{method} shows the same parts whatever class is asked for"
        return
    if method not in _KEEP_TO_OBJECTS and any(target.objects for target in targets):
        yield (
            f"{method} weighs whole channels, so that heat of one object lies on others too; "
            "`method='hirescam'` keeps to each object"
        )
    for target in targets:
        if target.against is not None:
            ranked = "the most probable class" if not target.rank else f"the class at rank {target.rank + 1}"
            named = ranked if target.class_index is None else labels[target.class_index]
            subject = "each object" if target.objects else named
            yield f"the heat shows what speaks for {subject}{RATHER_THAN}{labels[target.against]}"


def aim(model: Model, at: Sequence[float]) -> Model:
    """Return a segmenter that scores classes at a place of the frame.

    Args:
        model: The model that is explained.
        at: A point (x, y) or a box (left, top, right, bottom), in pixels of the frame.

    Raises:
        InvalidArgumentError: if the model is no segmenter, or this is neither a point nor a box.
    """
    check_use("at", model.kind, model.name)
    assert isinstance(model, Segmenter)
    return model.aimed(at)
