"""Figures of benchmarks as JSON: what was measured, with its spread, by which command, on which machine."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


@dataclasses.dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure."""

    median: float
    least: float
    most: float
    runs: int
    """How often it was measured."""

    @classmethod
    def of(cls, values: Sequence[float]) -> Figure:
        """Return the figure of several runs."""
        return cls(statistics.median(values), min(values), max(values), len(values))

    def __str__(self) -> str:
        return f"{self.median:.3g} ({self.least:.3g} to {self.most:.3g})"


@dataclasses.dataclass(frozen=True, slots=True)
class Measurement:
    """What one run of a benchmark has measured."""

    commit: str
    machine: str
    command: str
    figures: Mapping[str, Figure]
    """By name, as in ``"resnet50 432p streamcam fps"``."""

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Measurement:
        """Read it from plain values.

        Raises:
            ValueError: if something is missing or has another type.
        """
        try:
            figures = {name: Figure(**figure) for name, figure in values["figures"].items()}
            return cls(values["commit"], values["machine"], values["command"], figures)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"these are no figures of a benchmark: {error!r}") from error


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--json FILE``."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")


def write_figures(path: Path | None, values: Mapping[str, Sequence[float]]) -> None:
    """Write figures, each from its runs; nothing where no file is named."""
    if path is None:
        return
    figures = {name: Figure.of(runs) for name, runs in values.items() if runs}
    measurement = Measurement(commit(), machine(), command_of(sys.argv), figures)
    path.write_text(json.dumps(measurement.as_json(), indent=1) + "\n", "utf-8")


def command_of(arguments: Sequence[str]) -> str:
    """Return the command that is running, without where it writes its figures."""
    words = ["python", f"benchmarks/{Path(arguments[0]).name}"]
    waiting = iter(arguments[1:])
    for word in waiting:
        if word == "--json":
            next(waiting, None)
        elif not word.startswith("--json="):
            words.append(word)
    return " ".join(words)


def machine() -> str:
    """Describe the machine: its processor and the cores that this process may use."""
    name = platform.processor() or platform.machine()
    described = Path("/proc/cpuinfo")
    if described.exists():
        lines = described.read_text("utf-8").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return f"{name}, {cores} cores"


def commit() -> str:
    """Return the commit that is measured, with + behind it if files differ from it."""
    asked = ("rev-parse", "--short=10", "HEAD"), ("status", "--porcelain", "--untracked-files=no")
    found, changed = (
        subprocess.run(["git", *each], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
        for each in asked
    )
    return f"{found or 'unknown'}{'+' if changed else ''}"
