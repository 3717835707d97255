"""A network and a batch as a device job: groups, sums, monitors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import brian2 as b2
import numpy as np

from dendrosim.devices import raster, signals
from dendrosim.devices.dense import dense
from dendrosim.devices.job import Built, Done, control_group
from dendrosim.model.optional import output_of
from dendrosim.networks.layer import Layer
from dendrosim.networks.network import Network
from dendrosim.networks.values import Array
from dendrosim.time_grid import step_at

STEP = 1e-3  # seconds; a discrete network counts steps, so the value is arbitrary


@dataclass(frozen=True, eq=False)
class NetworkJob:
    """A network and a batch, to be run on a device.

    Parameters
    ----------
    network
        The network to run.
    x
        Shape (B, T, n_in).
    record
        Layer number to names.
    dtype
        Number type of every variable except time.
    """

    network: Network
    x: Array
    record: Mapping[int, tuple[str, ...]]
    dtype: str = "float64"
    dt: float = STEP
    what: str = "a network"
    potentials: tuple[str, ...] = ()  # discrete models have no potentials in volt
    rooms: Mapping[str, int] = field(default_factory=dict)  # empty: all sizes are compiled in
    sizes: Mapping[tuple[str, str], int] = field(default_factory=dict)

    @property
    def duration(self) -> float:
        """Duration in seconds."""
        return self.x.shape[1] * self.dt

    def for_a_project(self) -> NetworkJob:
        """Return the job for a project whose numbers a user reads and replaces."""
        return self

    @property
    def samples(self) -> dict[str, signals.Sampled]:
        """The input: step length, and all samples side by side."""
        return {"run_input": signals.Sampled(self._side_by_side, self.dt)}

    @cached_property
    def _side_by_side(self) -> Array:
        """Return the input, shape (T, B*n_in)."""
        values = self.x.transpose(1, 0, 2).reshape(self.x.shape[1], -1)
        return np.ascontiguousarray(values)

    @cached_property
    def _values_of_layers(self) -> list[dict[str, Array]]:
        return [layer.values() for layer in self.network.layers]

    @property
    def structure(self) -> dict[str, Any]:
        """Texts, sizes and the ports with weights, without the weights themselves."""
        return {
            "network": [
                {
                    "text": [s.text for s in layer.model.update],
                    "output": layer.model.output,
                    "sizes": [layer.n_in, layer.n],
                    "ports": sorted(layer.input_weights),
                    "recurrent": sorted(layer.recurrent_weights),
                    "bias": sorted(layer.bias),
                    "each": sorted(name for name, v in values.items() if v.ndim),
                    "record": self.record.get(k, ()),
                }
                for k, (layer, values) in enumerate(
                    zip(self.network.layers, self._values_of_layers, strict=True)
                )
            ],
            "input": [self.x.shape[0], self.x.shape[2], signals.room(self.samples["run_input"])[0]],
        }

    @property
    def values(self) -> dict[tuple[str, str], Any]:
        """Weights, biases, parameters and initial state."""
        values: dict[tuple[str, str], Any] = {}
        side = len(self.x)
        for k, layer in enumerate(self.network.layers):
            for label, table in _matrices(layer):
                for port, weights in table.items():
                    values[f"{label}_{k}_{port}", "w"] = weights.T.ravel()
            group = f"layer_{k}"
            for port, bias in layer.bias.items():
                values[group, f"run_bias_{port}"] = np.tile(bias, side)
            for name, value in self._values_of_layers[k].items():
                if _is_used(layer, name):
                    values[group, name] = np.tile(value, side) if value.ndim else float(value)
            for name, value in layer.initial().items():
                values[group, name] = np.tile(value, side) if value.ndim else value
        return values

    def build(self) -> Built:
        """Create input, layers, weights and monitors."""
        clock = b2.Clock(self.dt * b2.second, name="steps")
        sampled = signals.make(self.samples, clock)["run_input"]
        control = control_group(clock)
        source = b2.NeuronGroup(
            self.x.shape[0] * self.x.shape[2], "x : 1", clock=clock, name="run_source",
            namespace={"run_input": sampled.function},
        )  # fmt: skip
        source.run_regularly("x = run_input(t, i)", when="groups", order=-1, name="run_source_x")
        network = b2.Network(source)
        groups: dict[str, b2.NeuronGroup] = {"control": control, "run_input": sampled.group}
        outputs: dict[str, Any] = {}
        monitors: list[Any] = []
        below, variable = source, "x"
        for k, layer in enumerate(self.network.layers):
            group = self._layer(k, layer, below, variable, clock, groups)
            monitors += self._monitors(k, layer, group, outputs)
            below, variable = group, output_of(layer.model)
        network.add(*groups.values(), monitors)
        finite = {
            f"layer {k}: {name}": groups[f"layer_{k}"].variables[name]
            for k, layer in enumerate(self.network.layers)
            for name in layer.model.carried
        }
        tables = [
            group.variables["w"]
            for name, group in groups.items()
            if name.startswith(("run_in_", "run_back_"))
        ]
        fired = [
            groups[f"layer_{k}"].variables[layer.model.output]
            for k, layer in enumerate(self.network.layers)
        ]
        return Built(
            network=network, clock=clock, control=control, groups=groups, outputs=outputs,
            finite=finite, keep=(sampled, monitors),
            read_by_functions=(source.variables["x"], *fired, *tables, *sampled.variables),
        )  # fmt: skip

    def _monitors(
        self, k: int, layer: Layer, group: b2.NeuronGroup, outputs: dict[str, Any]
    ) -> list[Any]:
        """Create the monitors of a layer, and register their arrays in `outputs`."""
        if raster.is_available():
            spikes = raster.Raster(group, _fires(layer), f"spikes_{k}")
            outputs[f"fired_{k}"] = spikes.fired
        else:
            spikes = b2.SpikeMonitor(group, name=f"spikes_{k}")
            outputs |= {f"spike_{name}_{k}": spikes.variables[name] for name in "it"}
        names = list(self.record.get(k, ()))
        if not names:
            return [spikes]
        traces = b2.StateMonitor(group, names, record=True, name=f"traces_{k}", when="end")
        outputs |= {f"trace_{k}_{name}": traces.variables[name] for name in names}
        return [spikes, traces]

    def _layer(
        self, k: int, layer: Layer, below: b2.NeuronGroup, variable: str, clock: b2.Clock,
        groups: dict[str, b2.NeuronGroup],
    ) -> b2.NeuronGroup:  # fmt: skip
        """Create layer k: in each slot, its sums run at order 2k and its update at 2k + 1."""
        model = layer.model
        lines = [f"{name} : 1" for name in (*model.states, *model.inputs.values())]
        values = self._values_of_layers[k]
        for name, value in values.items():
            if _is_used(layer, name):
                lines.append(f"{name} : 1 ({'constant' if value.ndim else 'shared, constant'})")
        lines += [f"run_bias_{port} : 1 (constant)" for port in layer.bias]
        functions: dict[str, b2.Function] = {}
        group = b2.NeuronGroup(
            len(self.x) * layer.n, "\n".join(lines), clock=clock, namespace=functions,
            threshold=None if raster.is_available() else _fires(layer), name=f"layer_{k}",
        )  # fmt: skip
        groups[f"layer_{k}"] = group
        sums: dict[str, list[str]] = {}
        for label, table in _matrices(layer):
            for port in table:
                name = f"{label}_{k}_{port}"
                n_in = layer.n_in if label == "run_in" else layer.n
                weights = b2.NeuronGroup(n_in * layer.n, "w : 1", clock=clock, name=name)
                groups[name] = weights
                sources = (below, variable) if label == "run_in" else (group, output_of(model))
                functions[f"sum_{name}"] = dense(f"sum_{name}", *sources, weights, n_in, layer.n)
                sums.setdefault(port, []).append(f"sum_{name}(i, t)")
        for port in layer.bias:
            sums.setdefault(port, []).append(f"run_bias_{port}")
        if sums:
            code = "\n".join(f"{port} = {' + '.join(terms)}" for port, terms in sums.items())
            group.run_regularly(code, when="groups", order=2 * k, name=f"layer_{k}_sums")
        code = "\n".join(statement.code for statement in model.update)
        group.run_regularly(code, when="groups", order=2 * k + 1, name=f"layer_{k}_update")
        return group

    def result(self, done: Done, samples: int) -> tuple[list[Array], list[dict[str, Array]]]:
        """Return spikes and recorded states of the first `samples` samples."""
        spikes, states = [], []
        side, steps = self.x.shape[:2]

        def by_sample(values: Array) -> Array:
            return values.reshape(steps, side, -1).transpose(1, 0, 2)[:samples]

        for k, layer in enumerate(self.network.layers):
            n = side * layer.n
            if f"fired_{k}" in done.arrays:
                fired = raster.unpacked(done.arrays[f"fired_{k}"], steps, n)
            else:
                fired = np.zeros((steps, n), dtype=bool)
                t = step_at(done.arrays[f"spike_t_{k}"], self.dt)
                fired[t, done.arrays[f"spike_i_{k}"]] = True
            spikes.append(by_sample(fired))
            states.append({
                name: by_sample(np.asarray(done.arrays[f"trace_{k}_{name}"]))
                for name in self.record.get(k, ())
            })  # fmt: skip
        return spikes, states


def _matrices(layer: Layer) -> tuple[tuple[str, Mapping[str, Array]], ...]:
    return ("run_in", layer.input_weights), ("run_back", layer.recurrent_weights)


def _fires(layer: Layer) -> str:
    return f"{layer.model.output} > 0.5"


def _is_used(layer: Layer, name: str) -> bool:
    return any(name in statement.expression.names for statement in layer.model.update)
