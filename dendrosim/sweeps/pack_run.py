"""The run of a pack, as measures see it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dendrosim.comparison.protocol_measures import burst_shape
from dendrosim.measures.trains import first_spike_latency
from dendrosim.model.quantities import parse_unit
from dendrosim.simulation import neuron_axis
from dendrosim.simulation.recording import Recording, volts
from dendrosim.sweeps.packing import Pack
from dendrosim.time_grid import in_window

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PointRun:
    """The run of one point, for a measure of your own.

    Attributes
    ----------
    trains
        Spike times in s, one array per value of the protocol's own grid.
    window
        Start and stop of the measured window in s.
    times
        Times of the samples in s, shape (samples,); empty if nothing was recorded.
    traces
        Recorded name to values in SI units, shape (samples, grid values).
    """

    trains: Sequence[Array]
    window: tuple[float, float]
    times: Array
    traces: Mapping[str, Array]


class PackRun:
    """The run of a pack, with what several measures need."""

    def __init__(self, recording: Recording, pack: Pack) -> None:
        self.recording, self.pack = recording, pack
        self.window = pack.protocol.window
        every = recording.trains
        #: the neurons that measures are computed of: those that are not padding
        self.neurons = np.concatenate([pack.neurons_of(p) for p in range(pack.points)])
        self.trains = [every[k] for k in self.neurons]
        self.inside = [train[in_window(train, *self.window)] for train in self.trains]

    def shaped(self, values: Iterable[float]) -> Array:
        """Return one value per neuron as an array, shape (points, neurons per point)."""
        found = np.fromiter(values, dtype=float, count=len(self.neurons))
        return found.reshape(self.pack.points, self.pack.each)

    @cached_property
    def rates(self) -> Array:
        """Spikes per second in the window, shape (points, neurons per point)."""
        start, stop = self.window
        return self.shaped(len(train) / (stop - start) for train in self.inside)

    @cached_property
    def latencies(self) -> Array:
        """Time from the onset of the stimulus to the first spike in s."""
        start, stop = self.window
        onset = neuron_axis.onsets(self.pack.protocol, self.pack.neurons)[self.neurons]
        return self.shaped(
            first_spike_latency(train, at, stop) if start - 1e-9 <= at < stop else np.nan
            for train, at in zip(self.inside, onset, strict=True)
        )

    @cached_property
    def burst(self) -> tuple[Array, Array]:
        """Burst period in s, and spikes per burst."""
        start, stop = self.window
        end = float(self.pack.protocol.duration)
        steady = neuron_axis.is_steady(self.pack.protocol)
        found = [burst_shape(train, start, stop, end, steady) for train in self.trains]
        return self.shaped(f[0] for f in found), self.shaped(f[1] for f in found)

    @cached_property
    def currents(self) -> tuple[Array, float]:
        """Currents of the protocol's grid in its usual unit, and that unit in SI."""
        grid = neuron_axis.grid(self.pack.base, self.pack.each)
        assert grid is not None  # a measure of currents is refused without a grid of them
        return grid.values, float(parse_unit(grid.unit))

    @cached_property
    def potentials(self) -> tuple[Array, Array]:
        """Times, and somatic potentials in V of `neurons`, shape (samples, neurons)."""
        found = volts(self.recording, neurons=self.neurons)
        assert found is not None  # a model without is refused
        return self.recording.times, found


def point_runs(run: PackRun) -> Iterator[PointRun]:
    """Yield the run of each point."""
    traces = run.recording.traces
    each = run.pack.each
    for p in range(run.pack.points):
        columns = run.pack.neurons_of(p)
        own = {str(name): array.values[:, columns] for name, array in traces.data_vars.items()}
        trains = run.trains[p * each : (p + 1) * each]
        yield PointRun(trains, run.window, traces["time"].values, own)
