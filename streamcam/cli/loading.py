"""From options to what commands work with: the settings of a render, and explainers."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from streamcam.cli.progress import ProgressLine, showing_activities
from streamcam.milestones import reach

if TYPE_CHECKING:
    from streamcam.explain import Explainer
    from streamcam.explain.compiled.explainer import CompiledExplainer
    from streamcam.pipeline.settings import RenderSettings
    from streamcam.sources import Location


def render_settings(
    *,
    part: dict[str, Any],
    reading: dict[str, Any],
    overlay: dict[str, Any],
    localization: dict[str, Any],
    temporal: dict[str, Any],
    encoding: dict[str, Any],
    **others: Any,
) -> RenderSettings:
    """Return the settings of a render from its groups of options.

    Args:
        part: Which part of the input is read.
        reading: How it is read.
        overlay: How heat and labels look.
        localization: Where things are looked for in the heat.
        temporal: How heat is smoothed in time.
        encoding: How a video is encoded.
        others: The other fields of `RenderSettings`.
    """
    from streamcam.localization import LocalizationSettings
    from streamcam.media.encoders import EncoderSettings
    from streamcam.overlay import OverlaySettings
    from streamcam.pipeline.settings import RenderSettings
    from streamcam.sources import SourceSettings
    from streamcam.temporal import TemporalSettings

    return RenderSettings(
        source=SourceSettings(**part, **reading, depth=encoding["depth"], chroma=encoding["chroma"]),
        temporal=TemporalSettings(**temporal),
        overlay=OverlaySettings(**overlay),
        localization=LocalizationSettings(**localization),
        encoder=EncoderSettings(**encoding),
        **others,
    )


def calibrated_by(explainer: dict[str, Any], source: str) -> dict[str, Any]:
    """Return an explainer's arguments, with what int8 is calibrated by: the input, if nothing is named."""
    if explainer["precision"] != "int8" or explainer["calibration"] is not None:
        return explainer
    return {**explainer, "calibration": source}


def refuse_stills(sources: Sequence[Location], model: str) -> None:
    """Refuse images, if there is nothing else, for a network that is known by its name to look at clips.

    Of other sources beside them each image is refused in its turn.

    Raises:
        InvalidArgumentError: if all sources are still images, before anything is loaded.
    """
    from streamcam.models.model_names import takes_clips

    if not sources or not takes_clips(model):
        return
    from streamcam.pipeline.outputs import still_refusal
    from streamcam.sources import is_still

    if all(map(is_still, sources)):
        raise still_refusal(str(sources[0]), model)


def load_explainers(
    model: dict[str, Any],
    explainer: dict[str, Any],
    line: ProgressLine,
    names: Sequence[str] = (),
    methods: Sequence[str] = (),
) -> list[Explainer]:
    """Load networks, and return an explainer of each.

    Only here the slow import: mistakes in files and settings are reported before.

    Args:
        model: Arguments of `load_model`.
        explainer: Arguments of `Explainer`.
        line: Shows what is being done.
        names: The networks; the one that `model` names if there are none.
        methods: Methods that they are compared by.
    """
    names = names or (model["name"],)
    line.begin(f"loading {', '.join(names)}")
    from streamcam.explain.network_loading import load_network

    asked, explainer = explainer["method"], {**explainer, "method": chosen_method(explainer["method"])}
    networks = [load_network({**model, "name": name}, explainer, methods) for name in names]
    chosen_method(asked, networks[0].name)  # of an evaluation of another network, refuses it
    from streamcam.explain import Explainer

    with showing_loading(line):
        return [Explainer(network, **explainer) for network in networks]


def chosen_method(method: str, model: str | None = None) -> str:
    """Return the method to explain by: of ``best:FILE.json`` the one that an evaluation recommends.

    Args:
        method: As the user wrote it.
        model: Name of the network; None if it is not known yet.
    """
    prefix, _, name = method.partition(":")
    if prefix != "best":
        return method
    if not name:
        from streamcam.errors import InvalidArgumentError

        raise InvalidArgumentError(
            "`method=best` chooses for the render of one video; name a method here, or give best:FILE.json"
        )
    from streamcam.saved_evaluations import check_network, read_best, read_evaluation

    if model is not None:
        check_network(read_evaluation(name), name, model)
    return read_best(name)


def load_explainer(
    model: dict[str, Any], explainer: dict[str, Any], line: ProgressLine
) -> Explainer | CompiledExplainer:
    """Load what explains frames: a network, or without torch what was compiled of it before.

    Args:
        model: Arguments of `load_model`.
        explainer: Arguments of `Explainer`.
        line: Shows what is being done, until the first frames.
    """
    line.begin(f"loading {model['name']}")
    from streamcam.explain.compiled.loading import load_explainer as load

    method = chosen_method(explainer["method"])
    with showing_loading(line):
        loaded = load(model, {**explainer, "method": method})
    reach("the explainer is loaded")
    if method != explainer["method"]:
        chosen_method(explainer["method"], loaded.describe()["model"])
        line.note(f"{explainer['method'].partition(':')[2]} recommends {method}")
    return loaded


def showing_loading(line: ProgressLine) -> contextlib.AbstractContextManager[None]:
    """Show what is being done, and say what the method will cost and why a start is slow."""
    return showing_activities(line.begin, {"cost": line.note, "remark": line.note})
