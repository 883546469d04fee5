"""The package's public face: what it offers, and what it does not load before it is asked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import streamcam

HEAVY = ("torch", "torchvision", "cv2", "av", "PIL", "numpy", "rich")


def loaded_by(program: str) -> set[str]:
    """Run a program in a fresh interpreter; return which of the heavy packages it loaded."""
    child = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport sys; print(*sys.modules, file=sys.__stdout__)"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=Path(streamcam.__file__).parent.parent,
    )
    assert child.stderr == ""
    return set(HEAVY) & set(child.stdout.split())


def test_renders_and_live_sessions_load_only_what_all_of_them_need() -> None:
    """Together these take more of a start than all else, and many megabytes."""
    program = """
import sys, streamcam.cli.main
import streamcam.pipeline.jobs, streamcam.pipeline.render, streamcam.session.live
import streamcam.explain.compiled.explainer, streamcam.explain.compiled.loading
seldom = {"h5py", "torch", "aiohttp", "fontTools", "http.client", "tomllib", "xml.etree.ElementTree"}
print(*seldom & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_importing_it_loads_nothing_heavy() -> None:
    assert loaded_by("import streamcam; dir(streamcam); streamcam.__version__") == set()


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["render", "--help"], [], ["render"], ["rendr"], ["render", "a", "-x"]],
)
def test_asking_for_help_or_misspelling_loads_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import contextlib, io\n"
        "from streamcam.cli import run\n"
        "with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):\n"
        f"    run({arguments!r})\n"
    )
    assert loaded_by(program) == set()


@pytest.mark.parametrize(
    "arguments",
    [
        ["render", "missing.mp4", "-o", "out.mp4"],
        ["compare", "missing.mp4", "-o", "out.mp4"],
        ["audit", "missing.mp4"],
        ["evaluate", "missing.mp4"],
        ["evaluate", "missing.mp4", "--metrics", "rode"],
        ["report", "missing.mp4", "-o", "out.html"],
        ["restyle", "missing.mp4", "missing.h5", "-o", "out.mp4"],
        ["maximize", "--from", "missing.mp4@1", "--class", "tripod", "-o", "out.png"],
        ["live", "missing.mp4", "--display", "none"],
    ],
    ids=" ".join,
)
def test_a_wrong_input_is_told_without_loading_torch(arguments: list[str]) -> None:
    program = (
        "import contextlib, io\n"
        "from streamcam.cli import run\n"
        "with contextlib.redirect_stderr(io.StringIO()):\n"
        f"    assert run({arguments!r}) == 2\n"
    )
    assert not {"torch", "torchvision"} & loaded_by(program)


def test_the_overlay_and_the_pipeline_do_without_torch() -> None:
    modules = "streamcam.overlay, streamcam.pipeline, streamcam.sinks, streamcam.sources"
    assert not {"torch", "torchvision"} & loaded_by(f"import {modules}")


@pytest.mark.parametrize("name", streamcam.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(streamcam, name) is not None
    assert name in dir(streamcam)


def test_every_name_of_the_table_is_public() -> None:
    assert set(streamcam._HOMES) == set(streamcam.__all__) - {"__version__"}


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'rendr'"):
        streamcam.rendr  # noqa: B018
    assert not hasattr(streamcam, "Path")
