"""Checks of a whole model: every name must be defined, every unit must match."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import numpy as np
from brian2.units.fundamentalunits import DIMENSIONLESS, Dimension

from dendrosim import checks
from dendrosim.errors import DendrosimError, at, did_you_mean
from dendrosim.model.equations import check_equations, dimension_of
from dendrosim.model.expressions import Expression, check_names
from dendrosim.model.names import is_name
from dendrosim.model.parts import Scales
from dendrosim.model.quantities import DENSITY, UNITS, parse_unit, quantity, unit_text
from dendrosim.model.syntax import CONSTANTS

if TYPE_CHECKING:
    from dendrosim.model.model import Model


def check_model(model: Model) -> dict[str, Dimension]:
    """Check every name, unit and value, and return the dimension of each name.

    Raises
    ------
    DendrosimError
        With the key and the valid values.
    """
    given = {name: parameter.value.dim for name, parameter in model.parameters.items()}
    variables = {*model.states, *model.inputs.values(), *(e.name for e in model.equations)}
    for name in given:
        if not is_name(name) or name in variables:
            raise DendrosimError(f"{name!r} cannot be the name of a parameter")
    dims = (
        _check_continuous(model, given)
        if model.kind == "continuous"
        else _check_discrete(model, given)
    )
    for place, variable in model.inputs.items():
        if model.kind == "continuous" and not any(
            e.name == variable and e.kind == "input" for e in model.equations
        ):
            raise DendrosimError(f"inputs.{place} = {variable!r} is not a line 'I : unit'")
    for place, variable in model.potentials.items():
        if variable not in model.states:
            raise DendrosimError(
                f"potentials.{place} = {variable!r} is not a state; "
                f"{did_you_mean(variable, model.states)}"
            )
        if dims[variable] not in (UNITS["volt"].dim, DIMENSIONLESS):
            raise DendrosimError(
                f"potentials.{place} = {variable!r} is in {unit_text(dims[variable])}; a "
                "potential is in volt, or has no unit"
            )
    _check_signs(model)
    _check_areas(model, dims)
    for name in model.initial:
        if name not in model.states:
            raise DendrosimError(
                f"initial.{name} is not a state; {did_you_mean(name, model.states)}"
            )
        quantity(model.initial[name], f"initial.{name}", like=dims[name])
    _check_starts(model)
    missing = set(model.states) - model.initial.keys()
    if missing and model.kind == "continuous":
        raise DendrosimError(f"[initial] lacks {', '.join(sorted(missing))}")
    return dims


#: Quantities that cannot be negative, by unit.
_UNSIGNED = {
    parse_unit(unit).dim: what
    for unit, what in {
        "siemens": "a conductance", "siemens/meter**2": "a conductance",
        "farad": "a capacitance", "farad/meter**2": "a capacitance", "second": "a time",
        "meter": "a length", "meter**2": "an area", "ohm": "a resistance",
        "ohm*meter": "a resistance", "ohm*meter**2": "a resistance",
    }.items()
}  # fmt: skip


def _check_signs(model: Model) -> None:
    for name, parameter in model.parameters.items():
        what = _UNSIGNED.get(parameter.value.dim)
        if what and np.any(np.asarray(parameter.value) < 0):
            raise DendrosimError(
                f"parameters.{name} = {checks.short(parameter.value)} is {what} below 0"
            )


def _check_starts(model: Model) -> None:
    """Check that initial values depend only on parameters that are not trainable."""
    known = {*model.parameters, *model.derived}
    trained = {name for name, parameter in model.parameters.items() if parameter.trainable}
    for name, derived in model.derived.items():
        if derived.names & trained:
            trained.add(name)
    for name, start in model.starts.items():
        place = f"initial.{name}"
        if name not in model.states:
            raise DendrosimError(f"{place} is not a state; {did_you_mean(name, model.states)}")
        with at(place):
            check_names(start, known)
        for moved in sorted(start.names & trained):
            raise DendrosimError(
                f"{place} = {start.text!r}: {moved} changes in training, but an initial "
                "value may only depend on parameters that do not"
            )


def _check_areas(model: Model, dims: dict) -> None:
    """Check that each share is a plain number and belongs to an input that is a current density."""
    if model.kind == "continuous":
        places = [p for p, name in model.inputs.items() if dims[name] is DENSITY]
    else:
        currents = model.scales.current.values() if model.scales else ()
        places = sorted({place for gains in currents for place in gains})
    for place, share in model.areas.items():
        with at(f"areas.{place}"):
            if place not in places:
                raise DendrosimError(
                    f"no current density enters there; {did_you_mean(place, places)}"
                )
            check_names(share, model.parameters)
            own = {name: dims[name] for name in share.names & model.parameters.keys()}
            if dimension_of(share, own) is not DIMENSIONLESS:
                raise DendrosimError(f"{share.text!r} is not a plain number")
    for place, values in model.shares().items():
        if not np.all((values > 0) & (values <= 1)):
            raise DendrosimError(
                f"areas.{place} = {model.areas[place].text!r} is {values}, not a share of "
                "the cell's membrane, which is above 0 and at most 1"
            )


def _check_continuous(model: Model, given: dict) -> dict[str, Dimension]:
    dims = check_equations(model.equations, given)
    declared = {e.name for e in model.equations if e.kind == "input"}
    if extra := declared - set(model.inputs.values()):
        raise DendrosimError(
            f"{', '.join(sorted(extra))} has neither a value in [parameters] nor a place in inputs"
        )
    if not model.states:
        raise DendrosimError("equations hold no differential equation")
    for label in ("threshold", "refractory"):
        part = getattr(model, label)
        if isinstance(part, Expression):
            with at(label):
                check_names(part, dims)
                dim = dimension_of(part, dims)
                if not part.is_condition and dim is not UNITS["second"].dim:
                    raise DendrosimError(f"{part.text!r} is neither a condition nor a time")
    if model.reset and model.threshold is None:
        raise DendrosimError(
            f"the key 'reset' needs the key 'threshold', a condition on "
            f"{' or '.join(model.states)}: without one nothing is reset"
        )
    _check_reset(model, dims)
    return dims


def _check_reset(model: Model, dims: dict[str, Dimension]) -> None:
    """Check the statements; a new name is a value for the statements after it."""
    known = dict(dims)
    for statement in model.reset:
        with at(f"reset of {statement.target}"):
            check_names(statement.expression, known)
            found = dimension_of(statement.expression, known)
            if statement.target in model.states:
                if found is not dims[statement.target]:
                    raise DendrosimError(f"{statement.expression.text!r} has another unit")
            elif statement.target in dims:
                raise DendrosimError(f"not a state; {did_you_mean('', model.states)}")
            else:
                known[statement.target] = found
    used = {name for statement in model.reset for name in statement.expression.names}
    for statement in model.reset:
        if statement.target not in model.states and statement.target not in used:
            raise DendrosimError(
                f"reset of {statement.target}: not a state, and no later line uses it; "
                f"{did_you_mean(statement.target, model.states)}"
            )


def _check_discrete(model: Model, given: dict) -> dict[str, Dimension]:
    for name, dim in given.items():
        if dim is not DIMENSIONLESS:
            raise DendrosimError(
                f"parameters.{name} has a unit; a discrete model is dimensionless "
                "(give its physical meaning in [scales])"
            )
    known = set(given)
    for name, expression in model.derived.items():
        if not is_name(name) or name in known | {*model.states, *model.inputs.values()}:
            raise DendrosimError(f"derived.{name} cannot be the name of a derived value")
        with at(f"derived.{name}"):
            check_names(expression, known)
        known.add(name)
    known |= {*model.states, *model.inputs.values()}
    for statement in model.update:
        if statement.target in given or statement.target in model.derived:
            raise DendrosimError(f"update assigns to {statement.target!r}, a parameter")
        if statement.target in model.inputs.values():
            raise DendrosimError(f"update assigns to {statement.target!r}, an input")
        with at(f"update of {statement.target}"):
            check_names(statement.expression, known)
    if model.output not in model.states:
        raise DendrosimError(
            f"output = {model.output!r} is not assigned in update; "
            f"{did_you_mean(str(model.output), model.states)}"
        )
    (fired,) = (s.expression for s in model.update if s.target == model.output)
    if not _is_spike(fired.tree):
        raise DendrosimError(
            f"update of {model.output}: {fired.text!r} is the output, so it has to be 0 "
            "or 1: int(...) of a condition, such as int(U > V_th), or a product of these"
        )
    for port in model.given_ports:
        if port not in model.inputs.values():
            raise DendrosimError(
                f"ports: {port!r} is not an input; {did_you_mean(str(port), model.inputs.values())}"
            )
    if model.scales is not None:
        _check_scales(model, model.scales)
    return dict.fromkeys(known, DIMENSIONLESS) | dict.fromkeys(CONSTANTS, DIMENSIONLESS)


def _is_spike(node: ast.expr) -> bool:
    """Whether a number is 0 or 1 by its form: a condition, 1 minus one, or a product of these."""
    match node:
        case ast.Call(func=ast.Name(id="int")):
            return True
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return _is_spike(left) and _is_spike(right)
        case ast.BinOp(left=ast.Constant(value=1), op=ast.Sub(), right=right):
            return _is_spike(right)
    return False


def _check_scales(model: Model, scales: Scales) -> None:
    ports = model.inputs.values()
    known = {"rest": model.states, "current": ports, "bias": ports}
    for key, valid in known.items():
        for name in getattr(scales, key).keys() - set(valid):
            raise DendrosimError(f"scales.{key}.{name} is not known; {did_you_mean(name, valid)}")
    for port, places in scales.current.items():
        for place in places:
            if not is_name(place):
                raise DendrosimError(f"scales.current.{port}: {place!r} is not a place")
    if model.dt is None:
        raise DendrosimError("a model with scales needs the key 'dt'")
