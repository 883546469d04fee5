"""A real browser without a screen: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from programs import require_programs


@contextlib.contextmanager
def open_chromiums(*commands: Sequence[str]) -> Iterator[list[Any]]:
    """Yield several Chromiums; skip the test where there is none.

    Args:
        commands: More arguments of the command line of each.
    """
    require_programs("chromium")
    from playwright.sync_api import sync_playwright

    with contextlib.ExitStack() as ends:
        playwright = ends.enter_context(sync_playwright())
        browsers = []
        for arguments in commands:
            browser = playwright.chromium.launch(
                executable_path="/usr/bin/chromium", args=["--no-sandbox", *arguments]
            )
            ends.callback(browser.close)
            browsers.append(browser)
        yield browsers


@contextlib.contextmanager
def open_chromium(*arguments: str) -> Iterator[Any]:
    """Yield a Chromium; skip the test where there is none.

    Args:
        arguments: More arguments of its command line.
    """
    with open_chromiums(arguments) as (browser,):
        yield browser


@contextlib.contextmanager
def open_tab(browser: Any, **settings: Any) -> Iterator[tuple[Any, list[str]]]:
    """Yield a tab with a list of everything that it complains of and every request that leaves its origin.

    Args:
        browser: From `open_chromium`.
        settings: Of the tab: ``viewport``, ``color_scheme``, ``locale`` …
    """
    context = browser.new_context(**settings)
    tab = context.new_page()
    complaints: list[str] = []
    tab.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    tab.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    try:
        yield tab, complaints
    finally:
        context.close()


def serious_findings(tab: Any) -> list[str]:
    """Return what axe-core finds serious or critical for those who cannot see or use a mouse."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(tab).response["violations"]
    return [
        f"{each['id']}: {node['html'][:120]}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]
