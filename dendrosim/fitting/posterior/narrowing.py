"""Where to draw candidates: rounds that narrow a Gaussian proposal to where the target is met.

A posterior is often a thousandth of the ranges.  Of candidates drawn from all of them, hardly one
comes close to the target, and a network learns nothing there.  So the spreads are first taken so
wide that enough candidates come close, and each round draws around those (population Monte Carlo,
Cappé et al. 2004, with tempering).  The likelihood of a candidate is known, because its misfit is.

All is computed in normal scores: a position from 0 to 1 becomes the quantile of a standard normal.
The uniform prior is then a standard normal, and no proposal leaves the ranges.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dendrosim.errors import DendrosimError
from dendrosim.sweeps.design import sobol

Array = NDArray[np.float64]

#: Candidates of a round: this part of those that train the network, and at least so many.
ROUND, LEAST = 4, 256
#: A round counts as close so many candidates, effectively, that this part of it is left.
CLOSE = 16
#: And at least so many for each free value.
CLOSE_EACH = 4
#: Most rounds, and most after the first in which the target is met with spreads `WIDER` times as
#: wide.
ROUNDS, LATE = 12, 3
#: The last proposal is the posterior for spreads that are so many times as wide, so that values at
#: the edge of the posterior still have candidates beyond them.
WIDER = 2.0
#: Each proposal is wider than the candidates that it is made of, which are few, by this factor.
MARGIN = 1.15
#: Powers of the likelihood that are tried, largest first: 1 is the posterior, 0 the prior.
#: Spreads that are twice as wide are the power 1/4.
POWERS = 10.0 ** -np.arange(0, 8, 0.05)
#: Quantiles stay this far from 0 and 1, whose normal scores are infinite.
EDGE = 1e-9


@dataclass(frozen=True)
class Proposal:
    """A Gaussian in normal scores, from which candidates are drawn.

    Attributes
    ----------
    centre
        Mean, shape (free values,).
    factor
        Cholesky factor of the covariance, shape (free values, free values).
    """

    centre: Array
    factor: Array

    def draw(self, n: int, rng: np.random.Generator) -> Array:
        """Return `n` standard normal numbers per value from a scrambled Sobol sequence."""
        from scipy.special import ndtri

        return ndtri(np.clip(sobol(len(self.centre), n, rng), EDGE, 1 - EDGE))

    def scores(self, t: Array) -> Array:
        """Return the normal scores of standard normal numbers, same shape."""
        return self.centre + t @ self.factor.T

    def positions(self, t: Array) -> Array:
        """Return the positions from 0 to 1 of standard normal numbers, same shape."""
        from scipy.special import ndtr

        return ndtr(self.scores(t))

    def log_prior(self, t: Array) -> Array:
        """Return the log of prior over proposal, up to a constant, shape (candidates,)."""
        return 0.5 * (np.sum(t**2, axis=1) - np.sum(self.scores(t) ** 2, axis=1))


@dataclass(frozen=True)
class Narrowed:
    """What the rounds found.

    Attributes
    ----------
    proposal
        From which the candidates that train the network are drawn.
    rounds, simulated, diverged
        Number of rounds, of their candidates, and of those that diverged.
    complete
        Whether the target was met with spreads `WIDER` times as wide.
    """

    proposal: Proposal
    rounds: int
    simulated: int
    diverged: int
    complete: bool


def everything(size: int) -> Proposal:
    """Return the prior of `size` values as a proposal."""
    return Proposal(np.zeros(size), np.eye(size))


def narrow(
    misfit: Callable[[Array], Array], size: int, n: int, rng: np.random.Generator
) -> Narrowed:
    """Draw rounds of candidates, each around those that came close in the round before.

    Parameters
    ----------
    misfit
        Minus the log likelihood of positions of shape (candidates, free values); infinite for a
        candidate that diverged.
    size
        Number of free values.
    n
        Number of candidates that will train the network.
    rng
        Source of the draws.

    Raises
    ------
    DendrosimError
        If all candidates of a round diverge.
    """
    proposal, count = everything(size), max(LEAST, n // ROUND)
    wanted = max(count / CLOSE, CLOSE_EACH * size)
    simulated = diverged = late = 0
    for k in range(1, ROUNDS + 1):
        t = proposal.draw(count, rng)
        found = misfit(proposal.positions(t))
        alive = np.isfinite(found)
        simulated, diverged = simulated + count, diverged + int((~alive).sum())
        if not alive.any():
            raise DendrosimError(
                "posterior: all candidates diverge; narrower ranges of the free values would help"
            )
        t, found = t[alive], found[alive]
        power, weights = tempered(proposal.log_prior(t), found, wanted)
        if late or power >= 1 / WIDER**2:
            late += 1
        last = power == 1 or late > LATE or k == ROUNDS
        scores = proposal.scores(t)
        proposal = _around(scores, weights, max(WIDER * power**0.5, MARGIN) if last else MARGIN)
        if last:
            break
    return Narrowed(proposal, k, simulated, diverged, late > 0)


def tempered(log_prior: Array, misfit: Array, wanted: float) -> tuple[float, Array]:
    """Return the largest power of the likelihood that leaves enough effective candidates.

    Parameters
    ----------
    log_prior
        Log of prior over proposal, shape (candidates,).
    misfit
        Minus the log likelihood, same shape.
    wanted
        Least effective number of candidates; if no power has so many, that with most is taken.

    Returns
    -------
    power, weights
        One of `POWERS`; weights of the candidates with sum 1, shape (candidates,).
    """
    every = [normalised(log_prior - power * misfit) for power in POWERS]
    effective = np.array([1 / np.sum(weights**2) for weights in every])
    enough = effective >= wanted
    k = int(np.argmax(enough) if enough.any() else np.argmax(effective))
    return float(POWERS[k]), every[k]


def normalised(log_weights: Array) -> Array:
    """Return weights with sum 1."""
    weights = np.exp(log_weights - log_weights.max())
    return weights / weights.sum()


def _around(scores: Array, weights: Array, wider: float) -> Proposal:
    """Return the Gaussian of weighted scores, wider by a factor.

    Precisions add: that of the likelihood is reduced, that of the prior stays.  So a value that the
    data do not determine keeps its range.
    """
    centre = weights @ scores
    away = scores - centre
    covariance = (weights[:, None] * away).T @ away + 1e-12 * np.eye(len(centre))
    part = 1 / wider**2
    precision = part * np.linalg.inv(covariance) + (1 - part) * np.eye(len(centre))
    return Proposal(centre, np.linalg.cholesky(np.linalg.inv(precision)))
