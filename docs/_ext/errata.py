"""The errata page: a table whose every line links to the test that shows it, and these tests."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from generated import DOCS
from markdown import block, page, table


def read() -> dict[str, Any]:
    """Return `docs/errata.toml`."""
    return tomllib.loads((DOCS / "errata.toml").read_text(encoding="utf-8"))


def write(path: Path) -> None:
    """Write the page."""
    told = read()
    parts = [
        "# Errata",
        "Errors in these papers. They were found while their models, networks and numbers were "
        "rebuilt. Each row links to the tests that show the error. The source of these tests is "
        "below, and `make test` runs them.",
    ]
    tests: dict[str, None] = {}
    for key, paper in told["papers"].items():
        rows = []
        for entry in (entry for entry in told["errata"] if entry["paper"] == key):
            tests |= dict.fromkeys(entry["tests"])
            links = ", ".join(f"[{_short(test)}](#{anchor(test)})" for test in entry["tests"])
            rows.append((entry["where"], entry["printed"], entry["right"], links))
        parts += [f"## {paper}", table(("where", "printed", "what holds", "shown by"), rows)]
        for entry in (entry for entry in told["wording"] if entry["paper"] == key):
            slips = "\n".join(f"- {slip}" for slip in entry["slips"])
            parts.append(f"Slips of wording, on which no number depends:\n\n{slips}")
    parts.append("## The tests")
    for test in tests:
        file, _, name = test.partition("::")
        parts += [
            f"({anchor(test)})=\n### {_short(test).replace('_', ' ')}",
            f"`{test}`",
            block("literalinclude", f"/../{file}", pyobject=name.replace("::", "."),
                  language="python"),
        ]  # fmt: skip
    path.write_text(page(*parts), encoding="utf-8")


def anchor(test: str) -> str:
    """Return the label of a test on the page."""
    return "-".join(test.partition("::")[2].replace("::", "_").lower().split("_"))


def _short(test: str) -> str:
    return test.rpartition("::")[2].removeprefix("test_")
