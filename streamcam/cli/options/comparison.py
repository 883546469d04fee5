"""Options for what is compared."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

from streamcam.cli.options.declaring import grouped, option
from streamcam.cli.options.values import read_models, read_names
from streamcam.errors import InvalidArgumentError, StreamcamError

comparison_options = grouped(
    "comparison",
    option(
        "--methods",
        callback=read_names,
        metavar="NAMES",
        help="Methods to compare, with commas between them; streamcam methods lists all. "
        "[default: gradcam,hirescam,gradcam++,eigencam, unless anything else is compared]",
    ),
    option(
        "--layers",
        callback=read_names,
        metavar="NAMES|auto:N",
        help="Layers to compare, or auto:6 for six from the network's first stage to its last.",
    ),
    option("--models", callback=read_models, metavar="NAMES", help="Networks to compare."),
    option(
        "--classes",
        callback=read_names,
        metavar="NAMES",
        help="Classes to compare, by name or index; --target top4 compares the most probable ones.",
    ),
    option(
        "--prompts",
        "compared_prompts",
        callback=read_names,
        metavar="TEXTS",
        help="Texts to compare, of networks named clip:NAME.",
    ),
    option(
        "--smoothing-modes",
        "modes",
        callback=read_names,
        metavar="NAMES",
        help="Smoothing modes to compare.",
    ),
)
"""The fields of `streamcam.Comparison`: one of these, or two as rows and columns."""


@contextlib.contextmanager
def naming_prompts(compares: bool) -> Iterator[None]:
    """Return a context in which errors call prompts that are compared by the flag that was typed.

    Args:
        compares: Whether prompts are compared.
    """
    try:
        yield
    except StreamcamError as error:
        message = str(error).replace("`prompts`", "--prompts")
        if not compares or message == str(error):
            raise
        raise type(error)(message) from error


def take_comparison(
    comparison: dict[str, Any], model: dict[str, Any], explainer: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Sort out what is compared, and what is the same in all panes.

    Args:
        comparison: Values of `comparison_options`.
        model: Arguments of `streamcam.load_model`.
        explainer: Arguments of `streamcam.Explainer`.

    Returns:
        Arguments of `streamcam.Comparison`; and the other two as they hold for every pane.

    Raises:
        InvalidArgumentError: if something is compared and also the same in all panes.
    """
    compared: dict[str, Any] = {name: values or () for name, values in comparison.items()}
    prompts = compared.pop("compared_prompts")
    ranks = [name for name in explainer["classes"] if re.fullmatch(r"(top|instance).*", name, re.IGNORECASE)]
    fixed = [name for name in explainer["classes"] if name not in ranks]
    pairs = [
        ("--methods", compared["methods"], "--method", explainer["method"] != "auto"),
        ("--layers", compared["layers"], "--target-layer", explainer["target_layer"] != "auto"),
        ("--classes", compared["classes"] or ranks, "--class", fixed),
        ("--prompts", prompts, "--prompt", model["prompts"]),
        ("--prompts", prompts, "--classes", compared["classes"] or ranks or fixed),
    ]
    for several, values, single, value in pairs:
        if values and value:
            raise InvalidArgumentError(f"{several} and {single} cannot be combined; leave one out")
    for prompt in prompts:
        if prompts.count(prompt) > 1:
            raise InvalidArgumentError(f"--prompts has {prompt!r} twice; name it once")
    is_default = not any(compared.values()) and not ranks and not prompts
    if is_default and explainer["method"] != "auto":
        raise InvalidArgumentError("nothing differs between panes by --method; name several with --methods")
    compared["classes"] = (*compared["classes"], *ranks, *prompts)
    if prompts:
        model = {**model, "prompts": prompts}
    return compared, model, {**explainer, "classes": tuple(fixed)}
