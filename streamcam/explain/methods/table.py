"""The table of methods: one row each, read by the command line, the documentation and the tests."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch

from streamcam.errors import InvalidArgumentError, unknown_name
from streamcam.explain.method_inputs import Criterion
from streamcam.explain.methods.activations import eigencam, eigengradcam, fem, kpcacam
from streamcam.explain.methods.attention import legrad
from streamcam.explain.methods.factorization import MOST_CONCEPTS, dff
from streamcam.explain.methods.gradients import (
    cam,
    gradcam,
    gradcam_elementwise,
    gradcam_plus_plus,
    hirescam,
    layercam,
    shapleycam,
    xgradcam,
)
from streamcam.explain.methods.input_gradients import fullgrad, guided_backprop, guided_gradcam
from streamcam.explain.methods.occlusion import count_occlusions, occlusion
from streamcam.explain.methods.perturbation import (
    ablationcam,
    iscam,
    scorecam,
    smooth_gradcam_plus_plus,
    sscam,
)
from streamcam.explain.methods.reciprocal import reciprocam, vit_reciprocam
from streamcam.explain.objectives import finer
from streamcam.explanations import UNTRUSTED_METHODS

Passes = Literal["one", "many", "full backward"]

HEAD_ONLY = frozenset({"activations", "gradients", "curvature"})
"""Inputs that need nothing of the network before the target layer."""

GRADIENT_FREE = frozenset({"activations", "basis", "inputs", "image_scorer", "scorer"})
"""Inputs that need no gradients."""

PASSES: dict[Passes, str] = {
    "one": "One pass, for video and live views",
    "full backward": "A full backward pass, a few times slower",
    "many": "Many passes, for still images and short scenes",
}
"""Cost of a method → its use, the fast ones first."""


@dataclasses.dataclass(frozen=True, slots=True)
class Method:
    """One row of the table of methods."""

    function: Callable[..., torch.Tensor]
    """A pure function. Its parameters name what it needs (see `MethodInputs`); those that
    can only be given by keyword are options with defaults."""
    title: str
    """Its authors' name for it."""
    paper: str | None
    """Address of its publication; None where there is none."""
    when: str
    """When to choose it, in a sentence."""
    passes: Passes = "one"
    """Its cost: one forward pass with gradients of the head, many passes, or a pass to the input."""
    criterion: Criterion | None = None
    """The criterion that is differentiated, if that is not the class's score."""
    combine: Literal["mean", "product"] = "mean"
    """How the maps of several layers become one."""
    stages: bool = False
    """Whether it takes several layers by default."""
    signed: bool = False
    """Whether negative values are evidence against the class."""
    count_runs: Callable[[tuple[int, int], Mapping[str, int | float]], int] | None = None
    """(width, height) of the input, options → how often it runs the network for one map, where that is known
    and much."""
    looks_at_values: bool = False
    """Whether what it does depends on what it finds, so that no device can repeat it by itself."""
    most: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """Option → its largest value, where there is one."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Its inputs: names of attributes of `streamcam.explain.method_inputs.MethodInputs`."""
        parameters = inspect.signature(self.function).parameters.values()
        return tuple(
            parameter.name for parameter in parameters if parameter.kind is not parameter.KEYWORD_ONLY
        )

    @property
    def needs_layer(self) -> bool:
        """Whether it needs layers; if not, any network that makes scores of images will do."""
        return self.needs != ("image_scorer",)

    @property
    def needs_gradients(self) -> bool:
        """Whether it differentiates the network, which not everything that runs a network can."""
        return not GRADIENT_FREE.issuperset(self.needs)

    @property
    def finds_concepts(self) -> bool:
        """Whether it takes images apart into concepts, which are the same whatever class is explained.

        Its function then returns a map of each, (N, C, h, w), and has an option ``concepts``, C.
        """
        return "basis" in self.needs

    @property
    def is_second_order(self) -> bool:
        """Whether it needs second derivatives of the network."""
        return "curvature" in self.needs

    @property
    def options(self) -> dict[str, int | float]:
        """Its options, with their defaults."""
        parameters = inspect.signature(self.function).parameters.values()
        return {
            parameter.name: parameter.default
            for parameter in parameters
            if parameter.kind is parameter.KEYWORD_ONLY
        }


