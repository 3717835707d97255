"""Tables for a terminal: aligned columns of names and numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

#: Gap between two columns.
GAP = "  "


def number(value: Any) -> str:
    """Return a value as short text: four significant digits, ``-`` for a missing value.

    >>> [number(value) for value in (198.5961, 18, 1e-05, float("nan"), None, "rk4", True)]
    ['198.6', '18', '1e-05', '-', '-', 'rk4', 'yes']
    """
    if value is None:
        return "-"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        value = float(value)
        if np.isnan(value):
            return "-"
        return f"{value:.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.4g}"
    return str(value)


def aligned(columns: Mapping[str, Sequence[Any]], width: int = 100, keys: int = 1) -> list[str]:
    """Return the lines of a table: text aligned left, numbers aligned right.

    If the columns do not fit side by side, headings are broken into several lines.  If that is
    not sufficient, the table is continued below, with the key columns repeated.

    Parameters
    ----------
    columns
        Heading to values, all of one length.
    width
        Characters per line.
    keys
        Number of columns, from the left, that identify a row.
    """
    names = list(columns)
    bodies = [_body(values, width // 2) for values in columns.values()]
    sizes = [max([len(name), *map(len, body)]) for name, body in zip(names, bodies, strict=True)]
    room = width - sum(sizes[:keys]) - len(GAP) * (len(names) - 1)
    most = width if room >= sum(sizes[keys:]) else max(12, room // max(1, len(names) - keys))
    heads = [_wrapped(name, width if k < keys else most) for k, name in enumerate(names)]
    tall = max(map(len, heads))
    cells = [
        _block([""] * (tall - len(head)) + head, body, list(values))
        for head, body, values in zip(heads, bodies, columns.values(), strict=True)
    ]
    lines: list[str] = []
    for part in _parts(cells, width, keys):
        rows = [GAP.join(row).rstrip() for row in zip(*part, strict=True)]
        rule = GAP.join("-" * len(column[0]) for column in part)
        lines += [*([""] if lines else []), *rows[:tall], rule, *rows[tall:]]
    return lines


def _parts(cells: list[list[str]], width: int, keys: int) -> list[list[list[str]]]:
    key, rest = cells[:keys], cells[keys:]
    parts = [[*key]]
    for column in rest:
        used = sum(len(c[0]) + len(GAP) for c in parts[-1])
        if used + len(column[0]) > width and len(parts[-1]) > keys:
            parts.append([*key])
        parts[-1].append(column)
    return parts


def _body(values: Sequence[Any], most: int) -> list[str]:
    return [_shorter(number(value), most) for value in values]


def _block(head: list[str], body: list[str], values: list[Any]) -> list[str]:
    size = max(map(len, head + body))
    text = bool(values) and all(isinstance(value, str) for value in values)
    return [f"{cell:<{size}}" if text else f"{cell:>{size}}" for cell in head + body]


def _wrapped(name: str, most: int) -> list[str]:
    """Break a heading after spaces, underscores and hyphens."""
    lines = [""]
    for piece in re.findall(r"[^ _-]*[ _-]?", name):
        if lines[-1] and len(lines[-1] + piece.rstrip()) > most:
            lines.append("")
        lines[-1] += piece
    return [_shorter(line.rstrip(), most) for line in lines]


def _shorter(text: str, most: int) -> str:
    half = (most - 3) // 2
    return text if len(text) <= most else f"{text[: most - 3 - half]}...{text[-half:]}"
