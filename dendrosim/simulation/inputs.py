"""The input currents of a model: its stimuli as equations, values and sampled signals."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from brian2 import Quantity
from brian2.units.fundamentalunits import DIMENSIONLESS, Dimension

from dendrosim import checks
from dendrosim.devices.signals import Sampled
from dendrosim.errors import DendrosimError, DendrosimWarning, at
from dendrosim.model.expressions import Expression
from dendrosim.model.model import Model
from dendrosim.model.optional import scales_of
from dendrosim.model.quantities import DENSITY, display_unit, parse_unit, unit_text
from dendrosim.simulation.protocol import Protocol
from dendrosim.simulation.shapes import SHAPES, TIME, WINDOW, spread
from dendrosim.simulation.stimuli import Stimulus
from dendrosim.simulation.stimulus_checks import check_times

_AMPERE = parse_unit("amp").dim
_CAPACITANCE = parse_unit("farad/meter**2").dim
#: Plausible range of the total membrane capacitance (F) of a recorded neuron.
SMALLEST_CELL, LARGEST_CELL = 1e-12, 10e-9


@dataclass(frozen=True)
class Inputs:
    """All input currents of a model.

    Attributes
    ----------
    neurons
        Number of neurons.
    lines
        Equations.
    values
        Name to SI value: a float, or an array of one value per neuron.
    samples
        Name of a sampled signal to its values.
    """

    neurons: int
    lines: list[str] = field(default_factory=list)
    values: dict[str, float | np.ndarray] = field(default_factory=dict)
    samples: dict[str, Sampled] = field(default_factory=dict)

    def declare(self, name: str, value: Any, unit: Dimension, where: str = "") -> None:
        """Declare a parameter and store its value; an array has one value per neuron."""
        flag = "constant" if np.ndim(value) else "shared, constant"
        self.lines.append(f"{name} : {unit_text(unit)} ({flag})")
        self.values[name] = spread_over(where or name, np.asarray(value, float), self.neurons)


def inputs_of(model: Model, protocol: Protocol, neurons: int, duration: float, dt: float) -> Inputs:
    """Return equations, values and sampled signals of all input currents of a model.

    Raises
    ------
    DendrosimError
        If a stimulus does not fit the model, or its times do not fit the run.
    """
    found = Inputs(neurons)
    # Currents are summed at sites.  A scaled model has physical currents at its sites, and each
    # port receives a weighted sum of them.  In other models, each port is its own site.
    sites = {place: _site_dim(model, place) for place in _places(model)}
    sums = _stimuli(found, model, protocol, sites, duration, dt)
    totals = {
        place: " + ".join(names) or f"0*{unit_text(sites[place])}" for place, names in sums.items()
    }
    if model.scales is None:
        for place, variable in model.inputs.items():
            found.lines.append(f"{variable} = {totals[place]} : {unit_text(sites[place])}")
    else:
        _through_scales(found, model, totals)
    return found


def _stimuli(
    found: Inputs, model: Model, protocol: Protocol, sites: Mapping[str, Dimension],
    duration: float, dt: float,
) -> dict[str, list[str]]:  # fmt: skip
    """Add the stimuli; return the terms of the current of each place."""
    sums: dict[str, list[str]] = {place: [] for place in sites}
    # An electrode's current is spread over the membrane to which a density at its place refers
    shares, used = model.shares(), set()
    for k, (stimulus, stream) in enumerate(zip(protocol.stimuli, protocol.streams, strict=True)):
        name = f"stimulus_{k}"
        place = f"{protocol.source or protocol.name}: stimuli.{k}"
        with at(place):
            check_times(stimulus, duration, dt)
            places = {_place(model, sites, into) for into in stimulus.into}
            dim, *others = {sites[into] for into in places}
            if others:
                raise DendrosimError(f"the inputs {', '.join(sorted(places))} have different units")
            if stimulus.shape == "recorded":
                _check_recorded(stimulus, model, places, dim)
        if stimulus.shape == "recorded" and dim is DENSITY:
            _check_area(stimulus, model, place)
        text = _stimulus_text(found, stimulus, name, duration, dim, place)
        sampled = stimulus.samples(duration, found.neurons, stream)
        if sampled is not None:
            text = text.renamed({"samples": _call(found, stimulus, name, sampled)})
            found.samples[f"{name}_samples"] = sampled
        flag = "" if SHAPES[stimulus.shape].smooth else " (constant over dt)"
        found.lines.append(f"{name} = {text.text} : {unit_text(dim)}{flag}")
        for place in places:
            divided = stimulus.shape == "recorded" and place in shares
            sums[place].append(f"{name}/run_share_{place}" if divided else name)
            used |= {place} if divided else set()
    for place in sorted(used):
        share = shares[place] if shares[place].size > 1 else shares[place].reshape(())
        found.declare(f"run_share_{place}", share, DIMENSIONLESS, f"areas.{place}")
    return sums


def _call(found: Inputs, stimulus: Stimulus, name: str, sampled: Sampled) -> str:
    """Return the text of a sampled signal, and declare the column of each neuron if needed."""
    if sampled.values.ndim == 1:
        return f"{name}_samples(t)"
    if sampled.of_neurons:
        return f"{name}_samples(t, i)"
    column = f"{name}_column"
    columns = np.asarray(stimulus.columns_of(found.neurons))
    found.declare(column, columns, DIMENSIONLESS, "sweeps")
    return f"{name}_samples(t, int({column}))"


def _through_scales(found: Inputs, model: Model, totals: Mapping[str, str]) -> None:
    """Add the ports of a scaled model: each is a weighted sum of the currents plus a bias."""
    for place, total in totals.items():
        found.lines.append(f"run_current_{place} = {total} : {unit_text(DENSITY)}")
    scales = scales_of(model)
    for variable in model.inputs.values():
        terms = []
        for place, gain in scales.current.get(variable, {}).items():
            name = f"run_gain_{variable}_{place}"
            found.declare(name, float(gain), gain.dim)
            terms.append(f"{name}*run_current_{place}")
        bias = f"run_bias_{variable}"
        found.declare(bias, scales.bias.get(variable, 0.0), DIMENSIONLESS)
        found.lines.append(f"{variable} = {' + '.join((*terms, bias))} : 1")


def spread_over(name: str, value: np.ndarray, neurons: int) -> float | np.ndarray:
    """Return one number, or one per neuron.

    Raises
    ------
    DendrosimError
        If the number of values does not fit the number of neurons.
    """
    if value.size == 1:
        return float(value.reshape(()))
    result = spread(value[None], neurons)[0]
    if result.shape != (neurons,):
        raise DendrosimError(f"{name} has {value.size} values for {neurons} neurons")
    return np.ascontiguousarray(result)


def _places(model: Model) -> list[str]:
    if model.scales is None:
        return list(model.inputs)
    return sorted({place for places in model.scales.current.values() for place in places})


def _site_dim(model: Model, place: str) -> Dimension:
    if model.scales is not None:
        return DENSITY
    if model.kind == "discrete":
        return DIMENSIONLESS
    return model.dims[model.inputs[place]]


def _place(model: Model, sites: Mapping, into: str) -> str:
    place = model.place(into)
    if place not in sites:
        raise DendrosimError(f"no current into {into!r} reaches {model.name}")
    return place


def _check_recorded(stimulus: Stimulus, model: Model, places: set[str], dim: Dimension) -> None:
    inputs = " and ".join(sorted(model.inputs.get(place, place) for place in places))
    if dim not in (_AMPERE, DENSITY):
        raise DendrosimError(
            f"a recorded current goes into an input in amp or, by its area, in "
            f"amp/meter**2, but {inputs} of {model.name} is in {unit_text(dim)}"
        )
    if dim is DENSITY and "area" not in stimulus.values:
        raise DendrosimError(
            f"a recorded current needs the key 'area' to go into {inputs} of "
            f"{model.name}, in amp/meter**2"
        )


def _check_area(stimulus: Stimulus, model: Model, place: str) -> None:
    """Warn if the area gives the cell an implausible capacitance."""
    area = stimulus.values["area"]
    for parameter in model.parameters.values():
        if parameter.value.dim is _CAPACITANCE:
            whole = np.asarray(area * parameter.value)
            if np.any(whole < SMALLEST_CELL) or np.any(whole > LARGEST_CELL):
                warnings.warn(
                    f"{place}: area = {checks.short(area)} makes {model.name} a cell of "
                    f"{checks.short(area * parameter.value)}, of its "
                    f"{checks.short(parameter.value)}; "
                    "recorded cells have 5 to 500 pF",
                    DendrosimWarning, stacklevel=2,
                )  # fmt: skip
            return


def _stimulus_text(
    found: Inputs, stimulus: Stimulus, name: str, duration: float, dim: Dimension, place: str
) -> Expression:
    """Declare the values of a stimulus and return its text with their declared names."""
    shape = SHAPES[stimulus.shape]
    text, names = stimulus.expression(dim is _AMPERE), {}
    read = text.names | WINDOW.names
    given = {key: value for key, value in stimulus.values.items() if key in read}
    given.setdefault("stop", Quantity(duration, dim=TIME))
    for key, value in given.items():
        wanted = shape.values.get(key, (value.dim, None))[0] or dim
        zero = value.dim is DIMENSIONLESS and not np.any(value)
        if value.dim is not wanted and not (zero and wanted is dim):
            raise DendrosimError(
                f"{place}: {key} = {checks.short(value)} goes into an input "
                f"{'without a unit' if wanted is DIMENSIONLESS else f'in {display_unit(wanted)}'}"
            )
        names[key] = f"{name}_{key}"
        found.declare(names[key], value, wanted, key)
    if shape.smooth:
        names["gate"] = f"{name}_gate"
        found.lines.append(f"{names['gate']} = {WINDOW.renamed(names).text} : 1 (constant over dt)")
    return text.renamed(names)
