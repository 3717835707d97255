"""Import and export of NIR graphs: exact where possible, otherwise refused with a reason.

The neurons of the Neuromorphic Intermediate Representation are differential equations.  For input
that is constant over a step, their solution at the end of the step is known; the models
``nir_lif``, ``nir_if``, ``nir_cuba_lif`` and ``nir_li`` compute it.  NIR leaves three things open;
they are the same as in all networks here: a spike is a 1 that lasts one step, a recurrent
connection acts one step later, and every state starts at 0.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dendrosim.errors import DendrosimError, at, did_you_mean
from dendrosim.model.model import Model
from dendrosim.model.toml import load_model
from dendrosim.networks.layer import Layer
from dendrosim.networks.network import Network
from dendrosim.networks.nir_files import nir_package, read_graph
from dendrosim.networks.nir_paths import Step, Weights, steps
from dendrosim.networks.nir_steps import check_step, proposed

#: Convention to variants of a model's file; the first that exists is used, "" is the model itself.
STEPS = {"exact": ("",), "euler": ("euler", ""), "norse": ("norse", "euler", "")}
CONVENTIONS = tuple(STEPS)
RESETS = ("v_reset", "subtract")

#: Type of a NIR neuron to its model and to the node field of each model parameter.
NEURONS: dict[str, tuple[str, dict[str, str]]] = {
    "LIF": ("nir_lif", {
        "tau": "tau", "R": "r", "V_leak": "v_leak", "V_th": "v_threshold", "V_reset": "v_reset",
    }),
    "IF": ("nir_if", {"R": "r", "V_th": "v_threshold", "V_reset": "v_reset"}),
    "CubaLIF": ("nir_cuba_lif", {
        "tau_syn": "tau_syn", "tau_mem": "tau_mem", "R": "r", "V_leak": "v_leak",
        "V_th": "v_threshold", "V_reset": "v_reset", "w_in": "w_in",
    }),
    "LI": ("nir_li", {"tau": "tau", "R": "r", "V_leak": "v_leak"}),
}  # fmt: skip


def from_nir(graph: Any, dt: float, convention: str = "exact", reset: str | None = None) -> Network:
    """Create a network from a NIR graph.

    Parameters
    ----------
    graph
        A ``nir.NIRGraph`` or the path of a file.
    dt
        Step length in the unit of the graph's time constants (seconds in the published graphs).
    convention
        ``"exact"``: the solution for input that is constant over a step.  ``"norse"``: Euler's
        step as in Norse and snnTorch, where the current of a CubaLIF is updated first and the
        potential uses the new current.  ``"euler"``: Euler's step of both equations from the
        state before the step.  The last two differ only for CubaLIF.
    reset
        ``"v_reset"``: the current definition in NIR.  ``"subtract"``: the threshold is
        subtracted, as in NIR before ``v_reset`` was added.  The default is ``"v_reset"``, and a
        file without ``v_reset`` is refused.  snnTorch writes ``v_reset`` = 0 also for neurons
        that subtract their threshold, so its graphs may need ``"subtract"``; a note reports
        this if every ``v_reset`` is 0.

    Returns
    -------
    Network
        Its metadata contain the mapping of the nodes, and notes.  A final ``LI`` becomes a layer
        that never spikes: record its ``U``.

    Warns
    -----
    UserWarning
        If the step is longer than a time constant.

    Raises
    ------
    DendrosimError
        With the node and the reason why it cannot be imported exactly, or with the time constant
        if Euler's step is more than twice as long, because the potential would then diverge.
    """
    if isinstance(dt, bool) or not isinstance(dt, int | float) or not 0 < dt < np.inf:
        raise DendrosimError(f"dt = {dt!r} is not a length of time above 0")
    for name, value, valid in (
        ("convention", convention, CONVENTIONS), ("reset", reset or RESETS[0], RESETS),
    ):  # fmt: skip
        if value not in valid:
            raise DendrosimError(f"{name} = {value!r}; {did_you_mean(str(value), valid)}")
    nir = nir_package()
    place = "graph"
    if not isinstance(graph, nir.NIRGraph):
        place = os.fspath(graph)
        graph = read_graph(Path(place), needs_reset=reset is None)
    with at(place):
        path, readout = steps(graph)
        notes = [*check_step(path, dt, convention != "exact", place), *_notes(path, reset)]
        return _network(path, readout, _How(float(dt), convention, reset or RESETS[0]), notes)


@dataclass(frozen=True)
class _How:
    dt: float
    convention: str
    reset: str


def _network(path: list[Step], readout: Weights | None, how: _How, notes: list[str]) -> Network:
    layers = [_layer(step, how) for step in path]
    nodes = {step.name: f"layers.{k} ({layers[k].model.name})" for k, step in enumerate(path)}
    nodes |= {name: f"layers.{k}" for k, step in enumerate(path) for name in step.weights}
    for k, step in enumerate(path[:-1]):
        if step.type == "LI":
            raise DendrosimError(
                f"{step.name} is a leaky integrator that feeds {path[k + 1].name}; a "
                "layer hands on spikes, so LI can only be the last node"
            )
    weights, bias = (None, None)
    if readout is not None:
        if path[-1].type == "LI":
            raise DendrosimError(f"{readout.name} reads the potential of an LI")
        weights, bias = readout.weight, readout.bias
        nodes[readout.name] = "readout"
    metadata = {
        "nir": {
            "dt": how.dt, "convention": how.convention, "reset": how.reset, "nodes": nodes,
            "notes": notes,
        }
    }  # fmt: skip
    return Network(layers, weights, bias, metadata)


def proposed_dt(path: str | os.PathLike) -> float | None:
    """Return a step for a NIR file: about a tenth of its shortest time constant.

    None if the graph has no time constant.

    Raises
    ------
    DendrosimError
        If the file cannot be read.
    """
    graph = read_graph(Path(path), needs_reset=False)
    with at(os.fspath(path)):
        return proposed(steps(graph)[0])


def _layer(step: Step, how: _How) -> Layer:
    name, fields = NEURONS[step.type]
    model = _model(name, how.convention, how.reset)
    parameters: dict[str, Any] = {"step": how.dt}
    for parameter, field in fields.items():
        value = np.asarray(step.fields[field], dtype=float)
        if parameter.startswith("tau") and not np.all(value > 0):
            raise DendrosimError(f"{field} of {step.name} is not above 0")
        parameters[parameter] = value
    n = step.n
    forward = np.eye(n) if step.forward is None else step.forward
    recurrent = None if step.recurrent is None else {"I": step.recurrent}
    bias = None if step.bias is None else {"I": step.bias}
    with at(step.name):
        return Layer(
            model, np.shape(forward)[-1], n, recurrent is not None, {"I": forward}, recurrent,
            bias, parameters,
        )  # fmt: skip


def _model(name: str, convention: str, reset: str) -> Model:
    model = load_model(name)
    resets = ("subtract", "") if reset == "subtract" else ("",)
    keys = ("_".join(filter(None, (step, own))) for step in STEPS[convention] for own in resets)
    key = next(key for key in keys if not key or key in model.variants)
    return model.variant(key) if key else model


def _notes(path: list[Step], reset: str | None) -> list[str]:
    """Return notes about the graph, one sentence each."""
    resets = [step.fields["v_reset"] for step in path if "v_reset" in step.fields]
    if reset is None and resets and not any(np.any(value) for value in resets):
        return [
            "every v_reset is 0 and is taken as the potential after a spike; snnTorch writes 0 for "
            "neurons that subtract their threshold too: for these take the reset 'subtract'"
        ]
    return []


def to_nir(network: Network) -> Any:
    """Return a network of NIR neurons as a ``nir.NIRGraph``.

    Parameters
    ----------
    network
        Its layers must use the models ``nir_lif``, ``nir_if``, ``nir_cuba_lif`` or ``nir_li``.

    Returns
    -------
    nir.NIRGraph
        Its metadata hold ``dt`` and ``convention``, because the nodes have no fields for them.
        If several conventions give the same network, it is the first of `CONVENTIONS`.

    Raises
    ------
    DendrosimError
        If a layer has no equivalent NIR node: another model, a reset by subtraction, or
        different steps.
    """
    nir = nir_package()
    nodes: dict[str, Any] = {"input": nir.Input(np.array([network.n_in]))}
    edges: list[tuple[str, str]] = []
    last = "input"
    lengths, conventions = set(), set(CONVENTIONS)
    for k, layer in enumerate(network.layers):
        node, length, fitting = _node(layer, k, nir)
        lengths.add(length)
        conventions &= fitting
        weights = layer.input_weights.get("I")
        if weights is None:
            raise DendrosimError(f"layer {k} has no input weights, so nothing leads to its node")
        bias = layer.bias.get("I")
        names = f"weights_{k}", f"neurons_{k}", f"recurrent_{k}"
        nodes[names[0]] = nir.Linear(weights) if bias is None else nir.Affine(weights, bias)
        nodes[names[1]] = node
        edges += [(last, names[0]), (names[0], names[1])]
        if layer.recurrent:
            nodes[names[2]] = nir.Linear(layer.recurrent_weights["I"])
            edges += [(names[1], names[2]), (names[2], names[1])]
        last = names[1]
    if len(lengths) > 1 or not conventions:
        raise DendrosimError("the layers differ in step or convention; a graph has one")
    n_out = network.layers[-1].n
    if network.n_out:
        nodes["readout"] = nir.Affine(network.readout_weights, network.readout_bias)
        edges.append((last, "readout"))
        last, n_out = "readout", network.n_out
    nodes["output"] = nir.Output(np.array([n_out]))
    convention = next(name for name in CONVENTIONS if name in conventions)
    metadata = {"dt": lengths.pop(), "convention": convention, "written_by": "dendrosim"}
    return nir.NIRGraph(nodes, [*edges, (last, "output")], metadata)


def _node(layer: Layer, k: int, nir: Any) -> tuple[Any, float, set[str]]:
    """Return a layer's node, its step and the conventions for which the node equals the layer."""
    for kind, (name, fields) in NEURONS.items():
        fitting = {
            convention
            for convention in CONVENTIONS
            if layer.model.text == _model(name, convention, RESETS[0]).text
        }
        if not fitting:
            continue
        if any(np.any(np.asarray(value)) for value in layer.model.initial.values()):
            raise DendrosimError(f"layer {k}: NIR cannot store an initial state other than 0")
        values = _parameters(layer)
        step = values.pop("step")
        if step.ndim:
            raise DendrosimError(f"layer {k}: NIR cannot store a different step per neuron")
        filled = {
            field: np.broadcast_to(values[parameter], layer.n).copy()
            for parameter, field in fields.items()
        }
        return getattr(nir, kind)(**filled), float(step), fitting
    why = (
        "it resets by subtracting its threshold, NIR's neurons go to v_reset"
        if layer.model.name.endswith("subtract")
        else "NIR's neurons are those of nir_lif, nir_if, nir_cuba_lif and nir_li"
    )
    raise DendrosimError(f"layer {k}: {layer.model.name} has no equivalent NIR node: {why}")


def _parameters(layer: Layer) -> dict[str, np.ndarray]:
    given = {name: p.value for name, p in layer.model.parameters.items()} | dict(layer.parameters)
    return {name: np.asarray(value, dtype=float) for name, value in given.items()}
