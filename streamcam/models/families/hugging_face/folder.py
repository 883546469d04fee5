"""A folder as transformers writes it: its configuration, its weights, and the input that it asks for."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from torch import nn

from streamcam.errors import InvalidArgumentError, ModelError, SourceNotFoundError, map_errors
from streamcam.models.base import InputSpec
from streamcam.models.labels import numbered_labels
from streamcam.models.model_names import FOLDER_PREFIX, check_name
from streamcam.models.refusals import in_words
from streamcam.models.request import DEFAULT_WEIGHTS, NO_WEIGHTS, ModelRequest

_CONFIG = "config.json"
_PROCESSORS = ("preprocessor_config.json", "video_preprocessor_config.json", "processor_config.json")
"""Files with the settings of what makes a network's input of images, by age."""


class Folder:
    """A request for the network in a folder, and what the folder's files say about it."""

    def __init__(self, request: ModelRequest) -> None:
        """Read the configuration.

        Args:
            request: Whose name is ``hf:`` and the folder.

        Raises:
            SourceNotFoundError: if there is no such folder, or no configuration in it.
            ModelError: if it cannot be read.
            InvalidArgumentError: if other weights are asked for than those of the folder.
        """
        self.request = request
        self.path = Path(request.name.removeprefix(FOLDER_PREFIX))
        check_name(request.name)
        self.config = _read_json(self.path / _CONFIG)
        if "architecture" in self.config and not self.config.get("architectures"):
            raise ModelError(f"{request.name} is a folder of timm; use timm:{self.path}")
        if request.weights not in (DEFAULT_WEIGHTS, NO_WEIGHTS):
            raise InvalidArgumentError(
                f"{request.name} holds its own weights; leave out `weights`, or use none"
            )
        self.architecture: str = next(
            iter(self.config.get("architectures") or ()), "a network without a head"
        )
        """Name of the class in transformers that wrote the folder."""

    @property
    def origin(self) -> str:
        """Origin of the weights, for reports."""
        return NO_WEIGHTS if self.request.weights == NO_WEIGHTS else str(self.path)

    def build(self, builder: str) -> nn.Module:
        """Build the network with the folder's weights, or untrained. Code in a folder is never run.

        Args:
            builder: A class of transformers that builds networks from configurations.

        Raises:
            ModelError: if transformers is not installed, or the folder is not complete.
        """
        transformers = import_transformers()
        auto: Any = getattr(transformers, builder)
        with self.reading(transformers):
            if self.request.weights == NO_WEIGHTS:
                config = transformers.AutoConfig.from_pretrained(self.path, local_files_only=True)
                module: nn.Module = auto.from_config(config)
            else:
                module, found = auto.from_pretrained(
                    self.path,
                    local_files_only=True,
                    use_safetensors=True,
                    output_loading_info=True,
                    ignore_mismatched_sizes=True,  # refused below, by name
                )
                self._check_complete(module, found["missing_keys"], found["mismatched_keys"])
        return module

    def _check_complete(
        self, module: nn.Module, missing: Iterable[str], mismatched: Iterable[tuple[str, Any, Any]]
    ) -> None:
        """Refuse a network of which transformers made up a part, as the classifier of one without a head.

        Args:
            module: The network.
            missing: What its file does not hold.
            mismatched: What has another shape there: its name, its shape there, and that in the network.
        """
        for name, held, own in sorted(mismatched):
            raise ModelError(
                f"the weights of {self.request.name} do not fit its configuration: "
                f"{name} is {tuple(held)}, not {tuple(own)}"
            )
        lacking = sorted(set(missing) & {name for name, _ in module.named_parameters()})
        if lacking:
            others = f" and {len(lacking) - 1} others" if len(lacking) > 1 else ""
            raise ModelError(
                f"{self.request.name} has no weights for {lacking[0]}{others}, which would be random; "
                "save the whole network, or use `weights='none'` for an untrained one"
            )

    @contextlib.contextmanager
    def reading(self, transformers: Any) -> Iterator[None]:
        """Return a context in which transformers prints nothing, and what it raises becomes one line."""

        def failure(error: Exception) -> ModelError:
            return ModelError(f"{self.request.name} cannot be loaded ({in_words(error)})")

        logging = transformers.utils.logging
        showed = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()
        # It warns of numbers of tokens in the configurations that SigLIP was published with, and in a table
        # of many lines of weights that are missing.
        verbosity = logging.get_verbosity()
        logging.set_verbosity_error()
        try:
            with map_errors(Exception, to=failure):
                yield
        finally:
            logging.set_verbosity(verbosity)
            if showed:
                logging.enable_progress_bar()

    def labels_of(self, module: nn.Module) -> tuple[str, ...]:
        """Return the names of the classes: those that were given, or those of the configuration.

        Raises:
            ModelError: if more or fewer were given than there are classes.
        """
        own = _own_labels(module)
        names = self.request.labels or own
        if len(names) != len(own):
            raise ModelError(
                f"{len(names)} labels were given for the {len(own)} classes of {self.request.name}; "
                "give one label for each class"
            )
        return names

    def input_spec(self) -> InputSpec:
        """Return the input that the folder's image processor makes, changed by what was requested."""
        return self.request.input_spec(self.published_input(InputSpec()))

    @functools.cached_property
    def processor(self) -> dict[str, Any]:
        """Settings of the folder's image or video processor; empty where it has none."""
        for name in _PROCESSORS:
            if (self.path / name).is_file():
                settings = _read_json(self.path / name)
                inner = settings.get("image_processor") or settings.get("video_processor")
                return dict(inner) if isinstance(inner, dict) else settings
        return {}

    @property
    def image_size(self) -> int | list[int] | None:
        """Side of the images that the network was made for, or (height, width); None if it does not say."""
        configs = (self.config, self.config.get("vision_config", {}))
        sizes = (config.get(key) for config in configs for key in ("image_size", "crop_size"))
        return next((size for size in sizes if size), None)

    def published_input(self, usual: InputSpec) -> InputSpec:
        """Return the input that the folder's image processor makes.

        Args:
            usual: What is usual for the kind of network, for all that the folder does not say.
        """
        settings = self.processor
        own = usual.sides if self.image_size is None else size_of(self.image_size)
        if not settings:
            short = usual.resize if self.image_size is None else min(own)
            return dataclasses.replace(usual, size=_as_side(own), resize=short)
        resize = size = size_of(settings["size"]) if settings.get("size") else own
        if settings.get("do_center_crop"):
            size = size_of(settings["crop_size"]) if settings.get("crop_size") else own
        mean, std = _scale_of(settings, usual)
        return InputSpec(_as_side(size), max(min(resize), min(size)), mean, std)


