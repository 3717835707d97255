"""A model: the text and values of a model file, immutable.

`Model.with_` returns a changed copy.  Creating a model checks its text once: every name is
defined, every unit matches, and nothing in it can run as code.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from brian2 import Quantity
from brian2.units.fundamentalunits import Dimension

from dendrosim.errors import DendrosimError, at, did_you_mean
from dendrosim.model import changes
from dendrosim.model.checks import check_model
from dendrosim.model.equations import (
    Equation,
    in_order,
)
from dendrosim.model.expressions import Expression, Statement
from dendrosim.model.parts import (
    Parameter,
    Scales,
    time_step,
)
from dendrosim.model.quantities import quantity
from dendrosim.pickling import Pickled

#: Input names that a protocol may use with any model.
USUAL_INPUTS = {"I_s": "soma", "I_d": "dendrite"}


@dataclass(frozen=True, eq=False)
class Model(Pickled):
    """A neuron model: text and values.

    Created by `load_model`; `with_` makes changed copies.

    Attributes
    ----------
    name, title, reference, doi, description
        Metadata; `name` is that of the file, with ``:variant``.
    kind
        ``"continuous"`` (differential equations) or ``"discrete"`` (one update per step).
    equations
        Lines of a continuous model.
    update
        Statements of a discrete model.
    inputs
        Place (``"soma"``, ``"dendrite"``) or port to the variable of the input current.
    potentials
        Place to the state variable of its membrane potential.
    areas
        Place to the share of the membrane area that a current density at this place refers to,
        as an expression of the parameters; the whole membrane by default.
    output
        Variable of a discrete model that is 1 in a step with a spike.
    threshold, refractory, reset
        For a continuous model: spike condition, condition or time during which no further spike
        is possible, and statements executed at a spike.
    method, dt
        Integration method and time step, unless `simulate` is given others.
    parameters, derived, initial
        Values, expressions of parameters evaluated once, and the state at t = 0.
    starts
        State of a discrete model to the expression of parameters that gives its `initial` value.
    scales
        Physical meaning of a discrete model, or None.
    variants
        Name to ``{"title": ..., ...}``: the lines and values that each variant changes.
    corrections
        Corrections of the source made in this file, one sentence each.
    source
        Path of the file.
    recurrent
        Whether a layer of a discrete model may have recurrent connections.
    """

    name: str
    title: str
    kind: str
    inputs: Mapping[str, str]
    reference: str = ""
    doi: str = ""
    description: str = ""
    equations: tuple[Equation, ...] = ()
    update: tuple[Statement, ...] = ()
    potentials: Mapping[str, str] = field(default_factory=dict)
    areas: Mapping[str, Expression] = field(default_factory=dict)
    output: str | None = None
    threshold: Expression | None = None
    refractory: Expression | Quantity | None = None
    reset: tuple[Statement, ...] = ()
    method: str | None = None
    dt: Quantity | None = None
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    derived: Mapping[str, Expression] = field(default_factory=dict)
    initial: Mapping[str, Quantity] = field(default_factory=dict)
    starts: Mapping[str, Expression] = field(default_factory=dict)
    scales: Scales | None = None
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    corrections: tuple[str, ...] = ()
    source: str = ""
    recurrent: bool = True
    given_ports: tuple[str, ...] = ()
    dims: Mapping[str, Dimension] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        """Short form: name, kind and states."""
        return f"<Model {self.name!r}: {self.kind}, states {' '.join(self.states)}>"

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the state variables, in the order of the text."""
        if self.kind == "discrete":
            return tuple(statement.target for statement in self.update)
        return tuple(e.name for e in self.equations if e.kind == "differential")

    @property
    def carried(self) -> tuple[str, ...]:
        """Variables of a discrete model that keep their value between steps, in order of the text.

        A statement reads them before any statement assigns them; the others are recomputed.
        """
        assigned: set[str] = set()
        read: set[str] = set()
        for statement in self.update:
            read |= statement.expression.names - assigned
            assigned.add(statement.target)
        return tuple(name for name in self.states if name in read)

    @property
    def ports(self) -> tuple[str, ...]:
        """Inputs of a discrete model that receive the weighted input of a layer in a network."""
        return self.given_ports or tuple(self.inputs.values())

    @property
    def subexpressions(self) -> tuple[Equation, ...]:
        """Subexpressions ordered so that each one uses only earlier ones."""
        return tuple(in_order(self.equations))

    @property
    def text(self) -> str:
        """The model as text: everything that determines a simulation, without values."""
        lines = [e.text for e in self.equations] + [s.text for s in self.update]
        for label in ("threshold", "refractory"):
            part = getattr(self, label)
            if part is not None:
                lines.append(f"{label}: {part.text if isinstance(part, Expression) else 'time'}")
        lines += [f"reset: {statement.text}" for statement in self.reset]
        lines += [f"{name} = {expression.text}" for name, expression in self.derived.items()]
        lines += [f"initial {name}: {start.text}" for name, start in self.starts.items()]
        lines += [f"input {place}: {variable}" for place, variable in self.inputs.items()]
        lines += [f"area {place}: {expression.text}" for place, expression in self.areas.items()]
        return "\n".join([*lines, f"output: {self.output}"] if self.output else lines)

    @property
    def hash(self) -> str:
        """SHA-256 of the text and of all values, as 64 hexadecimal digits."""
        digest = hashlib.sha256(self.text.encode())
        values = {name: p.value for name, p in self.parameters.items()} | dict(self.initial)
        if isinstance(self.refractory, Quantity):
            values["refractory:"] = self.refractory
        if self.scales is not None:
            values |= self.scales.values()
        for name in sorted(values):
            digest.update(f"\n{name} {np.size(values[name])} ".encode())
            digest.update(np.ascontiguousarray(values[name], dtype=float).tobytes())
        return digest.hexdigest()

    def values(self) -> dict[str, Quantity]:
        """Return every parameter and derived value with its unit."""
        values = {name: parameter.value for name, parameter in self.parameters.items()}
        numbers = {name: np.asarray(value) for name, value in values.items()}
        # values that are not finite are refused just below
        with at(self.source or self.name), np.errstate(all="ignore"):
            for name, expression in self.derived.items():
                numbers[name] = expression(numbers)
                values[name] = quantity(numbers[name], f"derived {name}")
        return values

    def shares(self) -> dict[str, np.ndarray]:
        """Return the membrane share of each place in `areas`: one number, or one per neuron."""
        if not self.areas:
            return {}
        numbers = {name: np.asarray(value) for name, value in self.values().items()}
        with np.errstate(all="ignore"):  # invalid shares are refused when the model is created
            return {place: np.asarray(share(numbers)) for place, share in self.areas.items()}

    def place(self, into: str) -> str:
        """Return the place of this model that `into` refers to in a protocol.

        `into` is a place (``"soma"``), its variable, or one of `USUAL_INPUTS`.

        Raises
        ------
        DendrosimError
            If this model has no such input.
        """
        by_variable = {variable: place for place, variable in self.inputs.items()}
        place = by_variable.get(into, USUAL_INPUTS.get(into, into))
        if place not in self.inputs:
            known = ", ".join(f"{place} ({name})" for place, name in self.inputs.items())
            raise DendrosimError(f"{self.name} has no input {into!r}; it has {known}")
        return place

    def variant(self, name: str) -> Model:
        """Return the variant `name` of this model.

        Raises
        ------
        DendrosimError
            If the file has no such variant.
        """
        if not isinstance(name, str) or name not in self.variants:
            raise DendrosimError(
                f"{self.source}: {self.name} has no variant {name!r}; "
                f"{did_you_mean(name, self.variants)}"
            )
        table = self.variants[name]
        named: dict[str, Any] = {"name": f"{self.name}:{name}", "variants": {}}
        result = checked(replace(self, **named, **changes.of_variant(self, name)))
        return result.with_(
            parameters=table.get("parameters", {}), initial=table.get("initial", {})
        )

    def with_(
        self,
        *,
        parameters: Mapping[str, Any] | None = None,
        initial: Mapping[str, Any] | None = None,
        threshold: str | None = None,
        refractory: Any = None,
        reset: str | None = None,
        method: str | None = None,
        dt: Any = None,
        variant: str | None = None,
    ) -> Model:
        """Return a copy with other values.

        Parameters
        ----------
        parameters, initial
            Name to text (``"10.5 mS/cm**2"``) or quantity; an array or a grid gives one value per
            neuron.  For a discrete model, an initial value may be an expression of its parameters.
        threshold, refractory, reset
            As in a model file; ``""`` removes the entry.
        method, dt
            Integration method and time step.
        variant
            Name of a variant in the file, applied first.

        Raises
        ------
        DendrosimError
            With the file, the key and the valid values.
        """
        model = self if variant is None else self.variant(variant)
        spikes = {"threshold": threshold, "refractory": refractory, "reset": reset}
        with at(model.source or model.name):
            changed = changes.of_values(model, parameters, initial)
            changed |= changes.of_integration(model, spikes, method)
            if dt is not None:
                changed["dt"] = time_step(dt)
        return checked(replace(model, **changed))


def checked(model: Model) -> Model:
    """Return the model with its derived fields: dimensions, and an initial value for every state.

    Raises
    ------
    DendrosimError
        If its parts are inconsistent.
    """
    with at(model.source or model.name):
        dims = check_model(model)
        initial = {name: quantity(model.initial.get(name, 0.0)) for name in model.states}
        if model.starts:
            numbers = {name: np.asarray(value) for name, value in model.values().items()}
            with np.errstate(all="ignore"):  # values that are not finite are refused below
                for name, start in model.starts.items():
                    initial[name] = quantity(start(numbers), f"initial.{name}")
    return replace(model, initial=MappingProxyType(initial), dims=MappingProxyType(dims))
