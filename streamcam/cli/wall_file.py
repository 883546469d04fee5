"""Wall files: the streams of a live session, and its options by their names, in TOML."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from streamcam.errors import InvalidArgumentError, SourceNotFoundError, StreamcamError, unknown_name

SUFFIX = ".toml"

_TABLE = "stream"
_META = "streamcam.wall_file"
_STREAM_OPTIONS = ("size", "fps", "mirror", "loop", "record")
"""Options that a stream may have for itself."""

_KEYS = ("source", "name", *_STREAM_OPTIONS)
_LEFT_OUT = ("debug", "help")
"""Options that a file cannot set: they are needed before it is read."""


def read_sources(
    context: click.Context, _parameter: click.Parameter, sources: tuple[str, ...]
) -> tuple[dict[str, Any], ...]:
    """Turn sources into what is known of each; a wall file also sets options that are not given otherwise.

    Returns:
        For each stream its ``source`` and, where the file says so, ``name``, ``record``, and fields of
        `SourceSettings`.

    Raises:
        StreamcamError: if a file cannot be read, or something in it is not as it should be.
    """
    files = [source for source in sources if source.lower().endswith(SUFFIX)]
    if not files:
        return tuple({"source": source} for source in sources or ("0",))
    if len(sources) > 1:
        raise InvalidArgumentError(f"{files[0]!r} names the sources itself; leave out the others")
    values = _read(files[0])
    context.meta[_META] = files[0]
    with naming_wall_file():
        tables = values.pop(_TABLE, None)
        options = _options_of(context, values)
        streams = _streams_of(context, tables)
        context.default_map = {**(context.default_map or {}), **options}
    return streams


@contextlib.contextmanager
def naming_wall_file() -> Iterator[None]:
    """Put the name of the wall file, if there is one, before what is wrong with a value.

    Raises:
        StreamcamError: what was raised, of the same kind.
    """
    file = click.get_current_context().meta.get(_META)
    try:
        yield
    except StreamcamError as error:
        if file is None:
            raise
        raise type(error)(f"{file!r}: {error}") from None


def _read(path: str) -> dict[str, Any]:
    import tomllib  # few sessions have a wall file

    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SourceNotFoundError(f"there is no file {path!r}") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise InvalidArgumentError(f"{path!r} cannot be read: {reason}") from None
    except tomllib.TOMLDecodeError as error:
        raise InvalidArgumentError(
            f"{path!r} is not TOML: {str(error)[:1].lower()}{str(error)[1:]}"
        ) from None


def _streams_of(context: click.Context, tables: Any) -> tuple[dict[str, Any], ...]:
    if tables is None or tables == []:
        raise InvalidArgumentError(f"there are no streams; add [[{_TABLE}]] with a source")
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise InvalidArgumentError(f"{_TABLE!r} is a table for each stream; write [[{_TABLE}]]")
    return tuple(_stream_of(context, number, table) for number, table in enumerate(tables, 1))


def _stream_of(context: click.Context, number: int, table: dict[str, Any]) -> dict[str, Any]:
    options = _options(context)
    name = table.get("name")
    which = f"stream {number}" + (f", {name!r}" if isinstance(name, str) else "")
    stream: dict[str, Any] = {}
    for key, value in table.items():
        if key not in _KEYS:
            raise unknown_name(f"key of stream {number}", key, _KEYS)
        if key in _STREAM_OPTIONS:
            option = options[key]
            stream[str(option.name)] = _value_of(context, key, value, option, f" of {which}")
        else:
            is_text = isinstance(value, str) or (key == "source" and type(value) is int)
            if not is_text or value == "":
                raise InvalidArgumentError(f"{key!r} of stream {number} is a text, not {value!r}")
            stream[key] = str(value)
    if "source" not in stream:
        raise InvalidArgumentError(f"stream {number} has no 'source'")
    return stream


def _options_of(context: click.Context, values: dict[str, Any]) -> dict[str, Any]:
    options = _options(context)
    names = [name for name in options if name not in _LEFT_OUT]
    found = {}
    for key, value in values.items():
        if key not in names:
            raise unknown_name("key", key, [_TABLE, *names])
        _value_of(context, key, value, options[key])
        found[str(options[key].name)] = _plain(key, value, options[key])
    return found


def _value_of(context: click.Context, key: str, value: Any, option: click.Option, where: str = "") -> Any:
    """Return a value as the command gets it.

    Raises:
        InvalidArgumentError: if it cannot be used.
    """
    try:
        return option.process_value(context, _plain(key, value, option))
    except click.BadParameter as error:
        raise InvalidArgumentError(f"{key!r}{where}: {error.message}") from None


def _options(context: click.Context) -> dict[str, click.Option]:
    """Return the options of the command by their long names, without the dashes."""
    return {
        name.removeprefix("--"): parameter
        for parameter in context.command.params
        if isinstance(parameter, click.Option)
        for name in parameter.opts[:1]
    }


def _plain(key: str, value: Any, option: click.Option) -> Any:
    """Return a value as the command line has it; refuse what it cannot have."""
    if option.is_flag:
        if not isinstance(value, bool):
            raise InvalidArgumentError(f"{key!r} is true or false, not {value!r}")
        return value
    if option.multiple:
        several = value if isinstance(value, list) else [value]
        return [_text(key, each) for each in several]
    return _text(key, value)


def _text(key: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InvalidArgumentError(f"{key!r} is a text or a number, not {value!r}")
    return str(value)
