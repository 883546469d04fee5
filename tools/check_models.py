"""Explain one image with every model, and check the target layer and the maps.

The built-in networks, all of torchvision's, a member of each of timm's families, some of open_clip's and of
ultralytics', one of each kind of Hugging Face's transformers and one in each kind of file are built
untrained, one after another, and explain an image of noise, or a clip that repeats it, by Grad-CAM and
HiResCAM. A model passes if both maps are finite and not constant. Nothing is downloaded.

    python tools/check_models.py [--family NAME] [--only TEXT] [--methods] [--write]

With --methods all methods are tried but those that run the network once for every channel, which tests try on
small networks. A method has to give such a map, or to refuse the model in words. With --write, the rows of
the models that were checked replace theirs in docs/models.md, after each model, so that runs of a few add up.

The exit code is 1 if a model fails. All of them take an hour on two cores.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers_networks import NETWORKS, save

from streamcam.errors import StreamcamError
from streamcam.explain import Explainer
from streamcam.explain.methods import METHODS
from streamcam.models import Model, known_models, load_model
from streamcam.models.families import FAMILIES

# Networks of larger images are built for this side: the layers are the same and the time is not.
LARGEST_SIDE = 256
SMALLER_SIDE = 224
CLIP_SIDE = 112
"""Of networks of clips that take any."""

USUAL_METHODS = ("gradcam", "hirescam")

TABLE = Path(__file__).parents[1] / "docs" / "models.md"

IMAGE = np.random.default_rng(0).integers(0, 256, (9, 16, 3), dtype=np.uint8).repeat(20, 0).repeat(20, 1)
"""Squares of noise, so that places differ at the resolution of a network too."""

TIMM = """
    resnet18 resnetv2_18 resnext26ts resnest14d res2net50_14w_8s skresnet18 wide_resnet50_2 resnet10t
    convnext_atto convnextv2_atto convnext_zepto_rms inception_next_atto convmixer_768_32 mambaout_femto
    efficientnet_b0 efficientnet_lite0 tf_efficientnetv2_b0 mixnet_s mnasnet_100 spnasnet_100 hardcorenas_a
    mobilenetv2_050 mobilenetv3_small_050 mobilenetv4_conv_small mobilenetv4_hybrid_medium mobileone_s0
    vit_tiny_patch16_224 vit_small_patch32_224 vit_wee_patch16_reg1_gap_256 vit_medium_patch16_reg4_gap_256
    vit_medium_patch16_gap_240 vit_small_patch14_reg4_dinov2 vit_small_patch16_dinov3
    vit_relpos_small_patch16_224 vit_tiny_r_s16_p8_224 deit_tiny_patch16_224
    deit_tiny_distilled_patch16_224 deit3_small_patch16_224
    beit_base_patch16_224 beitv2_base_patch16_224 eva02_tiny_patch14_224 eva02_tiny_patch14_336
    flexivit_small vitamin_small_224
    cait_xxs24_224 xcit_nano_12_p16_224 convit_tiny crossvit_tiny_240 tnt_s_patch16_224 pit_ti_224
    pit_ti_distilled_224 coat_tiny coat_lite_tiny visformer_tiny levit_128s hiera_tiny_224 mvitv2_tiny
    swin_tiny_patch4_window7_224 swinv2_tiny_window8_256 swinv2_cr_tiny_224 nest_tiny_jx gcvit_xxtiny
    twins_pcpvt_small twins_svt_small pvt_v2_b0 davit_tiny focalnet_tiny_srf tiny_vit_5m_224 nextvit_small
    maxvit_nano_rw_256 maxvit_rmlp_pico_rw_256 maxxvitv2_nano_rw_256 coatnet_0_rw_224 coatnet_nano_rw_224
    poolformer_s12 poolformerv2_s12 caformer_s18 convformer_s18 sequencer2d_s mixer_s32_224 resmlp_12_224
    gmixer_24_224 gmlp_ti16_224
    mobilevit_xxs mobilevitv2_050 edgenext_xx_small efficientformer_l1 efficientformerv2_s0 fastvit_t8
    efficientvit_b0 efficientvit_m0 repvit_m0_9 swiftformer_xs starnet_s1 shvit_s1 ghostnet_100 ghostnetv2_100
    repghostnet_050 lcnet_050 tinynet_e rexnet_100 hgnet_tiny hgnetv2_b0 repvgg_a0
    regnetx_002 regnety_002 densenet121 rdnet_tiny dla34 dpn68 nf_regnet_b0 dm_nfnet_f0 hrnet_w18_small
    inception_v3 inception_v4 inception_resnet_v2 legacy_xception xception41 legacy_seresnet18 vovnet39a
    ese_vovnet19b_dw selecsls42b cspresnet50 darknet53 vgg11 tresnet_m
    botnet26t_256 halonet26t lambda_resnet26t bat_resnext26ts
