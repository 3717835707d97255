"""Run a network in Brian2: the same text and weights as in torch, spike for spike.

Each layer is one group in which the samples of a batch lie side by side.  In every step, layer
after layer, the currents are summed and then the text is done; so layer k+1 reads the spikes that
layer k fired in this step, and a recurrent sum reads those of the step before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import brian2 as b2
import numpy as np

from dendrosim import checks
from dendrosim.devices import execute, raster, signals
from dendrosim.devices.dense import dense
from dendrosim.devices.job import Built, Done, control_group
from dendrosim.errors import DendrosimError
from dendrosim.networks.files import as_network
from dendrosim.networks.inputs import as_input, as_record
from dendrosim.networks.layer import Layer
from dendrosim.networks.network import Network
from dendrosim.progress import progress_bar

Array = np.ndarray
STEP = 1e-3  # seconds; a discrete network has steps, not times


@dataclass(frozen=True, eq=False)
class NetworkOutput:
    """What a network gives for a batch.

    Attributes
    ----------
    spikes
        One bool array a layer, shape (B, T, n).
    readout
        Shape (B, T, n_out).
    states
        One dict a layer of the variables that were recorded, each of shape (B, T, n).
    meta
        Device, type, threads, versions, ``compiled``, ``compile_seconds``, ``run_seconds``,
        ``processor_seconds``.
    """

    spikes: list[Array]
    readout: Array
    states: list[dict[str, Array]]
    meta: Mapping[str, Any]


def run_network(
    network: Network,
    x: Any,
    *,
    device: str = "cpp",
    threads: int = 1,
    dtype: str = "float64",
    record: Mapping[int, tuple[str, ...]] | None = None,
    batch: int | None = None,
    progress: bool | None = None,
) -> NetworkOutput:
    """Run a network over a batch of inputs.

    Parameters
    ----------
    network
        Weights and model texts, or the path of their file.
    x
        Real values or spikes, shape (B, T, n_in) or (T, n_in).
    device
        ``"numpy"``, ``"cython"``, ``"cpp"`` or ``"cuda"``.
    threads
        OpenMP threads, device ``cpp`` only.
    dtype
        ``"float64"`` or ``"float32"``: the type of states, weights and sums.
    record
        Layer number to names of variables to record besides the spikes.
    batch
        Samples that run side by side; by default 64, or of fewer the next power of two.  More
        samples than that take turns in the same program, each from the initial state.
    progress
        Whether to show a progress bar; on a terminal by default.

    Returns
    -------
    NetworkOutput

    Raises
    ------
    DendrosimError
        If the input does not fit, or a device or variable is unknown.
    """
    network = as_network(network)
    if isinstance(device, str) and device == "torch":
        raise DendrosimError(
            "device 'torch' is none of Brian2's: dendrosim.learn.TorchNetwork(network) runs a "
            f"network in torch, and verify compares it; valid: {', '.join(execute.DEVICES)}"
        )
    execute.check_device(device, threads)
    execute.check_dtype(dtype)
    x = as_input(network, x)
    record = as_record(network, record)
    if batch is not None:
        checks.whole(batch, "batch", least=1)
    # Next power of two: the number of samples compiles nothing again
    side = min(1 << (len(x) - 1).bit_length(), 64) if batch is None else min(len(x), int(batch))
    parts, compiled, seconds, processor = [], 0.0, 0.0, 0.0
    was_compiled = False
    with progress_bar(progress, f"{network!r}") as tell:
        for start in range(0, len(x), side):
            chunk = x[start : start + side]
            short = side - len(chunk)  # the last is filled up: the program has one size
            full = np.concatenate([chunk, np.zeros((short, *chunk.shape[1:]))]) if short else chunk
            job = NetworkJob(network, full, record, dtype)
            done = execute.execute(job, device, threads)
            parts.append(job.result(done, len(chunk)))
            compiled += done.compile_seconds
            seconds += done.run_seconds
            processor += done.processor_seconds
            was_compiled |= done.compiled
            if tell:
                tell(min(1.0, (start + side) / len(x)))
    layers = range(len(network.layers))
    spikes = [np.concatenate([part[0][k] for part in parts]) for k in layers]
    states = [
        {name: np.concatenate([part[1][k][name] for part in parts]) for name in record.get(k, ())}
        for k in layers
    ]
    meta = {
        "device": device, "dtype": dtype, "threads": threads, "batch": side,
        "compiled": was_compiled, "compile_seconds": compiled, "run_seconds": seconds,
        "processor_seconds": processor, "brian2": b2.__version__,
    }  # fmt: skip
    return NetworkOutput(spikes, network.readout(spikes[-1]), states, meta)


@dataclass(frozen=True, eq=False)
class NetworkJob:
    """A network and a batch for a device.

    Parameters
    ----------
    network
        What runs.
    x
        Shape (B, T, n_in).
    record
        Layer number to names.
    dtype
        Type of every variable but time.
    """

    network: Network
    x: Array
    record: Mapping[int, tuple[str, ...]]
    dtype: str = "float64"
    dt: float = STEP
    what: str = "a network"
    potentials: tuple[str, ...] = ()  # a circuit has no volt
    rooms: Mapping[str, int] = field(default_factory=dict)  # its sizes are compiled
    sizes: Mapping[tuple[str, str], int] = field(default_factory=dict)

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.x.shape[1] * self.dt

    def for_a_project(self) -> NetworkJob:
        """Return the job for a program whose numbers are read and replaced by people."""
        return self

    @property
    def samples(self) -> dict[str, tuple[Array, float]]:
        """The input: time, then all samples side by side."""
        return {"run_input": (self._side_by_side, self.dt)}

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
        """Texts, sizes and which ports have weights; no weight."""
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
            "input": [self.x.shape[0], self.x.shape[2], signals.room(self._side_by_side)[0]],
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
        """Make input, layers, weights and monitors."""
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
        monitors = []
        below, variable = source, "x"
        for k, layer in enumerate(self.network.layers):
            group = self._layer(k, layer, below, variable, clock, groups)
            if raster.is_available():
                spikes = raster.Raster(group, _fires(layer), f"spikes_{k}")
                outputs[f"fired_{k}"] = spikes.fired
            else:
                spikes = b2.SpikeMonitor(group, name=f"spikes_{k}")
                outputs |= {f"spike_{name}_{k}": spikes.variables[name] for name in "it"}
            monitors.append(spikes)
            if self.record.get(k):
                names = list(self.record[k])
                traces = b2.StateMonitor(group, names, record=True, name=f"traces_{k}", when="end")
                outputs |= {f"trace_{k}_{name}": traces.variables[name] for name in names}
                monitors.append(traces)
            below, variable = group, layer.model.output
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

    def _layer(
        self, k: int, layer: Layer, below: b2.NeuronGroup, variable: str, clock: b2.Clock,
        groups: dict[str, b2.NeuronGroup],
    ) -> b2.NeuronGroup:  # fmt: skip
        """Make a layer: its sums come at order 2k, its text at 2k + 1 of the same slot."""
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
                sources = (below, variable) if label == "run_in" else (group, model.output)
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
                t = np.rint(done.arrays[f"spike_t_{k}"] / self.dt).astype(int)
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
