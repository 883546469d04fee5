"""The command line in a process of its own, with an explainer that waits where it is told to.

    python fake_cli.py WHERE ARGUMENTS...

WHERE is ``loading``, ``converting``, the number of a batch of four frames, or ``nowhere``. There the program
prints a line and goes on when its standard input is closed. With --resume, a segment has as many frames as
the variable SEGMENT says, and what is explained goes to the disk after as many seconds as RISK says.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from stage_fakes import FakeExplainer, FakeModel, fake_modules

FRAMES_PER_BATCH = 4


def main() -> None:
    where, *arguments = sys.argv[1:]

    os.environ.setdefault("STREAMCAM_SMOOTHING_MODE", "causal")  # each frame is written once explained

    def hold(here: object) -> None:
        if str(here) == where:
            print(f"holding at {here}", flush=True)
            sys.stdin.read()

    def build(model: FakeModel, **settings: object) -> FakeExplainer:
        hold("loading")
        logging.getLogger("streamcam.explain").info("converting the fake", extra={"activity": True})
        hold("converting")
        return FakeExplainer(model, before=hold, **{**settings, "batch_size": FRAMES_PER_BATCH})

    sys.modules.update(fake_modules(build))

    from streamcam import __main__
    from streamcam.cli import progress
    from streamcam.pipeline import recorded_explainer
    from streamcam.sinks.resume import segments

    progress._SETTLING_S = 0.0
    segments.FRAMES_PER_SEGMENT = int(os.environ.get("SEGMENT", segments.FRAMES_PER_SEGMENT))
    recorded_explainer.SECONDS_AT_RISK = float(os.environ.get("RISK", recorded_explainer.SECONDS_AT_RISK))
    sys.argv[1:] = arguments
    __main__.main()


if __name__ == "__main__":
    main()
