"""Exit codes of the command line, and which error means which."""

from __future__ import annotations

from streamcam.errors import (
    InvalidArgumentError,
    NoDirectoryError,
    OutputExistsError,
    SourceNotFoundError,
    StreamcamError,
)

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_MISUSE = 2
EXIT_INTERRUPTED = 130

_MISUSE = (InvalidArgumentError, SourceNotFoundError, NoDirectoryError, OutputExistsError)


def exit_code_of(error: StreamcamError) -> int:
    """Return 2 for a request that is wrong in itself, and 1 for work that failed."""
    return EXIT_MISUSE if isinstance(error, _MISUSE) else EXIT_FAILED
