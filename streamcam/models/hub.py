"""Hugging Face's hub, where timm's weights lie: whether it can be reached, and doing without it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

_PATIENCE_S = 5.0
"""For a connection to be made: three attempts of TCP. Who is connected may take longer to answer."""


def find_obstacle() -> str | None:
    """Ask the hub for a sign of life, by the way that downloads would take (``HF_ENDPOINT``, proxies).

    Its library repeats what fails for most of a minute before it says so, and does that even for weights that
    are on the disk.

    Returns:
        Why it cannot be reached, in words; None if it can, or if nobody is to ask it (``HF_HUB_OFFLINE``).
    """
    try:
        from huggingface_hub import constants, get_session
    except ImportError:  # weights that lie there are then refused by timm itself
        return None
    if constants.HF_HUB_OFFLINE:
        return None
    try:
        get_session().head(constants.ENDPOINT, timeout=_PATIENCE_S)
    except Exception as error:  # of requests or of httpx, as the library's version has it
        # By name, for the same reason: who takes the connection and is slow to answer is there.
        if type(error).__name__ == "ReadTimeout":
            return None
        reason = str(error).partition("\n")[0] or type(error).__name__
        return f"{constants.ENDPOINT} cannot be reached: {reason}"
    return None


@contextmanager
def without_asking() -> Iterator[None]:
    """Take from the hub's cache what is there, and nothing else, as under ``HF_HUB_OFFLINE``."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


@contextmanager
def quiet_downloads() -> Iterator[None]:
    """Keep the hub's account of its attempts out of the way: what matters is in the error."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
