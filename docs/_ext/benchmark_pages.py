"""Benchmarks and results of training, as tables of the files that the scripts wrote."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from generated import ROOT
from markdown import block, page, table

RESULTS = ROOT / "benchmarks" / "results"
#: What the run of the published code had, of which only these figures are known.
PUBLISHED = {
    "s_mnist": "The published code, from the same couplings (0), had 47.6, 68.2 and 83.4 % after "
    "its first three epochs."
}


def write(folder: Path) -> None:
    """Write both pages into a folder."""
    (folder / "benchmarks.md").write_text(_benchmarks(), encoding="utf-8")
    (folder / "results.md").write_text(_results(), encoding="utf-8")


def _benchmarks() -> str:
    parts = [
        "# Benchmarks",
        "Each table is read from a file in `benchmarks/results/`. A script wrote it, together with "
        "a description of the machine. A load above 2 on 2 cores means that other programs ran at "
        "the same time. The ratios are valid then, but the nanoseconds are not.",
    ]
    for path in sorted(RESULTS.glob("*.json")):
        told = json.loads(path.read_text(encoding="utf-8"))
        parts += [f"## {path.stem.replace('_', ' ').capitalize()}", _question(path.stem)]
        parts.append(_machine(told.pop("machine", {})))
        plain = {k: v for k, v in told.items() if not isinstance(v, list | dict)}
        if plain:
            parts.append("; ".join(f"{_words(k)}: {_number(v)}" for k, v in plain.items()) + ".")
        for key, value in told.items():
            if isinstance(value, list) and value and isinstance(value[0], Mapping):
                parts += [f"**{_words(key)}**", rows_table(value)]
        if path.with_suffix(".png").is_file():
            parts.append(block("image", f"/../benchmarks/results/{path.stem}.png",
                               alt=f"Figure of {path.stem}"))  # fmt: skip
    return page(*parts)


def _results() -> str:
    runs = [{"name": p.stem, **json.loads(p.read_text(encoding="utf-8"))} for p in
            sorted((RESULTS / "training").glob("*.json"))]  # fmt: skip
    intro = (
        "The validation part decides which epoch is best; the test part is used once. Each row has "
        "three files in `benchmarks/results/training/`: NAME`.json` has the log of every epoch, "
        "NAME`.toml` the recipe, NAME`.safetensors` the network. Hits in C++ are those of the same "
        "network in Brian2's C++ standalone. To train such a network, and to count its hits again:"
    )
    how = (
        "```console\n$ dendrosim train benchmarks/results/training/NAME.toml --seed SEED\n"
        "$ dendrosim evaluate benchmarks/results/training/NAME.safetensors --device torch cpp\n```"
    )
    if not runs:
        return page("# Results of training", intro, "No run has been logged yet.")
    parts = ["# Results of training", intro, how]
    for task in dict.fromkeys(run["task"] for run in runs):
        rows = [_run(run) for run in runs if run["task"] == task]
        header = ("name", "seed", "weights", "validation after 1, 2, 3 epochs", "best epoch",
                  "test accuracy", "hits in torch", "hits in C++", "commit", "machine")  # fmt: skip
        parts += [f"## {_words(task)}", table(header, rows), PUBLISHED.get(task, "")]
    return page(*parts)


def _run(run: Mapping[str, Any]) -> Sequence[str]:
    first = ", ".join(f"{100 * row['validation_accuracy']:.1f}" for row in run["epochs_logged"][:3])
    evaluated = {name: f"{e['hits']} of {e['count']}" for name, e in run["evaluated"].items()}
    return (
        f"`{run['name']}`",
        str(run["seed"]),
        f"{run['weights']:,}",
        f"{first} %",
        f"{run['best_epoch']} of {run['epochs']}",
        f"{100 * run['test_accuracy']:.2f} %",
        evaluated.get("torch", ""),
        evaluated.get("cpp", "no spiking network"),
        (run["commit"] or "")[:9],
        run["machine"],
    )


def rows_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows of plain values as a table; a column is there if any row has it."""
    keys = [key for key in dict.fromkeys(k for row in rows for k in row)
            if not any(isinstance(row.get(key), list | dict) for row in rows)]  # fmt: skip
    cells = [[_number(row[key]) if key in row else "" for key in keys] for row in rows]
    return table([_words(key) for key in keys], cells)


def _question(name: str) -> str:
    """Return the first line of the script and how to run it."""
    script = ROOT / "benchmarks" / f"{name}.py"
    if not script.is_file():
        return ""
    text = script.read_text(encoding="utf-8")
    told = ast.get_docstring(ast.parse(text)) or ""
    options = " --full" if '"--full"' in text else ""
    return f"{told.splitlines()[0]} `python benchmarks/{name}.py{options}`"


def _machine(told: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in told.get("versions", {}).items())
    load = told.get("load", [])
    parts = [str(told.get("cpu", "")), f"{told.get('cores', '?')} cores",
             f"load {load[0]:.1f}" if load else "", str(told.get("compiler", "")), versions,
             str(told.get("date", "")), f"commit {told.get('commit', '')}"]  # fmt: skip
    return "*" + "; ".join(part for part in parts if part) + "*"


def _number(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: ""}[value]
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1e5 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _words(key: str) -> str:
    return key.replace("_", " ")
