"""The description of a run: model, values, protocol and versions, as plain values for its files."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np

from dendrosim.model.model import Model
from dendrosim.model.quantities import describe, unit_text
from dendrosim.simulation.grids import Grid, per_neuron
from dendrosim.simulation.plan import Plan
from dendrosim.simulation.protocol import Protocol


def describe_run(
    model: Model, protocol: Protocol, plan: Plan, grids: Sequence[Grid]
) -> dict[str, Any]:
    """Return the description of a run as plain values, without what the device adds."""
    values = [
        {
            "key": grid.key,
            "values": per_neuron(grid, plan.neurons).tolist(),
            "unit": unit_text(grid.values.dim),
        }
        for grid in grids
    ]
    return {
        "model": model.name,
        "text_hash": model.hash,
        "parameters": {name: describe(value) for name, value in model.values().items()},
        "initial": {name: describe(value) for name, value in model.initial.items()},
        "potentials": dict(model.potentials),
        "input_units": _input_units(model),
        "scales": _scales(model),
        "protocol": protocol.name,
        "stimuli": describe_stimuli(protocol),
        "measure": list(protocol.window),
        "grids": values,
        "neurons": plan.neurons,
        "duration": plan.duration,
        "dt": plan.dt,
        "record_dt": plan.record_dt,
        "method": plan.method,
        "versions": dict(_versions()),
    }


@cache  # reading them from the installed packages takes milliseconds
def _versions() -> Mapping[str, str]:
    return {
        "dendrosim": version("dendrosim"),
        "brian2": version("brian2"),
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def describe_stimuli(protocol: Protocol) -> list[dict[str, Any]]:
    """Return the stimuli of a protocol as plain values."""
    return [
        {
            "into": list(s.into),
            "shape": s.shape,
            **{key: describe(value) for key, value in s.values.items()},
            **{key: value for key, value in s.options.items() if value is not None},
        }
        for s in protocol.stimuli
    ]


def _input_units(model: Model) -> dict[str, str]:
    if model.kind == "discrete":
        return {}
    return {place: unit_text(model.dims[name]) for place, name in model.inputs.items()}


def _scales(model: Model) -> Mapping[str, Any] | None:
    if model.scales is None:
        return None
    return {
        "voltage": float(model.scales.voltage),
        "rest": {name: float(value) for name, value in model.scales.rest.items()},
    }
