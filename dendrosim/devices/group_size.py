"""Groups whose number of neurons is a number that a C++ program reads when it starts.

Brian2 writes the number of neurons of a group into the program.  Each other number of sweeps or of
points of a grid would then be compiled anew.  Here only the room of the arrays is compiled, and the
loops over neurons end at the number that the program is given.
"""

from __future__ import annotations

import brian2 as b2
import numpy as np
from brian2.devices.device import all_devices, get_device

#: The smallest room, and from where on rooms grow by this number instead of by doubling.
SMALLEST, LARGE = 16, 1 << 20

#: Variables that hold the numbers: of neurons, and of the neurons that a monitor records.
NEURONS, RECORDED = "N", "run_recorded"


def is_available() -> bool:
    """Whether the device that is set has the templates: C++ standalone has."""
    return get_device() is all_devices["cpp_standalone"]


def room(n: int) -> int:
    """Return for how many neurons arrays are made: the next power of two, or a whole million."""
    return max(SMALLEST, 1 << (n - 1).bit_length()) if n <= LARGE else -(-n // LARGE) * LARGE


def filled(values: np.ndarray, n: int) -> np.ndarray:
    """Return values of neurons filled up to `n` with the last one."""
    return np.pad(values, (0, n - len(values)), mode="edge")


def let_vary(group: b2.NeuronGroup) -> None:
    """Turn the number of neurons of a group into a variable; the last thing before a run."""
    n = len(group)
    del group.variables._variables[NEURONS]
    group.variables.add_array(NEURONS, size=1, dtype=np.int32, scalar=True, constant=True, values=n)


class Traces(b2.StateMonitor):
    """A monitor whose number of neurons is an argument of the program; needs `is_available`."""

    def __init__(self, source: b2.NeuronGroup, variables: list[str], **options: object) -> None:
        super().__init__(source, variables, record=True, **options)
        self.variables["_indices"].read_only = False
        self.variables.add_array(
            RECORDED, size=1, dtype=np.int32, scalar=True, constant=True, values=len(source)
        )
        self.template = "traces"
