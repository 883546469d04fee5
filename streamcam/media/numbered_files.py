"""Names that stand for many numbered files, as ``frames/%05d.png`` does."""

from __future__ import annotations

import re
from pathlib import Path

_DIGITS = re.compile(r"([0-9]+)")
_NUMBER = re.compile(r"%(?:0(\d))?d")


def is_pattern(path: Path) -> bool:
    """Return whether a file's name holds one ``%d`` or ``%05d``."""
    return len(_NUMBER.findall(path.name)) == 1


def numbered_name(path: Path, number: int) -> str:
    """Return the name of the file with a number."""
    return _NUMBER.sub(lambda match: f"{number:0{match[1] or 1}d}", path.name)


def numbered_files(path: Path) -> dict[int, Path]:
    """Find the files that a pattern stands for.

    Returns:
        Number → file, in order of the numbers.

    Raises:
        OSError: if the directory cannot be read.
    """
    before, after = (re.escape(part) for part in _NUMBER.sub("\0", path.name).split("\0"))
    pattern = re.compile(rf"{before}(\d+){after}", re.IGNORECASE)
    matches = ((pattern.fullmatch(entry.name), entry) for entry in path.parent.iterdir())
    return dict(sorted((int(match[1]), entry) for match, entry in matches if match is not None))


def natural_order(path: Path) -> tuple[list[str | int], str]:
    """Return a key that sorts files as people do: image.png, image2.png, image10.png."""
    parts = _DIGITS.split(str(path.with_suffix("")))
    return [int(part) if number % 2 else part for number, part in enumerate(parts)], str(path)
