"""HTML documents with everything in them: what all pages share, and writing them."""

from __future__ import annotations

import html
import json
import string
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

import streamcam
from streamcam.files import check_output, unfinished


def write_page(path: str | Path, text: str, evidence: Iterable[Path], *, overwrite: bool = False) -> None:
    """Write a page.

    Args:
        path: The file to make, which appears when it is complete.
        text: The page.
        evidence: Files that must not be written to.
        overwrite: Whether an existing file may be replaced.

    Raises:
        OutputExistsError: if it exists.
        SinkError: if it cannot be written.
    """
    path = check_output(path, overwrite=overwrite, inputs=evidence)
    with unfinished(path, overwrite=overwrite) as part:
        part.write_text(text, encoding="utf-8")


def assemble(
    body: str,
    *,
    title: str,
    subject: str,
    introduction: str,
    script: str | None = None,
    data: Any = None,
    plays_videos: bool = False,
    **fields: str,
) -> str:
    """Return a page as HTML. It may load nothing but, where it plays videos, those that lie beside it.

    Args:
        body: Name of the file of its sections.
        title: Its title, as text.
        subject: What it is on, in the window's title.
        introduction: The sentence below the title.
        script: Name of the file of its script, which gets `data` and uPlot; None for a page without one.
        data: Plain values for the script.
        plays_videos: Whether it may load videos from files.
        fields: HTML for the places in the body.
    """
    policy, scripts, styles = "", "", asset("report.css")
    if script is not None:
        policy = "script-src 'unsafe-inline';"
        styles = asset("uPlot.min.css") + styles
        fields |= {"license": html.escape(asset("uPlot.LICENSE"))}
        # Nothing in the data can end its element.
        text = json.dumps(data, allow_nan=False).replace("<", "\\u003c")
        scripts = (
            f'<script type="application/json" id="data">{text}</script>\n'
            f"<script>{asset('uPlot.iife.min.js')}</script>\n<script>{asset(script)}</script>\n"
        )
    if plays_videos:
        policy += " media-src 'self' file:;"
    return string.Template(asset("document.html")).substitute(
        title=html.escape(title),
        subject=subject,
        introduction=introduction,
        version=streamcam.__version__,
        policy=policy,
        styles=styles,
        body=string.Template(asset(body)).substitute(fields),
        scripts=scripts,
    )


def asset(name: str) -> str:
    """Return the text of a file that pages are made of."""
    return (files("streamcam.report") / "assets" / name).read_text(encoding="utf-8")


def format_percent(value: float | None) -> str:
    """Return a probability in percent, and other numbers as they are."""
    if value is None:
        return "unknown"
    return f"{100 * value:.0f} %" if 0 <= value <= 1 else f"{value:.4g}"


_WHOLE = 0.9
"""A part that covers more of the frame than this has most of any heat."""


def tells_much(area: float) -> bool:
    """Return whether the heat in a part of the frame says anything, given how much of it the part covers."""
    return area <= _WHOLE


def format_share(inside: float, area: float) -> str:
    """Return how much heat lies in a part of the frame, and what that is worth.

    Args:
        inside: Share of the heat, 0 to 1.
        area: Share of the frame that the part covers, 0 to 1.
    """
    if not tells_much(area):
        return f"tells nothing: it covers {format_percent(area)} of the frame"
    return f"{format_percent(inside)} of the heat, on {format_percent(area)} of the frame"


def format_time(seconds: float) -> str:
    """Return a time as minutes and seconds: ``1:02.50``."""
    hundredths = round(seconds * 100)
    minutes, rest = divmod(hundredths, 6000)
    return f"{minutes}:{rest // 100:02}.{rest % 100:02}"
