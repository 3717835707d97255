"""Models and protocols as pages of text: equations, values, sources, citation."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from dendrosim.model.expressions import Expression
from dendrosim.model.model import Model
from dendrosim.model.quantities import describe
from dendrosim.simulation.protocol import Protocol
from dendrosim.simulation.shapes import SHAPES

WIDTH = 96


def model_page(model: Model) -> str:
    """Return a model as a page of text: equations, parameters with units and sources, citation."""
    parts = [heading(f"{model.title}  [{model.name}]")]
    if model.description:
        parts.append(fill(model.description))
    if model.kind == "continuous":
        parts.append(_section("Equations", _aligned(_equation_rows(model))))
    else:
        parts.append(_section("One step", "\n".join(f"  {s.text}" for s in model.update)))
    if model.derived:
        derived = [(f"  {name} =", e.text) for name, e in model.derived.items()]
        parts.append(_section("Derived", _aligned(derived)))
    parts.append(_section("Spike", _spike_text(model)))
    rows = [
        (f"  {name}", describe(p.value), p.doc, p.source) for name, p in model.parameters.items()
    ]
    parts.append(_section("Parameters", table(("  name", "value", "meaning", "source"), rows)))
    starts = {name: f"{start.text} = " for name, start in model.starts.items()}
    start = ", ".join(
        f"{name} = {starts.get(name, '')}{describe(v)}" for name, v in model.initial.items()
    )
    parts.append(_section("Initial state", fill(start, "  ")))
    into = ", ".join(f"{place} through {name}" for place, name in model.inputs.items())
    per = "; ".join(f"{place} per {text.text} of it" for place, text in model.areas.items())
    into += f"\n  densities are per area of the whole membrane, {per}" if per else ""
    parts.append(_section("Current enters", f"  {into}"))
    if model.corrections:
        parts.append(
            _section("Corrected here", "\n".join(fill(c, "  ") for c in model.corrections))
        )
    if model.variants:
        titles = [
            (f"  {model.name}:{key}", v.get("title", "")) for key, v in model.variants.items()
        ]
        parts.append(_section("Variants", _aligned(titles)))
    doi = f"\n  doi:{model.doi}" if model.doi else ""
    parts.append(_section("Reference", fill(model.reference, "  ") + doi))
    return "\n\n".join(parts)


def model_table(model: Model) -> dict[str, Any]:
    """Return a model as plain values for JSON."""
    return {
        "name": model.name,
        "title": model.title,
        "kind": model.kind,
        "reference": model.reference,
        "doi": model.doi,
        "equations": [e.text for e in model.equations] or [s.text for s in model.update],
        "states": list(model.states),
        "inputs": dict(model.inputs),
        "areas": {place: share.text for place, share in model.areas.items()},
        "parameters": {
            name: {"value": describe(p.value), "doc": p.doc, "source": p.source}
            for name, p in model.parameters.items()
        },
        "initial": {name: describe(value) for name, value in model.initial.items()},
        "method": model.method,
        "dt": describe(model.dt) if model.dt is not None else None,
        "variants": {key: v.get("title", "") for key, v in model.variants.items()},
        "corrections": list(model.corrections),
        "hash": model.hash,
    }


def protocol_page(protocol: Protocol) -> str:
    """Return a protocol as a page of text."""
    parts = [heading(f"{protocol.title}  [{protocol.name}]")]
    if protocol.description:
        parts.append(fill(protocol.description))
    if protocol.given_duration is not None:
        start, stop = protocol.window
        parts.append(
            f"  duration {describe(protocol.duration)}, measured from {start * 1e3:g} ms "
            f"to {stop * 1e3:g} ms"
        )
    for stimulus in protocol.stimuli:
        rows = [(f"    {key}", describe(value)) for key, value in stimulus.values.items()]
        rows += [(f"    {key}", str(v)) for key, v in stimulus.options.items() if v is not None]
        what = (
            f"  {stimulus.shape} into {' and '.join(stimulus.into)}: {SHAPES[stimulus.shape].doc}"
        )
        parts.append(f"{what}\n{_aligned(rows)}")
    return "\n\n".join(parts)


def protocol_table(protocol: Protocol) -> dict[str, Any]:
    """Return a protocol as plain values for JSON."""
    duration = protocol.given_duration
    return {
        "name": protocol.name,
        "title": protocol.title,
        "duration": None if duration is None else describe(duration),
        "stimuli": [
            {"into": list(s.into), "shape": s.shape}
            | {key: describe(value) for key, value in s.values.items()}
            | {key: value for key, value in s.options.items() if value is not None}
            for s in protocol.stimuli
        ],
    }


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return rows as aligned columns; long text in the last column is wrapped."""
    rows = [[_cell(cell) for cell in row] for row in rows]
    widths = [max(len(row[k]) for row in [header, *rows]) for k in range(len(header) - 1)]
    left = sum(widths) + 2 * len(widths)
    lines = []
    for row in [list(header), *rows]:
        last = textwrap.wrap(row[-1], max(20, WIDTH - left)) or [""]
        start = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False))
        lines.append(f"{start}  {last[0]}".rstrip())
        lines += [" " * left + more for more in last[1:]]
    return "\n".join(lines)


def heading(text: str) -> str:
    """Return an underlined heading."""
    return f"{text}\n{'=' * len(text)}"


def fill(text: str, indent: str = "") -> str:
    """Return a paragraph, wrapped to the page width."""
    return textwrap.fill(" ".join(text.split()), WIDTH, initial_indent=indent,
                         subsequent_indent=indent)  # fmt: skip


def _section(title: str, body: str) -> str:
    return f"{title}\n{'-' * len(title)}\n{body}"


def _aligned(rows: Iterable[Sequence[str]]) -> str:
    rows = list(rows)
    return table(("",) * len(rows[0]), rows).split("\n", 1)[1] if rows else ""


def _equation_rows(model: Model) -> list[tuple[str, str]]:
    rows = []
    for equation in model.equations:
        left = f"d{equation.name}/dt" if equation.kind == "differential" else equation.name
        right = equation.expression.text if equation.expression else "(current from outside)"
        rows.append((f"  {left} =", f"{right}   [{equation.unit}]"))
    return rows


def _spike_text(model: Model) -> str:
    if model.kind == "discrete":
        return f"  when {model.output} is 1"
    if model.threshold is None:
        return "  none"
    lines = [f"  when {model.threshold.text}"]
    if model.refractory is not None:
        part = model.refractory
        text = part.text if isinstance(part, Expression) else describe(part)
        lines.append(f"  and then not while {text}" if isinstance(part, Expression)
                     else f"  and then not for {text}")  # fmt: skip
    lines += [f"  then {statement.text}" for statement in model.reset]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if isinstance(value, float | np.floating):
        return "-" if np.isnan(value) else f"{value:.4g}"
    return str(value)
