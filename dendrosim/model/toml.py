"""A model and its file: `load_model` reads the file, `to_table` returns its contents."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from brian2 import Quantity

from dendrosim import shelves
from dendrosim.errors import DendrosimError, at
from dendrosim.files import path_text
from dendrosim.model.equations import parse_equations
from dendrosim.model.expressions import Expression, parse_statements
from dendrosim.model.model import Model, checked
from dendrosim.model.parts import (
    read_derived,
    read_initial,
    read_names,
    read_parameter,
    read_refractory,
    read_scales,
    read_threshold,
    time_step,
)
from dendrosim.model.quantities import unit_text


def as_model(value: Any) -> Model:
    """Return a model, loading it if `value` is a name or a path.

    Raises
    ------
    DendrosimError
        If it has another type, or the model does not exist.
    """
    return shelves.loaded(value, Model, load_model, "a model, nor the name or path of one")


def load_model(name: str | os.PathLike, variant: str | None = None) -> Model:
    """Read a model from the shelf or from a file.

    Parameters
    ----------
    name
        A name (``"pinsky_rinzel_1994"``), a name with a variant
        (``"kepecs_wang_2000:printed_nap"``) or the path of a TOML file.
    variant
        Name of a variant, instead of the ``:variant`` form.

    Returns
    -------
    Model

    Raises
    ------
    DendrosimError
        If the model does not exist; for an invalid file, with the file, key and valid values.
    """
    text = path_text(name, "model")
    if variant is None and ":" in text and not os.path.exists(text):  # noqa: PTH110 (a str)
        text, _, variant = text.rpartition(":")
    path = shelves.find(text, "models")
    model = model_from_table(shelves.read_toml(path), str(path), path.stem)
    return model if variant is None else model.variant(variant)


_TABLE: dict[str, shelves.Kinds] = {
    "title": str, "reference": str, "doi": str, "description": str, "kind": str,
    "inputs": (dict, list), "potentials": dict, "areas": dict, "output": str,
    "equations": str, "update": str, "threshold": str, "refractory": str, "reset": str,
    "method": str, "dt": str, "parameters": dict, "derived": dict, "initial": dict,
    "scales": dict, "variants": dict, "corrections": list, "recurrent": bool, "ports": list,
}  # fmt: skip
_ONLY = {
    "continuous": {"equations", "threshold", "refractory", "reset", "method"},
    "discrete": {"update", "derived", "output", "scales", "recurrent", "ports"},
}
_OTHER = {"continuous": "discrete", "discrete": "continuous"}
_VARIANT: dict[str, shelves.Kinds] = {
    "title": str, "equations": str, "update": str, "parameters": dict, "derived": dict,
    "initial": dict, "inputs": (dict, list), "recurrent": bool,
}  # fmt: skip
_VARIANT_ONLY = {kind: _VARIANT.keys() - _ONLY[other] for kind, other in _OTHER.items()}


def model_from_table(table: Mapping[str, Any], source: str, name: str) -> Model:
    """Create a model from the contents of a TOML file.

    Raises
    ------
    DendrosimError
        With the source, the key and the valid values.
    """
    with at(source):
        model = checked(_read(table, source, name))
        for variant in model.variants:  # report an invalid variant now, not at its first use
            model.variant(variant)
    return model


def _read(table: Mapping[str, Any], source: str, name: str) -> Model:
    """Read each entry; `checked` then checks whether they fit together."""
    shelves.check_keys(table, _TABLE)
    kind = table.get("kind", "")
    if kind not in _ONLY:
        raise DendrosimError(f"kind = {kind!r}; valid: continuous, discrete")
    for other in sorted(_ONLY[_OTHER[kind]] & table.keys()):
        raise DendrosimError(f"a {kind} model has no key {other!r}")
    body = "equations" if kind == "continuous" else "update"
    for key in ("title", "inputs", body):
        if not table.get(key):
            raise DendrosimError(f"the key {key!r} is missing")
    valid = {key: types for key, types in _VARIANT.items() if key in _VARIANT_ONLY[kind]}
    for key, variant in table.get("variants", {}).items():
        with at(f"variants.{key}"):
            shelves.check_keys(variant, valid)
    derived = read_derived(table.get("derived", {}), "derived")
    named = [] if kind == "continuous" else [*table.get("parameters", {}), *derived]
    initial, starts = read_initial(table.get("initial", {}), named)
    return Model(
        name=name,
        kind=kind,
        source=source,
        inputs=read_names(table["inputs"], "inputs"),
        potentials=read_names(table.get("potentials", {}), "potentials"),
        areas=MappingProxyType(read_derived(table.get("areas", {}), "areas")),
        output=table.get("output"),
        equations=parse_equations(table.get("equations", ""), "equations"),
        update=parse_statements(table.get("update", ""), "update"),
        threshold=read_threshold(table.get("threshold", ""), "threshold"),
        refractory=read_refractory(table.get("refractory", ""), "refractory"),
        reset=parse_statements(table.get("reset", ""), "reset"),
        method=table.get("method"),
        dt=time_step(table["dt"]) if "dt" in table else None,
        parameters=MappingProxyType(
            {key: read_parameter(key, p) for key, p in table.get("parameters", {}).items()}
        ),
        derived=MappingProxyType(derived),
        initial=MappingProxyType(initial),
        starts=MappingProxyType(starts),
        scales=read_scales(table["scales"]) if "scales" in table else None,
        recurrent=table.get("recurrent", True),
        given_ports=tuple(table.get("ports", ())),
        variants=MappingProxyType(dict(table.get("variants", {}))),
        corrections=tuple(map(str, table.get("corrections", ()))),
        **{key: table.get(key, "") for key in ("title", "reference", "doi", "description")},
    )


def to_table(model: Model) -> dict[str, Any]:
    """Return a table from which `model_from_table` makes exactly the same model.

    The table describes this variant only; the list of variants is left out.
    """
    table: dict[str, Any] = {
        key: getattr(model, key)
        for key in ("title", "reference", "doi", "description", "kind", "output", "method")
        if getattr(model, key)
    }
    table["inputs"] = dict(model.inputs)
    if model.potentials:
        table["potentials"] = dict(model.potentials)
    if model.areas:
        table["areas"] = {place: share.text for place, share in model.areas.items()}
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
    table["initial"] = {
        name: model.starts[name].text if name in model.starts else _exact(value)
        for name, value in model.initial.items()
    }
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
