"""The shelves of model and protocol files: locate a file by name or path and read it as TOML."""

from __future__ import annotations

import json
import math
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from datetime import date, time
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from dendrosim.errors import DendrosimError, at, did_you_mean
from dendrosim.files import is_file, path_text

MAX_BYTES = 1_000_000
MAX_DEPTH = 20
MAX_PARTS = 100


def shelf(kind: str) -> Path:
    """Return the folder with the included files of a kind.

    Parameters
    ----------
    kind
        ``"models"`` or ``"protocols"``.

    Notes
    -----
    In an installed package the shelf is inside ``dendrosim``; in a checkout it is next to it.
    """
    package = Path(str(files("dendrosim")))
    inside = package / kind
    return inside if inside.is_dir() else package.parent / kind


def names(kind: str) -> list[str]:
    """Return the names on a shelf, sorted."""
    return sorted(path.stem for path in shelf(kind).glob("*.toml"))


def find(name: str | os.PathLike, kind: str) -> Path:
    """Return the file for a name on the shelf, or for a path.

    Raises
    ------
    DendrosimError
        If the name or file does not exist.
    """
    text = path_text(name, kind[:-1])
    is_path = text.endswith(".toml") or os.sep in text
    path = Path(text) if is_path else shelf(kind) / f"{text}.toml"
    if is_path and not is_file(path):
        raise DendrosimError(f"{text}: there is no such {kind[:-1]} file")
    if not is_path and text not in names(kind):
        raise DendrosimError(
            f"{text!r} is not a {kind[:-1]} on the shelf; {did_you_mean(text, names(kind))}"
        )
    return path


def beside(name: str, folder: Path | None) -> str:
    """Return the path of a file that is named in a file in `folder`; return other names unchanged.

    A relative path is relative to `folder`, or otherwise to the working directory.
    """
    path, dot, variant = name.partition(".toml")
    if folder is None or not dot or Path(path).is_absolute():
        return name
    return f"{found}{variant}" if is_file(found := folder / f"{path}.toml") else name


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    DendrosimError
        If it is not readable, larger than a megabyte, not UTF-8, not TOML, or nested too deeply.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise DendrosimError(f"{path}: longer than the {MAX_BYTES:,} bytes that are read")
        text = content.decode("utf-8")
        # tomllib needs time and memory quadratic in the number of parts of a dotted key
        if any(part.count(".") > MAX_PARTS for part in re.split(r"[\n=,{}\[\]]", text)):
            raise DendrosimError(f"{path}: a key of more than {MAX_PARTS} parts")
        table = tomllib.loads(text)
    except UnicodeDecodeError:
        raise DendrosimError(f"{path}: not a text file in UTF-8") from None
    except OSError as error:
        raise DendrosimError(f"{path}: {error.strerror}") from None
    except RecursionError:
        raise DendrosimError(f"{path}: not TOML: nested too deep") from None
    except DendrosimError:
        raise
    except ValueError as error:  # a TOMLDecodeError, or a number with thousands of digits
        raise DendrosimError(f"{path}: not TOML: {error}") from None
    with at(str(path)):
        _check_parts(table)
    return table


def toml_value(text: str) -> Any:
    """Parse a value in TOML syntax; anything else is returned as text.

    Raises
    ------
    DendrosimError
        If it is nested too deeply, or is a whole number of more than 64 bits.
    """
    try:
        value = tomllib.loads(f"value = {text.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        return text.strip()  # a bare word
    except (ValueError, RecursionError):  # thousands of digits or brackets
        raise DendrosimError("too long a number or nested too deep") from None
    _check_parts({"value": value})
    return value


def _check_parts(table: dict[str, Any]) -> None:
    """Refuse deep nesting, and whole numbers outside the range of TOML."""
    if _deeper_than(table, MAX_DEPTH):
        raise DendrosimError(f"nested more than {MAX_DEPTH} deep")
    rest: list[tuple[str, Any]] = list(table.items())
    while rest:
        key, item = rest.pop()
        if isinstance(item, dict):
            rest += item.items()
        elif isinstance(item, list):
            rest += [(key, inner) for inner in item]
        elif isinstance(item, int) and not -(2**63) <= item < 2**63:
            raise DendrosimError(f"{key} is a whole number of more than 64 bits")


def _deeper_than(table: dict[str, Any], depth: int) -> bool:
    level: list = [table]
    for _ in range(depth):
        level = [
            item
            for container in level
            for item in (container.values() if isinstance(container, dict) else container)
            if isinstance(item, dict | list)
        ]
    return bool(level)


Kinds = type | tuple[type, ...]  #: the types that the value of a key may have


def check_keys(table: Any, allowed: Mapping[str, Kinds]) -> dict:
    """Check that `table` is a table with keys and types from `allowed`.

    Raises
    ------
    DendrosimError
        With the key, and the valid keys or types.
    """
    if not isinstance(table, dict):
        raise DendrosimError(f"{table!r} is not a table of keys and values")
    for key, value in table.items():
        if key not in allowed:
            raise DendrosimError(f"unknown key {key!r}; {did_you_mean(key, allowed)}")
        if not isinstance(value, allowed[key]) or (
            isinstance(value, bool) and bool not in _types(allowed[key])
        ):
            wanted = " or ".join(_TOML_NAMES.get(t, t.__name__) for t in _types(allowed[key]))
            raise DendrosimError(f"{key} = {value!r} should be {wanted}")
    return table


def _types(types: Kinds) -> tuple[type, ...]:
    return types if isinstance(types, tuple) else (types,)


_TOML_NAMES = {str: "text", dict: "a table", list: "a list", bool: "true or false",
               int: "a whole number", float: "a number"}  # fmt: skip


def toml_text(table: dict[str, Any]) -> str:
    """Return a table as TOML text with the same meaning."""
    plain = {key: value for key, value in table.items() if not isinstance(value, dict)}
    lines = [_toml_pair(*pair) for pair in plain.items()]
    for key, value in table.items():
        if isinstance(value, dict):
            lines += ["", f"[{_toml_key(key)}]", *(_toml_pair(*pair) for pair in value.items())]
    return "\n".join(lines) + "\n"


def _toml_pair(key: str, value: Any) -> str:
    return f"{_toml_key(key)} = {_toml_value(value)}"


def _toml_key(key: str) -> str:
    return key if re.fullmatch("[A-Za-z0-9_-]+", key) else _toml_string(key)


def _toml_string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")  # not escaped in JSON


def _toml_value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(_toml_pair(*pair) for pair in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml_value, value)) + "]"
    if isinstance(value, str):
        # keep line breaks; write other characters that are not printable as escapes
        lines = "\n" in value and value.replace("\n", "").replace("\t", "").isprintable()
        whole = lines and "'''" not in value and not value.endswith("'")
        return f"'''\n{value}'''" if whole else _toml_string(value)
    if isinstance(value, date | time):  # a datetime is also a date
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # inf and nan, which JSON writes differently
    return json.dumps(value)


T = TypeVar("T")


def loaded(value: Any, kind: type[T], load: Callable[[Any], T], what: str) -> T:
    """Return an argument of a given type, or load it from a text or path.

    Parameters
    ----------
    value
        The argument.
    kind, load
        The required type, and the function that loads it.
    what
        End of the error message: ``"a model, nor the name or path of one"``.

    Raises
    ------
    DendrosimError
        If it has another type, or `load` refuses it.
    """
    if isinstance(value, kind):
        return value
    if isinstance(value, str | os.PathLike):
        return load(value)
    raise DendrosimError(f"{value!r} is not {what}")