"""
"""One small member of each of timm's families that are classifiers."""

CLIP = "RN50 ViT-B-32 ViT-B-16-plus-240 convnext_base coca_ViT-B-32 EVA02-B-16 MobileCLIP-S1"
"""One member of each of open_clip's families whose texts need no download."""

ULTRALYTICS = "yolov3-tiny yolov5n yolov6n yolov8n yolov9t yolov10n yolo11n yolo12n yolo26n"
"""The smallest of each of ultralytics' generations."""

SAMPLES = {"timm:": TIMM, "clip:": CLIP, "ultralytics:": ULTRALYTICS}
"""Prefix of a family → those of its networks that are checked; all that are listed of another."""

FILES = "onnx pt2"
"""Kinds of files that hold a network whose layers can be read, as ``file:KIND``."""

PROMPTS = ("a cat", "a cup")


@dataclasses.dataclass(frozen=True)
class Row:
    """Result of one model."""

    model: str
    parameters: int = 0
    fit: str = ""
    layer: str = ""
    grid: str = ""
    """Of the map, columns by rows."""
    finite: bool = False
    varied: bool = False
    """Whether the maps are not constant."""
    seconds: float = 0.0
    refused: tuple[str, ...] = ()
    """Methods that refuse the model."""
    error: str = ""

    @property
    def is_fine(self) -> bool:
        return self.finite and self.varied and not self.error

    @property
    def cells(self) -> tuple[str, ...]:
        return (
            self.model,
            f"{self.parameters / 1e6:.1f} M",
            self.fit,
            self.layer,
            self.grid,
            "yes" if self.finite else "no",
            "yes" if self.varied else "no",
            f"{self.seconds:.1f}",
            ("ok" if self.is_fine else f"FAILED {self.error}".strip())
            + (f", refused by {' '.join(self.refused)}" if self.refused else ""),
        )


HEADERS = ("model", "parameters", "fit", "layer", "grid", "finite", "varied", "seconds", "result")
WIDTHS = (40, 10, 7, 40, 7, 6, 6, 7, 6)


def check(name: str, methods: Sequence[str]) -> Row:
    """Build a model, explain an image of noise by some methods, and say what came of it."""
    started = time.perf_counter()
    try:
        row = _explain(untrained(name), methods)
    except StreamcamError as error:
        row = Row(name, error=str(error))
    return dataclasses.replace(row, model=name, seconds=time.perf_counter() - started)


def untrained(name: str) -> Model:
    """Build a model without weights, by its name as in `wanted`."""
    torch.manual_seed(0)
    family, _, rest = name.rpartition(":")
    with tempfile.TemporaryDirectory() as folder:
        if family == "hf":
            model = _saved(rest, Path(folder))
        elif family == "file":
            model = _in_file(Path(folder) / f"network.{rest}")
        else:
            model = _built(name)
    # Some begin with a classifier of zeros, whose gradients would be zeros too.
    for part in model.module.modules():
        if isinstance(part, nn.Linear | nn.Conv2d) and not part.weight.any():
            nn.init.normal_(part.weight, std=0.02)
    if family != "file":  # which has its statistics from elsewhere
        _settle(model)
    return model


def _built(name: str) -> Model:
    family, _, rest = name.rpartition(":")
    side = _published_side(name)
    if family in ("", "timm"):
        small = SMALLER_SIDE if side is not None and side > LARGEST_SIDE else None
    elif family == "video":
        small = None if rest.startswith(("mvit", "s3d")) else CLIP_SIDE
    else:
        small = None if rest.startswith("ssd") or family == "clip" else SMALLER_SIDE
    return load_model(
        name,
        weights="none",
        input_size=small,
        prompts=PROMPTS if family == "clip" else (),
        confidence=0.0 if family in ("detection", "ultralytics") else None,
    )


def _saved(name: str, folder: Path) -> Model:
    """Load a network of `NETWORKS` of transformers from its folder."""
    save(name, folder)
    architecture, _ = NETWORKS[name]
    prompts = PROMPTS if architecture.endswith("Model") else ()
    confidence = 0.0 if architecture.endswith("Detection") else None
    return load_model(f"hf:{folder}", prompts=prompts, confidence=confidence)


def _in_file(path: Path) -> Model:
    """Load a network of torchvision from a file that other programs write of such."""
    network = _built("resnet18")
    _settle(network)
    image = torch.zeros(1, 3, *network.input.sides)
    if path.suffix == ".onnx":
        torch.onnx.export(network.module, (image,), path, dynamo=False)
    else:
        torch.export.save(torch.export.export(network.module, (image,)), path)
    return load_model(str(path))


