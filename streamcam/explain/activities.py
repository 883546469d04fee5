"""Activities that take seconds, before the first heat can be shown."""

from __future__ import annotations

import logging

_logger = logging.getLogger("streamcam.explain")


def announce(activity: str) -> None:
    """Log what is being done now, with the attribute ``activity`` for programs that show it.

    Args:
        activity: What is being done, as in ``"converting resnet50 for OpenVINO"``.
    """
    _logger.info("%s", activity, extra={"activity": True})
