"""Networks of Hugging Face's transformers in a local folder, as ``hf:FOLDER``, with ``streamcam[hf]``.

One module for each kind of network, and rows in `KINDS` for the endings of its architectures' names.
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
from streamcam.models.families.hugging_face.segmenters import load_query_segmenter, load_segmenter
from streamcam.models.families.hugging_face.videos import load_video_classifier
from streamcam.models.model_names import CLIP_ARCHITECTURE, FOLDER_PREFIX
from streamcam.models.prompts import refuse_prompts
from streamcam.models.request import ModelRequest

KINDS: dict[str, Callable[[Folder], Model]] = {
    "ForImageClassification": load_classifier,
    "ForSemanticSegmentation": load_segmenter,
    "ForUniversalSegmentation": load_query_segmenter,
    "ForInstanceSegmentation": load_query_segmenter,
    "ForObjectDetection": load_detector,
    CLIP_ARCHITECTURE: load_video_classifier,
    "CLIPModel": load_prompt_network,
    "MetaClip2Model": load_prompt_network,
    "SiglipModel": load_prompt_network,
    "Siglip2Model": load_prompt_network,
}
"""Ending of an architecture's name → what makes a model of a folder."""


def _load(request: ModelRequest) -> Model:
    folder = Folder(request)
    kind = next((ending for ending in KINDS if folder.architecture.endswith(ending)), None)
    if kind is None:
        known = ", ".join(f"…{ending}" for ending in KINDS)
        raise ModelError(f"{request.name} holds {folder.architecture}, and only {known} can be explained")
    if KINDS[kind] is not load_prompt_network:
        refuse_prompts(request)
    return KINDS[kind](folder)


HUGGING_FACE = ModelFamily(lambda name: name.startswith(FOLDER_PREFIX), _load, lambda: (), takes_prompts=True)
