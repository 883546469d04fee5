"""Reports: one page on what a network saw in a video, made from evidence."""

from __future__ import annotations

from streamcam.report.page import write_report
from streamcam.report.summary import Summary, summarize

__all__ = ["Summary", "summarize", "write_report"]
