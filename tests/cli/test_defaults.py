"""Options have the defaults of the library's settings."""

from __future__ import annotations

import dataclasses
import inspect

import pytest

import streamcam
from streamcam.cli.defaults import defaults_of

SETTINGS = [name for name in streamcam.__all__ if name.endswith("Settings")]


@pytest.mark.parametrize("name", SETTINGS)
def test_defaults_of_a_dataclass_are_those_of_its_instance(name: str) -> None:
    defaults = defaults_of(name)
    for field in dataclasses.fields(getattr(streamcam, name)):
        if field.default is not dataclasses.MISSING:
            assert defaults[field.name] == field.default


@pytest.mark.parametrize("name", ["Explainer", "load_model", "render", "stream", "open_source"])
def test_defaults_of_a_function_are_those_of_its_signature(name: str) -> None:
    signature = inspect.signature(getattr(streamcam, name))
    assert defaults_of(name) == {
        parameter.name: parameter.default
        for parameter in signature.parameters.values()
        if parameter.default is not parameter.empty
    }


def test_an_unknown_name() -> None:
    with pytest.raises(KeyError, match="NoSuchSettings"):
        defaults_of("NoSuchSettings")
