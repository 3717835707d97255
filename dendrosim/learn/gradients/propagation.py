"""Propagation of a gradient through a chain of one-step Jacobians: norms, retention, radius.

Pure functions of arrays of matrices, shape (..., k, k); a matrix contains the derivatives of the
state after a step (rows) with respect to the state before it (columns).
`dendrosim.learn.gradients.linearised` computes them from the text of a model.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dendrosim.errors import DendrosimError

Array = np.ndarray


def column_norm(matrices: Array, absolute: bool = True) -> Array:
    """Return the largest column sum of each matrix.

    Parameters
    ----------
    matrices
        Shape (..., k, k).
    absolute
        Whether to use absolute values, which gives the norm induced by the 1-norm.  Eq. 14 of
        Zhang et al. (2023) does not, so its printed value is not a norm.

    Returns
    -------
    array
        Shape (...).
    """
    entries = np.abs(matrices) if absolute else matrices
    return entries.sum(-2).max(-1)


def spectral_radius(matrices: Array) -> Array:
    """Return the largest modulus of the eigenvalues of each matrix: shape (..., k, k) to (...)."""
    return np.abs(np.linalg.eigvals(matrices)).max(-1)


def products(matrices: Array, horizons: Sequence[int], time: int = 1) -> dict[int, Array]:
    """Return the products of H successive matrices, for every start with enough matrices left.

    Parameters
    ----------
    matrices
        Shape (B, T, n, k, k), or another shape with time on axis `time`.
    horizons
        Numbers of steps H.

    Returns
    -------
    dict
        H to an array with T - H + 1 instead of T on the time axis.

    Raises
    ------
    DendrosimError
        If a horizon is not a whole number from 1 to T.
    """
    steps = np.moveaxis(matrices, time, 0)
    for horizon in horizons:
        whole = isinstance(horizon, int | np.integer) and not isinstance(horizon, bool)
        if not whole or not 1 <= horizon <= len(steps):
            raise DendrosimError(
                f"horizon = {horizon!r} is not a whole number of steps from 1 to {len(steps)}"
            )
    found = {}
    product = steps
    for h in range(1, max(horizons, default=0) + 1):
        if h > 1:  # earlier steps are factors on the right
            product = steps[h - 1 :] @ product[: len(steps) - h + 1]
        if h in horizons:
            found[h] = np.moveaxis(product, 0, time)
    return found


def retention_factors(matrices: Array, horizons: Sequence[int], time: int = 1) -> dict[int, Array]:
    """Return the spectral norm of the products of H successive matrices (LRMM, A.6).

    Returns
    -------
    dict
        H to an array of shape (B, T - H + 1, n).

    Raises
    ------
    DendrosimError
        If a horizon is not a whole number from 1 to T.
    """
    found = products(matrices, horizons, time)
    return {h: np.linalg.norm(product, 2, axis=(-2, -1)) for h, product in found.items()}


def absolute_retention(matrices: Array, horizons: Sequence[int], time: int = 1) -> Array:
    """Return the absolute gradient retention factor: the median over starts and neurons.

    Returns
    -------
    array
        One number per horizon.
    """
    factors = retention_factors(matrices, horizons, time)
    return np.array([np.median(factors[h]) for h in horizons])


def relative_factors(
    matrices: Array, cut: Array, horizons: Sequence[int], time: int = 1
) -> dict[int, Array]:
    """Return retention factors relative to those of `cut`, the same matrices without the loop.

    The ratio is NaN if both are 0, and infinite if only that of `cut` is 0.
    """
    above, below = (retention_factors(m, horizons, time) for m in (matrices, cut))
    with np.errstate(divide="ignore", invalid="ignore"):
        return {h: above[h] / below[h] for h in horizons}


def relative_retention(
    matrices: Array, cut: Array, horizons: Sequence[int], time: int = 1
) -> Array:
    """Return the relative gradient retention factor (LRMM, A.6): median of the defined ratios.

    Returns
    -------
    array
        One number per horizon; NaN if no ratio is defined.
    """
    found = []
    for ratios in relative_factors(matrices, cut, horizons, time).values():
        exist = ratios[~np.isnan(ratios)]
        found.append(np.median(exist) if exist.size else np.nan)
    return np.array(found)


def geometric_gain(factor: Array, horizon: int) -> Array:
    """Return the gain per step that corresponds to a factor over a horizon (LRMM, Fig. 6)."""
    return np.asarray(factor, dtype=float) ** (1 / horizon)
