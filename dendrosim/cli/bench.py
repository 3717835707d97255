"""The command ``bench``: compares the speed of this machine with the published table."""

from __future__ import annotations

import importlib.util
import json
import sys
import tempfile
from importlib.resources import files
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from dendrosim.cli.options import JSON

_MODELS = ("kepecs_wang", "pinsky_rinzel")
_DURATION = 100.0  # ms: enough for ratios
_MINE = (("rush_larsen", "float64"), ("rush_larsen", "float32"), ("rk4", "float64"))
_STOCK = ("exponential_euler",)


@click.command()
@JSON
@click.option("--model", "models", multiple=True, type=click.Choice(_MODELS),
              help="Only this one.")  # fmt: skip
def bench(models: tuple[str, ...], as_json: bool) -> None:
    """Measure the speed of both biophysical models, beside the published table (under a minute)."""
    source = _scripts()
    published = _published()
    result: dict[str, Any] = {"published_on": (published or {}).get("machine"), "models": {}}
    for model in models or _MODELS:
        click.echo(f"{model}: compiling and running ...", err=True)
        rows = _measured(model, source)
        known = {row["program"]: row for row in (published or {}).get(model, ())}
        for row in rows:
            there = known.get(row["program"], {})
            row["published_ns_per_neuron_step"] = there.get("ns_per_neuron_step")
            row["published_ratio"] = there.get("ratio_to_hand_loop")
        result["models"][model] = rows
    if as_json:
        click.echo(json.dumps(result, indent=2))
        return
    _print(result, source is not None)


def _scripts() -> ModuleType | None:
    """Return benchmarks/populations.py of a git checkout, None for an installed package."""
    folder = Path(__file__).parents[2] / "benchmarks"
    path = folder / "populations.py"
    if not path.is_file():
        return None
    sys.path.insert(0, str(folder))  # because it imports `common`
    try:
        spec = importlib.util.spec_from_file_location("dendrosim_populations", path)
        assert spec is not None and spec.loader is not None  # the file is Python
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(folder))


def _published() -> dict | None:
    """Return the published table from the package or the checkout, None if neither has it."""
    for folder in (files("dendrosim"), Path(__file__).parents[2]):
        path = folder / "benchmarks" / "results" / "populations.json"
        if path.is_file():
            return json.loads(path.read_text(encoding="utf-8"))
    return None


def _measured(model: str, source: ModuleType | None) -> list[dict[str, Any]]:
    if source is None:
        return _own(model)
    with tempfile.TemporaryDirectory() as folder:
        rows = source.measure(
            model, Path(folder), repeat=3, mine=_MINE, stocks=_STOCK, duration=_DURATION,
            reference=False,
        )  # fmt: skip
    return [row for row in rows if "ns_per_neuron_step" in row]


def _own(model: str) -> list[dict[str, Any]]:
    """Measure dendrosim alone: without a checkout, the other programs are missing."""
    from dendrosim.model.toml import load_model
    from dendrosim.simulation.protocol import Protocol
    from dendrosim.simulation.run import simulate
    from dendrosim.simulation.stimuli import Stimulus

    name = {"kepecs_wang": "kepecs_wang_2000", "pinsky_rinzel": "pinsky_rinzel_1994"}[model]
    neuron, n, dt = load_model(name), 2000, 0.05
    drive = Stimulus(into="dendrite", shape="constant", amplitude=f"linspace(0, 2, {n}) uA/cm**2")
    protocol = Protocol(duration=f"{_DURATION} ms", stimuli=[drive])
    rows = []
    for method, dtype in _MINE:
        seconds = min(
            simulate(
                neuron, protocol, method=method, dt=f"{dt} ms", dtype=dtype, record=[],
                progress=False,
            ).meta["processor_seconds"]
            for _ in range(4)
        )  # fmt: skip
        ns = seconds / (n * _DURATION / dt) * 1e9
        rows.append({"program": f"dendrosim {method}, {dtype}", "ns_per_neuron_step": ns})
    return rows


def _print(result: dict[str, Any], checkout: bool) -> None:
    from dendrosim.cli.show import table

    for model, rows in result["models"].items():
        click.echo(f"\n{model}, 2,000 neurons, {_DURATION:g} ms, dt 0.05 ms, one thread\n")
        header = ("program", "ns/neuron-step", "x hand loop", "published", "x hand loop")
        cells = [
            [
                row["program"],
                *(
                    "-" if row.get(key) is None else f"{row[key]:.3g}"
                    for key in ("ns_per_neuron_step", "ratio_to_hand_loop",
                                "published_ns_per_neuron_step", "published_ratio")
                ),
            ]
            for row in rows
        ]  # fmt: skip
        click.echo(table(header, cells))
    there = result["published_on"]
    if there is None:
        click.echo(
            "\nThe published table is not in this installation: only this machine's numbers."
        )
    else:
        click.echo(f"\nPublished: {there['cpu']}, {there['compiler']}, {there['date']}.")
    if not checkout:
        click.echo("The hand-written loop and stock Brian2 are in a checkout's benchmarks/ only.")
