"""Names of published networks, known without importing the libraries that build them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from streamcam.cli import run
from streamcam.errors import SourceNotFoundError, UnknownNameError
from streamcam.models import load_model
from streamcam.models.default_model import DEFAULT_MODEL
from streamcam.models.families import FAMILIES
from streamcam.models.model_names import check_name, kind_of
from streamcam.models.published_names import CATALOGS

CHILD = """
import json, sys
from streamcam.models.published_names import CATALOGS, is_timm_name, torchvision_names
names = {prefix: catalog.names() for prefix, catalog in CATALOGS.items()} | {"": torchvision_names()}
names["old"] = [name for name in ("tv_resnext50_32x4d", "vit_tiny_patch16_224_in21k") if is_timm_name(name)]
assert not {"torch", "torchvision", "timm", "open_clip", "ultralytics"} & sys.modules.keys()
print(json.dumps(names))
"""


LISTED = """
import importlib.util, json
import torchvision.models as models
parts = ("detection", "segmentation", "video")
names = {f"{part}:": models.list_models(module=getattr(models, part)) for part in parts}
names[""] = models.list_models(module=models)
for prefix, library in (("timm:", "timm"), ("clip:", "open_clip")):
    if importlib.util.find_spec(library):
        names[prefix] = importlib.import_module(library).list_models()
print(json.dumps(names))
"""
"""What the libraries list, in a process in which no test has added networks to them."""


def test_the_names_in_source_files_are_those_that_the_libraries_list() -> None:
    found, listed = (
        json.loads(
            subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True, check=True
            ).stdout.splitlines()[-1]
        )
        for code in (CHILD, LISTED)
    )
    assert {"", "detection:", "segmentation:", "video:"} <= listed.keys()
    for prefix, names in listed.items():
        assert set(found[prefix]) == set(names), prefix
    assert len(found["old"]) == (2 if "timm:" in listed else 0)


def test_ultralytics_detectors_are_listed_in_every_size() -> None:
    pytest.importorskip("ultralytics")
    names = CATALOGS["ultralytics:"].names()
    assert {"yolov8n", "yolo11x", "yolov8s-p2", "yolov10b"} <= set(names)
    assert not {"yolo11n-seg", "yolov8n-cls", "rtdetr-l", "yolov8"} & set(names)


def test_every_catalog_is_that_of_a_family() -> None:
    assert set(CATALOGS) < {family.prefix for family in FAMILIES}


HUB = r"if Hugging Face's hub has a network of that name, put it on the disk \(hf download "
WRONG = [
    ("resnet-50", "write it as resnet50"),
    ("ResNet50", "write it as resnet50 or timm:resnet50"),
    ("r3d_18", "write it as video:r3d_18"),
    ("r3d-18", "write it as video:r3d_18"),
    ("detection:SSD300-VGG16", "write it as detection:ssd300_vgg16"),
    ("torchvision:resnet50", "write it as resnet50"),
    ("transformers:google/vit", "write it as hf:google/vit"),
    ("google/vit-base", HUB + r"google/vit-base --local-dir vit-base\) and write hf:vit-base$"),
    ("openai/clip-vit-32", HUB + ".* and write hf:clip-vit-32, with texts for `prompts`"),
    ("facebook/detr-resnet-50", HUB),
    ("yolov8n.pt", "a file of weights: pass it with `weights`, .*, as ultralytics:yolov8n"),
]


@pytest.mark.parametrize(("name", "says"), WRONG)
def test_a_name_that_is_nearly_right_is_said_as_it_is_written_here(name: str, says: str) -> None:
    with pytest.raises(UnknownNameError, match=f"unknown model '{name}'; .*{says}"):
        load_model(name)
    with pytest.raises(UnknownNameError, match=says):
        check_name(name)


@pytest.mark.parametrize(
    ("library", "name", "says"),
    [
        ("open_clip", "ViT-B-32", "write it as clip:ViT-B-32, with texts for `prompts`"),
        ("open_clip", "clip:RN-50", "write it as clip:RN50, with texts"),
        ("timm", "convnextv2_atto", "write it as timm:convnextv2_atto"),
        ("timm", "timm/convnextv2_atto.fcmae", r"write it as timm:convnextv2_atto\.fcmae"),
        ("timm", "convnextv2_atto.fcmae", r"write it as timm:convnextv2_atto\.fcmae"),
        ("ultralytics", "yolo11n", "ultralytics:yolo11n, with its file for `weights`, and `trust_pickle`"),
    ],
)
def test_a_name_of_an_extra_is_said_with_its_prefix(library: str, name: str, says: str) -> None:
    pytest.importorskip(library)
    with pytest.raises(UnknownNameError, match=says):
        check_name(name)


def test_a_model_without_a_name_is_no_folder() -> None:
    with pytest.raises(UnknownNameError, match="a model has a name; streamcam models lists"):
        check_name("")


def test_a_folder_is_said_with_the_prefixes_for_it(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=f"a folder: write hf:{tmp_path} .* clip:{tmp_path} if open"):
        check_name(str(tmp_path))
    for prefix in ("hf:", "timm:", "clip:"):
        check_name(prefix + str(tmp_path))
    with pytest.raises(SourceNotFoundError, match="no folder 'google/vit'; if Hugging Face's hub has"):
        load_model("hf:google/vit")
    with pytest.raises(SourceNotFoundError, match="no folder 'nowhere'"):
        check_name("hf:nowhere")
    with pytest.raises(SourceNotFoundError, match=r"there is no file 'nowhere\.onnx'"):
        check_name("nowhere.onnx")


@pytest.mark.parametrize("name", ["resnet50", "video:s3d", "my_module:factory", "efficientnet_lite2"])
def test_a_right_name_passes(name: str) -> None:
    check_name(name)


def test_a_module_of_ones_own_may_be_named_like_a_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "openclip.py").write_text("")
    check_name("openclip:build")


@pytest.mark.parametrize(
    "arguments",
    [
        ["render", "missing.mp4", "-o", "out.mp4", "--model", "resnt50"],
        ["compare", "missing.mp4", "-o", "out.mp4", "--models", "resnet50,resnt50"],
        ["layers", "resnt50"],
        ["live", "--model", "resnt50"],
    ],
)
def test_the_command_line_refuses_a_misspelled_model_before_it_loads_torch(arguments: list[str]) -> None:
    program = (
        f"import sys\nfrom streamcam.cli import run\ncode = run({arguments!r})\n"
        "assert not {'torch', 'torchvision', 'timm'} & sys.modules.keys()\nsys.exit(code)"
    )
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert child.stderr.startswith("streamcam: error: unknown model 'resnt50'; the nearest are: resnet50")
    assert child.returncode == 2


def test_flags_stand_for_parameters_in_the_hints(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["layers", "facebook/clip"]) == 2
    assert "with texts for --prompt" in capsys.readouterr().err


def test_the_name_of_a_file_asks_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_part: str = "") -> tuple[str, ...]:
        raise ModuleNotFoundError("No module named 'torchvision'", name="torchvision")

    monkeypatch.setattr("streamcam.models.model_names.torchvision_names", absent)
    assert kind_of("folder/net.explain") is None
    assert kind_of(DEFAULT_MODEL) == "classifier"
    with pytest.raises(ModuleNotFoundError):
        kind_of("resnet50")
