"""How far apart two spike trains are: coincidence factor, van Rossum and Victor-Purpura.

Pure functions on 1-D arrays of spike times in seconds, sorted or not.  The two distances are
Elephant's (``pip install "dendrosim[metrics]"``), imported when they are called.
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

#: Two spikes exactly `precision` apart coincide although their difference was rounded.
ROUNDING = 1e-9


def coincidences(a: ArrayLike, b: ArrayLike, precision: float) -> int:
    """Return how many spikes of two trains can be paired, at most `precision` apart.

    The pairing is one-to-one and as large as can be: each spike belongs to one pair at most.

    Parameters
    ----------
    a, b
        Spike times in s, shapes (n,) and (m,).
    precision
        The largest distance of a pair in s, inclusive.

    Raises
    ------
    DendrosimError
        If `precision` is negative.
    """
    precision = checks.positive(precision, "coincidences: precision", dim=second.dim, zero=True)
    a, b = sorted_train(a, "a"), sorted_train(b, "b")
    reach = precision * (1 + ROUNDING)
    i = j = pairs = 0
    while i < a.size and j < b.size:
        if abs(a[i] - b[j]) <= reach:
            i, j, pairs = i + 1, j + 1, pairs + 1
        elif a[i] < b[j]:
            i += 1
        else:
            j += 1
    return pairs


def coincidence_factor(a: ArrayLike, b: ArrayLike, precision: float, duration: float) -> float:
    """Return the coincidence factor Gamma of a model train `b` with a reference train `a`.

    ``Gamma = (N_coinc - <N_coinc>) / ((N_a + N_b) / 2) / (1 - 2 nu Delta)`` where
    ``<N_coinc> = 2 nu Delta N_a`` is what a Poisson process with the rate of the model,
    ``nu = N_b / duration``, would share with the reference.  1 for equal trains, about 0 for
    chance, below 0 for trains that avoid each other.

    It is symmetric only where both trains have the same number of spikes, because `nu` is the
    rate of the model.  brian2modelfitting takes the rate of the reference instead, so its values
    differ where the counts do.

    Parameters
    ----------
    a
        Spike times of the reference in s, shape (n,).
    b
        Spike times of the model in s, shape (m,).
    precision
        Delta in s: spikes at most this far apart coincide, each with one partner at most.
    duration
        Of the recording, in s.

    Returns
    -------
    float
        At most 1; 0 where one train is empty.  nan where Gamma is not defined: both trains are
        empty, or the windows of the model cover the recording (``2 nu Delta >= 1``).

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
    """Return the van Rossum distance: how far apart the trains are after an exponential filter.

    In Elephant's normalisation a single spike is at distance 1 from silence; divide by sqrt(2)
    for that of the paper.

    Parameters
    ----------
    a, b
        Spike times in s, shapes (n,) and (m,).
    tau
        Time constant of the filter in s; ``inf`` compares spike counts.

    Returns
    -------
    float
        Dimensionless; exactly 0 for equal trains, else exact to about 1e-7.

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
        # nearly equal trains: a difference of sums that rounds below 0, which Elephant clips
        warnings.filterwarnings("ignore", "van_rossum_distance: very small", RuntimeWarning)
        return _elephant("van_rossum_distance", a, b, lambda pq: {"time_constant": tau * pq.s})


def victor_purpura(a: ArrayLike, b: ArrayLike, cost: float) -> float:
    """Return the Victor-Purpura distance: the cheapest way to turn one train into the other.

    Adding or removing a spike costs 1, moving it by ``dt`` costs ``cost * dt``: spikes more than
    ``2 / cost`` apart are cheaper to replace than to move.  Takes n x m memory.

    Parameters
    ----------
    a, b
        Spike times in s, shapes (n,) and (m,).
    cost
        Of moving a spike, in 1/s; 0 compares spike counts.

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
    if np.array_equal(a, b):  # sums that round differently would leave about 1e-8
        return 0.0
    distance = getattr(spike_train_dissimilarity, name)
    return float(distance([a * pq.s, b * pq.s], **options(pq))[0, 1])
