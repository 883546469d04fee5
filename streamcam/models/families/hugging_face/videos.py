"""Classifiers of clips of transformers: VideoMAE, TimeSformer, ViViT, V-JEPA 2."""

from __future__ import annotations

import dataclasses

import torch

from streamcam.errors import InvalidArgumentError
from streamcam.models.base import Model
from streamcam.models.clip_classifier import ClipClassifier
from streamcam.models.families.hugging_face.folder import Folder, size_of

_EVERY = {"videomae": 4, "timesformer": 32, "vivit": 2, "vjepa2": 4}
"""Kind of network → of which of a video's frames, one of how many, its published weights had clips made."""

_USUAL_EVERY = 4
_VIDEO_FPS = 30.0
"""Of the videos of Kinetics, on which they were evaluated, as torchvision counts."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class FramesFirstClassifier(ClipClassifier):
    """A network that takes clips with frames before channels, (N, T, channels, H, W)."""

    one_shape: bool = False
    """Whether its positions are those of one shape of frames: it may not notice that others are wrong."""

    def answer(self, inputs: torch.Tensor) -> object:
        """Run the network on clips (N, channels, T, H, W).

        Raises:
            ValueError: if it does not take their shape.
        """
        height, width = inputs.shape[-2:]
        if self.one_shape and (width, height) != self.input.sides:
            raise ValueError(f"frames of {width}x{height} pixels")
        answer: object = self.module(self.input.as_taken(inputs).transpose(1, 2))
        return answer


def load_video_classifier(folder: Folder) -> Model:
    """Load a network that answers for a clip with one logit for each class.

    The folder says how many frames a clip has, and may say at what rate in the settings of its processor.
    Where it does not, it is that at which the published networks of its kind were evaluated.
    """
    spec, kind = folder.input_spec(), folder.config.get("model_type")
    one_shape = kind != "timesformer"  # which enlarges its table of positions
    if one_shape and folder.image_size is not None and spec.sides != size_of(folder.image_size):
        own, asked = ("x".join(map(str, size)) for size in (size_of(folder.image_size), spec.sides))
        raise InvalidArgumentError(
            f"{folder.request.name} takes only {own} pixels, so `input_size` cannot be {asked}"
        )
    module = folder.build("AutoModelForVideoClassification")
    names = folder.labels_of(module)
    classifier = folder.request.finish(module, spec, classes=len(names), weights=folder.origin, found=names)
    config = folder.config
    frames = int(config.get("num_frames") or config.get("frames_per_clip") or 16)
    rate = float(folder.processor.get("fps") or _VIDEO_FPS / _EVERY.get(str(kind), _USUAL_EVERY))
    return FramesFirstClassifier(**vars(classifier), frames=frames, rate=rate, one_shape=one_shape)
