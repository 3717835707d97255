"""Sampled signals as a Brian2 function: ``name(t)``, or ``name(t, k)`` for column k.

Brian2's TimedArray writes the length and time step of its values, and the simulation step, into
the source.  Here a program reads them at its start, with its other arguments.  A different
duration, step, sampling or number of neurons therefore needs no new compilation.  Only the
capacity is compiled in: the number of samples, rounded up to a power of two, times the columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import brian2 as b2
import numpy as np
from brian2.devices.device import get_device

from dendrosim.time_grid import EARLY, sample_at

#: Least capacity in columns of a signal that neurons share, so that any few share a program.
FEW = 8


class Sampled(NamedTuple):
    """The values of a signal.

    Attributes
    ----------
    values
        Shape (samples,) or (samples, columns).
    dt
        Time step in s.
    of_neurons
        Whether there is one column per neuron.  If not, a variable of the neurons chooses the
        column, so that many neurons share a few.
    """

    values: np.ndarray
    dt: float
    of_neurons: bool = True


#: Name to values.
Samples = Mapping[str, Sampled]


def room(sampled: Sampled, neurons: int | None = None) -> tuple[int, bool]:
    """Return the compiled capacity for a signal, and whether it has several columns.

    Parameters
    ----------
    sampled
        The signal.
    neurons
        Capacity in neurons; by default the number of columns.
    """
    samples, columns = _power_of_two(len(sampled.values)), sampled.values.shape[1:]
    if not columns:
        return samples, False
    if not sampled.of_neurons:
        return samples * max(FEW, _power_of_two(columns[0])), True
    return samples * (neurons or columns[0]), True


def _power_of_two(number: int) -> int:
    return 1 << (number - 1).bit_length()


@dataclass(frozen=True, eq=False)
class Signal:
    """A signal in Brian2.

    Attributes
    ----------
    group
        Contains the values and their time grid; it is not updated in a step.
    function
        The function for equations.
    """

    group: b2.NeuronGroup
    function: b2.Function

    @property
    def variables(self) -> tuple[Any, ...]:
        """The variables that the function reads."""
        return tuple(
            self.group.variables[name] for name in _names("columns" in self.group.variables)
        )


def numbers(samples: Samples, neurons: int | None = None) -> Iterator[tuple[tuple[str, str], Any]]:
    """Yield (group, variable) and values for all variables of the signals."""
    for name, sampled in samples.items():
        values = sampled.values
        missing = room(sampled, neurons)[0] - values.size
        yield (name, "values"), np.pad(values.ravel(), (0, missing))
        yield (name, "sample_dt"), sampled.dt
        yield (name, "last"), len(values) - 1
        if values.ndim > 1:
            yield (name, "columns"), values.shape[1]


def make(samples: Samples, clock: b2.Clock, neurons: int | None = None) -> dict[str, Signal]:
    """Return the signals of a job as Brian2 objects, by name."""
    return {name: _signal(name, room(own, neurons), clock) for name, own in samples.items()}


def _names(columns: bool) -> tuple[str, ...]:
    return ("values", "sample_dt", "last", *(("columns",) if columns else ()))


def _signal(name: str, room: tuple[int, bool], clock: b2.Clock) -> Signal:
    size, columns = room
    names = _names(columns)
    lines = ["values : 1", "sample_dt : second (shared)"]
    lines += [f"{whole} : integer (shared)" for whole in names[2:]]
    types = {"values": np.float64, "sample_dt": np.float64} | dict.fromkeys(names[2:], np.int32)
    group = b2.NeuronGroup(size, "\n".join(lines), dtype=types, clock=clock, name=name)
    own = dict(zip(("VALUES", "DT", "LAST", "COLUMNS"), names, strict=False))
    variables = {word: group.variables[variable] for word, variable in own.items()}

    def on_numpy(t: Any, *neuron: Any) -> np.ndarray:
        given = {word: variable.get_value() for word, variable in variables.items()}
        row = sample_at(np.asarray(t), given["DT"].item(), given["LAST"].item() + 1)
        at = row * given["COLUMNS"].item() + np.asarray(*neuron) if neuron else row
        return given["VALUES"][at]

    function = b2.Function(
        on_numpy, arg_units=[b2.second, 1][: 1 + columns], return_unit=1,
        arg_types=["float", "integer"][: 1 + columns], return_type="float",
    )  # fmt: skip
    function.implementations.add_implementation("numpy", on_numpy, name=name)
    words = {
        "%INDEX%": "row*%COLUMNS%[0] + i" if columns else "row",
        "%NEURON%": ", const int i" if columns else "",
        "%NAME%": name, "%EARLY%": repr(EARLY),
    }  # fmt: skip

    def filled(text: str, prefix: str = "") -> str:
        found = dict(words)
        for word, variable in variables.items():
            array = get_device().get_array_name(variable) if prefix else f"_namespace{name}_{word}"
            found[f"%{word}%"] = f"{prefix}{array}"
        for word, value in found.items():
            text = text.replace(word, value)
        return text

    def namespace(owner: Any) -> dict[str, np.ndarray]:
        return {f"{name}_{word}": variable.get_value() for word, variable in variables.items()}

    implement = function.implementations.add_dynamic_implementation
    used = "    global %COLUMNS%" if columns else ""
    cython = _CYTHON.replace("%USED%", used)
    implement("cython", lambda owner: filled(cython), name=name, namespace=namespace)
    for target, text, prefix in (("cpp", _CPP, "brian::"), ("cuda", _CUDA, "brian::d")):
        implement(
            target, lambda owner, text=text, prefix=prefix: filled(text, prefix), name=name,
            namespace=lambda owner: {},
        )  # fmt: skip
    return Signal(group, function)


_CPP = """
static inline double %NAME%(const double t%NEURON%)
{
    int64_t row = (int64_t)(t/%DT%[0] + %EARLY%);
    if (row > %LAST%[0]) row = %LAST%[0];
    return %VALUES%[%INDEX%];
}
"""

# cuda.prepare sets brian::d... before the loop
_CUDA = _CPP.replace("static inline", "static __device__")

_CYTHON = """
cdef double %NAME%(const double t%NEURON%):
    global %VALUES%
    global %DT%
    global %LAST%
%USED%
    cdef long long row = <long long>(t/%DT%[0] + %EARLY%)
    if row > %LAST%[0]:
        row = %LAST%[0]
    return %VALUES%[%INDEX%]
"""
