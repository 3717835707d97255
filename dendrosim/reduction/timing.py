"""How well a reduced neuron times its spikes: the target of a fit on noise, and its cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from brian2 import Quantity
from numpy.typing import NDArray

from dendrosim.errors import DendrosimError
from dendrosim.measures import coincidence_factor
from dendrosim.model.model import Model
from dendrosim.simulation.protocol import Protocol
from dendrosim.simulation.recording import Recording
from dendrosim.simulation.run import simulate
from dendrosim.sweeps.packing import Pack, pack, run_pack
from dendrosim.time_grid import in_window

Array = NDArray[np.float64]
#: Precisions of the coincidence factor, from strict to lenient (s).  The lenient ones lead the
#: search where no spike is on time yet.
WIDTHS = (2e-3, 4e-3, 8e-3, 16e-3)
#: A precision counts only if its windows cover at most this part of the recording; with more, the
#: coincidence factor divides by almost nothing.
COVERED = 0.5
#: A train that avoids the reference is no better or worse than this.
LEAST = -0.2
#: Weight of an error of the spike count by a factor of e, and the largest error that counts.
COUNT, MOST = 0.5, 3.0
#: Cost of a train that is hopeless, or of a neuron that diverges: it may fire well before.
WORST = 1 - LEAST + COUNT * MOST


@dataclass(frozen=True, eq=False)
class Timing:
    """Spikes of a biophysical neuron under a protocol.

    Attributes
    ----------
    protocol
        The protocol.
    trains
        Spike times in the measured window in s, one array per value of the grid.
    """

    protocol: Protocol
    trains: tuple[Array, ...]

    @property
    def length(self) -> float:
        """Length of the measured window in s."""
        start, stop = self.protocol.window
        return stop - start

    @property
    def rates(self) -> Array:
        """Firing rates in Hz, one per value of the grid."""
        return np.array([len(train) for train in self.trains]) / self.length


def timing_of(model: Model, protocol: Protocol, device: str, dt: Quantity | None = None) -> Timing:
    """Run a neuron and return its spikes in the measured window."""
    run = simulate(model, protocol, record=[], device=device, dt=dt, progress=False)
    return Timing(protocol, inside(run.trains, protocol))


def inside(trains: Sequence[Array], protocol: Protocol) -> tuple[Array, ...]:
    """Return the spikes of each train in the measured window of a protocol."""
    start, stop = protocol.window
    return tuple(train[in_window(train, start, stop)] for train in trains)


def check_targets(targets: Sequence[Timing], name: str, step: float) -> None:
    """Refuse targets without spikes, and those that fire twice within a step.

    Raises
    ------
    DendrosimError
        If the neuron never fires, so that nothing can be timed, or too fast for the step.
    """
    intervals = [np.diff(train) for target in targets for train in target.trains]
    shortest = min((float(own.min()) for own in intervals if len(own)), default=np.inf)
    if shortest < step:
        raise DendrosimError(
            f"{name} fires twice within {shortest * 1e3:.3g} ms, and the reduced neuron at most "
            f"once in its step of {step * 1e3:g} ms; take a shorter dt"
        )
    if not any(len(train) for target in targets for train in target.trains):
        listed = ", ".join(target.protocol.name for target in targets)
        raise DendrosimError(
            f"{name} never fires under {listed}, so there is no spike to time; give a protocol "
            "under which it fires, such as noise around its rheobase"
        )


def mean_gamma(pairs: Iterable[tuple[Array, Array]], precision: float, length: float) -> float:
    """Return the mean coincidence factor of pairs of reference and train.

    Pairs that are both silent are left out.  It is nan if no pair is left, or if a train fires so
    often that its factor is undefined.
    """
    found = [
        coincidence_factor(reference, train, precision, length)
        for reference, train in pairs
        if len(reference) or len(train)
    ]
    return float(np.mean(found)) if found else np.nan


def timing_cost(train: Array, reference: Array, length: float) -> float:
    """Return the cost of a spike train: 0 if every spike is on time, about 1 by chance.

    Parameters
    ----------
    train, reference
        Spike times in s.
    length
        Length of the window in s.
    """
    apart = abs(np.log((len(train) + 1) / (len(reference) + 1)))
    if apart >= MOST:  # it is hopeless, and its coincidences take long to count
        return WORST
    chance = 2 * max(len(reference), 1) / length
    factors = [
        coincidence_factor(reference, train, width, length)
        for width in WIDTHS
        if chance * width <= COVERED or width == WIDTHS[0]
    ]
    # undefined if both are silent, which is right, or if the train fires all the time
    undefined = 1.0 if len(reference) == len(train) == 0 else LEAST
    gammas = np.clip(np.nan_to_num(factors, nan=undefined), LEAST, 1.0)
    return float(1 - gammas.mean() + COUNT * apart)


def run_candidates(
    model: Model, protocol: Protocol, values: Mapping[str, Array], device: str
) -> tuple[Pack, Recording]:
    """Run candidates for their spikes; `values` has one value of each parameter per candidate."""
    given = {f"parameters.{name}": Quantity(value) for name, value in values.items()}
    packed = pack(model, protocol, given, points=len(next(iter(values.values()))))
    run = run_pack(packed, device=device, threads=1, method=None, dt=None, dtype="float64",
                   record=[], record_dt=None)  # fmt: skip
    return packed, run


def timing_costs(
    model: Model, targets: Sequence[Timing], values: Mapping[str, Array], device: str
) -> Array:
    """Return the cost of candidates, averaged over all trains of all targets.

    Parameters
    ----------
    model
        The reduced neuron.
    targets
        What its spikes should be.
    values
        Name of a parameter to one value per candidate.
    device
        As in `simulate`.
    """
    points = len(next(iter(values.values())))
    costs: list[Array] = []
    for target in targets:
        packed, run = run_candidates(model, target.protocol, values, device)
        trains, lost = inside(run.trains, target.protocol), set(run.diverged)
        for k, reference in enumerate(target.trains):
            own = [int(packed.neurons_of(p)[k]) for p in range(points)]
            found = [WORST if n in lost else timing_cost(trains[n], reference, target.length)
                     for n in own]  # fmt: skip
            costs.append(np.array(found))
    return np.mean(costs, axis=0)
