"""Spike recording of networks in C++: one bit per neuron and step.

A trained neuron spikes in a tenth to a third of the steps.  Recording neuron and time of each
spike, twelve bytes, would then take longer to write and read than the simulation.
"""

from __future__ import annotations

import brian2 as b2
import numpy as np
from brian2.core.names import Nameable
from brian2.core.variables import Variables
from brian2.devices.device import all_devices, get_device
from brian2.groups.group import CodeRunner

from dendrosim.errors import DendrosimError


def is_available() -> bool:
    """Whether the current device has the template; only C++ standalone has it."""
    return get_device() is all_devices["cpp_standalone"]


def unpacked(fired: np.ndarray, steps: int, neurons: int) -> np.ndarray:
    """Return the recorded bits as bool, shape (steps, neurons).

    Raises
    ------
    DendrosimError
        If the length does not match.
    """
    if fired.size != steps * -(-neurons // 8):
        raise DendrosimError(
            f"{fired.size} bytes cannot be the spikes of {steps} steps of {neurons} neurons"
        )
    rows = fired.view(np.uint8).reshape(steps, -1)
    bits = np.unpackbits(rows, axis=1, count=neurons, bitorder="little")
    return bits.view(bool)


class Raster(CodeRunner):
    """Records whether a condition holds, for each neuron of a group and each step.

    Parameters
    ----------
    group
        The neurons.
    condition
        Condition on their variables, in Brian2's syntax.
    name
        Name of this object.

    Attributes
    ----------
    fired
        The output variable; see `unpacked`.
    """

    def __init__(self, group: b2.NeuronGroup, condition: str, name: str) -> None:
        Nameable.__init__(self, name=name)
        self.variables = Variables(self)
        self.variables.add_auxiliary_variable("_cond", dtype=bool)
        self.variables.add_dynamic_array("fired", size=0, dtype=np.int8, read_only=True)
        self.fired = self.variables["fired"]
        CodeRunner.__init__(
            self, group, "raster", code=f"_cond = {condition}", clock=group.clock, name=None,
            when="thresholds", template_kwds={"fired_variable": self.fired},
        )  # fmt: skip
