"""Networks of Hugging Face's transformers in a local folder, as ``hf:FOLDER``, with ``streamcam[hf]``."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from streamcam.errors import InvalidArgumentError, ModelError, SourceNotFoundError, map_errors
from streamcam.models.base import InputSpec, Model
from streamcam.models.detector import Candidates, Detector, softmax_log_odds
from streamcam.models.families.base import ModelFamily
from streamcam.models.labels import numbered_labels
from streamcam.models.refusals import in_words, refuse_answer
from streamcam.models.request import DEFAULT_WEIGHTS, NO_WEIGHTS, ModelRequest
from streamcam.models.segmenter import Segmenter

PREFIX = "hf:"

_CONFIG, _PREPROCESSOR = "config.json", "preprocessor_config.json"


class QuerySegmenter(Segmenter):
    """A network that finds masks and says what each shows, as MaskFormer and Mask2Former.

    As in its paper (https://arxiv.org/abs/2107.06278) a class has at a place the sum, over all masks, of the
    mask there times the probability of the class for that mask.
    """

    def places(self, answer: object) -> torch.Tensor:
        """Return how much of each class there is at each place, (N, classes, h, w), 0 or more."""
        kinds = answer.class_queries_logits.softmax(dim=-1)[..., :-1]  # type: ignore[attr-defined]
        masks = answer.masks_queries_logits.sigmoid()  # type: ignore[attr-defined]
        return torch.einsum("nqc,nqhw->nchw", kinds, masks)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class QueryDetector(Detector):
    """A network that looks for objects with a fixed number of queries, as DETR and what was made of it.

    As in Carion et al. 2020, "End-to-End Object Detection with Transformers",
    https://arxiv.org/abs/2005.12872, each query answers with a box and with logits. Where these have one
    column more than there are classes, it means "no object" and a softmax is over all; else each class has a
    sigmoid.
    """

    iou: float = 1.0
    """As in `Detector`. These networks learn to find each object once, so that nothing is suppressed."""
    levels: tuple[str, ...] = ()
    """See `Model.pyramid`."""
    layer: str = "auto"
    """See `Model.auto_layer`."""

    @property
    def pyramid(self) -> tuple[str, ...]:
        """As in `Model`."""
        return self.levels

    @property
    def auto_layer(self) -> str:
        """As in `Model`."""
        return self.layer

    def candidates(self, answer: object) -> Sequence[Candidates]:
        """Return the queries of each image.

        Raises:
            ModelError: if the network returned no logits and boxes.
        """
        logits, boxes = getattr(answer, "logits", None), getattr(answer, "pred_boxes", None)
        if not isinstance(logits, torch.Tensor) or not isinstance(boxes, torch.Tensor):
            raise refuse_answer(self.name, answer, logits)
        center, size = boxes.detach().float().chunk(2, dim=2)
        corners = torch.cat([center - size / 2, center + size / 2], dim=2)
        return [self._of_image(*pair) for pair in zip(corners, logits, strict=True)]

    def _of_image(self, boxes: torch.Tensor, logits: torch.Tensor) -> Candidates:
        classes, values = len(self.labels), logits.detach().float()
        if logits.shape[1] == classes + 1:
            return Candidates(
                boxes,
                values.softmax(dim=1)[:, :classes],
                lambda rows: softmax_log_odds(logits[rows])[:, :classes],
            )
        return Candidates(boxes, values.sigmoid(), lambda rows: logits[rows].float())


Finish = Callable[[ModelRequest, nn.Module, InputSpec, tuple[str, ...], str], Model]
"""(request, network, its input, names of its classes, origin of its weights) → the model."""


def _classifier(
    request: ModelRequest, module: nn.Module, spec: InputSpec, names: tuple[str, ...], weights: str
) -> Model:
    return request.finish(module, spec, classes=len(names), weights=weights, found=names)


def _segmenter(
    request: ModelRequest, module: nn.Module, spec: InputSpec, names: tuple[str, ...], weights: str
) -> Model:
    layer = "auto"
    if module.config.model_type == "segformer":  # type: ignore[union-attr]
        # The head reads all stages; the last one's tokens are normalized behind its blocks.
        norms = [name for name, part in module.named_modules() if isinstance(part, nn.LayerNorm)]
        layer = [name for name in norms if name.startswith("segformer.")][-1]
    return Segmenter(request.name, module, names, spec, weights, layer=layer)


def _query_segmenter(
    request: ModelRequest, module: nn.Module, spec: InputSpec, names: tuple[str, ...], weights: str
) -> Model:
    layer = "model.pixel_level_module.decoder.mask_projection"
    return QuerySegmenter(request.name, module, names, spec, weights, layer=layer)


def _detector(
    request: ModelRequest, module: nn.Module, spec: InputSpec, names: tuple[str, ...], weights: str
) -> Model:
    parts = [name for name, _ in module.named_modules()]
    levels = tuple(name for name in parts if name.rpartition(".")[0] in _LEVELS)
    layer = _ONE_LEVEL if _ONE_LEVEL in parts else "auto"  # a plain transformer's tokens, as of YOLOS
    return QueryDetector(
        request.name, module, names, spec, weights, levels=levels, layer=layer, **request.detection
    )


_LEVELS = ("model.decoder_input_proj", "model.input_proj", "model.backbone.projector.scale_layers")
"""Lists of layers, one for each resolution that is read: of RT-DETR and D-FINE, Deformable DETR, LW-DETR."""
_ONE_LEVEL = "model.input_projection"
"""The layer that leads from the backbone to the transformer in detectors of one resolution, as DETR."""


KINDS: dict[str, tuple[str, Finish]] = {
    "ForImageClassification": ("AutoModelForImageClassification", _classifier),
    "ForSemanticSegmentation": ("AutoModelForSemanticSegmentation", _segmenter),
    "ForUniversalSegmentation": ("AutoModelForUniversalSegmentation", _query_segmenter),
    "ForInstanceSegmentation": ("AutoModelForInstanceSegmentation", _query_segmenter),
    "ForObjectDetection": ("AutoModelForObjectDetection", _detector),
}
"""Ending of an architecture's name → the class of transformers that builds it, and what makes it a model."""


def _load(request: ModelRequest) -> Model:
    folder = Path(request.name.removeprefix(PREFIX))
    config = _read_json(folder / _CONFIG)
    if request.weights not in (DEFAULT_WEIGHTS, NO_WEIGHTS):
        raise InvalidArgumentError(f"{request.name} holds its own weights; leave out `weights`, or use none")
    architecture = next(iter(config.get("architectures") or ()), "a network without a head")
    kind = next((ending for ending in KINDS if architecture.endswith(ending)), None)
    if kind is None:
        known = ", ".join(f"…{ending}" for ending in KINDS)
        raise ModelError(f"{request.name} holds {architecture}, and only {known} can be explained")
    builder, finish = KINDS[kind]
    module = _build(request, folder, builder)
    names = request.labels or _labels_of(module)
    if len(names) != len(_labels_of(module)):
        raise ModelError(
            f"{len(names)} labels were given for the {len(_labels_of(module))} classes of {request.name}; "
            "give one label for each class"
        )
    origin = NO_WEIGHTS if request.weights == NO_WEIGHTS else str(folder)
    return finish(request, module, request.input_spec(_input_of(folder)), names, origin)


def _build(request: ModelRequest, folder: Path, builder: str) -> nn.Module:
    try:
        import transformers
    except ImportError as error:
        raise ModelError('models named hf:FOLDER need transformers: pip install "streamcam[hf]"') from error

    def failure(error: Exception) -> ModelError:
        return ModelError(f"{request.name} cannot be loaded ({in_words(error)})")

    auto: Any = getattr(transformers, builder)
    # Whatever transformers raises where a folder is incomplete. Code in a folder is never run.
    with map_errors(Exception, to=failure), _without_progress_bars(transformers.utils.logging):
        if request.weights == NO_WEIGHTS:
            config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
            module: nn.Module = auto.from_config(config)
        else:
            module = auto.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    return module


@contextlib.contextmanager
def _without_progress_bars(logging: Any) -> Iterator[None]:
    """Keep transformers from drawing over the terminal while it reads weights.

    Args:
        logging: `transformers.utils.logging`.
    """
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _labels_of(module: nn.Module) -> tuple[str, ...]:
    config: Any = module.config
    names = config.id2label or {}
    if sorted(map(int, names)) != list(range(config.num_labels)):
        return numbered_labels(config.num_labels)
    return tuple(name for _, name in sorted((int(index), str(name)) for index, name in names.items()))


def _input_of(folder: Path) -> InputSpec:
    """Return the input that the folder's image processor makes; the usual one where it has none."""
    if not (folder / _PREPROCESSOR).is_file():
        return InputSpec()
    settings = _read_json(folder / _PREPROCESSOR)
    resize = _size_of(settings.get("size"))
    size = _size_of(settings.get("crop_size")) if settings.get("do_center_crop") else resize
    mean, std = (tuple(settings.get(key) or default) for key, default in _USUAL.items())
    if settings.get("do_normalize") is False:
        mean, std = (0.0,) * len(mean), (1.0,) * len(std)
    side = size if size[0] != size[1] else size[0]
    return InputSpec(side, max(min(resize), min(size)), mean, std)


_USUAL = {"image_mean": (0.485, 0.456, 0.406), "image_std": (0.229, 0.224, 0.225)}


def _size_of(size: Any) -> tuple[int, int]:
    """Return (width, height) of a size as image processors write it: a number, or an object."""
    sides: dict[str, Any] = size if isinstance(size, dict) else {"shortest_edge": size}
    short = sides.get("shortest_edge") or 224
    return int(sides.get("width", short)), int(sides.get("height", short))


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


HUGGING_FACE = ModelFamily(lambda name: name.startswith(PREFIX), _load, lambda: ())