METHODS: dict[str, Method] = {
    "cam": Method(
        cam,
        "CAM",
        "https://arxiv.org/abs/1512.04150",
        "The original; exact, for networks that end in global average pooling and one linear layer.",
        signed=True,
        looks_at_values=True,
    ),
    "gradcam": Method(
        gradcam,
        "Grad-CAM",
        "https://arxiv.org/abs/1610.02391",
        "The usual choice, and the one to compare with: any network, any class.",
        signed=True,
    ),
    "gradcam++": Method(
        gradcam_plus_plus,
        "Grad-CAM++",
        "https://arxiv.org/abs/1710.11063",
        "Several objects of one class, or objects that Grad-CAM shows only in part.",
    ),
    "hirescam": Method(
        hirescam,
        "HiResCAM",
        "https://arxiv.org/abs/2011.08891",
        "When the map must not show places that the network did not use.",
        signed=True,
    ),
    "gradcam-elementwise": Method(
        gradcam_elementwise,
        "Element-wise Grad-CAM",
        "https://github.com/jacobgil/pytorch-grad-cam",
        "HiResCAM without what speaks against the class: fuller maps, less exact ones.",
    ),
    "xgradcam": Method(
        xgradcam,
        "XGrad-CAM",
        "https://arxiv.org/abs/2008.02312",
        "Grad-CAM with weights that meet two axioms better; on ReLU networks often the same.",
        signed=True,
    ),
    "layercam": Method(
        layercam,
        "LayerCAM",
        "https://doi.org/10.1109/TIP.2021.3089943",
        "Fine detail from earlier layers, as with target layer layer2+layer3.",
    ),
    "eigencam": Method(
        eigencam,
        "Eigen-CAM",
        "https://arxiv.org/abs/2008.00299",
        "What stands out, whatever the class: needs no gradients.",
    ),
    "eigengradcam": Method(
        eigengradcam,
        "Eigen-Grad-CAM",
        "https://arxiv.org/abs/2008.00299",
        "Eigen-CAM that speaks of a class: little noise.",
    ),
    "kpcacam": Method(
        kpcacam,
        "KPCA-CAM",
        "https://arxiv.org/abs/2410.00267",
        "Eigen-CAM where what stands out is no straight line in feature space.",
        looks_at_values=True,
    ),
    "fem": Method(
        fem,
        "FEM",
        "https://hal.science/hal-02963298",
        "What excites the layer unusually, whatever the class: needs no gradients.",
    ),
    "dff": Method(
        dff,
        "Deep Feature Factorization",
        "https://arxiv.org/abs/1806.10206",
        "The parts that the network sees, each in its color, named by the class it speaks for.",
        looks_at_values=True,
        most={"concepts": MOST_CONCEPTS},
    ),
    "finercam": Method(
        gradcam,
        "Finer-CAM",
        "https://arxiv.org/abs/2501.11309",
        "What tells a class from those most like it, as one bird from another.",
        criterion=finer,
        signed=True,
    ),
    "shapleycam": Method(
        shapleycam,
        "ShapleyCAM",
        "https://arxiv.org/abs/2501.06261",
        "Heads that are not linear: Grad-CAM corrected to second order.",
        signed=True,
    ),
    "refinecam": Method(
        gradcam_plus_plus,
        "RefineCAM",
        "https://arxiv.org/abs/2605.14641",
        "Sharp maps: Grad-CAM++ of several layers, multiplied.",
        combine="product",
        stages=True,
    ),
    "scorecam": Method(
        scorecam,
        "Score-CAM",
        "https://arxiv.org/abs/1910.01279",
        "Still images, where gradients are noisy or vanish: asks what each channel alone lets through.",
        passes="many",
    ),
    "sscam": Method(
        sscam,
        "SS-CAM",
        "https://arxiv.org/abs/2006.14255",
        "Score-CAM, smoother: each channel tried with noise, at samples times its cost.",
        passes="many",
    ),
    "iscam": Method(
        iscam,
        "IS-CAM",
        "https://arxiv.org/abs/2010.03023",
        "Score-CAM that depends less on how bright a mask is, at samples times its cost.",
        passes="many",
    ),
    "ablationcam": Method(
        ablationcam,
        "Ablation-CAM",
        "https://doi.org/10.1109/WACV45572.2020.9093360",
        "Without gradients, and true to what the network really loses when a channel is missing.",
        passes="many",
    ),
    "reciprocam": Method(
        reciprocam,
        "Recipro-CAM",
        "https://arxiv.org/abs/2209.14074",
        "Without gradients and quicker than its like: asks what each place of the layer is worth alone.",
        passes="many",
    ),
    "vit-reciprocam": Method(
        vit_reciprocam,
        "ViT-ReciproCAM",
        "https://arxiv.org/abs/2310.02588",
        "Vision transformers without gradients or attention: each token with those around it.",
        passes="many",
    ),
    "smoothgradcam++": Method(
        smooth_gradcam_plus_plus,
        "Smooth Grad-CAM++",
        "https://arxiv.org/abs/1908.01224",
        "Grad-CAM++ that flickers less: the cheapest of the methods of many passes.",
        passes="many",
    ),
    "occlusion": Method(
        occlusion,
        "Occlusion",
        "https://arxiv.org/abs/1311.2901",
        "To check any other map: no layer, no gradients, only what the score loses when a place is covered.",
        passes="many",
        signed=True,
        count_runs=count_occlusions,
    ),
    "legrad": Method(
        legrad,
        "LeGrad",
        "https://arxiv.org/abs/2404.03214",
        "Vision transformers: reads the attention of all blocks instead of one layer's output.",
        passes="full backward",
    ),
    "guided-backprop": Method(
        guided_backprop,
        "Guided backpropagation",
        "https://arxiv.org/abs/1412.6806",
        f"To compare with old figures only. {UNTRUSTED_METHODS['guided-backprop']}.",
        passes="full backward",
    ),
    "guided-gradcam": Method(
        guided_gradcam,
        "Guided Grad-CAM",
        "https://arxiv.org/abs/1610.02391",
        f"To compare with old figures only. {UNTRUSTED_METHODS['guided-gradcam']}.",
        passes="full backward",
    ),
    "fullgrad": Method(
        fullgrad,
        "FullGrad",
        "https://arxiv.org/abs/1905.00780",
        "Smooth maps as fine as the image, from all layers of a convolutional network at once.",
        passes="full backward",
    ),
}
"""Every method by name, in the order of docs/methods.md and of the key in a live session: those of equal
`passes` together, each behind the one that it varies. To add one: a function and a row."""


