"""Sampled signals as a function that Brian2 calls: ``name(t)``, or ``name(t, i)`` for neuron i.

Brian2's TimedArray prints the length and time step of its values, and the step of the simulation,
into the program.  Here a program reads them when it starts, with its other numbers: another
duration, step or sampling compiles nothing again.  Only the room for the values is compiled, the
next power of two of their number; it is filled up with the last one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import brian2 as b2
import numpy as np
from brian2.devices.device import get_device

#: Name to values, (samples,) or (samples, neurons), and time step in seconds.
Samples = Mapping[str, tuple[np.ndarray, float]]


def room(values: np.ndarray) -> tuple[int, ...]:
    """Return the shape that a program has for a signal: samples, and neurons if it has columns."""
    return (1 << (len(values) - 1).bit_length(), *values.shape[1:])


#: Fraction of a sample by which a time may be early: rounding puts some before the sample they
#: begin; after 10**9 samples by less than half of this.
EARLY = 2.0**-20


def sample_at(times: np.ndarray, sample_dt: float, n: int) -> np.ndarray:
    """Return the number of the sample that each time takes, of `n`; the last one lasts."""
    return np.clip(np.floor(times / sample_dt + EARLY).astype(int), 0, n - 1)


@dataclass(frozen=True, eq=False)
class Signal:
    """A signal in Brian2.

    Attributes
    ----------
    group
        Holds the values and their grid; it has no step of its own.
    function
        What equations call.
    """

    group: b2.NeuronGroup
    function: b2.Function

    @property
    def variables(self) -> tuple[Any, ...]:
        """What the function reads."""
        return tuple(self.group.variables[name] for name in ("values", "sample_dt"))


def numbers(samples: Samples) -> Iterator[tuple[tuple[str, str], Any]]:
    """Yield group and variable, and the float64 values, of all that signals are."""
    for name, (values, sample_dt) in samples.items():
        filled = np.repeat(values[-1:], room(values)[0] - len(values), axis=0)
        yield (name, "values"), np.concatenate([values, filled]).ravel()
        yield (name, "sample_dt"), sample_dt


def make(samples: Samples, clock: b2.Clock) -> dict[str, Signal]:
    """Return the signals of a job as Brian2 objects, by name."""
    return {name: _signal(name, room(values), clock) for name, (values, _) in samples.items()}


def _signal(name: str, shape: tuple[int, ...], clock: b2.Clock) -> Signal:
    names = ("values", "sample_dt")
    group = b2.NeuronGroup(
        int(np.prod(shape)), "values : 1\nsample_dt : second (shared)",
        dtype=dict.fromkeys(names, np.float64), clock=clock, name=name,
    )  # fmt: skip
    values, sample_dt = (group.variables[variable] for variable in names)

    def on_numpy(t: Any, *neuron: Any) -> np.ndarray:
        row = sample_at(np.asarray(t), sample_dt.get_value().item(), shape[0])
        return values.get_value().reshape(shape)[(row, *map(np.asarray, neuron))]

    columns = len(shape) > 1
    function = b2.Function(
        on_numpy, arg_units=[b2.second, 1][: 1 + columns], return_unit=1,
        arg_types=["float", "integer"][: 1 + columns], return_type="float",
    )  # fmt: skip
    function.implementations.add_implementation("numpy", on_numpy, name=name)
    words = {
        "%NAME%": name, "%LAST%": str(shape[0] - 1), "%EARLY%": repr(EARLY),
        "%INDEX%": f"row*{shape[1]} + i" if columns else "row",
        "%NEURON%": ", const int i" if columns else "",
    }  # fmt: skip

    def filled(text: str, prefix: str = "") -> str:
        found = dict(words)
        for word, variable in (("VALUES", values), ("DT", sample_dt)):
            array = get_device().get_array_name(variable) if prefix else ""
            found[f"%{word}%"] = f"{prefix}{array}"
        for word, value in found.items():
            text = text.replace(word, value)
        return text

    def namespace(owner: Any) -> dict[str, np.ndarray]:
        return {f"{name}_values": values.get_value(), f"{name}_dt": sample_dt.get_value()}

    implement = function.implementations.add_dynamic_implementation
    implement("cython", lambda owner: filled(_CYTHON), name=name, namespace=namespace)
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
    if (row > %LAST%) row = %LAST%;
    return %VALUES%[%INDEX%];
}
"""

# brian::d... are set before the loop, see cuda_target.prepare
_CUDA = _CPP.replace("static inline", "static __device__")

_CYTHON = """
cdef double %NAME%(const double t%NEURON%):
    global _namespace%NAME%_values
    global _namespace%NAME%_dt
    cdef long long row = <long long>(t/_namespace%NAME%_dt[0] + %EARLY%)
    if row > %LAST%:
        row = %LAST%
    return _namespace%NAME%_values[%INDEX%]
"""
