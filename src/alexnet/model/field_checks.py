"""Checks of dataclass fields whose values come from a configuration or a file."""

import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, NamedTuple, TypeVar

from alexnet.runtime.errors import InputError

T = TypeVar("T")


class Check(NamedTuple):
    """Whether a value is valid, and the valid values in words."""

    is_valid: Callable[[Any], bool]
    expected: str


FLAG = Check(lambda value: isinstance(value, bool), "true or false")
INTEGER = Check(lambda value: type(value) is int, "a whole number")
TEXT = Check(lambda value: isinstance(value, str), "a string")


def number(low: float, below: float = 1e6) -> Check:
    """Return a check for an int or float with low ≤ value < below."""
    expected = f"a number from {low:g} to less than {below:g}"
    return Check(lambda value: type(value) in (int, float) and low <= value < below, expected)


def whole_number(low: int, high: float = math.inf) -> Check:
    """Return a check for an int with low ≤ value ≤ high."""
    expected = f"a whole number from {low}" + (f" to {high}" if high < math.inf else "")
    return Check(lambda value: type(value) is int and low <= value <= high, expected)


def one_of(*choices: str | int) -> Check:
    """Return a check for one of the choices, all strings or all ints."""
    kind = type(choices[0])
    expected = ", ".join(map(str, choices))
    return Check(
        lambda value: isinstance(value, kind) and value is not True and value in choices, expected
    )


def check_fields(config: object, prefix: str, checks: Mapping[str, Check]) -> None:
    """Raise InputError if a field of `config` fails its check; `prefix` precedes its name."""
    for name, (is_valid, expected) in checks.items():
        value = getattr(config, name)
        if not is_valid(value):
            raise InputError(f"{prefix}{name} is {repr(value)[:40]}", f"set it to {expected}")


def from_mapping(cls: type[T], values: Any, name: str, **converters: Callable[[Any], Any]) -> T:
    """Return the dataclass `cls` from a mapping that has exactly its fields.

    name: what messages call the mapping; converters: applied to the fields of their names. Raises
    InputError if a field is missing or unknown.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"{name} is not an object")
    names = {field.name for field in fields(cls)}  # type: ignore[arg-type]
    if missing := names - values.keys():
        raise InputError(f"{name} lacks {min(missing)!r}")
    if unknown := values.keys() - names:
        raise InputError(f"{name}.{min(unknown)} is unknown")
    converted = {key: convert(values[key]) for key, convert in converters.items()}
    return cls(**{**values, **converted})
