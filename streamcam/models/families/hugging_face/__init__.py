"""Networks of Hugging Face's transformers in a local folder, as ``hf:FOLDER``, with ``streamcam[hf]``.

One module for each kind of network, a row in `LOADERS`, and in `ARCHITECTURES` the endings of their names.
"""

from __future__ import annotations

from collections.abc import Callable

from streamcam.errors import ModelError
from streamcam.models.base import Model
from streamcam.models.families.base import ModelFamily
from streamcam.models.families.hugging_face.classifiers import load_classifier
from streamcam.models.families.hugging_face.detectors import load_detector
from streamcam.models.families.hugging_face.folder import Folder
from streamcam.models.families.hugging_face.prompts import load_prompt_network
from streamcam.models.families.hugging_face.segmenters import load_segmenter
from streamcam.models.families.hugging_face.videos import load_video_classifier
from streamcam.models.kinds import Kind
from streamcam.models.model_names import ARCHITECTURES, FOLDER_PREFIX, kind_of_architecture
from streamcam.models.prompts import refuse_prompts
from streamcam.models.request import ModelRequest

LOADERS: dict[Kind, Callable[[Folder], Model]] = {
    "classifier": load_classifier,
    "segmenter": load_segmenter,
    "detector": load_detector,
    "clips": load_video_classifier,
    "prompts": load_prompt_network,
}
"""Kind of network → what makes a model of a folder."""


def _load(request: ModelRequest) -> Model:
    folder = Folder(request)
    kind = kind_of_architecture(folder.architecture)
    if kind is None:
        known = ", ".join(f"…{ending}" for ending in ARCHITECTURES)
        raise ModelError(f"{request.name} holds {folder.architecture}, and only {known} can be explained")
    if kind != "prompts":
        refuse_prompts(request)
    return LOADERS[kind](folder)


HUGGING_FACE = ModelFamily(lambda name: name.startswith(FOLDER_PREFIX), _load, lambda: (), takes_prompts=True)