def _settle(model: Model) -> None:
    """Give batch normalization the statistics of the image: else signals fade in some networks."""
    kinds = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d
    norms = [part for part in model.module.modules() if isinstance(part, kinds)]
    for norm in norms:
        norm.train().momentum = 1.0
        if norm.affine and not norm.weight.any():  # a block that is to add nothing at first
            nn.init.ones_(norm.weight)
    if norms:
        width, height = model.input.sides
        pixels = torch.from_numpy(IMAGE).permute(2, 0, 1).unsqueeze(0).float()
        pixels = F.interpolate(pixels, (height, width), mode="bilinear").repeat(2, 1, 1, 1)
        if model.clip_length > 1:
            pixels = pixels.unsqueeze(2).repeat(1, 1, model.clip_length, 1, 1)
        with torch.no_grad():
            model.forward(model.prepare(pixels))
    model.module.eval()


def _published_side(name: str) -> int | None:
    return next((info.input_size for info in known_models(name) if info.name == name), None)


def _explain(model: Model, methods: Sequence[str]) -> Row:
    finite = varied = True
    refused = []
    for method in methods:
        # Signed, so that a map of nothing but evidence against the class is not taken for an empty one.
        signed = METHODS[method].signed
        try:
            classes = "instances" if model.finds_objects else None  # of a class, they may find none
            explainer = Explainer(model, method=method, classes=classes, signed=signed, backend="torch")
            (explanation,) = explainer.explain([IMAGE])
        except StreamcamError:
            if method in USUAL_METHODS:
                raise
            refused.append(method)
            continue
        heatmap = next(iter(explanation.heatmaps.values()))
        finite &= bool(np.isfinite(heatmap).all()) and "not finite" not in explanation.flags.values()
        varied &= bool(np.ptp(heatmap) > 1e-4 * np.abs(heatmap).max())
    rows, columns = heatmap.shape
    parameters = sum(parameter.numel() for parameter in model.module.parameters())
    grid = f"{columns}x{rows}"
    layer = explainer.target_layer
    return Row("", parameters, explainer.fit, layer, grid, finite, varied, refused=tuple(refused))


def wanted(family: str, text: str) -> list[str]:
    """List the models to check, by name.

    Args:
        family: Only of this one: what stands before the colon, or ``torchvision``; all if empty.
        text: Only names that contain it.
    """
    names = [info.name for info in known_models()]
    for prefix in (row.prefix for row in FAMILIES if row.prefix):
        if prefix in SAMPLES:
            names += _named(prefix, SAMPLES[prefix].split())
        else:
            names += (info.name for info in known_models(prefix))
    names += [*_named("hf:", NETWORKS), *_named("file:", FILES.split())]
    if family:
        names = [name for name in names if family == (name.rpartition(":")[0] or "torchvision")]
    return [name for name in names if text in name]


def _named(prefix: str, names: Iterable[str]) -> list[str]:
    return [prefix + name for name in names]


def with_rows(document: str, rows: Sequence[Row]) -> str:
    """Put rows into the last table of a document, in place of those of the same models, in the usual order.

    Args:
        document: Markdown that ends in a table with `HEADERS`.
        rows: Those of the models that were checked.
    """
    head = _markdown(HEADERS) + "\n" + _markdown(["---"] * len(HEADERS)) + "\n"
    text, _, table = document.rpartition(head)
    lines = {line.split(" | ")[0].removeprefix("| "): line for line in table.splitlines()}
    lines |= {row.model: _markdown(row.cells) for row in rows}
    order = {name: place for place, name in enumerate(wanted("", ""))}
    kept = sorted(lines, key=lambda name: order.get(name, len(order)))
    return text + head + "".join(f"{lines[name]}\n" for name in kept)


def _markdown(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _line(cells: Sequence[str]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=True)).rstrip()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--family", default="", help="only this one: torchvision, timm, detection, hf, file …"
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="only models whose name contains it")
    parser.add_argument("--methods", action="store_true", help="try all methods of few passes")
    parser.add_argument("--write", action="store_true", help="write the rows into docs/models.md")
    options = parser.parse_args()
    print(_line(HEADERS), flush=True)
    others = [
        name
        for name, method in METHODS.items()
        if options.methods and method.passes != "many" and name not in USUAL_METHODS
    ]
    rows = []
    for name in wanted(options.family, options.only):
        rows.append(check(name, [*USUAL_METHODS, *others]))
        print(_line(rows[-1].cells), flush=True)
        if options.write:
            TABLE.write_text(with_rows(TABLE.read_text("utf-8"), rows), "utf-8")
        gc.collect()
    failed = [row for row in rows if not row.is_fine]
    print(f"\n{len(rows) - len(failed)} of {len(rows)} models are fine", flush=True)
    return 1 if failed or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
