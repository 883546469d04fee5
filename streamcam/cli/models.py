"""``streamcam models``: list the networks by name."""

from __future__ import annotations

import click

from streamcam.cli.options import debug_option
from streamcam.cli.tables import print_table


@click.command("models", short_help="List the networks that can be explained.")
@click.argument("text", default="")
@debug_option
def models_command(*, text: str) -> None:
    """List all networks, or those whose name contains TEXT.

    Parameters, accuracy and input size are those of the published weights. Nothing is downloaded; "on disk"
    marks weights that are there already. A TEXT that begins with "timm:", as in timm:vit, lists timm's
    networks; only their input size and the name of their weights are known. "detection:" lists detectors and
    "video:" classifiers of clips.
    """
    from streamcam.errors import unknown_name
    from streamcam.models import known_models

    found = known_models(text)
    if not found:
        prefix, colon, _ = text.partition(":")
        known = [info.name for info in known_models(prefix + colon) or known_models()]
        raise unknown_name("model", text, known, listed_by="streamcam models")
    print_table(
        ("model", "parameters", "top-1", "input", "weights", "on disk"),
        [
            (
                info.name,
                "" if info.parameters is None else f"{info.parameters / 1e6:.1f} M",
                "" if info.accuracy is None else f"{info.accuracy:.1f} %",
                "" if info.input_size is None else f"{info.input_size}x{info.input_size}",
                info.weights,
                "yes" if info.on_disk else "",
            )
            for info in found
        ],
        numbers=("parameters", "top-1", "input"),
    )
    if not text:
        click.echo(
            "Also detection:NAME, video:NAME and timm:NAME (streamcam models timm: lists such), and your own "
            "as package.module:factory.",
            err=True,
        )
