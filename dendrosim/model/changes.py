"""Changes to a model by a variant or a user: the changed fields of a `Model`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from dendrosim import checks
from dendrosim.errors import DendrosimError, at, did_you_mean
from dendrosim.model.equations import override, parse_equations
from dendrosim.model.expressions import parse_statements
from dendrosim.model.parts import (
    Parameter,
    read_derived,
    read_initial,
    read_names,
    read_refractory,
    read_threshold,
)
from dendrosim.model.quantities import describe, quantity

if TYPE_CHECKING:
    from dendrosim.model.model import Model


def of_variant(model: Model, name: str) -> dict[str, Any]:
    """Return the fields that a variant in the file changes, except the values.

    Raises
    ------
    DendrosimError
        If it changes a field that the model does not have.
    """
    table = model.variants[name]
    changed: dict[str, Any] = {"recurrent": table.get("recurrent", model.recurrent)}
    place = f"variants.{name}"
    with at(model.source or model.name):
        if "equations" in table:
            lines = parse_equations(table["equations"], f"{place}, equations")
            changed["equations"] = override(model.equations, lines)
        if "update" in table:
            new = {s.target: s for s in parse_statements(table["update"], f"{place}, update")}
            if extra := new.keys() - set(model.states):
                raise DendrosimError(
                    f"{place}, update: the model does not assign {', '.join(sorted(extra))}"
                )
            changed["update"] = tuple(new.get(s.target, s) for s in model.update)
        if "derived" in table:
            if extra := table["derived"].keys() - model.derived.keys():
                raise DendrosimError(
                    f"{place}, derived: the model does not derive {', '.join(sorted(extra))}"
                )
            own = read_derived(table["derived"], f"{place}, derived")
            changed["derived"] = MappingProxyType({**model.derived, **own})
        if "inputs" in table:
            changed["inputs"] = read_names(table["inputs"], f"{place}, inputs")
    return changed


def of_integration(model: Model, spikes: Mapping[str, Any], method: str | None) -> dict[str, Any]:
    """Return the fields for a new threshold, refractoriness, reset or method.

    Raises
    ------
    DendrosimError
        If the model is discrete, or a text is not valid.
    """
    given = {key: v for key, v in {**spikes, "method": method}.items() if v is not None}
    if model.kind == "discrete" and given:
        raise DendrosimError(f"a discrete model has no {' and no '.join(given)}")
    read = {
        "threshold": read_threshold, "refractory": read_refractory, "reset": parse_statements,
        "method": checks.text,
    }  # fmt: skip
    return {key: read[key](value, key) for key, value in given.items()}


def of_values(
    model: Model, parameters: Mapping[str, Any] | None, initial: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the fields for new parameter values and a new initial state.

    Raises
    ------
    DendrosimError
        If a name is unknown, or a value has the wrong unit.
    """
    for key, table in (("parameters", parameters), ("initial", initial)):
        if not isinstance(table, Mapping | None):
            raise DendrosimError(f"{key} = {table!r} should map names to values")
    changed: dict[str, Any] = {}
    if parameters:
        changed["parameters"] = _changed_parameters(model, parameters)
    if initial:
        changed["initial"], changed["starts"] = _changed_initial(model, initial)
    return changed


def _changed_parameters(model: Model, changes: Mapping) -> Mapping[str, Parameter]:
    result = dict(model.parameters)
    for name, value in changes.items():
        key = f"parameters.{name}"
        if name not in result:
            raise DendrosimError(f"{key} is not a parameter; {did_you_mean(name, result)}")
        new = quantity(value, key, like=result[name].value)
        text = value if isinstance(value, str) else describe(new)
        result[name] = replace(result[name], value=new, text=text, source="changed by the user")
    return MappingProxyType(result)


def _changed_initial(model: Model, changes: Mapping) -> tuple[Mapping, Mapping]:
    """Return the initial state, and the expressions for states that depend on parameters."""
    result = dict(model.initial)
    for name in changes:
        if name not in result:
            raise DendrosimError(f"initial.{name} is not a state; {did_you_mean(name, result)}")
    names = [*model.parameters, *model.derived] if model.kind == "discrete" else []
    values, starts = read_initial(changes, names)
    for name, value in values.items():
        result[name] = quantity(value, f"initial.{name}", like=result[name])
    kept = {name: start for name, start in model.starts.items() if name not in changes}
    return MappingProxyType(result), MappingProxyType(kept | starts)
