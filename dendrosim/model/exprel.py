"""exprel(x) = (exp(x) - 1)/x and its derivative, at full precision for every x.

The direct formulas cancel: ``(exp(x) - exprel(x))/x`` loses all digits near 0, and
``exprel(x)*(1 - 1/x) + 1/x`` loses them for large negative x.  Therefore the derivative is a
series for abs(x) < `NEAR`; elsewhere it uses the formula that does not cancel there.  This module
has the threshold, the coefficients and the numpy version; `dendrosim.learn.step.functions` is the
torch version, and `dendrosim.learn.kernels.adjoint` writes the C++ version.
"""

from __future__ import annotations

from math import factorial
from typing import Any

import numpy as np
from scipy.special import exprel

#: The series is used below this abs(x).
NEAR = 1.0
#: For abs(x) below this, exprel is 1 in every precision; cpp/exponential.h has the same number.
SMALLEST = 1e-30
#: The same threshold in the text of an equation, where the series has three terms.  The first
#: omitted term is z**3/30; above the threshold, cancellation errs by 1e-14 (float32: 5e-6).
NEAR_IN_TEXT = 0.02
#: Bytes per number to the number of terms; the next term is below half a unit in the last place.
TERMS = {8: 19, 4: 11}


def coefficients(itemsize: int) -> tuple[float, ...]:
    """Return the coefficients of the series of the derivative, from x**0: (k + 1)/(k + 2)!."""
    return tuple((k + 1) / factorial(k + 2) for k in range(TERMS[itemsize]))


def exprel_slope(x: Any) -> Any:
    """Return the derivative of exprel in the precision of `x` (float64 for a plain number).

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