def parse_method(text: str) -> tuple[str, dict[str, int | float]]:
    """Parse a method and its options, as in ``occlusion:patch=32,stride=16``.

    Returns:
        The method's name and the options given.

    Raises:
        UnknownNameError: if there is no such method or option.
        InvalidArgumentError: if an option's value is no number of the right kind.
    """
    name, _, rest = text.partition(":")
    if name not in METHODS:
        raise unknown_name("method", name, METHODS, listed_by="streamcam methods")
    defaults = METHODS[name].options
    options: dict[str, int | float] = {}
    for setting in filter(None, rest.split(",")):
        key, _, value = setting.partition("=")
        if key not in defaults:
            if not defaults:
                raise InvalidArgumentError(f"method {name!r} has no options, so not {key!r} either")
            raise unknown_name(f"option of {name}", key, defaults)
        options[key] = _number(name, key, value, like=defaults[key])
        most = METHODS[name].most.get(key)
        if most is not None and options[key] > most:
            raise InvalidArgumentError(f"{name}:{key} is {most} at most, not {value}")
    return name, options


def _number(method: str, key: str, value: str, *, like: int | float) -> int | float:
    kind = type(like)
    try:
        number = kind(value)
    except ValueError:
        number = -1
    if number <= 0 and not (like == 0 and number == 0):
        expected = "a whole number" if kind is int else "a number"
        raise InvalidArgumentError(
            f"{method}:{key} takes {expected} above 0, as in {key}={like}, not {value!r}"
        )
    return number


def method_call(method: Method, inputs: Any, options: Mapping[str, int | float]) -> torch.Tensor:
    """Call a method with the inputs that it needs; returns its map, float32 (N, h, w), or several."""
    return method.function(**{name: getattr(inputs, name) for name in method.needs}, **options).float()
