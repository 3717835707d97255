"""The identity of a function: equal for the same code with the same values around it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType
from typing import Any


def identity(function: Callable) -> str:
    """Return 16 hexadecimal digits that change if a function does.

    Its code counts, its default values, the variables of enclosing functions, and the functions
    that it calls by their names.  Functions of installed packages count by their names.
    """
    seen: set[int] = set()
    return hashlib.sha256("\n".join(_parts(function, seen)).encode()).hexdigest()[:16]


def _parts(value: Any, seen: set[int]) -> Iterator[str]:
    if not isinstance(value, FunctionType):
        yield f"{type(value).__qualname__} {value!r}" if not callable(value) else _name(value)
        return
    if id(value) in seen:
        return
    seen.add(id(value))
    yield from _of_code(value.__code__)
    for default in (value.__defaults__ or (), *sorted((value.__kwdefaults__ or {}).items())):
        yield repr(default)
    for cell in value.__closure__ or ():
        yield from _parts(cell.cell_contents, seen)
    for name in _names(value.__code__):
        other = value.__globals__.get(name)
        if isinstance(other, FunctionType) and other.__module__ == value.__module__:
            yield from _parts(other, seen)
        elif isinstance(other, int | float | str | bytes | bool | tuple):
            yield f"{name} = {other!r}"


def _name(value: Any) -> str:
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value))}"


def _of_code(code: CodeType) -> Iterator[str]:
    yield f"{code.co_code.hex()} {code.co_names} {code.co_varnames} {code.co_argcount}"
    for constant in code.co_consts:  # the text of an inner function would hold its address
        if isinstance(constant, CodeType):
            yield from _of_code(constant)
        else:
            yield repr(constant)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
