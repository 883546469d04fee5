"""Many films of many kinds in one run, some of them broken, and the process killed in the middle."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from many_films import BROKEN, contents_of, frames_in, make_films
from stage_fakes import FakeExplainer

import streamcam
from streamcam import RenderSettings
from streamcam.explain.compiled.loading import load_explainer
from streamcam.pipeline.jobs import OutputsBeside, list_jobs

SETTINGS = RenderSettings(sidecar="maps")
COMMAND = [sys.executable, str(Path(__file__).with_name("faulty_cli.py"))]


def manifest() -> dict[str, dict[str, Any]]:
    """What became of each input, by its name."""
    lines = Path("out/streamcam.jsonl").read_text().splitlines()
    entries = {Path(entry["input"]).name: entry for entry in map(json.loads, lines)}
    assert len(entries) == len(lines)
    return entries


def check_outputs(films: list[Path], broken: list[Path], explainer: Any) -> None:
    """Compare outputs and sidecars with those of single renders, and the manifest with what there is."""
    entries = manifest()
    assert set(entries) == {film.name for film in films}
    bad = {film.name for film in broken}
    assert {name for name, entry in entries.items() if entry["status"] != "done"} == bad
    assert {entry["status"] for entry in entries.values()} == {"done", "damaged", "failed"}
    # In another order: what one film leaves behind is not what makes them alike.
    for job in reversed(list_jobs(films, "out", OutputsBeside(sidecar="maps"))):
        entry, name = entries[Path(job.source).name], job.output.name
        assert entry["output"] == name
        if entry["status"] == "failed":
            assert entry["frames"] == entry["bytes"] == 0
            assert entry["messages"]
            assert not any(path.exists() for path in job.outputs)
        if Path(job.source).name in bad:
            continue
        alone = Path("alone", name)
        streamcam.render(
            job.source, alone, explainer, settings=RenderSettings(sidecar=alone.with_suffix(".jsonl"))
        )
        assert contents_of(job.output) == contents_of(alone), name
        assert job.sidecar is not None
        assert job.sidecar.read_bytes() == alone.with_suffix(".jsonl").read_bytes(), name
        assert entry["bytes"] == alone.stat().st_size
        assert entry["frames"] == frames_in(alone), name
    names = {entry["output"] for entry in entries.values() if entry["status"] != "failed"}
    assert {path.name for path in Path("out").iterdir()} == {*names, "streamcam.jsonl"}


@pytest.fixture
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("alone").mkdir()


@pytest.mark.usefixtures("_here")
def test_films_of_every_kind_beside_broken_ones() -> None:
    films, broken = make_films(Path("films"), 30)
    result = streamcam.render_many(["films/*"], "out", FakeExplainer(), settings=SETTINGS)  # type: ignore[arg-type]
    told = [job for job in result.jobs if job.error is not None or not job.result or not job.result.complete]
    # A link that leads nowhere matches no pattern.
    assert [job.job.source for job in told] == [film for film in broken if film.exists()]
    missing = [film for film in broken if not film.exists()]
    more = streamcam.render_many(["films/*", *missing], "out", FakeExplainer(), settings=SETTINGS)  # type: ignore[arg-type]
    assert sum(job.status == "kept" for job in more.jobs) == len(films) - len(broken)
    assert str(more.jobs[-1].error) == f"no file '{missing[0]}'; check the path"
    check_outputs(films, broken, FakeExplainer())


@pytest.mark.slow
@pytest.mark.usefixtures("_here")
def test_two_hundred_films_and_three_kills() -> None:
    """The real command and network; where it is killed, the same command goes on."""
    films, broken = make_films(Path("films"), 200)
    arguments = ["render", *map(str, films), "-o", "out/", "--sidecar", "maps/", "--quiet"]
    done = 0
    # As an output gets its name, as a part of one is written, as the manifest is opened for another line.
    for moment in ("kill@out/film045", "kill@maps/film101.jsonl", "kill@out/film150"):
        killed = subprocess.run([*COMMAND, moment, *arguments], check=False, capture_output=True)
        assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
        whole = sum(json.loads(line)["status"] == "done" for line in _whole_lines())
        assert whole > done
        done = whole
    last = subprocess.run([*COMMAND, "none", *arguments], check=False, capture_output=True, text=True)
    assert last.returncode == 1
    lines = last.stderr.splitlines()
    assert len(lines) == len(BROKEN)
    assert all(line.startswith("streamcam: error: ") for line in lines)
    for film in broken:
        assert any(str(film) in line for line in lines), film
    # Compiled, as by the command: torch rounds differently in the last digit.
    check_outputs(films, broken, load_explainer({"name": "efficientnet_lite0"}, {}))


def _whole_lines() -> list[str]:
    text = Path("out/streamcam.jsonl").read_text()
    return text[: text.rfind("\n")].splitlines()
