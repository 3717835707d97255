"""A job: Brian2 objects to make, numbers to put in, arrays to give back, on any device.

`devices` carries jobs out and knows nothing of neurons or networks; `neurons` and `network_run`
make jobs and know nothing of devices.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import brian2 as b2
import numpy as np

from dendrosim.errors import DivergenceError
from dendrosim.time_grid import steps_in

Progress = Callable[[float], None]


def control_group(clock: b2.Clock) -> b2.NeuronGroup:
    """Return the group of what every compiled program reads when it starts.

    Duration, time step, and whether a neuron that diverges is frozen while the others go on.
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
    """The Brian2 objects of a job; they live until the device is done with them.

    Attributes
    ----------
    network, clock
        What runs, and the clock of its steps.
    control
        What `control_group` made.
    groups
        Name to group, for the values that are put in.
    outputs
        Name to the variable that is given back.
    finite
        States that are checked now and then: a label such as ``"v_s"`` to a variable.
    slower
        Other clocks, and how many steps each of their ticks lasts.
    keep
        Anything else that must not be collected.
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
    """What a device is given.

    Attributes
    ----------
    structure
        Plain values: the program must be compiled anew when they change.
    values
        Group and variable to SI values, a float or an array.
    samples
        Name of a sampled signal to values and time step in seconds; see `signals`.
    dt, duration
        Seconds.
    what
        For messages: method and step, such as ``"method rk4, dt 0.05 ms"``.
    dtype
        ``"float64"`` or ``"float32"``: the type of every variable but time.
    potentials
        Which of the labels of `Built.finite` are potentials in volt.
    rooms
        Name of a group to the room of its arrays where a program reads the number of its neurons,
        see `group_size`: values of other devices have that number.
    sizes
        Group and variable to that number.
    """

    structure: Mapping[str, Any]
    values: Mapping[tuple[str, str], Any]
    samples: Mapping[str, tuple[np.ndarray, float]]
    dt: float
    duration: float
    what: str
    dtype: str
    potentials: Collection[str]
    rooms: Mapping[str, int]
    sizes: Mapping[tuple[str, str], int]

    def for_a_project(self) -> Job:
        """Return the job for a program whose numbers are read and replaced by people."""

    def build(self) -> Built:
        """Make the Brian2 objects, on whatever device is set."""


@dataclass(frozen=True, eq=False)
class Done:
    """What a device gives back.

    Attributes
    ----------
    arrays
        Name to values, as Brian2 holds them.
    compile_seconds, run_seconds
        Making the program, and the loop over time alone.
    processor_seconds
        What the processor spent on that loop, all threads together: other programs hardly disturb
        it.
    compiled
        Whether anything was compiled in this call.
    diverged
        Neuron to the time up to which its states were within their limits, and the time at which
        they were not, for a job whose neurons freeze.
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
    """Return how often states are looked at: often enough to name a time, for next to nothing."""
    return max(1, min(100, steps_of(job) // 100))


#: A state beyond this (SI units) has diverged, as in Brian2; so has a potential beyond that (volt),
#: a hundred times what breaks a membrane.
LARGEST, LARGEST_POTENTIAL = 1e50, 10.0


def limit_of(job: Job, label: str) -> float:
    """Return the magnitude beyond which a state has diverged, in SI units."""
    return LARGEST_POTENTIAL if label in job.potentials else LARGEST


def _limit_in(job: Job, label: str, values: np.ndarray) -> float:
    # float32 holds no 1e50: what it holds is within that
    return min(limit_of(job, label), float(np.finfo(values.dtype).max))


def beyond(job: Job, label: str, values: np.ndarray) -> np.ndarray:
    """Return the numbers of the neurons whose state is not finite, or beyond its limit."""
    return np.flatnonzero(~(np.abs(values) <= _limit_in(job, label, values)))


def check_finite(job: Job, states: Mapping[str, np.ndarray], at: float) -> None:
    """Refuse a state that is not finite, or beyond the limit of `limit_of`.

    Raises
    ------
    DivergenceError
        Naming variable, neuron and time.
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
