"""Configurations are frozen dataclasses; a TOML file fills them, unknown keys are refused with the nearest match."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from eyeground.errors import UsageError, nearest

C = TypeVar("C")


def read_toml(path: Path) -> dict[str, Any]:
    """Reads a TOML file. Raises `UsageError` when it is missing or malformed."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"no configuration file {path}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from None


def fill(kind: type[C], values: Mapping[str, Any], where: str) -> C:
    """Makes a configuration from plain values.

    Args:
        kind: a frozen dataclass.
        values: field name to value; fields that are not named keep their defaults.
        where: the source, for the message.

    Raises:
        UsageError: an unknown key (with the nearest match), or a value of the wrong type.
    """
    assert dataclasses.is_dataclass(kind)
    hints = get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]
    for key in values:
        if key not in names:
            raise UsageError(f"unknown key '{key}' in {where}{nearest(key, names)}")
    return kind(**{key: _check(key, value, hints[key], where) for key, value in values.items()})


def refuse_idle(config: Any, names: Iterable[str], beside: str) -> None:
    """Raises `UsageError` for a field that was set although it has no part in the configuration.

    Args:
        config: a dataclass with defaults; names: its fields that change nothing; beside: the flag that says so.
    """
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name in names and value != field.default:
            flag = field.name.replace("_", "-")
            flag = f"--no-{flag}" if value is False else f"--{flag}"
            other = beside.split(maxsplit=1)[0]
            raise UsageError(f"{flag} changes nothing beside {beside}; leave it out, or change {other}")


def _check(key: str, value: Any, hint: Any, where: str) -> Any:
    """A value that fits the annotation (int serves as float, text as Path, list as tuple), or a `UsageError`."""
    for option in get_args(hint) if get_origin(hint) in (Union, type(int | None)) else (hint,):
        origin, inner = get_origin(option), get_args(option)
        if origin is Literal and value in inner:
            return value
        if origin is tuple and isinstance(value, list | tuple):
            return tuple(_check(key, item, inner[0], where) for item in value)
        if option is float and isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        if option is Path and isinstance(value, str):
            return Path(value)
        if option in (int, str, bool) and type(value) is option:
            return value
        if option is type(None) and value is None:
            return None
    wanted = getattr(hint, "__name__", None) if get_origin(hint) is None else None
    raise UsageError(f"'{key}' in {where} can't be {value!r}: it takes {wanted or str(hint).replace('typing.', '')}")


def plain(config: Any) -> dict[str, Any]:
    """A configuration as TOML- and JSON-able values; fields that are None are left out."""
    values = dataclasses.asdict(config)
    return {key: _plain(value) for key, value in values.items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
