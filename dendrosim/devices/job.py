"""A job for any device: Brian2 objects to create, values to set, arrays to return.

`dendrosim.devices` executes jobs, independently of neurons and networks.
`dendrosim.simulation.neurons` and `dendrosim.networks.job` create jobs, independently of devices.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import brian2 as b2
import numpy as np

from dendrosim.devices import signals
from dendrosim.errors import DivergenceError
from dendrosim.time_grid import steps_in

Progress = Callable[[float], None]


def control_group(clock: b2.Clock) -> b2.NeuronGroup:
    """Return the group of the variables that every compiled program reads when it starts.

    Duration, time step, and whether a diverging neuron is frozen while the others continue.
    """
    return b2.NeuronGroup(
        1,
        "run_duration : second (shared)\nrun_dt : second (shared)\nrun_freeze : integer (shared)",
        dtype={"run_duration": np.float64, "run_dt": np.float64, "run_freeze": np.int32},
        clock=clock,
        name="control",
    )


@dataclass(frozen=True, eq=False)
class Built:
    """The Brian2 objects of a job; they exist until the device has finished.

    Attributes
    ----------
    network, clock
        The network to run, and the clock of its steps.
    control
        The group from `control_group`.
    groups
        Name to group, for the values to set.
    outputs
        Name to the variable to return.
    finite
        States to check at intervals for divergence: a label such as ``"v_s"`` to a variable.
    slower
        Other clocks to their number of steps per tick.
    keep
        Other objects that must not be garbage-collected.
    read_by_functions
        Variables that user functions read by name.
    """

    network: b2.Network
    clock: b2.Clock
    control: b2.NeuronGroup
    groups: Mapping[str, b2.NeuronGroup]
    outputs: Mapping[str, Any]
    finite: Mapping[str, Any]
    slower: Mapping[b2.Clock, int] = field(default_factory=dict)
    keep: tuple = ()
    read_by_functions: tuple = ()


class Job(Protocol):
    """The input of a device."""

    @property
    def structure(self) -> Mapping[str, Any]:
        """Plain values; if one of them changes, the program must be compiled again."""

    @property
    def values(self) -> Mapping[tuple[str, str], Any]:
        """Group and variable to SI values, a float or an array."""

    @property
    def samples(self) -> signals.Samples:
        """Name of a sampled signal to values and time step in seconds; see `signals`."""

    @property
    def dt(self) -> float:
        """Time step in seconds."""

    @property
    def duration(self) -> float:
        """Duration in seconds."""

    @property
    def what(self) -> str:
        """Method and step for messages, such as ``"method rk4, dt 0.05 ms"``."""

    @property
    def dtype(self) -> str:
        """``"float64"`` or ``"float32"``: the type of all variables except time."""

    @property
    def potentials(self) -> Collection[str]:
        """Those labels of `Built.finite` that are potentials in volt."""

    @property
    def rooms(self) -> Mapping[str, int]:
        """Name of a group to the capacity of its arrays.

        For programs that read the number of neurons, see `group_size`.  On other devices the
        arrays have one entry per neuron.
        """

    @property
    def sizes(self) -> Mapping[tuple[str, str], int]:
        """Group and variable to the number of neurons."""

    def for_a_project(self) -> Job:
        """Return the job for a project whose values users will read and replace."""

    def build(self) -> Built:
        """Create the Brian2 objects on the current device."""


@dataclass(frozen=True, eq=False)
class Done:
    """The output of a device.

    Attributes
    ----------
    arrays
        Name to values, in the layout of Brian2.
    compile_seconds, run_seconds
        Time to compile the program, and time of the loop over steps alone.
    processor_seconds
        Processor time of that loop, summed over threads; other programs hardly affect it.
    compiled
        Whether this call compiled anything.
    diverged
        Neuron to the last check time with its states within their limits and the first check time
        with a state beyond; only if diverging neurons are frozen.
    """

    arrays: Mapping[str, np.ndarray]
    compile_seconds: float
    run_seconds: float
    processor_seconds: float
    compiled: bool
    diverged: Mapping[int, tuple[float, float]] = field(default_factory=dict)


def steps_of(job: Job) -> int:
    """Return the number of steps."""
    return steps_in(job.duration, job.dt)


def steps_between_checks(job: Job) -> int:
    """Return the steps between checks of the states: few enough to report a time, but cheap."""
    return max(1, min(100, steps_of(job) // 100))


#: A state diverges beyond the first limit (SI units), as in Brian2, and a potential beyond the
#: second (volt), which is a hundred times the breakdown potential of a membrane.
LARGEST, LARGEST_POTENTIAL = 1e50, 10.0


def limit_of(job: Job, label: str) -> float:
    """Return the magnitude beyond which a state has diverged, in SI units."""
    return LARGEST_POTENTIAL if label in job.potentials else LARGEST


def _limit_in(job: Job, label: str, values: np.ndarray) -> float:
    # the largest float32 is below 1e50
    return min(limit_of(job, label), float(np.finfo(values.dtype).max))


def beyond(job: Job, label: str, values: np.ndarray) -> np.ndarray:
    """Return the indices of the neurons whose state is not finite or exceeds its limit."""
    return np.flatnonzero(~(np.abs(values) <= _limit_in(job, label, values)))


def check_finite(job: Job, states: Mapping[str, np.ndarray], at: float) -> None:
    """Raise an error if a state is not finite or exceeds its limit, see `limit_of`.

    Raises
    ------
    DivergenceError
        With variable, neuron and time.
    """
    for label, values in states.items():
        limit = _limit_in(job, label, values)
        bad = beyond(job, label, values)
        if bad.size:
            unit = "V" if label in job.potentials else "in SI units"
            how = f"beyond {limit:g} {unit}" if np.isfinite(values[bad[0]]) else "not finite"
            remedy = "; try a smaller dt or another method" if "method" in job.what else ""
            if job.sizes.get(("neurons", "N"), 1) > 1:
                remedy += ", or diverged='nan', with which the other neurons go on"
            raise DivergenceError(
                f"{label} of neuron {bad[0]} is {how} at t = {at * 1e3:g} ms ({job.what}){remedy}"
            )
