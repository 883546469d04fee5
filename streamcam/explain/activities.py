"""Activities that take seconds, before the first heat can be shown, and remarks on why they do."""

from __future__ import annotations

import functools
import logging

_logger = logging.getLogger("streamcam.explain")


def announce(activity: str) -> None:
    """Log what is being done now, with the attribute ``activity`` for programs that show it.

    Args:
        activity: What is being done, as in ``"converting resnet50 for OpenVINO"``.
    """
    _logger.info("%s", activity, extra={"activity": True})


@functools.cache
def remark(text: str) -> None:
    """Log what the user should know of a start that is slower than others, once in a process.

    Args:
        text: A sentence. The record has the attribute ``remark``, for programs that show it.
    """
    _logger.info("%s", text, extra={"remark": True})
