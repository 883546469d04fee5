"""The progress line, for people at a terminal."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self

from streamcam.cli.output import is_terminal, say

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

    from streamcam.pipeline.results import Progress

_WIDTH_FOR_BAR = 76
"""Narrower terminals show the numbers only."""

_SETTLING_S = 1.0
"""Speed is shown after this many seconds, because the first batch arrives all at once."""


class ProgressRow:
    """The progress of one render: activity, frames, speed and time left.

    Attributes:
        activity: Current activity, as in ``"rendering"``.
        label: What stands before the activity, as in ``"a.mp4"``; empty for none.
        numbers: Frames, speed and time left, as text.
    """

    def __init__(self, label: str = "", bar: RichProgress | None = None) -> None:
        """Add a row to what is shown.

        Args:
            label: What stands before the activity.
            bar: What is shown; None to show nothing.
        """
        self.activity = ""
        self.label = label
        self.numbers = ""
        self._bar = bar
        self._task = None if bar is None else bar.add_task("", total=None, line=self)

    @property
    def heading(self) -> str:
        """Label and activity."""
        return f"{self.label} {self.activity}".strip()

    @property
    def brief(self) -> str:
        """Text for a narrow terminal."""
        return self.numbers or self.heading

    def update(self, progress: Progress) -> None:
        """Show the progress of a render."""
        if self._bar is None or self._task is None:
            return
        is_new = progress.frames > progress.carried
        if progress.frames in (1, progress.carried + 1):
            self.activity = "rendering" if is_new else "catching up"
            done = progress.frames - 1  # the first frame says nothing about the speed of the rest
            self._bar.reset(self._task, total=progress.info.frame_count, completed=done)
        self._bar.update(self._task, completed=progress.frames)
        (task,) = (each for each in self._bar.tasks if each.id == self._task)
        has_settled = is_new and task.elapsed is not None and task.elapsed >= _SETTLING_S
        self.numbers = describe(
            progress,
            speed=task.speed if has_settled else None,
            left_s=task.time_remaining if has_settled else None,
            width=self._bar.console.width - 2,
        )

    def remove(self) -> None:
        """Show it no longer."""
        if self._bar is not None and self._task is not None:
            self._bar.remove_task(self._task)


class ProgressLine(ProgressRow):
    """Progress on stderr; silent if stderr is not a terminal. Other rows may stand below.

    Attributes:
        ending: What happens after the first Ctrl-C, as text.
    """

    def __init__(self, *, quiet: bool) -> None:
        """Create a progress line that is not shown yet.

        Args:
            quiet: Whether to show nothing on a terminal either.
        """
        super().__init__()
        self.ending = "finishing the file"
        self._quiet = quiet
        self._is_shown = not quiet and is_terminal(sys.stderr)
        self._stopping = False

    def begin(self, activity: str) -> None:
        """Show an activity of unknown length."""
        if self._stopping:
            return
        self.activity, self.numbers = activity, ""
        if self._is_shown and self._bar is None:
            self._bar = _make_bar()
            self._bar.start()
            self._task = self._bar.add_task("", total=None, line=self)
        elif self._bar is not None and self._task is not None:
            self._bar.reset(self._task, total=None)

    def print_above(self, text: str, *, always: bool = False) -> None:
        """Print a line above the progress line, if not quiet or if it is to be seen always."""
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
        elif always or not self._quiet:
            say(text, err=True)

    def note(self, text: str) -> None:
        """Print a note above the progress line, if not quiet."""
        self.print_above(f"note: {text}")

    def update(self, progress: Progress) -> None:
        """Show the progress of a render, unless it is stopping."""
        if not self._stopping:
            super().update(progress)

    def count(self, finished: int, total: int) -> None:
        """Show how many of several files are finished."""
        if self._bar is None or self._task is None or self._stopping:
            return
        self.activity, self.numbers = "rendering", f"{finished}/{total} files"
        self._bar.update(self._task, total=total, completed=finished)

    def add_row(self, label: str) -> ProgressRow:
        """Show another row below, for one of several renders."""
        return ProgressRow(label, self._bar)

    def announce_stop(self) -> None:
        """Show that the work is stopping.

        Safe in a signal handler: it neither locks nor buffers.
        """
        self._stopping = True
        self.activity, self.numbers = "stopping", f"{self.ending}; Ctrl-C again leaves at once"
        if self._bar is None and not self._quiet:
            line = f"streamcam: stopping; {self.ending} (once more to leave at once)\n"
            with contextlib.suppress(OSError):  # stderr is closed
                os.write(2, line.encode())

    def wipe(self) -> None:
        """Erase the line and show the cursor again; safe in a signal handler."""
        if self._bar is not None:
            os.write(2, b"\r\x1b[2K\x1b[?25h")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()


@contextlib.contextmanager
def showing_activities(
    show: Callable[[str], None], others: Mapping[str, Callable[[str], None]] | None = None
) -> Iterator[None]:
    """Show what the library says in its log that it is doing, where that takes seconds.

    Args:
        show: Called with each activity, in the thread that it is done in.
        others: Called with other records: ``"progress"`` with the runs that a map of many takes, ``"cost"``
            with how many these will be, ``"remark"`` with why a start is slow.
    """

    def look(record: logging.LogRecord) -> bool:
        for kind, show_kind in {"activity": show, **(others or {})}.items():
            if getattr(record, kind, False):
                show_kind(record.getMessage())
        return record.levelno >= usual

    # A filter and not a handler: where there is no handler, Python prints warnings by itself.
    logger = logging.getLogger("streamcam.explain")
    level, usual = logger.level, logger.getEffectiveLevel()
    logger.addFilter(look)
    if not logger.isEnabledFor(logging.INFO):
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeFilter(look)


def describe(progress: Progress, *, speed: float | None, left_s: float | None, width: int) -> str:
    """Describe the progress of a render in words.

    Args:
        progress: The progress.
        speed: Recent frames per second, if known.
        left_s: Seconds until the end, if known.
        width: Columns available; the least important parts are left out if they do not fit.
    """
    total = progress.info.frame_count
    parts = {"frames": f"{progress.frames}/{total} frames" if total else f"{progress.frames} frames"}
    if speed:
        parts["fps"] = f"{speed:.1f} fps"
        if progress.video_s > 0:
            parts["real time"] = f"{speed * progress.video_s / progress.frames:.1f}x real time"
    if left_s is not None:
        parts["left"] = f"{clock(left_s)} left"
    for part in ("real time", "fps", "left"):
        if len(" · ".join(parts.values())) > width:
            parts.pop(part, None)
    return " · ".join(parts.values())


def clock(seconds: float) -> str:
    """Format a duration as ``0:07``, ``12:34`` or ``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _make_bar() -> RichProgress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, TextColumn

    console = Console(stderr=True)
    has_bar = console.width >= _WIDTH_FOR_BAR
    columns: list[ProgressColumn] = [SpinnerColumn()]
    # rich's thread reads the texts from the line at every refresh.
    if has_bar:
        columns.append(TextColumn("{task.fields[line].heading}", style="bold", markup=False))
        columns.append(BarColumn(bar_width=None))
        columns.append(TextColumn("{task.fields[line].numbers}", markup=False))
    else:
        columns.append(TextColumn("{task.fields[line].brief}", markup=False))
    return Progress(*columns, console=console, transient=True, expand=has_bar)
