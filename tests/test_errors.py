from __future__ import annotations

import pytest

from streamcam.cli.exit_codes import exit_code_of
from streamcam.errors import (
    InvalidArgumentError,
    ModelError,
    NoDirectoryError,
    OutputExistsError,
    SinkError,
    SourceError,
    SourceNotFoundError,
    StreamcamError,
    UnknownNameError,
    unknown_name,
)


@pytest.mark.parametrize(
    ("error", "builtin", "exit_code"),
    [
        (InvalidArgumentError, ValueError, 2),
        (UnknownNameError, ValueError, 2),
        (SourceError, OSError, 1),
        (SourceNotFoundError, FileNotFoundError, 2),
        (SinkError, OSError, 1),
        (NoDirectoryError, FileNotFoundError, 2),
        (OutputExistsError, FileExistsError, 2),
        (ModelError, RuntimeError, 1),
    ],
)
def test_every_error_is_also_the_builtin_that_fits(
    error: type[StreamcamError], builtin: type[Exception], exit_code: int
) -> None:
    raised = error("what is wrong")
    assert isinstance(raised, StreamcamError)
    assert isinstance(raised, builtin)
    assert exit_code_of(raised) == exit_code
    assert str(raised) == "what is wrong"


def test_short_tables_are_listed_whole() -> None:
    error = unknown_name("method", "gradcam", ["hirescam", "grad-cam"])
    assert str(error) == "unknown method 'gradcam'; choose one of: grad-cam, hirescam"


def test_long_tables_give_the_nearest_names() -> None:
    known = [f"network{number}" for number in range(20)] + ["resnet50"]
    error = unknown_name("model", "resnet5", known, listed_by="streamcam models")
    message = str(error)
    assert message.startswith("unknown model 'resnet5'; the nearest are: resnet50")
    assert message.endswith("(all of them: streamcam models)")


def test_long_tables_give_the_names_that_contain_what_was_asked() -> None:
    known = ["a very long name that ends in cat", *(f"zzz{number}" for number in range(20))]
    assert str(unknown_name("class", "Cat", known)).endswith("nearest are: a very long name that ends in cat")


def test_a_name_that_is_known_twice_is_said_once() -> None:
    assert str(unknown_name("codec", "h26", ["h264", "h264"])) == "unknown codec 'h26'; choose one of: h264"


def test_names_like_nothing_at_all_say_so() -> None:
    error = unknown_name("class", "zzz", [f"network{number}" for number in range(20)])
    assert str(error) == "unknown class 'zzz'; nothing has a similar name"
