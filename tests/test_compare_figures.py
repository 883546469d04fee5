"""benchmarks/compare.py: which figures changed by more than their spread, and their history."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.scripts import load_script

figures = load_script("benchmarks/figures.py")
comparison = load_script("benchmarks/compare.py")


def write(path: Path, *, commit: str = "aaaa", machine: str = "one", **values: list[float]) -> str:
    measured = {name: figures.Figure.of(runs) for name, runs in values.items()}
    measurement = figures.Measurement(commit, machine, "python benchmarks/throughput.py", measured)
    path.write_text(json.dumps(measurement.as_json()), "utf-8")
    return str(path)


def test_a_figure_is_the_median_of_its_runs_and_their_range() -> None:
    assert figures.Figure.of([3.0, 1.0, 2.0]) == figures.Figure(2.0, 1.0, 3.0, 3)


def test_where_figures_are_written_is_no_part_of_the_command() -> None:
    for option in (["--json", "a.json"], ["--json=b.json"]):
        command = figures.command_of(["/here/throughput.py", "film.mp4", *option, "--repeats", "3"])
        assert command == "python benchmarks/throughput.py film.mp4 --repeats 3"


def test_what_overlaps_has_not_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = write(tmp_path / "old.json", fps=[10.0, 11.0, 12.0], memory=[100.0, 101.0])
    new = write(tmp_path / "new.json", commit="bbbb", fps=[11.5, 13.0, 14.0], memory=[50.0, 51.0])
    assert comparison.main([old, new]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "memory: 100 (100 to 101) to 50.5 (50 to 51), 0.50x",
        "1 of 2 figures changed by more than their spread",
    ]
    assert comparison.main([old, old]) == 0


def test_other_machines_are_not_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = write(tmp_path / "old.json", fps=[10.0])
    new = write(tmp_path / "new.json", machine="another", fps=[20.0])
    assert comparison.main([old, new]) == 0
    assert capsys.readouterr().out.startswith("nothing to compare")


def test_the_history_keeps_the_last_figures_of_a_commit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history = ["--history", str(tmp_path / "history.json")]
    for fps in (10.0, 20.0):
        assert comparison.main(["--keep", write(tmp_path / "a.json", fps=[fps]), *history]) == 0
    assert comparison.main(["--keep", write(tmp_path / "b.json", commit="bbbb", fps=[30.0]), *history]) == 0
    assert len(json.loads((tmp_path / "history.json").read_text("utf-8"))) == 2
    assert comparison.main(["aaaa", "bbbb", *history]) == 1
    assert capsys.readouterr().out.startswith("fps: 20 (20 to 20) to 30 (30 to 30), 1.50x\n")


def test_what_is_not_committed_is_not_kept(tmp_path: Path) -> None:
    dirty = write(tmp_path / "dirty.json", commit="aaaa+", fps=[1.0])
    with pytest.raises(SystemExit, match="commit and measure again"):
        comparison.main(["--keep", dirty, "--history", str(tmp_path / "history.json")])
    assert not (tmp_path / "history.json").exists()


@pytest.mark.parametrize("text", ["{}", "[1]", "no json", '{"figures": 3, "commit": 1}'])
def test_other_files_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text(text, "utf-8")
    with pytest.raises(SystemExit, match=r"other\.json"):
        comparison.main([str(tmp_path / "other.json")] * 2)


def test_a_commit_that_is_not_in_the_history_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="'cccc' is no file, and no commit in"):
        comparison.main(["cccc", "cccc", "--history", str(tmp_path / "history.json")])
