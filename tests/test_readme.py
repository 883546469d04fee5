"""The commands in the README do what it says."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from streamcam.cli import run

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def shell_commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
    lines = [line.partition(" #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


@pytest.mark.parametrize("command", [line for line in shell_commands() if line.startswith("streamcam ")])
def test_commands_of_the_readme_work(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(ROOT / "media", tmp_path / "media")
    monkeypatch.chdir(tmp_path)
    arguments = shlex.split(command)[1:]
    if arguments[0] != "render":
        assert run(arguments) == 0, capsys.readouterr().err
        lines = capsys.readouterr().out.splitlines()
        if arguments[0] == "live":  # its figures are in the file that it is given
            lines = Path(arguments[arguments.index("--stats") + 1]).read_text().splitlines()
        assert len(lines) > 3
        return
    # The same command, on the first half second: what it does to the rest it does to these frames.
    if not {"--end", "--duration"} & set(arguments):
        arguments += ["--end", "0.5"]
    assert run(arguments) == 0, capsys.readouterr().err
    assert "wrote" in capsys.readouterr().out
    assert Path(arguments[arguments.index("-o") + 1]).stat().st_size > 1000


@pytest.mark.parametrize(
    "script", [line.split()[0] for line in shell_commands() if line.startswith("scripts/")]
)
def test_scripts_of_the_readme_exist(script: str) -> None:
    assert (ROOT / script).stat().st_mode & 0o111


def test_the_python_example_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    monkeypatch.chdir(ROOT)
    # The same program, on the first second.
    exec(example.replace("explainer):", "explainer, settings=streamcam.SourceSettings(end_s=1.0)):"), {})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 25
    assert all("Egyptian cat" in line for line in lines)
