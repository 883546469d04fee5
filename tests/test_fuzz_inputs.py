"""The fuzzer of inputs: some mutants here, two thousand by hand; and what is not fine it does find."""

from __future__ import annotations

import argparse
from pathlib import Path
from types import ModuleType

import pytest

import streamcam.pipeline.render  # it would be imported while its source is replaced, and keep that
import streamcam.session.live  # noqa: F401
from tests.support.scripts import load_script


@pytest.fixture
def fuzzer() -> ModuleType:
    return load_script("tools/fuzz_inputs.py")


def test_some_mutants_are_fine(
    fuzzer: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = argparse.Namespace(seed=7, count=60, keep=None)
    assert fuzzer.oversee(arguments, tmp_path) == 0
    said = capsys.readouterr().out
    assert said.startswith("60 mutants of ")
    for outcome in fuzzer.FINE:
        assert f" {outcome}" in said


def test_a_mutant_is_always_the_same(fuzzer: ModuleType) -> None:
    corpus = fuzzer.Corpus({"a": bytes(1000), "b": bytes(range(256)) * 4})
    mutants = [corpus.mutant(1, number) for number in range(20)]
    assert mutants == [corpus.mutant(1, number) for number in range(20)]
    assert len(set(mutants)) == 20
    assert all(data != corpus.files[name] for name, data in mutants if name == "b")


def test_a_traceback_is_no_refusal(
    fuzzer: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fall_over(*_arguments: object) -> None:
        raise KeyError("a defect")

    monkeypatch.setattr("streamcam.sources.open_source", fall_over)
    (tmp_path / "in").mkdir()
    outcome, details = fuzzer.attempt(tmp_path / "in" / "video.mkv", rendering=False)
    assert outcome == "traceback"
    assert "KeyError: 'a defect'" in details


@pytest.mark.parametrize(
    ("ends", "outcome"),
    [("os.abort()", "crash (-6)"), ("threading.Event().wait()", "hang"), ("pass", "whole")],
)
def test_a_worker_that_dies_or_hangs_is_found_out(
    fuzzer: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str, outcome: str
) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text(
        "import os, threading\n"
        'print(\'{"number": 4, "name": "video.mkv"}\', flush=True)\n'
        f"{ends}\n"
        'print(\'{"outcome": "whole", "details": "", "seconds": 0, "resident": 0}\', flush=True)\n'
    )
    monkeypatch.setattr(fuzzer, "__file__", str(worker))
    monkeypatch.setattr(fuzzer, "LONGEST_S", 0.5 if outcome == "hang" else 20.0)
    found = list(fuzzer.results_of_worker(tmp_path, 1, range(4, 5)))
    assert [(result["number"], result["outcome"]) for result in found] == [(4, outcome)]
