"""The generated parts of the docs are up to date."""

from __future__ import annotations

import dataclasses
import itertools
import re
from types import ModuleType

import pytest

from streamcam.explain import METHODS
from tests.support.scripts import load_script


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """tools/make_docs.py as a module."""
    return load_script("tools/make_docs.py")


def test_the_page_is_up_to_date(script: ModuleType) -> None:
    written = script.PAGE.read_text(encoding="utf-8")
    assert written == script.page(), "run: python tools/make_docs.py"


def test_the_list_of_modules_is_up_to_date(script: ModuleType) -> None:
    written = script.ARCHITECTURE.read_text(encoding="utf-8")
    assert written == script.architecture(), "run: python tools/make_docs.py"


def test_the_keys_are_up_to_date(script: ModuleType) -> None:
    assert script.LIVE.read_text(encoding="utf-8") == script.live_guide(), "run: python tools/make_docs.py"


def test_the_outputs_are_up_to_date(script: ModuleType) -> None:
    written = script.RENDER.read_text(encoding="utf-8")
    assert written == script.render_guide(), "run: python tools/make_docs.py"


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


def test_methods_stand_together_by_their_passes() -> None:
    groups = [passes for passes, _ in itertools.groupby(row.passes for row in METHODS.values())]
    assert len(groups) == len(set(groups))


def test_a_method_without_paper_and_cost_has_a_section_too(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = dataclasses.replace(METHODS["cam"], title="Toy", paper=None)
    monkeypatch.setitem(METHODS, "toy", row)
    page = script.page()
    assert "### toy\n\n**Toy**\n\n" in page
    assert re.search(r"\| \[`toy`\]\(#toy\) \|.*\| not measured \|", page)


def test_one_method_is_measured(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = iter([0.5, 0.75])  # the network alone, the method
    monkeypatch.setattr(script, "_seconds", lambda *_: next(seconds))
    monkeypatch.setattr(script.torch, "set_num_threads", lambda _: None)
    assert script.main(["--measure", "hirescam"]) == 0
    assert capsys.readouterr().out == '    "hirescam": 1.5,\n'
    with pytest.raises(SystemExit):
        script.main(["--measure", "hirescan"])
    assert "invalid choice: 'hirescan'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "backend"),
    [("scorecam", "auto"), ("sscam", "auto"), ("iscam", "auto"), ("occlusion", "auto"), ("gradcam", "torch")],
)
def test_methods_that_change_images_are_measured_where_users_run_them(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, name: str, backend: str
) -> None:
    class StopError(Exception):
        pass

    def record(*_arguments: object, **settings: object) -> None:
        raise StopError(settings["backend"])

    monkeypatch.setattr(script, "load_model", lambda *_arguments, **_settings: None)
    monkeypatch.setattr(script, "Explainer", record)
    monkeypatch.setattr(script.torch, "set_num_threads", lambda _: None)
    with pytest.raises(StopError, match=f"^{backend}$"):
        script.main(["--measure", name])


def test_the_first_run_is_not_timed(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """It converts the network; of what takes long, one more run is enough."""
    clock = iter([0.0, 100.0, 100.0, 103.0])
    monkeypatch.setattr(script.time, "process_time", lambda: next(clock))
    assert script._seconds(lambda: None) == 3