def import_transformers() -> Any:
    """Import transformers.

    Raises:
        ModelError: if it is not installed.
    """
    try:
        import transformers
    except ImportError as error:
        raise ModelError('models named hf:FOLDER need transformers: pip install "streamcam[hf]"') from error
    return transformers


def _own_labels(module: nn.Module) -> tuple[str, ...]:
    config: Any = module.config
    names = config.id2label or {}
    if sorted(map(int, names)) != list(range(config.num_labels)):
        return numbered_labels(config.num_labels)
    return tuple(name for _, name in sorted((int(index), str(name)) for index, name in names.items()))


def size_of(size: Any) -> tuple[int, int]:
    """Return (width, height) of a size as processors write it: a number, height and width, or an object."""
    if isinstance(size, list | tuple):
        return int(size[1]), int(size[0])
    sides: dict[str, Any] = size if isinstance(size, dict) else {"shortest_edge": size}
    short = sides.get("shortest_edge") or 224
    return int(sides.get("width", short)), int(sides.get("height", short))


def _as_side(size: tuple[int, int]) -> int | tuple[int, int]:
    return size[0] if size[0] == size[1] else size


def _scale_of(settings: dict[str, Any], usual: InputSpec) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation, on a scale of 0 to 1, of what a processor makes of pixels.

    It multiplies pixels of 0 to 255 by a factor, may subtract 1, and then normalizes.
    """
    mean = tuple(settings.get("image_mean") or usual.mean)
    std = tuple(settings.get("image_std") or usual.std)
    if settings.get("do_normalize") is False:
        mean, std = (0.0,) * len(mean), (1.0,) * len(std)
    factor = (
        255.0 if settings.get("do_rescale") is False else 255 * (settings.get("rescale_factor") or 1 / 255)
    )
    offset = 1.0 if settings.get("offset") or settings.get("rescale_offset") else 0.0
    if math.isclose(factor, 1.0) and not offset:
        return mean, std
    return tuple((value + offset) / factor for value in mean), tuple(value / factor for value in std)


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise SourceNotFoundError(
            f"no {path.name} in {str(path.parent)!r}; hf:FOLDER is a folder as save_pretrained writes it"
        )
    try:
        read = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{str(path)!r} cannot be read ({in_words(error)})") from error
    return dict(read)
