"""The generated parts of the docs are up to date: the methods page and the list of modules."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from streamcam.explain import METHODS

SCRIPT = Path(__file__).parents[1] / "tools" / "make_docs.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """tools/make_docs.py as a module."""
    spec = importlib.util.spec_from_file_location("make_docs", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_docs"] = module
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(script: ModuleType) -> None:
    written = script.PAGE.read_text(encoding="utf-8")
    assert written == script.page(), "run: python tools/make_docs.py"


def test_the_list_of_modules_is_up_to_date(script: ModuleType) -> None:
    written = script.ARCHITECTURE.read_text(encoding="utf-8")
    assert written == script.architecture(), "run: python tools/make_docs.py"


def test_the_keys_are_up_to_date(script: ModuleType) -> None:
    assert script.LIVE.read_text(encoding="utf-8") == script.live_guide(), "run: python tools/make_docs.py"


def test_every_method_has_a_section_with_its_paper_and_its_options(script: ModuleType) -> None:
    _, *sections = script.page().split("\n### ")
    by_name = {section.partition("\n")[0]: section for section in sections}
    for name, method in METHODS.items():
        assert f"<{method.paper}>" in by_name[name]
        for option in method.options:
            assert f"- `{option}`: " in by_name[name]


def test_links_lead_to_headings_as_github_names_them(script: ModuleType) -> None:
    anchors = script._anchors()
    assert (anchors["gradcam"], anchors["gradcam++"], anchors["smoothgradcam++"]) == (
        "gradcam",
        "gradcam-1",
        "smoothgradcam",
    )
    assert len(set(anchors.values())) == len(METHODS)


def test_costs_are_of_methods_that_there_are(script: ModuleType) -> None:
    assert set(script.COSTS) <= set(METHODS)
