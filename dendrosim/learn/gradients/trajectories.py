"""Jacobians along a run of a network: one per sample, step and neuron."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dendrosim.errors import DendrosimError, did_you_mean
from dendrosim.learn.gradients.linearised import Linearised
from dendrosim.learn.networks.run import run_torch
from dendrosim.model.optional import output_of
from dendrosim.networks.inputs import as_input
from dendrosim.networks.layer import Layer
from dendrosim.networks.network import Network
from dendrosim.networks.run import NetworkOutput

Array = np.ndarray

#: Kinds of derivatives: see the methods of `Linearised`.
VIEWS = ("jacobian", "by_assignment", "total")
#: Weights of a loop between two neurons of a unit, and their potentials: the memory of LRMM (A.6).
LOOPS = {("w_CM", "w_MC"): ("U_M", "U_C")}


@dataclass(frozen=True, eq=False)
class LayerRun:
    """States and currents of one layer during a run.

    Attributes
    ----------
    layer
        Weights and text.
    states
        Variable to its values after each step, shape (B, T, n).
    currents
        Input to its values in each step, shape (B, T, n).
    """

    layer: Layer
    states: Mapping[str, Array]
    currents: Mapping[str, Array]

    @property
    def variables(self) -> tuple[str, ...]:
        """State variables of the model: rows and columns of every matrix."""
        return Linearised(self.layer.model).variables

    def matrices(
        self, view: str = "jacobian", *, variables: Sequence[str] | None = None,
        parameters: Mapping[str, Any] | None = None, **surrogate: Any,
    ) -> Array:  # fmt: skip
        """Return the one-step matrices between successive steps.

        Parameters
        ----------
        view
            ``"jacobian"``, ``"by_assignment"`` (M_t of LRMM) or ``"total"`` (eq. 13 of LSTM-LIF).
        variables
            Rows and columns to return; all state variables by default.
        parameters
            Values that replace those of the run, while the states stay those of the run.  For
            example, loop weights of 0 give the matrices of separate neurons.
        **surrogate
            ``surrogate``, ``width`` and ``detach_reset``, see `Linearised`.

        Returns
        -------
        array
            Shape (B, T - 1, n, k, k).

        Raises
        ------
        DendrosimError
            If a view or variable is unknown, or the run has only one step.
        """
        if view not in VIEWS:
            raise DendrosimError(f"view = {view!r}; {did_you_mean(str(view), VIEWS)}")
        step = Linearised(self.layer.model, **surrogate)
        values = self._values(parameters)
        now, later = self._at(slice(None, -1)), self._inputs(slice(1, None))
        after = self._at(slice(1, None))
        if view == "jacobian":
            state = {name: now[name] for name in step.variables}
            found = step.jacobian(state, later, values, after)
        else:
            two = (self._inputs(slice(None, -1)), later)
            found = getattr(step, view)(self._before(), two, values, (now, after))
        keep = [_index(step.variables, name) for name in variables or step.variables]
        return found[..., keep, :][..., keep]

    def loop(self, **surrogate: Any) -> tuple[Array, Array] | None:
        """Return the operators M_t and D_t of LRMM (A.6): with and without its memory loop.

        Returns
        -------
        tuple of array, or None
            Shapes (B, T - 1, n, 2, 2); None if the model has no such loop.
        """
        for weights, variables in LOOPS.items():
            known = self.layer.model.parameters
            if all(w in known for w in weights) and set(variables) <= {*self.variables}:
                how = {"variables": variables, **surrogate}
                cut = dict.fromkeys(weights, 0.0)
                whole = self.matrices("by_assignment", **how)
                return whole, self.matrices("by_assignment", parameters=cut, **how)
        return None

    def recurrent(self, sample: int, step: int, **surrogate: Any) -> Array:
        """Return the Jacobian of the whole layer after `step`, including its recurrent weights.

        Returns
        -------
        array
            Shape (n k, n k), ordered by neuron, with the k variables of each.
        """
        linear = Linearised(self.layer.model, **surrogate)
        at = np.s_[sample, step]
        state = {name: self.states[name][at] for name in linear.variables}
        inputs = {name: values[sample, step + 1] for name, values in self.currents.items()}
        values = self._values(None)
        own = linear.jacobian(state, inputs, values)
        by_port, output = linear.ports(state, inputs, values)
        n, k = output.shape
        whole = np.zeros((n, k, n, k))
        whole[np.arange(n), :, np.arange(n), :] = own
        for p, port in enumerate(self.layer.model.ports):
            if port in self.layer.recurrent_weights:
                weights = self.layer.recurrent_weights[port]
                whole += np.einsum("ia,ij,jb->iajb", by_port[..., p], weights, output)
        return whole.reshape(n * k, n * k)

    def _values(self, parameters: Mapping[str, Any] | None) -> dict[str, Array]:
        if not parameters:
            return self.layer.values()
        known = self.layer.model.parameters
        for name in parameters:
            if name not in known:
                raise DendrosimError(
                    f"parameters: {self.layer.model.name} has no {name!r}; "
                    f"{did_you_mean(name, known)}"
                )
        return self.layer.with_(parameters={**self.layer.parameters, **parameters}).values()

    def _at(self, steps: slice) -> dict[str, Array]:
        if next(iter(self.states.values())).shape[1] < 2:
            raise DendrosimError("a run of a single step is too short; two or more are needed")
        return {name: values[:, steps] for name, values in self.states.items()}

    def _inputs(self, steps: slice) -> dict[str, Array]:
        return {name: values[:, steps] for name, values in self.currents.items()}

    def _before(self) -> dict[str, Array]:
        """Return the carried state before each step except the last."""
        start, found = self.layer.initial(), {}
        for name in self.layer.model.carried:
            values = self.states[name]
            first = np.broadcast_to(start[name], values[:, :1].shape)
            found[name] = np.concatenate([first, values[:, :-2]], 1)
        return found


def follow(network: Network, x: Any) -> tuple[list[LayerRun], NetworkOutput]:
    """Run a network in torch and record the states and currents for its Jacobians.

    Parameters
    ----------
    network
        Weights and model texts.
    x
        Shape (B, T, n_in) or (T, n_in).

    Returns
    -------
    runs : list of LayerRun
    output : NetworkOutput
        With every variable of every layer in ``states``.
    """
    x = as_input(network, x)
    record = {k: layer.model.states for k, layer in enumerate(network.layers)}
    output = run_torch(network, x, record=record)
    below, runs = x, []
    for layer, spikes, states in zip(network.layers, output.spikes, output.states, strict=True):
        runs.append(LayerRun(layer, states, _currents(layer, below, spikes, states)))
        below = spikes.astype(float)
    return runs, output


def _currents(
    layer: Layer, below: Array, spikes: Array, states: Mapping[str, Array]
) -> dict[str, Array]:
    """Return the current of each input in each step; 0 for an input that is not a port."""
    first = np.broadcast_to(layer.initial()[output_of(layer.model)], spikes[:, :1].shape)
    before = np.concatenate([first, spikes[:, :-1]], 1)
    found = {name: np.zeros(spikes.shape) for name in layer.model.inputs.values()}
    for port, weights in layer.input_weights.items():
        found[port] = found[port] + below @ weights.T
    for port, weights in layer.recurrent_weights.items():
        found[port] = found[port] + before @ weights.T
    for port, bias in layer.bias.items():
        found[port] = found[port] + bias
    return found


def _index(variables: Sequence[str], name: str) -> int:
    if name not in variables:
        raise DendrosimError(
            f"variables: {name!r} is not a state variable; {did_you_mean(name, variables)}"
        )
    return variables.index(name)
