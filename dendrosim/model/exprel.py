"""exprel(x) = (exp(x) - 1)/x and its derivative, to the last digits for every x.

Written out, ``(exp(x) - exprel(x))/x`` loses all digits near 0 and ``exprel(x)*(1 - 1/x) + 1/x``
far below it.  So the derivative is its series for abs(x) < `NEAR` and one of these two elsewhere,
each where it subtracts nothing that is nearly equal.  Here stand the threshold, the coefficients
and numpy's version; `dendrosim.learn.step.functions` says the same in torch, and
`dendrosim.learn.kernels.adjoint` writes it as C++.
"""

from __future__ import annotations

from math import factorial
from typing import Any

import numpy as np
from scipy.special import exprel

#: Where the series ends.
NEAR = 1.0
#: Below it exprel is 1 in every precision; cpp/exponential.h has the same number.
SMALLEST = 1e-30
#: In the text of an equation, whose series has three terms: the first left out is z**3/30, and
#: further from 0 the difference of nearly equal numbers keeps 1e-14 (float32: 5e-6).
NEAR_IN_TEXT = 0.02
#: Bytes of a number to the terms of the series that it needs: the next is below half a unit.
TERMS = {8: 19, 4: 11}


def coefficients(itemsize: int) -> tuple[float, ...]:
    """Return those of the series of the derivative, that of x**0 first: (k + 1)/(k + 2)!."""
    return tuple((k + 1) / factorial(k + 2) for k in range(TERMS[itemsize]))


def exprel_slope(x: Any) -> Any:
    """Return the derivative of exprel in the precision of `x`, float64 for a plain number.

    Parameters
    ----------
    x
        A number or an array.
    """
    x = np.asarray(x)
    x = x if x.dtype == np.float32 else x.astype(float)
    near = np.abs(x) < NEAR
    inside = np.where(near, x, 0).astype(x.dtype)
    series = np.zeros_like(x)
    for factor in reversed(coefficients(x.dtype.itemsize)):
        series = series * inside + x.dtype.type(factor)
    far = np.where(near, 1, x).astype(x.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        value = exprel(far)
        outside = np.where(far > 0, value * (1 - 1 / far) + 1 / far, (np.exp(far) - value) / far)
    return np.where(near, series, outside)[()]
