"""Operations of a network, counted from a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dendrosim.energy.conventions import CONVENTIONS, Count, rule_of
from dendrosim.energy.text_operations import Operations, spikes
from dendrosim.errors import DendrosimError
from dendrosim.model.optional import output_of
from dendrosim.networks.inputs import as_input
from dendrosim.networks.layer import Layer
from dendrosim.networks.network import Network
from dendrosim.networks.run import NetworkOutput
from dendrosim.simulation.recording import Recording

Array = np.ndarray


def inner_spikes(network: Network) -> dict[int, tuple[str, ...]]:
    """Return the variables that `count` needs in a recording: spikes that are not layer outputs."""
    names = {
        k: tuple(name for name in spikes(layer.model) if name != layer.model.output)
        for k, layer in enumerate(network.layers)
    }
    return {k: inner for k, inner in names.items() if inner}


def count(
    network: Network, run: NetworkOutput | Recording, x: Any = None, *, readout: bool = False,
    convention: str = "text",
) -> Count:  # fmt: skip
    """Count the operations of a network per step, averaged over a run.

    Every spike counts as many accumulates as it has nonzero weights.  With dense weights the
    result is that of `operations` with the rates of the run.

    Parameters
    ----------
    network
        The network of the run.
    run
        Output of the run, with recorded `inner_spikes`; or the recording of a single layer.
    x
        The input of the run, to count its operations.  Whole numbers from 0 are spikes with one
        accumulate each; otherwise each nonzero number is one multiply-and-accumulate.
    readout
        Whether to count the readout.
    convention
        One of `CONVENTIONS`.

    Returns
    -------
    Count

    Raises
    ------
    DendrosimError
        If the run does not belong to this network, or an inner spike was not recorded.
    """
    parts: dict[str, Operations] = {}
    if x is not None:
        parts["input"] = _input_operations(network.layers[0], as_input(network, x))
    below: Array | None = None  # spikes per step of each source
    for k, layer in enumerate(network.layers):
        rule = rule_of(layer.model, convention)
        fired = _fired(layer, run, k, len(network.layers))
        rates = {name: float(rate.mean()) for name, rate in fired.items()}
        output = output_of(layer.model)
        own = fired[output]
        back = rule.recurrence(_events(layer.recurrent_weights, own), layer.n, rates[output])
        parts[f"layer {k}"] = rule.units(layer.n, layer.values(), rates) + back
        if below is not None:
            parts[f"layer {k}"] += rule.synapses(_events(layer.input_weights, below))
        below = own
    if readout and below is not None:
        parts["readout"] = rule.readout(_events({"": network.readout_weights}, below))
    return Count(parts, convention)


def counts(network: Network, run: NetworkOutput | Recording, x: Any = None) -> dict[str, Count]:
    """Return the count in each convention, including the readout, without duplicates.

    Parameters as in `count`.
    """
    found: dict[str, Count] = {}
    for convention in CONVENTIONS:
        one = count(network, run, x, readout=True, convention=convention)
        if all(one.parts != other.parts for other in found.values()):
            found[convention] = one
    return found


def _fired(layer: Layer, run: NetworkOutput | Recording, k: int, n_layers: int) -> dict[str, Array]:
    """Return the spikes per step of each neuron, for each spike variable of a layer."""
    model, n = layer.model, layer.n
    if isinstance(run, Recording):
        if n_layers > 1 or run.n != n:
            raise DendrosimError(
                f"the recording is of {run.n} neuron(s), not of a network of one layer of {n}"
            )
        steps = round(run.duration / run.meta["dt"])
        found = {output_of(model): np.bincount(run.spike_i, minlength=n) / steps}
        for name in spikes(model):
            if name in run.traces and name not in found:
                # raises an error if not all neurons were recorded
                columns = [run.column(neuron) for neuron in range(n)]
                found[name] = run.traces[name].values[:, columns].mean(0)
    else:
        if len(run.spikes) != n_layers or run.spikes[k].shape[-1] != n:
            raise DendrosimError(f"layer {k}: the run is not of this network")
        found = {output_of(model): run.spikes[k].mean((0, 1))}
        found |= {name: run.states[k][name].mean((0, 1)) for name in spikes(model)
                  if name in run.states[k] and name not in found}  # fmt: skip
    if missing := [name for name in spikes(model) if name not in found]:
        raise DendrosimError(
            f"layer {k}: {', '.join(missing)} of {model.name} was not recorded; "
            "run with record=energy.inner_spikes(network)"
        )
    return found


def _events(weights: Mapping[str, Array], rates: Array) -> float:
    """Return the accumulates caused by spikes: one per weight of the source."""
    return float(sum(np.count_nonzero(w, axis=0) @ rates for w in weights.values()))


def _input_operations(layer: Layer, x: Array) -> Operations:
    if np.all((x >= 0) & (x == np.floor(x))):
        return Operations(ac=_events(layer.input_weights, x.mean((0, 1))))
    return Operations(mac=_events(layer.input_weights, (x != 0).mean((0, 1))))
