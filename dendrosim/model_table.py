"""A model as the table of a model file: what `load_model` reads, made from the values."""

from __future__ import annotations

from typing import Any

import numpy as np
from brian2 import Quantity

from dendrosim.model import Model
from dendrosim.quantities import unit_text
from dendrosim.text import Expression


def to_table(model: Model) -> dict[str, Any]:
    """Return a table that `model_from_table` makes the same model of, to the last bit.

    Variants are left out: the table is of this variant.
    """
    table: dict[str, Any] = {
        key: getattr(model, key)
        for key in ("title", "reference", "doi", "description", "kind", "output", "method")
        if getattr(model, key)
    }
    table["inputs"] = dict(model.inputs)
    if model.potentials:
        table["potentials"] = dict(model.potentials)
    if model.corrections:
        table["corrections"] = list(model.corrections)
    if model.dt is not None:
        table["dt"] = _exact(model.dt)
    if model.kind == "discrete":
        table["update"] = "\n".join(s.text for s in model.update)
        table["recurrent"] = model.recurrent
        table["ports"] = list(model.ports)
        table["derived"] = {name: e.text for name, e in model.derived.items()}
    else:
        table["equations"] = "\n".join(e.text for e in model.equations)
        for key in ("threshold", "refractory"):
            part = getattr(model, key)
            if part is not None:
                table[key] = part.text if isinstance(part, Expression) else _exact(part)
        if model.reset:
            table["reset"] = "\n".join(s.text for s in model.reset)
    table["parameters"] = {
        name: {
            "value": _exact(p.value), "doc": p.doc, "source": p.source, "trainable": p.trainable,
            "shape": p.shape,
        }
        for name, p in model.parameters.items()
    }  # fmt: skip
    table["initial"] = {name: _exact(value) for name, value in model.initial.items()}
    if model.scales is not None:
        scales = model.scales
        table["scales"] = {
            "voltage": _exact(scales.voltage),
            "rest": {name: _exact(value) for name, value in scales.rest.items()},
            "current": {
                port: {place: _exact(gain) for place, gain in gains.items()}
                for port, gains in scales.current.items()
            },
            "bias": {port: repr(float(value)) for port, value in scales.bias.items()},
        }
    return table


def _exact(value: Quantity) -> str:
    numbers = np.asarray(value, dtype=float)
    text = repr(float(numbers)) if numbers.ndim == 0 else str([float(x) for x in numbers])
    unit = unit_text(value.dim)
    return text if unit == "1" else f"{text} {unit}"
