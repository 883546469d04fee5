"""Compare figures of benchmarks, and keep their history.

    python benchmarks/throughput.py VIDEO --json new.json
    python benchmarks/compare.py old.json new.json
    python benchmarks/compare.py 1a2b3c4d5e new.json
    python benchmarks/compare.py --keep new.json

OLD and NEW are files that benchmarks wrote with --json, or commits in docs/benchmarks-history.json. A figure
has changed if the ranges of its runs do not overlap. Only figures of one machine and command are compared:
others say nothing. Exits with 1 if any has changed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from figures import ROOT, Figure, Measurement

HISTORY = ROOT / "docs" / "benchmarks-history.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, or keep; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("old", nargs="?", help="a file, or a commit in the history")
    parser.add_argument("new", nargs="?", help="likewise")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="add the figures of a file to the history")
    parser.add_argument("--history", type=Path, default=HISTORY, help="another file of history")
    settings = parser.parse_args(arguments)
    if settings.keep is not None:
        keep(settings.keep, settings.history)
        return 0
    if settings.old is None or settings.new is None:
        parser.error("name OLD and NEW, or --keep FILE")
    old, new = (list(find(name, settings.history)) for name in (settings.old, settings.new))
    lines, changed = describe(old, new)
    print("\n".join(lines))
    return int(changed)


def find(name: str, history: Path) -> Iterator[Measurement]:
    """Yield the measurements of a file or of a commit.

    Raises:
        SystemExit: if there are none.
    """
    if Path(name).is_file():
        yield read(Path(name))
        return
    found = [each for each in read_history(history) if each.commit.startswith(name)]
    if not found:
        raise SystemExit(f"{name!r} is no file, and no commit in {history}")
    yield from found


def read(path: Path) -> Measurement:
    """Read what a benchmark wrote.

    Raises:
        SystemExit: if it is something else.
    """
    try:
        return Measurement.from_json(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError) as error:
        raise SystemExit(f"{path}: {error}") from error


def read_history(path: Path) -> list[Measurement]:
    """Read the history; empty if there is none yet."""
    if not path.exists():
        return []
    return [Measurement.from_json(each) for each in json.loads(path.read_text("utf-8"))]


def keep(path: Path, history: Path) -> None:
    """Add the figures of a file to the history, in place of those of the same commit, machine and command."""
    fresh = read(path)
    if fresh.commit.endswith("+") or fresh.commit == "unknown":
        raise SystemExit(f"{path} was measured with changes that are not committed; commit and measure again")
    identity = (fresh.commit, fresh.machine, fresh.command)
    others = [each for each in read_history(history) if (each.commit, each.machine, each.command) != identity]
    lines = [json.dumps(each.as_json()) for each in (*others, fresh)]
    history.write_text("[\n" + ",\n".join(lines) + "\n]\n", "utf-8")


def describe(old: Sequence[Measurement], new: Sequence[Measurement]) -> tuple[list[str], bool]:
    """Return the lines of a comparison, and whether any figure has changed."""
    lines: list[str] = []
    compared = changed = 0
    for before in old:
        for after in new:
            if (before.machine, before.command) != (after.machine, after.command):
                continue
            for name in before.figures.keys() & after.figures.keys():
                compared += 1
                one, other = before.figures[name], after.figures[name]
                if differ(one, other):
                    changed += 1
                    ratio = f"{other.median / one.median:.2f}x" if one.median else "from 0"
                    lines.append(f"{name}: {one} to {other}, {ratio}")
    if not compared:
        return ["nothing to compare: no figure of the same machine and command is in both"], False
    lines.sort()
    return [*lines, f"{changed} of {compared} figures changed by more than their spread"], bool(changed)


def differ(one: Figure, other: Figure) -> bool:
    """Return whether the ranges of two figures do not overlap."""
    return one.most < other.least or other.most < one.least


if __name__ == "__main__":
    raise SystemExit(main())
