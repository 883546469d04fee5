"""Wall files, and the service, container and metrics that the guide shows with them."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
from media_factory import make_clip

from streamcam.cli import run
from streamcam.cli.live import live_command
from streamcam.errors import InvalidArgumentError

ROOT = Path(__file__).resolve().parent.parent.parent
GUIDE = ROOT / "docs" / "guide" / "service.md"


def block(title: str) -> str:
    found = re.search(rf'```\w+ title="{re.escape(title)}"\n(.*?)```', GUIDE.read_text("utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def parse(path: Path, text: str, *more: str) -> dict[str, Any]:
    """Return what the command gets."""
    path.write_text(text, encoding="utf-8")
    return live_command.make_context("live", [str(path), *more]).params


STREAM = '[[stream]]\nsource = "a.mp4"\n'


def test_the_file_of_the_guide_sets_streams_and_options(tmp_path: Path) -> None:
    values = parse(tmp_path / "wall.toml", block("wall.toml"))
    door, yard, sample = values["sources"]
    assert door == {"source": "0", "name": "door", "size": (1280, 720), "mirror": True}
    assert yard["record"] == "/var/lib/streamcam/yard.mkv"
    assert sample == {"source": "/usr/share/streamcam/sample.mp4", "loop": True}
    assert (values["display"], values["open_browser"], values["metrics_port"]) == ("page", False, 9108)
    assert values["caption"] == "Where does the network look?"


def test_the_command_line_comes_first(tmp_path: Path) -> None:
    values = parse(tmp_path / "wall.toml", f'colormap = "turbo"\nalpha = 0.5\n{STREAM}', "--alpha", "0.7")
    assert (values["colormap"], values["alpha"]) == ("turbo", 0.7)


def test_options_that_may_be_repeated_are_lists(tmp_path: Path) -> None:
    values = parse(tmp_path / "wall.toml", f'class = ["cat", "dog"]\npublish = "hls:out"\n{STREAM}')
    assert (list(values["class_names"]), list(values["publish"])) == (["cat", "dog"], ["hls:out"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f'modle = "x"\n{STREAM}', "unknown key 'modle'; the nearest are: .*model"),
        ("quiet = true\n", r"there are no streams; add \[\[stream\]\] with a source"),
        ("stream = []\n", "there are no streams"),
        ('[stream]\nsource = "a.mp4"\n', r"'stream' is a table for each stream; write \[\[stream\]\]"),
        ('[[stream]]\nname = "door"\n', "stream 1 has no 'source'"),
        (
            f'{STREAM}[[stream]]\nsorce = "b.mp4"\n',
            "unknown key of stream 2 'sorce'; choose one of: .*source",
        ),
        ("[[stream]]\nsource = 1.5\n", "'source' of stream 1 is a text, not 1.5"),
        (f"{STREAM}mirror = 1\n", "'mirror' is true or false, not 1"),
        (f'{STREAM}size = "big"\n', "'size' of stream 1: 'big' is not a size"),
        (
            f'{STREAM}{STREAM}name = "door"\nfps = "fast"\n',
            "'fps' of stream 2, 'door': 'fast' is not a frame rate",
        ),
        (f'fps = "fast"\n{STREAM}', "'fps': 'fast' is not a frame rate"),
        (f"duration = -1\n{STREAM}", "'duration': -1 is not above 0"),
        (f'port = "abc"\n{STREAM}', "'port': 'abc' is not a valid integer"),
        (f'alpha = "much"\n{STREAM}', "'alpha': 'much'"),
        (f'loop = "yes"\n{STREAM}', "'loop' is true or false, not 'yes'"),
        (f"alpha = [0.5]\n{STREAM}", r"'alpha' is a text or a number, not \[0.5\]"),
        (f"debug = true\n{STREAM}", "unknown key 'debug'"),
        ("stream = [\n", "is not TOML: invalid value"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=words) as caught:
        parse(tmp_path / "wall.toml", text)
    assert "wall.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_found_out_later_names_the_file_too(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (work / "wall.toml").write_text(f'display = "none"\nalpha = 3\n{STREAM}')
    assert run(["live", "wall.toml"]) == 2
    assert "error: 'wall.toml': --alpha is a weight from 0 to 1, not 3" in capsys.readouterr().err
    (work / "wall.toml").write_text(f'display = "none"\n{STREAM}')
    assert run(["live", "wall.toml"]) == 2
    assert "error: 'wall.toml': no file 'a.mp4'" in capsys.readouterr().err


def test_a_file_goes_with_no_other_source(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="names the sources itself"):
        parse(tmp_path / "wall.toml", STREAM, "b.mp4")


def test_a_file_that_is_missing_is_named(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["live", "nowhere.toml"]) == 2
    assert "there is no file 'nowhere.toml'" in capsys.readouterr().err
    assert list(work.iterdir()) == []


def test_a_wall_runs_from_its_file(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.mp4", "b.mp4"):
        make_clip(work / name, frames=6)
    (work / "wall.toml").write_text(
        'display = "none"\nstats = "s.jsonl"\n'
        '[[stream]]\nsource = "a.mp4"\nname = "door"\nrecord = "door.mkv"\n'
        '[[stream]]\nsource = "b.mp4"\n'
    )
    code = run(["live", "wall.toml"])
    out, _ = capsys.readouterr()
    assert re.search(r"^door: showed \d+ of 6 frames", out, re.MULTILINE)
    assert re.search(r"^b: showed \d+ of 6 frames", out, re.MULTILINE)
    assert (work / "door.mkv").exists()
    lines = [json.loads(line) for line in (work / "s.jsonl").read_text().splitlines()]
    assert [line["stream"] for line in lines[-2:]] == ["door", "b"]
    assert code == (0 if any(line["explained"] for line in lines[-2:]) else 1)  # the videos may be too short


def test_the_unit_of_the_guide_starts_a_wall_that_notifies_it(tmp_path: Path) -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=True)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(block("streamcam.service"))
    assert unit.sections() == ["Unit", "Service", "Install"]
    service = unit["Service"]
    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) > 0
    program, command, file, *options = shlex.split(service["ExecStart"])
    assert (Path(program).name, command, Path(file).suffix) == ("streamcam", "live", ".toml")
    assert parse(tmp_path / "wall.toml", block("wall.toml"), *options)["display"] == "page"


def test_the_container_of_the_guide_runs_a_wall(tmp_path: Path) -> None:
    lines = block("Containerfile").splitlines()
    steps = dict(line.split(" ", 1) for line in lines)
    assert set(steps) <= {"FROM", "COPY", "RUN", "USER", "WORKDIR", "EXPOSE", "ENTRYPOINT", "CMD"}
    assert lines[0].startswith("FROM ")
    assert json.loads(steps["ENTRYPOINT"]) == ["streamcam", "live"]
    _, *options = json.loads(steps["CMD"])
    values = parse(tmp_path / "wall.toml", block("wall.toml"), *options)
    assert steps["EXPOSE"].split() == [str(values["port"]), str(values["metrics_port"])]
    asked = re.search(r"streamcam\[(.+?)\]", "\n".join(lines))
    assert asked is not None
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(asked[1].split(",")) <= set(extras)
