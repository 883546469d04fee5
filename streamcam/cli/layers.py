"""``streamcam layers``: list the layers of a network, their output shapes, and which can be explained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from streamcam.cli.options import debug_option, fit_option, option, own_model_options
from streamcam.cli.options.values import read_model
from streamcam.cli.tables import print_table

if TYPE_CHECKING:
    from streamcam.models import Layer


@click.command("layers", short_help="List the layers of a network that can be explained.")
@click.argument("model", callback=read_model)
@option("--all", "every", is_flag=True, help="Also list the layers that cannot be explained.")
@option(
    "--weights",
    default="none",
    metavar="FILE",
    help="As for render; the layers do not depend on it. [default: none, so nothing is downloaded]",
)
@fit_option
@own_model_options
@debug_option
def layers_command(
    *, model: str, every: bool, weights: str, fit: str | None, own_model: dict[str, Any]
) -> None:
    """List the layers of MODEL that --target-layer accepts, in the order in which they run.

    Grids are those of a 16:9 frame. "auto" marks the layer that is explained by default.
    """
    from streamcam.errors import ModelError
    from streamcam.explain.network_loading import load_network
    from streamcam.models import choose_target_layers, default_layer, probe_model

    classifier = load_network({"name": model, "weights": weights, **own_model}, {"fit": fit})
    probe = probe_model(classifier, fit)
    try:
        chosen = {
            layer.name
            for layer in choose_target_layers(probe.layers, default_layer(classifier, probe.layers))
        }
    except ModelError:
        if not every:
            raise
        chosen = set()
    print_table(
        ("layer", "kind", "output", "grid", "channels", "auto"),
        [_row(layer, chosen) for layer in probe.layers if every or layer.explains or layer.name in chosen],
        numbers=("grid", "channels"),
    )
    for note in (*classifier.notes, *([probe.note] if probe.note else [])):
        click.echo(f"note: {note}", err=True)


def _row(layer: Layer, chosen: set[str]) -> tuple[str, ...]:
    grid, channels = "", ""
    if layer.grid is not None:
        rows, columns = layer.grid
        grid, channels = f"{columns}x{rows}", str(layer.channels)
    output = "x".join(map(str, layer.shape[1:]))
    return layer.name, layer.kind, output, grid, channels, "auto" if layer.name in chosen else ""
