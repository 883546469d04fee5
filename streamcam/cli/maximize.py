"""``streamcam maximize``: images that a class or a channel of a network likes best."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streamcam.cli.exit_codes import EXIT_DONE
from streamcam.cli.options import CLASS_NAME, debug_option, encoding_options, model_options, option
from streamcam.cli.options.values import COUNT, COUNT_FROM_0
from streamcam.cli.outcome import human_size
from streamcam.cli.output import say
from streamcam.cli.progress import ProgressLine, clock

if TYPE_CHECKING:
    from streamcam.frames import SourceInfo
    from streamcam.media.images import ByteArray, Image
    from streamcam.sinks import Sink
    from streamcam.synthesis import MaximizedImage

_RATE = Fraction(25)
_EVERY = 2
"""Each frame of a video shows this many steps."""
_HOLD_S = 1.0
"""How long the finished images are shown at its end."""


@click.command("maximize", short_help="Make images that a class or a channel likes best.")
@option("-o", "--output", required=True, metavar="FILE", help="An image, or a video that shows it grow.")
@option(
    "--class",
    "class_names",
    multiple=True,
    type=CLASS_NAME,
    metavar="NAME|INDEX",
    help="A class to make an image for. Repeat it for several, in a grid.",
)
@option(
    "--channel",
    "channels",
    multiple=True,
    metavar="LAYER:NUMBER",
    help="A channel of a layer, as in features.7:12; streamcam layers MODEL lists them. Repeat it.",
)
@option(
    "--from",
    "start",
    metavar="FILE[@SECONDS]",
    help="The image or frame to begin with, as in street.mp4@3.2: what would have to be there. "
    "[default: noise]",
)
@option(
    "--steps", type=COUNT, default_of="MaximizeSettings", metavar="NUMBER", help="Steps of gradient ascent."
)
@option(
    "--seed",
    type=COUNT_FROM_0,
    default_of="MaximizeSettings",
    metavar="NUMBER",
    help="Of the noise and of the random views: the same one gives the same image.",
)
@option(
    "--device", default_of="MaximizeSettings", metavar="NAME", help="Where to compute: auto, cpu, cuda, mps."
)
@option("--overwrite", is_flag=True, help="Replace an existing output.")
@model_options
@encoding_options
@option("--quiet", is_flag=True, help="Print nothing unless something is wrong.")
@debug_option
def maximize_command(
    *,
    output: str,
    class_names: tuple[str, ...],
    channels: tuple[str, ...],
    start: str | None,
    steps: int,
    seed: int,
    device: str,
    overwrite: bool,
    model: dict[str, Any],
    encoding: dict[str, Any],
    quiet: bool,
) -> int:
    """Make images that classes or channels of a network respond to most, by gradient ascent.

    They show what a network has learned to look for, and nothing of any video. With --from, the image stays
    near to a frame, and shows what would have to be there for it to be of the class.
    """
    from streamcam.errors import InvalidArgumentError
    from streamcam.files import check_output
    from streamcam.media.encoders import EncoderSettings
    from streamcam.models.kinds import check_takes_images
    from streamcam.models.model_names import kind_of
    from streamcam.sinks import (
        is_one_in_a_folder,
        open_sink,
        output_path,
        output_size,
        shows_images,
    )

    if not class_names and not channels:
        raise InvalidArgumentError("nothing to make: name a `class`, or a `channel`")
    check_takes_images(kind_of(model["name"]), model["name"], "maximizing")
    if not is_one_in_a_folder(output):
        check_output(output, overwrite=overwrite, inputs=())
    is_still = _is_still(output)
    if not shows_images(output):
        raise InvalidArgumentError(
            f"{output!r} shows no images; name an image or a video, as in espresso.png"
        )
    frame = None if start is None else _read_start(start)
    with contextlib.ExitStack() as opened, ProgressLine(quiet=quiet) as line:
        line.begin(f"loading {model['name']}")
        from streamcam.models import load_model
        from streamcam.synthesis import MaximizeSettings, draw_sheet, maximize

        settings = MaximizeSettings(class_names, channels, frame, steps, seed, device)
        settings.check()
        network = load_model(**model)
        encoder = EncoderSettings(**encoding)
        writer = _Output(
            lambda info: opened.enter_context(open_sink(output, info, settings=encoder, overwrite=overwrite))
        )
        begun = time.monotonic()

        def show(step: int, so_far: Callable[[], list[MaximizedImage]]) -> None:
            left_s = (time.monotonic() - begun) / step * (steps - step)
            line.begin(f"step {step} of {steps} · {clock(left_s)} left")
            if not is_still and step % _EVERY == 0:
                writer.write(draw_sheet(so_far()))

        images = maximize(network, settings, on_step=show)
        for _ in range(1 if is_still else round(_HOLD_S * _RATE)):
            writer.write(draw_sheet(images))
    for image in images:
        if image.is_dead:
            say(
                f"note: {image.name} answers to nothing that was tried: it is 0 at every place; another "
                "--seed may find something, or the layer before the activation",
                err=True,
            )
    if not quiet:
        for image in images:
            if image.probability is not None and image.least_probability is not None:
                say(
                    f"{image.name}: classified as such with {image.probability:.1%}, and with "
                    f"{image.least_probability:.1%} or more from elsewhere"
                )
            if image.answer is not None and not image.is_dead:
                say(f"{image.name}: answers with {image.answer:.3g} on average")
        say(f"wrote {click.format_filename(output)} ({human_size(output_size(output_path(output)))})")
    return EXIT_DONE


@dataclasses.dataclass(slots=True)
class _Output:
    """Numbers images, and opens the output with the first one, whose size it has."""

    open_with: Callable[[SourceInfo], Sink]
    sink: Sink | None = None
    count: int = 0

    def write(self, image: Image) -> None:
        from streamcam.explanations import RenderedFrame
        from streamcam.frames import SourceInfo

        if self.sink is None:
            self.sink = self.open_with(
                SourceInfo(
                    "maximize",
                    None,
                    width=image.width,
                    height=image.height,
                    time_base=1 / _RATE,
                    rate=_RATE,
                    pixel_format=image.format.name,
                )
            )
        self.sink.write(RenderedFrame(image, self.count, 1 / _RATE, duration=1))
        self.count += 1


def _is_still(output: str) -> bool:
    from streamcam.media.numbered_files import is_pattern
    from streamcam.sinks import IMAGE_SUFFIXES

    return Path(output).suffix.lower() in IMAGE_SUFFIXES and not is_pattern(Path(output))


def _read_start(text: str) -> ByteArray:
    """Read the image ``street.mp4@3.2`` stands for: the frame that is shown at 3.2 s."""
    from streamcam.errors import InvalidArgumentError, SourceError, SourceNotFoundError
    from streamcam.media.scaling import Resampler
    from streamcam.sources import SourceSettings, open_source

    name, _, seconds = text.rpartition("@")
    try:
        start_s = float(seconds) if name else None
    except ValueError:
        start_s = None
    with contextlib.ExitStack() as opened:
        try:
            found = open_source(text if start_s is None else name, SourceSettings(start_s=start_s))
        except SourceNotFoundError:
            if start_s is not None or not name:
                raise
            raise InvalidArgumentError(
                f"{text!r} names no file; write seconds behind the @ as a number, as in street.mp4@3.2"
            ) from None
        except SourceError:
            if not start_s:
                raise
            raise InvalidArgumentError(
                f"{name!r} has no frame at {start_s:g} s; name an earlier one"
            ) from None
        source = opened.enter_context(found)
        if source.is_live:
            raise InvalidArgumentError(f"{text!r} is live; name a file to begin with")
        return Resampler().to_shown(next(iter(source)).image)[..., :3]
