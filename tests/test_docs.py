"""What the README and the guide show works, and the site builds."""

from __future__ import annotations

import ast
import dataclasses
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import streamcam
from streamcam.cli import cli, run

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "docs" / "trust.md", *sorted((ROOT / "docs" / "guide").glob("*.md"))]

BLOCK = re.compile(
    r"(?:<!-- not run: (?P<reason>.+?) -->\n)?```(?P<info>(?:sh|python).*)\n(?P<code>(?:.*\n)*?)```\n"
)


@dataclasses.dataclass(frozen=True)
class Block:
    """A block of code on a page.

    Attributes:
        page: Name of the page.
        language: ``"sh"`` or ``"python"``.
        title: Name of the file that the block is, if it is one.
        reason: Why a test cannot run it, if so.
        code: The text.
    """

    page: str
    language: str
    title: str | None
    reason: str | None
    code: str

    @property
    def commands(self) -> list[str]:
        """Return the commands of a shell block, without comments."""
        lines = [line.partition(" #")[0].strip() for line in self.code.splitlines()]
        return [line for line in lines if line]


def blocks() -> Iterator[Block]:
    for page in PAGES:
        for match in BLOCK.finditer(page.read_text(encoding="utf-8")):
            language, _, title = match["info"].partition(" title=")
            yield Block(page.name, language, title.strip('"') or None, match["reason"], match["code"])


BLOCKS = list(blocks())
FILES = [block for block in BLOCKS if block.title]
PROGRAMS = [block for block in BLOCKS if block.language == "python" and not block.title]
COMMANDS = [(block, command) for block in BLOCKS if block.language == "sh" for command in block.commands]
STREAMCAM = [(block, command) for block, command in COMMANDS if command.startswith("streamcam ")]
SCRIPTS = [command for _, command in COMMANDS if command.startswith("scripts/")]


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory: the images and clips of the pages, and the files that they show."""
    shutil.copytree(ROOT / "media", tmp_path / "media")
    for block in FILES:
        assert block.title is not None
        (tmp_path / block.title).write_text(block.code, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


FIRST_WORDS = {"streamcam", "pip", "demo", "test", "ffmpeg", "podman"}
"""What commands of the pages begin with."""


def test_every_page_has_code_and_every_command_is_known() -> None:
    assert {block.page for block in BLOCKS} == {page.name for page in PAGES}
    for _, command in COMMANDS:
        assert command.split()[0].removeprefix("scripts/") in FIRST_WORDS


@pytest.mark.parametrize(
    "command", [command for block, command in STREAMCAM if block.reason is None and " layers " not in command]
)
@pytest.mark.usefixtures("work")
def test_commands_work(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = shlex.split(command)[1:]
    if arguments[0] in {"render", "compare", "report", "maximize", "export"}:
        check_render(arguments, capsys)
        return
    code = run(arguments)
    out, err = capsys.readouterr()
    # Loading takes its time: on a busy computer a session of some seconds may end before.
    assert code == 0 or (arguments[0] == "live" and "before the network had explained anything" in err), err
    lines = out.splitlines()
    if "--stats" in arguments:  # the statistics are in the file
        lines = Path(arguments[arguments.index("--stats") + 1]).read_text().splitlines()
    assert len(lines) > (3 if "--stats" in arguments or arguments[0] != "live" else 0)


def check_render(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Run a render command on the first half second, where no part is given."""
    if arguments[1].endswith(".mp4") and not {"--end", "--duration"} & set(arguments):
        arguments = [*arguments, "--end", "0.5"]
    assert run(arguments) == 0, capsys.readouterr().err
    assert re.search(r"^wrote|; manifest: ", capsys.readouterr().out, re.MULTILINE)
    output = Path(arguments[arguments.index("-o") + 1].replace("{stem}", "sample"))
    assert output.stat().st_size > 1000


@pytest.mark.parametrize("command", [command for _, command in STREAMCAM if " layers " in command])
@pytest.mark.usefixtures("work")
def test_layers_are_listed(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(shlex.split(command)[1:]) == 0, capsys.readouterr().err
    assert len(capsys.readouterr().out.splitlines()) > 2


@pytest.mark.parametrize("command", [command for block, command in STREAMCAM if block.reason is not None])
def test_commands_that_cannot_be_run_have_valid_options(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.explain").touch()
    Path("rtdetr_r18vd").mkdir()
    name, *arguments = shlex.split(command)[1:]
    cli.commands[name].make_context(name, arguments)


@pytest.mark.parametrize(
    "block", [block for block in PROGRAMS if block.reason is None], ids=lambda block: block.page
)
def test_programs_run(block: Block, work: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:streamcam", "-c", block.code],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=work,
        env=environment(work),
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert set(re.findall(r"^\s*print\(.*\)  # (.+)$", block.code, flags=re.MULTILINE)) <= set(lines)
    if block.page == "README.md":
        assert len(lines) == 25
        assert all("Egyptian cat" in line for line in lines)


def environment(work: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(work), str(ROOT)])}


@pytest.mark.parametrize("block", PROGRAMS, ids=lambda block: block.page)
def test_programs_use_names_that_exist(block: Block) -> None:
    for node in ast.walk(ast.parse(block.code)):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "streamcam"
        ):
            assert hasattr(streamcam, node.attr), node.attr


@pytest.mark.parametrize("script", [command.split()[0] for command in SCRIPTS])
def test_scripts_exist(script: str) -> None:
    assert (ROOT / script).stat().st_mode & 0o111


@pytest.mark.parametrize("page", [*PAGES, *sorted((ROOT / "docs").glob("*.md"))], ids=lambda page: page.name)
def test_links_between_files_hold_in_the_repository_too(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
    files = [link for link in links if "://" not in link and "reference/" not in link]  # made for the site
    assert [link for link in files if not (page.parent / link).exists()] == []
