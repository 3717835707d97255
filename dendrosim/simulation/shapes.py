"""The shapes of currents, each a line of text in the models' language.

Brian2 integrates this line on every device, and numpy evaluates the same line for figures and
impedances.  Edges fall on the time grid: a window from ``start`` to ``stop`` covers the steps
whose beginning lies in it, to half a step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from brian2.units.fundamentalunits import DIMENSIONLESS, Dimension

from dendrosim.model.expressions import Expression, parse_expression
from dendrosim.model.quantities import parse_unit

TIME = parse_unit("second").dim
_RATE = parse_unit("hertz").dim
_AREA = parse_unit("meter**2").dim
_CURRENT = None  # the dimension of whatever input the stimulus goes into


@dataclass(frozen=True)
class Shape:
    """A shape of current.

    Attributes
    ----------
    text
        Current while the window is open, a function of ``t``, ``dt``, ``start``, ``stop`` and the
        values; ``samples`` is the sampled signal of a shape that has one.
    values
        Name to dimension (None: that of the input) and default (None: must be given).
    smooth
        Whether the current varies within a step.  A smooth current is evaluated at each stage of
        an integration method; any other keeps its value from the beginning of the step.
    needs_window
        Whether ``start`` and ``stop`` must be given.
    optional
        Values without a default that may be omitted.
    doc
        One line of description for users.
    """

    text: str
    values: Mapping[str, tuple[Dimension | None, str | None]]
    doc: str
    smooth: bool = False
    needs_window: bool = False
    optional: tuple[str, ...] = ()

    @property
    def expression(self) -> Expression:
        """The checked text, multiplied by the window.

        The window is evaluated at the beginning of a step for all stages of an integration
        method.  A smooth shape therefore has the window as a separate variable, ``gate``.
        """
        window = "gate" if self.smooth else WINDOW.text
        return parse_expression(f"({self.text})*{window}", "stimulus")


#: 1 in steps that begin between ``start`` and ``stop``, to half a step; else 0.
WINDOW = parse_expression("int(t > start - 0.5*dt)*int(t < stop - 0.5*dt)", "stimulus")


SHAPES: dict[str, Shape] = {
    "constant": Shape(
        "amplitude", {"amplitude": (_CURRENT, None)}, "the same current from start to stop"
    ),
    "step": Shape(
        "amplitude", {"amplitude": (_CURRENT, None)}, "a rectangular step", needs_window=True
    ),
    "ramp": Shape(
        "offset + (amplitude - offset)*(t - start)/(stop - start)",
        {"amplitude": (_CURRENT, None), "offset": (_CURRENT, "0")},
        "a straight line from offset at start to amplitude at stop",
        smooth=True,
    ),
    "sine": Shape(
        "amplitude*sin(2*pi*frequency*(t - start) + phase)",
        {
            "amplitude": (_CURRENT, None),
            "frequency": (_RATE, None),
            "phase": (DIMENSIONLESS, "0"),
        },
        "a sine of one frequency, which has the phase (rad) at start",
        smooth=True,
    ),
    "chirp": Shape(
        "amplitude*sin(2*pi*(f_0*(t - start) + 0.5*(f_1 - f_0)*(t - start)**2/(stop - start)))",
        {"amplitude": (_CURRENT, None), "f_0": (_RATE, "0 Hz"), "f_1": (_RATE, None)},
        "a sine whose frequency goes linearly from f_0 to f_1",
        smooth=True,
    ),
    "ou": Shape(
        "mean + sigma*samples",
        {
            "mean": (_CURRENT, "0"),
            "sigma": (_CURRENT, None),
            "tau": (TIME, "5 ms"),
            "sample": (TIME, "0.1 ms"),
        },
        "Ornstein-Uhlenbeck noise of standard deviation sigma and correlation time tau",
    ),
    "pulse_train": Shape(
        "amplitude*int(t - start + 0.5*dt < count*period)"
        "*int(t - start + 0.5*dt - period*floor((t - start + 0.5*dt)/period) < width)",
        {
            "amplitude": (_CURRENT, None),
            "width": (TIME, None),
            "period": (TIME, None),
            "count": (DIMENSIONLESS, None),
        },
        "count pulses, one every period",
    ),
    "paired_pulse": Shape(
        "amplitude*(int(t - start + 0.5*dt < width) + int(t - start + 0.5*dt > interval)"
        "*int(t - start + 0.5*dt < interval + width))",
        {"amplitude": (_CURRENT, None), "width": (TIME, None), "interval": (TIME, None)},
        "two pulses whose beginnings are an interval apart",
    ),
    "alpha": Shape(
        "amplitude*clip((t - start)/tau, 0, 700)*exp(1 - clip((t - start)/tau, 0, 700))",
        {"amplitude": (_CURRENT, None), "tau": (TIME, None)},
        "the synaptic current of an alpha function that peaks at start + tau",
        smooth=True,
    ),
    "recorded": Shape(
        "samples*amp/area",
        {"area": (_AREA, None)},
        "the commanded current of a current-clamp file, one sweep a neuron",
        optional=("area",),
    ),
}


#: Current of an electrode without division by an area, for an input in ampere.
COMMAND = Shape("samples*amp", {}, "the commanded current itself")


def spread(values: np.ndarray, neurons: int) -> np.ndarray:
    """Repeat the columns of a grid for `neurons`; the grid varies slowest, repetitions fastest."""
    values = values if values.ndim == 2 else values[:, None]
    return (
        values
        if values.shape[1] in (1, neurons)
        else np.repeat(values, neurons // values.shape[1], axis=1)
    )
