"""The progress line, for people at a terminal."""

from __future__ import annotations

import contextlib
import os
import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

from streamcam.cli.output import is_terminal, say

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

    from streamcam.pipeline.render import Progress

_WIDTH_FOR_BAR = 76
"""Terminals of fewer columns show the numbers only."""

_SETTLING_S = 1.0
"""Speed is shown after this many seconds: the first batch comes all at once."""


class ProgressLine:
    """Shows what is being done, frames, speed and time left on stderr; silent where that is no terminal.

    Attributes:
        doing: What is being done, in a word or two.
        numbers: How far it has come, in words.
        ending: What the first signal lets it do, in words.
    """

    def __init__(self, *, quiet: bool) -> None:
        """Assign.

        Args:
            quiet: Whether to stay silent at a terminal too.
        """
        self.doing = ""
        self.numbers = ""
        self.ending = "finishing the file"
        self._quiet = quiet
        self._wanted = not quiet and is_terminal(sys.stderr)
        self._stopping = False
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None

    @property
    def brief(self) -> str:
        """What a narrow terminal shows."""
        return self.numbers or self.doing

    def begin(self, doing: str) -> None:
        """Show that work goes on whose end is not known."""
        self.doing = doing
        if self._wanted and self._bar is None:
            self._bar = _make_bar()
            self._bar.start()
            self._task = self._bar.add_task("", total=None, line=self)

    def tell(self, text: str) -> None:
        """Say a line that stays, unless nothing is to be said."""
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
        elif not self._quiet:
            say(text, err=True)

    def update(self, progress: Progress) -> None:
        """Show how far the render has come."""
        if self._bar is None or self._task is None or self._stopping:
            return
        is_new = progress.frames > progress.carried
        if progress.frames in (1, progress.carried + 1):
            self.doing = "rendering" if is_new else "catching up"
            done = progress.frames - 1  # which says nothing of how fast the rest will be
            self._bar.reset(self._task, total=progress.info.frame_count, completed=done)
        self._bar.update(self._task, completed=progress.frames)
        task = self._bar.tasks[0]
        has_settled = is_new and task.elapsed is not None and task.elapsed >= _SETTLING_S
        self.numbers = describe(
            progress,
            speed=task.speed if has_settled else None,
            left_s=task.time_remaining if has_settled else None,
            width=self._bar.console.width - 2,
        )

    def announce_stop(self) -> None:
        """Tell that the work is being ended.

        Allowed in a signal handler, in the middle of anything, as it neither locks nor buffers.
        """
        self._stopping = True
        self.doing, self.numbers = "stopping", f"{self.ending}; Ctrl-C again leaves at once"
        if self._bar is None and not self._quiet:
            told = f"streamcam: stopping; {self.ending} (once more to leave at once)\n"
            with contextlib.suppress(OSError):  # whoever read it has gone
                os.write(2, told.encode())

    def wipe(self) -> None:
        """Take the line away and give the terminal its cursor back; as allowed as `announce_stop`."""
        if self._bar is not None:
            os.write(2, b"\r\x1b[2K\x1b[?25h")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()


def describe(progress: Progress, *, speed: float | None, left_s: float | None, width: int) -> str:
    """Put into words how far a render has come.

    Args:
        progress: How far.
        speed: Frames a second lately, where known.
        left_s: Seconds until the end, where known.
        width: How many columns there are; what matters least is left out where they are too few.
    """
    total = progress.info.frame_count
    parts = {"frames": f"{progress.frames}/{total} frames" if total else f"{progress.frames} frames"}
    if speed:
        parts["fps"] = f"{speed:.1f} fps"
        if progress.video_s > 0:
            parts["real time"] = f"{speed * progress.video_s / progress.frames:.1f}x real time"
    if left_s is not None:
        parts["left"] = f"{clock(left_s)} left"
    for least in ("real time", "fps", "left"):
        if len(" · ".join(parts.values())) > width:
            parts.pop(least, None)
    return " · ".join(parts.values())


def clock(seconds: float) -> str:
    """Write a span of time as ``0:07``, ``12:34`` or ``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _make_bar() -> RichProgress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, TextColumn

    console = Console(stderr=True)
    has_bar = console.width >= _WIDTH_FOR_BAR
    columns: list[ProgressColumn] = [SpinnerColumn()]
    # The texts are read from the line whenever it is refreshed, by rich's own thread.
    if has_bar:
        columns.append(TextColumn("{task.fields[line].doing}", style="bold", markup=False))
        columns.append(BarColumn(bar_width=None))
        columns.append(TextColumn("{task.fields[line].numbers}", markup=False))
    else:
        columns.append(TextColumn("{task.fields[line].brief}", markup=False))
    return Progress(*columns, console=console, transient=True, expand=has_bar)
