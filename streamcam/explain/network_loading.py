"""Load networks for explainers, once what is asked of them goes with their kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from streamcam.explain.calibration import check_calibration
from streamcam.explain.targets import object_requests, refuse_objects
from streamcam.models.default_model import DEFAULT_MODEL
from streamcam.models.kinds import USES, check_use, refuse_missing_texts
from streamcam.models.model_names import kind_of

if TYPE_CHECKING:
    from streamcam.models import Model


def check_by_name(name: str, settings: Mapping[str, Any]) -> None:
    """Refuse what a network cannot do, if its name tells its kind; without torch, in a moment.

    Args:
        name: Name of the network.
        settings: Arguments of `streamcam.load_model` and of `streamcam.Explainer`.

    Raises:
        InvalidArgumentError: if a setting is for another kind of network, or a text is missing.
    """
    kind = kind_of(name)
    if kind is None:
        return
    for parameter in USES:
        value = settings.get(parameter)
        if value is not None and not (isinstance(value, Sequence) and not value):
            check_use(parameter, kind, name)
    for request in object_requests(settings.get("classes")):
        if kind != "detector":
            raise refuse_objects(request, name)
    if kind == "prompts" and not settings.get("prompts") and settings.get("reference") is None:
        raise refuse_missing_texts(name)


def load_network(model: Mapping[str, Any], settings: Mapping[str, Any], methods: Iterable[str] = ()) -> Model:
    """Load a model for explainers of these settings, in torch.

    Args:
        model: Arguments of `streamcam.load_model`.
        settings: Arguments of `streamcam.Explainer`.
        methods: Other methods than that of the settings, with their options.

    Raises:
        StreamcamError: one of its subclasses, as from `streamcam.load_model`; before anything is loaded where
            the name tells that the network cannot do what is asked, or int8 cannot be calibrated.
    """
    name = model.get("name", DEFAULT_MODEL)
    check_by_name(name, {**model, **settings})
    check_calibration(settings.get("precision"), settings.get("calibration"))
    from streamcam.explain.compatibility import check_method_by_name  # and torch
    from streamcam.models import load_model

    for method in (settings.get("method"), *methods):
        if method is not None:
            check_method_by_name(method, name)
    any_shape, compares = settings.get("fit") == "full", settings.get("reference") is not None
    return load_model(**model, any_shape=any_shape, compares=compares)
