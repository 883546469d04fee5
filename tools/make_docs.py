"""Write the generated parts of the docs: docs/methods.md, the list of modules in docs/architecture.md, the
keys in docs/guide/live.md and the outputs in docs/guide/render.md.

    python tools/make_docs.py                   writes all of them
    python tools/make_docs.py --measure         prints the cost of each method on this machine, for COSTS
    python tools/make_docs.py --measure NAME …  prints the cost of these methods

Tests compare the files with what this script would write.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch

from streamcam.explain import METHODS, Explainer, Method
from streamcam.frames import SourceInfo
from streamcam.models import load_model
from streamcam.session.commands import help_rows
from streamcam.sinks import SINKS
from streamcam.sources.given_images import frames_of

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "methods.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
LIVE = ROOT / "docs" / "guide" / "live.md"
RENDER = ROOT / "docs" / "guide" / "render.md"

COSTS: dict[str, float] = {
    "cam": 1.1,
    "gradcam": 1.1,
    "gradcam++": 1.1,
    "hirescam": 1.1,
    "gradcam-elementwise": 1.1,
    "xgradcam": 1.1,
    "layercam": 1.1,
    "eigencam": 1.1,
    "eigengradcam": 1.1,
    "kpcacam": 1.1,
    "fem": 1.0,
    "dff": 1.1,
    "finercam": 1.0,
    "shapleycam": 1.1,
    "refinecam": 1.9,
    "scorecam": 298.9,
    "sscam": 10861.0,
    "iscam": 3169.2,
    "ablationcam": 37.5,
    "reciprocam": 8.6,
    "vit-reciprocam": 8.5,
    "smoothgradcam++": 6.0,
    "occlusion": 155.2,
    "legrad": 2.9,
    "guided-backprop": 3.2,
    "guided-gradcam": 3.5,
    "fullgrad": 3.4,
}
"""Time for one image of 224x224 on one CPU core, as a multiple of the network's forward pass alone:
ResNet-18, whose last layer has 512 channels; ViT-B/32 for LeGrad. Printed by --measure."""

INTRODUCTION = """\
<!-- Written by tools/make_docs.py from the table METHODS; edit that or the script. -->
# Methods

`--method NAME` chooses how a map is computed; `--method NAME:option=value,option=value` sets its options.
`streamcam methods` lists the same on the command line.

{table}

**Cost** is the time for one image as a multiple of the network's forward pass alone, measured on one CPU
core with ResNet-18 at 224x224, whose last layer has 512 channels (ViT-B/32 for LeGrad). On video, methods of
one pass keep up with a camera; those of many passes are for still images and short scenes.

- *one*: one forward pass; gradients run from the score back to the target layer only, never through the
  network.
- *full backward*: gradients run back through the whole network, to its input or to every block.
- *many*: the network is asked again and again: about each channel (Score-CAM, SS-CAM, IS-CAM,
  Ablation-CAM), each place of the layer (Recipro-CAM, ViT-ReciproCAM), each patch (Occlusion) or each noisy
  copy (Smooth Grad-CAM++).

**Signed** methods also know what speaks against a class: `--signed` shows it.

## Which one?

**Start with `gradcam`,** the default: it works on any network, and it is what others show, so it is the map
to compare with. **Take `hirescam` when the map is to be evidence** of what the network used.

### From Grad-CAM to HiResCAM

