"""Reports: one page on what a network saw in a video, made from evidence; or on what two saw."""

from __future__ import annotations

from streamcam.report.audit_page import build_audit_page
from streamcam.report.comparison import Comparison, check_one_video, compare
from streamcam.report.comparison_page import build_comparison_page
from streamcam.report.document import write_page
from streamcam.report.page import build_page
from streamcam.report.summary import Summary, summarize

__all__ = [
    "Comparison",
    "Summary",
    "build_audit_page",
    "build_comparison_page",
    "build_page",
    "check_one_video",
    "compare",
    "summarize",
    "write_page",
]
