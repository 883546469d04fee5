"""Families of models: one module and one row in `FAMILIES` for each."""

from streamcam.models.families.base import ModelFamily
from streamcam.models.families.bundled import BUNDLED
from streamcam.models.families.clip import CLIP
from streamcam.models.families.detection import DETECTION
from streamcam.models.families.files import FILES
from streamcam.models.families.hugging_face import HUGGING_FACE
from streamcam.models.families.own import OWN
from streamcam.models.families.segmentation import SEGMENTATION
from streamcam.models.families.timm import TIMM
from streamcam.models.families.torchvision import TORCHVISION
from streamcam.models.families.ultralytics import ULTRALYTICS
from streamcam.models.families.video import VIDEO

FAMILIES: list[ModelFamily] = [
    BUNDLED,
    TORCHVISION,
    DETECTION,
    VIDEO,
    SEGMENTATION,
    TIMM,
    CLIP,
    HUGGING_FACE,
    ULTRALYTICS,
    FILES,
    OWN,
]
"""Every family, in the order in which a name is looked up; a row of your own goes before the others."""

__all__ = ["FAMILIES", "ModelFamily"]
