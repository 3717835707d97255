"""Groups whose number of neurons is an argument of the C++ program.

Brian2 writes the number of neurons of a group into the source.  A different number of sweeps or
grid points would then require a new compilation.  Here only the capacity of the arrays is compiled
in; the loops over neurons end at the number in the arguments.
"""

from __future__ import annotations

import brian2 as b2
import numpy as np
from brian2.devices.device import all_devices, get_device

#: The smallest capacity; above `LARGE`, capacities grow by `LARGE` instead of doubling.
SMALLEST, LARGE = 16, 1 << 20

#: Variables with the number of neurons and the number of neurons that a monitor records.
NEURONS, RECORDED = "N", "run_recorded"


def is_available() -> bool:
    """Whether the current device has the templates; only C++ standalone has them."""
    return get_device() is all_devices["cpp_standalone"]


def room(n: int) -> int:
    """Return the capacity of the arrays: the next power of two, or a multiple of `LARGE`."""
    return max(SMALLEST, 1 << (n - 1).bit_length()) if n <= LARGE else -(-n // LARGE) * LARGE


def filled(values: np.ndarray, n: int) -> np.ndarray:
    """Return the values of neurons, padded to length `n` with the last value."""
    return np.pad(values, (0, n - len(values)), mode="edge")


def let_vary(group: b2.NeuronGroup) -> None:
    """Make the number of neurons of a group a variable; call this last before a run."""
    n = len(group)
    del group.variables._variables[NEURONS]
    group.variables.add_array(NEURONS, size=1, dtype=np.int32, scalar=True, constant=True, values=n)


class Traces(b2.StateMonitor):
    """A monitor whose number of neurons is an argument of the program; see `is_available`."""

    def __init__(self, source: b2.NeuronGroup, variables: list[str], **options: object) -> None:
        super().__init__(source, variables, record=True, **options)
        self.variables["_indices"].read_only = False
        self.variables.add_array(
            RECORDED, size=1, dtype=np.int32, scalar=True, constant=True, values=len(source)
        )
        self.template = "traces"
