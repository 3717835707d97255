"""Pieces of MyST markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of pipes; a pipe in a cell is escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def block(directive: str, argument: str = "", body: str = "", **options: str) -> str:
    """Return a directive."""
    settings = "".join(f":{key.replace('_', '-')}: {value}\n" for key, value in options.items())
    return f"```{{{directive}}} {argument}".rstrip() + f"\n{settings}{body}\n```"


def math(text: str) -> str:
    """Return a displayed equation."""
    return f"$$\n{text}\n$$"


def page(*parts: str) -> str:
    """Return parts with an empty line between them."""
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def _cell(text: str) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")