Grad-CAM gives each channel of the target layer one weight, the mean of its gradients over all places, and
sums the weighted channels. Where the gradients of a channel differ from place to place, that average can
light up places which the network never used: a channel that counts for the class at the left and against it
at the right gets the same weight on both sides. HiResCAM leaves the average out and multiplies activations
and gradients place by place. In a network that ends in one linear layer behind the target layer, with or
without pooling between them, the map then adds up to the score itself, apart from the bias: it cannot show
a place that did not add to the score ([Draelos and Carin 2020](https://arxiv.org/abs/2011.08891)).

Where the head begins with global average pooling, every place has the same gradient. Then **both methods
give the same map**, and with one linear layer behind the pooling it is also CAM's, but for scale. So it
makes no difference which one is chosen for the default model, ResNet, ResNeXt, RegNet, EfficientNet,
MobileNet, MNASNet, ShuffleNet, GoogLeNet, Inception, ConvNeXt and MaxViT, as long as their last layer
is explained. It makes one

- for AlexNet and VGG, whose head weighs each place by itself;
- for DenseNet and SqueezeNet, where a ReLU stands between the layer and the pooling;
- for vision transformers, where attention lies between them;
- for every layer further in, in any network (`--target-layer layer3`).

### Others

- Several objects of one class: `gradcam++`. Fine detail: `layercam` on earlier layers, or `refinecam`.
- One class against those like it: `finercam`, or `--against CLASS` with any method that uses gradients.
- What stands out, without asking about a class: `eigencam`, `kpcacam`, `fem`.
- The parts that the network sees, each in a color: `dff` ([more](trust.md#which-parts-the-network-sees)).
- Vision transformers: `gradcam` and `hirescam` work on their tokens; `legrad` reads the attention instead.
- No gradients, as for networks that OpenVINO runs: `reciprocam`, `scorecam`, `ablationcam`, `eigencam`.
- A check that shares no assumption with any of these: `occlusion`.

### Not to be trusted: the guided methods

`guided-backprop` and `guided-gradcam` draw crisp images, and for that reason are popular. But they act as
edge detectors: replace the weights of a trained network by noise, from the last layer towards the first,
and their maps hardly change ([Adebayo et al. 2018](https://arxiv.org/abs/1810.03292)). A map that does not
depend on what the network has learned cannot explain what it does. They are here for comparison with old
figures.

## When maps differ from those of other libraries

Maps of each method were compared with those of pytorch-grad-cam 1.5.7, and of torch-cam 0.5.0 for what only
that has; [benchmarks.md](benchmarks.md) has the figures. Where a library departs from the article,
streamcam follows the article, but for the sign of Ablation-CAM:

- torch-cam's Grad-CAM++ and Smooth Grad-CAM++ sum activations times cubed gradients over the places, where
  the articles sum activations and multiply by the cubed gradient of each place. Its Smooth Grad-CAM++ also
  takes the last noisy copy's gradients instead of the mean, and the noisy copy's activations.
- torch-cam's Score-CAM, SS-CAM and IS-CAM scale masks to 0..1 before they enlarge them.
- pytorch-grad-cam's Score-CAM enlarges masks with their corners aligned, which moves them by up to half a
  cell.
- pytorch-grad-cam's Ablation-CAM fills an ablated channel with a large negative number where activations
  can be negative; the article sets it to zero. It divides by the score as the article prints it, which turns
  the map round where the score is negative; streamcam divides by its magnitude.
- pytorch-grad-cam's guided backpropagation guides modules of the class ReLU only; ReLU6 and functional
  ReLUs pass gradients unguided.
- pytorch-grad-cam keeps the target layer's output itself: where the next layer works in place, as the ReLU
  behind DenseNet's last block does, what it keeps is overwritten before it is used.
- The sign of Eigen-CAM's map is chance in pytorch-grad-cam; here its largest value is positive.

## Each method
"""


def page() -> str:
    """Write the whole page, as Markdown."""
    sections = [INTRODUCTION.format(table="\n".join(_table()))]
    sections += [_section(name, method) for name, method in METHODS.items()]
    return "\n".join(sections)


def architecture() -> str:
    """Write docs/architecture.md with an up-to-date list of modules."""
    return _with_part(ARCHITECTURE, "modules", _modules())


def live_guide() -> str:
    """Write docs/guide/live.md with an up-to-date table of keys."""
    rows = [f"| {' '.join(f'`{key}`' for key in keys.split())} | {words} |" for keys, words in help_rows(2)]
    return _with_part(LIVE, "keys", "\n".join(["| key | |", "| --- | --- |", *rows]))


def render_guide() -> str:
    """Write docs/guide/render.md with an up-to-date table of outputs."""
    rows = ["| output | made from | example | suffixes | with alpha |", "| --- | --- | --- | --- | --- |"]
    for kind in SINKS:
        inputs = [
            words
            for words, info in (("a video", _info()), ("an image", _info(frame_count=1, is_still=True)))
            if kind.takes(kind.example, info)
        ]
        suffixes, alpha = (_in_code(keys or ()) for keys in (kind.keys, kind.alpha_keys))
        rows.append(f"| {kind.name} | {' or '.join(inputs)} | `{kind.example}` | {suffixes} | {alpha} |")
    return _with_part(RENDER, "outputs", "\n".join(rows))


def _in_code(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _info(**changes: Any) -> SourceInfo:
    return SourceInfo("input", None, 64, 48, Fraction(1, 25), **changes)


def _with_part(page: Path, name: str, part: str) -> str:
    """Return a page with another part between ``<!-- NAME: … -->`` and ``<!-- end of NAME -->``."""
    begin, end = f"<!-- {name}: ", f"<!-- end of {name} -->"
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    comment, after = rest.partition("\n")[0], rest.partition(end)[2]
    return f"{before}{begin}{comment}\n\n{part}\n\n{end}{after}"


def _modules() -> str:
    """List every module of the package with the first line of its docstring, by folder."""
    package = ROOT / "streamcam"
    folders: dict[str, list[str]] = {}
    for path in sorted(package.rglob("*.py")):
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        if path.name in ("__init__.py", "__main__.py") or docstring is None:
            continue
        folder = path.parent.relative_to(package.parent).as_posix()
        first = docstring.partition("\n\n")[0].replace("\n", " ").replace("``", "`")
        folders.setdefault(folder, []).append(f"- `{path.name}`: {first}")
    return "\n\n".join("\n".join([f"**{folder}/**", "", *lines]) for folder, lines in folders.items())


def _table() -> Iterator[str]:
    yield "| method | when to choose it | passes | cost | signed | options |"
    yield "| --- | --- | --- | ---: | --- | --- |"
    anchors = _anchors()
    for name, method in METHODS.items():
        options = ", ".join(f"`{key}={value}`" for key, value in method.options.items())
        signed = "yes" if method.signed else ""
        cells = (f"[`{name}`](#{anchors[name]})", method.when, method.passes, _cost(name), signed, options)
        yield f"| {' | '.join(cells)} |"


def _anchors() -> dict[str, str]:
    """Return what GitHub names each heading: without signs, and numbered where that is the same."""
    anchors: dict[str, str] = {}
    for name in METHODS:
        plain = re.sub(r"[^\w-]", "", name.lower())
        before = sum(re.sub(r"-\d+$", "", anchor) == plain for anchor in anchors.values())
        anchors[name] = f"{plain}-{before}" if before else plain
    return anchors


def _cost(name: str) -> str:
    if name not in COSTS:
        return "not measured"
    cost = COSTS[name]
    return f"{cost:.1f}" if cost < 10 else f"{float(f'{cost:.2g}'):,.0f}"


def _section(name: str, method: Method) -> str:
    text = _as_markdown(method.function, method.options)
    first = next(other for other, row in METHODS.items() if row.function is method.function)
    if first != name:  # the maths is another method's
        how = "multiplied" if method.combine == "product" else "averaged"
        layers = f", those of several layers {how}" if method.stages else ""
        text = f"The map is made as that of [`{first}`](#{_anchors()[first]}){layers}."
    if method.criterion is not None:
        text = f"{_as_markdown(method.criterion, {})}\n\n{text}"
    anchor = _anchors()[name]
    # Numbered by GitHub, because another heading has the same letters; the site numbers them otherwise.
    target = "" if anchor == re.sub(r"[^\w-]", "", name) else f'<a id="{anchor}"></a>\n\n'
    paper = "" if method.paper is None else f" · <{method.paper}>"
    return f"{target}### {name}\n\n**{method.title}**{paper}\n\n{text}\n"


def _as_markdown(function: Callable[..., Any], options: Mapping[str, object]) -> str:
    """Turn a docstring into Markdown: formulas as GitHub shows them, options as a list, the rest left out."""
    docstring = inspect.getdoc(function) or ""
    kept, _, sections = docstring.partition("\nArgs:\n")
    kept = re.split(r"\n(?:Returns|Raises):\n", kept)[0].strip()
    kept = re.sub(r"\.\. math:: (.+?)(?=\n\n|\Z)", _formula, kept, flags=re.DOTALL)
    arguments = re.split(r"\n(?:Returns|Raises):\n", sections)[0]
    entries = re.findall(r"^    (\w+): (.+(?:\n        .+)*)", arguments, flags=re.MULTILINE)
    listed = "".join(f"\n- `{key}`: {' '.join(text.split())}" for key, text in entries if key in options)
    return _inline(kept + (f"\n{listed}" if listed else ""))


def _formula(match: re.Match[str]) -> str:
    return f"```math\n{' '.join(match.group(1).split())}\n```"


def _inline(text: str) -> str:
    text = re.sub(r":math:`([^`]+)`", r"$`\1`$", text)
    return re.sub(r"(?<![<(`])(https?://[^\s),:;]+[^\s),:;.])", r"<\1>", text)


def measure(names: Iterable[str]) -> None:
    """Print rows of `COSTS` for this machine, in processor time, where a busy machine disturbs least.

    The network's forward pass is PyTorch's. Methods that show the network changed images run where users run
    them, on OpenVINO if it is there; the others are measured in PyTorch as well.
    """
    torch.set_num_threads(1)
    image = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    for name in names:
        method = METHODS[name]
        network = "vit_b_32" if name == "legrad" else "resnet18"
        classifier = load_model(network, weights="none")
        # Fewer samples than usual, because the time grows in proportion.
        samples = method.options.get("samples")
        explainer = Explainer(
            classifier,
            method=name if samples is None else f"{name}:samples=2",
            fit="stretch",
            backend="auto" if "image_scorer" in method.needs else "torch",
        )
        forward = _seconds(
            lambda module, batch: module(batch), classifier.module, explainer.preprocess(image)
        )
        frames = frames_of([image])
        explainer.learn(frames)
        cost = _seconds(lambda own, images: own.explain_frames(images), explainer, frames) / forward
        print(f'    "{name}": {cost if samples is None else cost * samples / 2:.1f},', flush=True)


def _seconds(work: Any, *arguments: Any) -> float:
    """Time some work after a first run, which may convert the network: the median, or one long run."""
    times = []
    with torch.no_grad():
        for _ in range(16):
            started = time.process_time()
            work(*arguments)
            times.append(time.process_time() - started)
            if len(times) > 1 and times[-1] > 2:
                return times[-1]
    return statistics.median(times[1:])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--measure", nargs="*", choices=METHODS, metavar="NAME", help="print the costs of methods instead"
    )
    names = parser.parse_args(arguments).measure
    if names is not None:
        measure(names or METHODS)
    else:
        PAGE.write_text(page(), encoding="utf-8")
        ARCHITECTURE.write_text(architecture(), encoding="utf-8")
        LIVE.write_text(live_guide(), encoding="utf-8")
        RENDER.write_text(render_guide(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
