"""What the command line returns; an error of ours brings its own code (`StreamcamError.exit_code`)."""

from __future__ import annotations

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_MISUSE = 2
EXIT_INTERRUPTED = 130
