"""The path through a NIR graph: input, layers of neurons, output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dendrosim.errors import DendrosimError
from dendrosim.networks.tensors import is_quantised

NEURONS = ("LIF", "CubaLIF", "IF", "LI")
WEIGHTS = ("Linear", "Affine")
MAX_DEPTH = 10
_REASONS = {
    "Conv1d": "a convolution is not a dense matrix",
    "Conv2d": "a convolution is not a dense matrix",
    "AvgPool2d": "pooling is not a dense matrix",
    "SumPool2d": "pooling is not a dense matrix",
    "Flatten": "layers have one dimension",
    "Delay": "connections have no delay",
    "Scale": "multiply the weights by it instead",
    "Threshold": "a threshold without a state is not a neuron",
    "I": "an integrator without a leak and without spikes is not read",
    "CubaLI": "a current-based integrator without spikes is not read",
}


@dataclass(frozen=True, eq=False)
class Step:
    """A layer of neurons and its connections.

    Attributes
    ----------
    name, type
        Name and type of the neurons' node.
    fields
        Their parameters, shape (n,).
    forward, recurrent
        Weights.  Forward None: each neuron has its own source; recurrent None: no connection.
    bias
        The sum of the biases of both connections, or None.
    weights
        Names of the weight nodes.
    """

    name: str
    type: str
    fields: Mapping[str, np.ndarray]
    forward: np.ndarray | None
    recurrent: np.ndarray | None
    bias: np.ndarray | None
    weights: tuple[str, ...]

    @property
    def n(self) -> int:
        """Number of neurons."""
        return len(next(iter(self.fields.values())))


@dataclass(frozen=True, eq=False)
class Weights:
    """A weight node."""

    name: str
    weight: np.ndarray
    bias: np.ndarray | None


class _Flat:
    """A graph with subgraphs expanded and their inputs and outputs removed."""

    def __init__(self, graph: Any) -> None:
        self.nodes: dict[str, Any] = {}
        self.edges: list[tuple[str, str]] = []
        self.input, self.output = self._add(graph, "", 0)

    def refuse(self, name: str, why: str) -> DendrosimError:
        """Return an error with the reason why a node is not supported."""
        return DendrosimError(f"{name}: {why}")

    def after(self, name: str) -> list[str]:
        """Return the successors of a node."""
        return [b for a, b in self.edges if a == name]

    def before(self, name: str) -> list[str]:
        """Return the predecessors of a node."""
        return [a for a, b in self.edges if b == name]

    def _add(self, graph: Any, prefix: str, depth: int) -> tuple[str, str]:
        if depth > MAX_DEPTH:
            raise self.refuse(prefix, f"graphs nested more than {MAX_DEPTH} deep")
        ends: dict[str, list[str]] = {"Input": [], "Output": []}
        inner: dict[str, tuple[str, str]] = {}
        for key, node in graph.nodes.items():
            name, kind = f"{prefix}{key}", type(node).__name__
            if kind in ends:
                ends[kind].append(name)
            elif kind == "NIRGraph":
                inner[key] = self._add(node, f"{name}.", depth + 1)
                continue
            elif kind not in (*NEURONS, *WEIGHTS):
                why = _REASONS.get(kind, "this type is not known")
                raise self.refuse(name, f"a node of type {kind} is not read: {why}")
            self.nodes[name] = node
        for kind, names in ends.items():
            if len(names) != 1:
                graph_name = prefix.rstrip(".") or "the graph"
                raise self.refuse(graph_name, f"{len(names)} nodes of type {kind}, not one")
        for a, b in graph.edges:
            for key in (a, b):
                if key not in graph.nodes:
                    raise self.refuse(f"{prefix}{key}", "an edge names it, but it is not a node")
            source = inner[a][1] if a in inner else prefix + a
            target = inner[b][0] if b in inner else prefix + b
            if (source, target) in self.edges:
                raise self.refuse(source, f"two edges to {target}")
            self.edges.append((source, target))
        if prefix:  # removed in `steps`, after the outer edges are added
            self.nodes |= {names[0]: None for names in ends.values()}
        return ends["Input"][0], ends["Output"][0]

    def join(self, name: str) -> None:
        """Remove a pass-through node and join its edges."""
        joined = [(a, b) for a in self.before(name) for b in self.after(name)]
        self.edges = [edge for edge in self.edges if name not in edge] + joined
        if any(name in edge for edge in joined) or len(set(self.edges)) < len(self.edges):
            raise self.refuse(name, "its connections are circular or duplicate")
        del self.nodes[name]


def steps(graph: Any) -> tuple[list[Step], Weights | None]:
    """Return the layers of a graph in order, and its readout.

    Parameters
    ----------
    graph
        A ``nir.NIRGraph``.

    Raises
    ------
    DendrosimError
        With the node that is not supported, and the reason.
    """
    flat = _Flat(graph)
    for name in [name for name, node in flat.nodes.items() if node is None]:
        flat.join(name)
    seen = {flat.input, flat.output}
    path: list[Step] = []
    here, pending = flat.input, None
    while True:
        there = [name for name in flat.after(here) if name not in _recurrent(flat, here)]
        if len(there) != 1:
            what = "leads nowhere" if not there else f"branches to {', '.join(there)}"
            raise flat.refuse(here, f"{what}; layers must be in sequence")
        sources, here = here, there[0]
        kind = type(flat.nodes[here]).__name__
        others = [a for a in flat.before(here) if a not in (sources, *_recurrent(flat, here))]
        if others or (here in seen and here != flat.output):
            raise flat.refuse(
                here, f"more than one connection leads to it: {', '.join(flat.before(here))}"
            )
        if here == flat.output:
            break
        seen.add(here)
        if kind in WEIGHTS:
            if pending is not None:
                raise flat.refuse(
                    here, f"weights directly after weights ({pending.name}); multiply them"
                )
            pending = _weights(flat, here)
            continue
        path.append(_step(flat, here, pending))
        seen.update(path[-1].weights)
        pending = None
    if left := sorted(flat.nodes.keys() - seen):
        raise flat.refuse(left[0], "is not on the way from the input to the output")
    if not path:
        raise flat.refuse(flat.input, "no neurons between it and the output")
    return path, pending


def _recurrent(flat: _Flat, name: str) -> list[str]:
    """Return the nodes from neurons back to themselves: weights, or the neurons' own name."""
    if type(flat.nodes[name]).__name__ not in NEURONS:
        return []
    return [
        other
        for other in flat.after(name)
        if other == name
        or (type(flat.nodes[other]).__name__ in WEIGHTS and flat.after(other) == [name]
            and flat.before(other) == [name])
    ]  # fmt: skip


