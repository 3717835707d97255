"""Differences between runs of one network: differing bins, and first differences per sample."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from dendrosim.model.optional import output_of
from dendrosim.model.switches import Switch, switches
from dendrosim.networks.network import Network
from dendrosim.networks.run import NetworkOutput
from dendrosim.verification.amplification import amplified_rounding
from dendrosim.verification.distance import Place, distance, magnitude

#: Number of float32 roundings allowed for a neuron at its first step, plus one per later step.
ROUNDINGS = 4
#: First differences, per pair and batch, whose neuron is examined for amplified roundings.
EXAMINED = 20


def decisive_states(network: Network, every: bool = False) -> dict[int, tuple[str, ...]]:
    """Return, by layer, the variables that determine the distance to threshold of each spike.

    Parameters
    ----------
    network
        The network; its model texts determine the variables.
    every
        Return all variables instead: a run in float32 needs their magnitudes.
    """
    names = {}
    for k, layer in enumerate(network.layers):
        states = layer.model.states
        wanted = set(states) if every else set()
        for switch in switches(layer.model):
            wanted |= {switch.name} - {layer.model.output}
            wanted |= switch.reads & set(states)
        names[k] = tuple(name for name in states if name in wanted)
    return names


def differences(
    network: Network, x: np.ndarray, runs: Mapping[str, NetworkOutput], tie: float
) -> tuple[dict[tuple[str, str], np.ndarray], list[dict[str, Any]]]:
    """Count the differences of every pair of runs and classify the first ones.

    Parameters
    ----------
    network, x
        The network of the runs, and its input of shape (B, T, n_in).
    runs
        Name to output, with recorded `decisive_states`.
    tie
        Distance to threshold below which a difference in float64 is a tie.

    Returns
    -------
    counts : dict
        Pair of names to integers of shape (layers, 4): spikes of the first run, bins whose
        spikes differ, bins in which only an inner spike differs, and samples.
    first : list of dict
        One entry per first difference of a sample.  A difference in a layer is first if no layer
        below differs before or in the same step; all neurons that differ in that step are listed.
    """
    counts, rows = {}, []
    for a, b in combinations(runs, 2):
        examined = 0
        table = np.zeros((len(network.layers), 4), dtype=int)
        earlier = np.full(len(x), x.shape[1])  # first difference in lower layers
        for k, layer in enumerate(network.layers):
            marks = [
                _values(switch, output_of(layer.model), runs[a], k)
                != _values(switch, output_of(layer.model), runs[b], k)
                for switch in switches(layer.model)
            ]
            output = runs[a].spikes[k] != runs[b].spikes[k]
            anywhere = np.logical_or.reduce([output, *marks])
            in_samples = anywhere.any((1, 2))
            inner = anywhere & ~output
            table[k] = runs[a].spikes[k].sum(), output.sum(), inner.sum(), in_samples.sum()
            steps = np.where(in_samples, anywhere.any(2).argmax(1), x.shape[1])
            for sample in np.flatnonzero(steps < earlier):
                place = k, int(sample), int(steps[sample])
                for where, switch, row in _first(network, x, runs[a], runs[b], place, marks, tie):
                    if not row["tie"] and examined < EXAMINED:
                        examined += 1
                        row |= _amplified(where, switch, runs[a], row)
                    rows.append({"a": a, "b": b} | row)
            earlier = np.minimum(earlier, steps)
        counts[a, b] = table
    return counts, rows


def _values(switch: Switch, output: str, run: NetworkOutput, k: int) -> np.ndarray:
    return run.spikes[k] if switch.name == output else run.states[k][switch.name] > 0.5


def _first(
    network: Network, x: np.ndarray, a: NetworkOutput, b: NetworkOutput,
    place: tuple[int, int, int], marks: Sequence[np.ndarray], tie: float,
) -> Iterator[tuple[Place, Switch, dict[str, Any]]]:  # fmt: skip
    """Yield the neurons that differ first in a sample, each with its first differing variable.

    The last of the three is the row of the table.
    """
    k, sample, step = place
    layer = network.layers[k]
    model, table = layer.model, layer.values()
    left = np.logical_or.reduce(marks)[sample, step].copy()
    for switch, mark in zip(switches(model), marks, strict=True):
        for neuron in np.flatnonzero(left & mark[sample, step]):
            left[neuron] = False
            where = Place(network, x, k, sample, step, int(neuron), table)
            on_a = _values(switch, output_of(model), a, k)[sample, step, neuron]
            distances = [distance(where, switch, run) for run in (a, b)]
            allowed = max(tie, sum(_rounding(where, run) for run in (a, b)))
            yield where, switch, {
                "sample": sample, "step": step, "layer": k, "neuron": int(neuron),
                "variable": switch.name, "on_a": bool(on_a),
                "distance_a": distances[0], "distance_b": distances[1], "tolerance": allowed,
                "tie": all(abs(value) < allowed for value in distances), "amplified": False,
            }  # fmt: skip


def _amplified(
    where: Place, switch: Switch, run: NetworkOutput, row: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the changes of a row if its neuron amplifies roundings as far as the difference."""
    allowed = amplified_rounding(where, switch, run)
    if not all(abs(row[f"distance_{side}"]) < allowed for side in "ab"):
        return {}
    return {"tolerance": allowed, "tie": True, "amplified": True}


def _rounding(where: Place, run: NetworkOutput) -> float:
    if run.meta.get("dtype", "float64") == "float64":
        return 0.0
    eps = float(np.finfo(np.float32).eps)
    return (where.step + ROUNDINGS) * eps * magnitude(where, run)
