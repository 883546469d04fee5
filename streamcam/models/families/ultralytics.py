"""Detectors of ultralytics, as ``ultralytics:NAME``, with ``streamcam[ultralytics]``, under AGPL-3.0."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import PIL.Image
import torch

from streamcam.errors import ModelError, map_errors
from streamcam.models.base import InputSpec, Model
from streamcam.models.detector import ArrangedDetector
from streamcam.models.families.base import ModelFamily, ModelInfo
from streamcam.models.labels import numbered_labels
from streamcam.models.model_names import check_name
from streamcam.models.published_names import ULTRALYTICS_SIZE, ultralytics_files, ultralytics_names
from streamcam.models.refusals import in_words
from streamcam.models.request import DEFAULT_WEIGHTS, NO_WEIGHTS, ModelRequest
from streamcam.models.state_dicts import load_into

PREFIX = "ultralytics:"

_LICENSE_NOTE = (
    "networks of ultralytics, and programs built on them, are under the AGPL-3.0 license, unless you have "
    "another one from Ultralytics"
)

_INPUT = InputSpec(640, 640, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def _load(request: ModelRequest) -> Model:
    tasks = _import_tasks()
    name = request.name.removeprefix(PREFIX)
    check_name(request.name)
    files = ultralytics_files()
    stem = name if name in files else ULTRALYTICS_SIZE.sub("", name, count=1)
    described: dict[str, Any] = tasks.YAML.load(files[stem])
    if request.weights == DEFAULT_WEIGHTS:
        raise ModelError(
            f"the published weights of {request.name} are a file that runs code when it is read, so it is "
            f"not downloaded here: pass {name}.pt with `weights` and `trust_pickle`, or use `weights='none'`"
        )
    tensors = None if request.weights == NO_WEIGHTS else request.read_weights()
    count = (None if tensors is None else _classes_in(tensors)) or request.requested_classes
    described |= {"scale": "".join(ULTRALYTICS_SIZE.findall(name)[:1]), "yaml_file": f"{name}.yaml"}
    with map_errors(Exception, to=lambda error: _failure(request, error)):
        network = tasks.DetectionModel(described, nc=count or described["nc"], verbose=False)
    origin, labels = NO_WEIGHTS, request.labels
    if tensors is not None:
        origin, labels = str(request.weights_file), labels or tensors.labels
        load_into(network, tensors, model=request.name, origin=origin)
    count = network.model[-1].nc
    labels = labels or _usual_labels(tasks, count)
    if len(labels) != count:
        raise ModelError(
            f"{len(labels)} labels were given for the {count} classes of {request.name}; give one label for "
            "each class"
        )
    from streamcam.models.yolo_network import YoloNetwork  # late: it imports ultralytics

    return ArrangedDetector(
        request.name,
        YoloNetwork(network),
        labels,
        request.input_spec(_INPUT),
        origin,
        notes=(*request.notes(), _LICENSE_NOTE),
        **request.detection,
    )


def _failure(request: ModelRequest, error: Exception) -> ModelError:
    return ModelError(f"{request.name} cannot be built ({in_words(error)})")


def _import_tasks() -> Any:
    """Import what builds networks, so that the process stays as it is and nothing asks the network.

    Raises:
        ModelError: if ultralytics is not installed.
    """
    try:
        with _unchanged_process():
            from ultralytics.nn import tasks
    except ImportError as error:
        raise ModelError(
            'models named ultralytics:NAME need ultralytics: pip install "streamcam[ultralytics]"'
        ) from error
    module: ModuleType = tasks
    return module


@contextlib.contextmanager
def _unchanged_process() -> Iterator[None]:
    """Undo what importing ultralytics does to a program: it turns off the threads of OpenCV, for one."""
    environment, threads = dict(os.environ), cv2.getNumThreads()
    save, open_image = torch.save, PIL.Image.open
    os.environ |= {"YOLO_OFFLINE": "true", "YOLO_VERBOSE": "false"}
    try:
        with np.printoptions():
            yield
    finally:
        os.environ.clear()
        os.environ.update(environment)
        cv2.setNumThreads(threads)
        torch.save = save
        PIL.Image.open = open_image  # theirs would install a package for a file that is no image
        torch.set_printoptions(profile="default")  # type: ignore[no-untyped-call]


def _classes_in(tensors: dict[str, torch.Tensor]) -> int | None:
    """Find out for how many classes weights were made."""
    ends = [name for name in tensors if re.search(r"\.cv3\.0\.2\.weight$", name)]
    return len(tensors[ends[0]]) if ends else None


def _usual_labels(tasks: Any, count: int) -> tuple[str, ...]:
    """Return COCO's names, with which these networks are published, or numbers for another count."""
    datasets = Path(tasks.__file__).parents[1] / "cfg" / "datasets"
    names = tasks.YAML.load(datasets / "coco.yaml")["names"]
    return tuple(names.values()) if len(names) == count else numbered_labels(count)


def _infos() -> Iterator[ModelInfo]:
    _import_tasks()  # which says so where it is not installed
    for name in ultralytics_names():
        yield ModelInfo(PREFIX + name)


ULTRALYTICS = ModelFamily(lambda name: name.startswith(PREFIX), _load, _infos, PREFIX)
