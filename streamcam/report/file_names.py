"""Names of files for pages."""

from __future__ import annotations

from pathlib import Path

from streamcam.errors import InvalidArgumentError


def check_page_name(name: str) -> None:
    """Refuse names of files that are no pages.

    Raises:
        InvalidArgumentError: if it does not end in ``.html`` or ``.htm``.
    """
    if Path(name).suffix.lower() not in (".html", ".htm"):
        raise InvalidArgumentError(f"{name!r} is no page: pages are HTML, as in page.html")
