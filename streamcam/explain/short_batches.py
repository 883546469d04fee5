"""Explaining frames that come one by one, without filling each up to a batch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


class ShortBatches:
    """An explainer on OpenVINO, which runs batches of one size."""

    _fills_singles = True

    @contextlib.contextmanager
    def short_batches(self) -> Iterator[None]:
        """Run a frame that comes alone by itself, inside of the context.

        Otherwise OpenVINO runs full batches only, and a frame takes as long as one. That is rare where only a
        video's last batch is short, and common where frames come one by one.
        """
        before, self._fills_singles = self._fills_singles, False
        try:
            yield
        finally:
            self._fills_singles = before