def _weights(flat: _Flat, name: str) -> Weights:
    node = flat.nodes[name]
    weight = _numbers(flat, name, "weight", node.weight, quantised=False)
    if weight.ndim != 2:
        raise flat.refuse(name, f"weights of shape {weight.shape}, not two dimensions")
    bias = getattr(node, "bias", None)
    bias = None if bias is None else _numbers(flat, name, "bias", bias, quantised=False)
    if bias is not None and bias.shape != weight.shape[:1]:
        raise flat.refuse(name, f"a bias of shape {bias.shape} for weights {weight.shape}")
    return Weights(name, weight, bias)


def _numbers(flat: _Flat, name: str, key: str, value: Any, quantised: bool = True) -> np.ndarray:
    """Return a field of a node as float64; refuse quantised weights (integers of few bits)."""
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise flat.refuse(name, f"{key} holds {array.dtype}, not numbers")
    if not quantised and is_quantised(array.dtype):
        raise flat.refuse(
            name, f"{key} holds {array.dtype}, quantised weights without their scale; multiply by "
            "the scale and save floating-point numbers",
        )  # fmt: skip
    return array.astype(float)


def _step(flat: _Flat, name: str, forward: Weights | None) -> Step:
    node = flat.nodes[name]
    fields = {
        key: _numbers(flat, name, key, value)
        for key, value in vars(node).items()
        if key not in ("input_type", "output_type", "metadata")
    }
    shapes = {value.shape for value in fields.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        told = ", ".join(f"{key} {value.shape}" for key, value in fields.items())
        raise flat.refuse(name, f"parameters without one number per neuron: {told}")
    loops = _recurrent(flat, name)
    if len(loops) > 1:
        raise flat.refuse(name, f"several recurrent connections: {', '.join(loops)}")
    recurrent, biases, names = None, [], []
    if forward is not None:
        biases.append(forward.bias)
        names.append(forward.name)
    if loops == [name]:
        recurrent = np.eye(len(next(iter(fields.values()))))
    elif loops:
        back = _weights(flat, loops[0])
        recurrent = back.weight
        biases.append(back.bias)
        names.append(back.name)
    given = [bias for bias in biases if bias is not None]
    if len({bias.shape for bias in given}) > 1:
        raise flat.refuse(name, "the biases of its connections have different shapes")
    return Step(
        name, type(node).__name__, fields, None if forward is None else forward.weight, recurrent,
        sum(given[1:], given[0]) if given else None, tuple(names),
    )  # fmt: skip
