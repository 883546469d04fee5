"""Image classifiers of transformers."""

from __future__ import annotations

from streamcam.models.base import Model
from streamcam.models.families.hugging_face.folder import Folder


def load_classifier(folder: Folder) -> Model:
    """Load a network that answers with one logit for each class."""
    module = folder.build("AutoModelForImageClassification")
    names = folder.labels_of(module)
    return folder.request.finish(
        module, folder.input_spec(), classes=len(names), weights=folder.origin, found=names
    )
