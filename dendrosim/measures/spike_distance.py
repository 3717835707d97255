"""Distances between two spike trains: coincidence factor, van Rossum and Victor-Purpura.

Pure functions on 1-D arrays of spike times in seconds, sorted or not.  The two distances use
Elephant (``pip install "dendrosim[metrics]"``), which is imported on the first call.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from brian2 import hertz, second
from numpy.typing import ArrayLike, NDArray

from dendrosim import checks
from dendrosim.errors import DendrosimError
from dendrosim.measures.trains import sorted_train

#: Tolerance for rounding: two spikes exactly `precision` apart coincide.
ROUNDING = 1e-9


def coincidences(a: ArrayLike, b: ArrayLike, precision: float) -> int:
    """Return the maximum number of spike pairs of two trains at most `precision` apart.

    The pairing is one-to-one: each spike belongs to at most one pair.

    Parameters
    ----------
    a, b
        Spike times in s, shapes (n,) and (m,).
    precision
        The largest distance within a pair in s, inclusive.

    Raises
    ------
    DendrosimError
        If `precision` is negative.
    """
    precision = checks.positive(precision, "coincidences: precision", dim=second.dim, zero=True)
    # plain lists, because a loop over an array takes ten times as long
    first, other = sorted_train(a, "a").tolist(), sorted_train(b, "b").tolist()
    reach = precision * (1 + ROUNDING)
    i = j = pairs = 0
    while i < len(first) and j < len(other):
        if abs(first[i] - other[j]) <= reach:
            i, j, pairs = i + 1, j + 1, pairs + 1
        elif first[i] < other[j]:
            i += 1
        else:
            j += 1
    return pairs


def coincidence_factor(a: ArrayLike, b: ArrayLike, precision: float, duration: float) -> float:
    """Return the coincidence factor Gamma of a model train `b` with a reference train `a`.

    ``Gamma = (N_coinc - <N_coinc>) / ((N_a + N_b) / 2) / (1 - 2 nu Delta)`` where
    ``<N_coinc> = 2 nu Delta N_a`` is the expected number of coincidences of the reference with a
    Poisson process at the rate of the model, ``nu = N_b / duration``.  Gamma is 1 for equal
    trains, about 0 for chance, and negative for trains that avoid each other.

    It is symmetric only if both trains have the same number of spikes, because `nu` is the rate of
    the model.  brian2modelfitting uses the rate of the reference instead, so its values differ if
    the spike counts differ.

    Parameters
    ----------
    a
        Spike times of the reference in s, shape (n,).
    b
        Spike times of the model in s, shape (m,).
    precision
        Delta in s: spikes at most this far apart coincide, each with at most one partner.
    duration
        Duration of the recording, in s.

    Returns
    -------
    float
        At most 1; 0 if one train is empty.  nan if Gamma is undefined: both trains are empty,
        or the windows of the model cover the recording (``2 nu Delta >= 1``).

    Raises
    ------
    DendrosimError
        If `precision` or `duration` is not positive.

    References
    ----------
    Kistler, Gerstner & van Hemmen (1997), Neural Computation 9:1015-1045.
    Jolivet, Lewis & Gerstner (2004), J Neurophysiol 92:959-976.
    """
    precision = checks.positive(precision, "coincidence_factor: precision", dim=second.dim)
    duration = checks.positive(duration, "coincidence_factor: duration", dim=second.dim)
    n_a, n_b = sorted_train(a, "a").size, sorted_train(b, "b").size
    chance = 2 * precision * n_b / duration
    if n_a + n_b == 0 or chance >= 1:
        return np.nan
    excess = coincidences(a, b, precision) - chance * n_a
    return float(excess / (0.5 * (n_a + n_b)) / (1 - chance))


def van_rossum(a: ArrayLike, b: ArrayLike, tau: float) -> float:
    """Return the van Rossum distance: the difference of two trains after an exponential filter.

    In Elephant's normalisation, the distance of a single spike from an empty train is 1; divide
    by sqrt(2) for the normalisation of the paper.

    Parameters
    ----------
    a, b
        Spike times in s, shapes (n,) and (m,).
    tau
        Time constant of the filter in s; ``inf`` compares spike counts.

    Returns
    -------
    float
        Dimensionless; exactly 0 for equal trains, otherwise accurate to about 1e-7.

    Raises
    ------
    DendrosimError
        If `tau` is not positive, or Elephant is not installed.

    References
    ----------
    van Rossum (2001), Neural Computation 13:751-763.
    """
    tau = checks.positive(tau, "van_rossum: tau", dim=second.dim, finite=False)
    a, b = sorted_train(a, "a"), sorted_train(b, "b")
    with warnings.catch_warnings():
        # nearly equal trains: rounding gives a small negative sum, which Elephant sets to 0
        warnings.filterwarnings("ignore", "van_rossum_distance: very small", RuntimeWarning)
        return _elephant("van_rossum_distance", a, b, lambda pq: {"time_constant": tau * pq.s})


def victor_purpura(a: ArrayLike, b: ArrayLike, cost: float) -> float:
    """Return the Victor-Purpura distance: the minimum cost of changing one train into the other.

    Adding or removing a spike costs 1, moving it by ``dt`` costs ``cost * dt``.  Replacing a spike
    is cheaper than moving it by more than ``2 / cost``.  Needs memory for n x m numbers.

    Parameters
    ----------
    a, b
        Spike times in s, shapes (n,) and (m,).
    cost
        Cost of moving a spike, in 1/s; 0 compares spike counts.

    Returns
    -------
    float
        Dimensionless, at most n + m; exactly 0 for equal trains.

    Raises
    ------
    DendrosimError
        If `cost` is negative or not finite, or Elephant is not installed.

    References
    ----------
    Victor & Purpura (1996), J Neurophysiol 76:1310-1326.
    """
    cost = checks.positive(cost, "victor_purpura: cost", dim=hertz.dim, zero=True)
    a, b = sorted_train(a, "a"), sorted_train(b, "b")
    return _elephant("victor_purpura_distance", a, b, lambda pq: {"cost_factor": cost * pq.Hz})


def _elephant(name: str, a: NDArray, b: NDArray, options: Callable[[Any], dict]) -> float:
    try:
        import quantities as pq
        from elephant import spike_train_dissimilarity
    except ImportError as error:
        raise DendrosimError(
            f'{name} needs Elephant: pip install "dendrosim[metrics]" ({error})'
        ) from error
    if np.array_equal(a, b):  # avoids a rounding error of about 1e-8
        return 0.0
    distance = getattr(spike_train_dissimilarity, name)
    return float(distance([a * pq.s, b * pq.s], **options(pq))[0, 1])
