"""Least squares on the potential, with a Jacobian from one packed run.

Features bring a search near the optimum; the potential then fixes every digit (Levenberg-
Marquardt).  All steps of the Jacobian run as neurons of one group, and so do trial steps of
different damping.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dendrosim.fitting.costs import Every
from dendrosim.fitting.responses import Target

Array = NDArray[np.float64]
#: Positions to the responses of each candidate under each target's protocol.
Respond = Callable[[Array], Sequence[Every]]

#: Most samples of a potential that are compared.
SAMPLES = 20_000
#: Steps of central differences, in positions from 0 to 1.
STEP = 1e-4
#: Trial dampings of a step, in parts of the largest diagonal entry.
DAMPINGS = 10.0 ** np.arange(-9.0, 3.0)
#: A step that improves the sum of squares by less than this part is the last.
LITTLE = 1e-10


@dataclass(frozen=True)
class Refined:
    """The result of least squares.

    Attributes
    ----------
    x
        Positions, shape (free values,).
    jacobian
        Of the potential in V at `x`, shape (samples, free values).
    residual
        Model minus target in V, shape (samples,).
    evaluations
        Number of candidates that were run.
    """

    x: Array
    jacobian: Array
    residual: Array
    evaluations: int

    @property
    def rms(self) -> float:
        """Root mean square of the residual in V."""
        return float(np.sqrt(np.mean(self.residual**2)))


def can_refine(targets: Sequence[Target]) -> bool:
    """Whether the targets have potentials."""
    return all(r.v is not None for target in targets for r in target.responses)


def residual(responses: Every, targets: Sequence[Target]) -> Array | None:
    """Return model minus target in V at the target's samples; None if a response diverged."""
    parts = []
    for own, target in zip(responses, targets, strict=True):
        if own is None:
            return None
        every = max(1, sum(len(r.times) for r in target.responses) * len(targets) // SAMPLES)
        for r, wanted in zip(own, target.responses, strict=True):
            if r.v is None:
                return None
            times = wanted.times[::every]
            inside = times <= r.times[-1]
            parts.append(np.interp(times[inside], r.times, r.v) - wanted.v[::every][inside])
    return np.concatenate(parts)


def refine(
    respond: Respond, targets: Sequence[Target], x: Array, iterations: int = 10
) -> Refined | None:
    """Improve a position by least squares; None if it diverges.

    Parameters
    ----------
    respond
        Runs candidates.
    targets
        Targets with potentials.
    x
        First position, from 0 to 1.
    iterations
        Most steps.
    """
    count = 0
    found = None
    for _ in range(iterations + 1):
        linear = _linearised(respond, targets, x)
        count += 2 * len(x) + 1
        if linear is None:
            return found
        jacobian, own = linear
        found = Refined(x, jacobian, own, count)
        if found.rms < 1e-12:
            return found
        trials = _trials(x, jacobian, own)
        every = [residual(r, targets) for r in respond(trials)]
        count += len(trials)
        squares = np.array([np.inf if r is None else float(r @ r) for r in every])
        best = int(np.argmin(squares))
        if not squares[best] < (1 - LITTLE) * float(own @ own):
            return Refined(x, jacobian, own, count)
        x = trials[best]
    return found


def _linearised(
    respond: Respond, targets: Sequence[Target], x: Array
) -> tuple[Array, Array] | None:
    """Return Jacobian and residual at a position; central differences, one-sided at a bound."""
    up, down = np.minimum(x + STEP, 1.0), np.maximum(x - STEP, 0.0)
    candidates = [x]
    for k in range(len(x)):
        for moved in (up[k], down[k]):
            candidate = x.copy()
            candidate[k] = moved
            candidates.append(candidate)
    every = [residual(r, targets) for r in respond(np.array(candidates))]
    if any(r is None for r in every):
        return None
    columns = [(every[1 + 2 * k] - every[2 + 2 * k]) / (up[k] - down[k]) for k in range(len(x))]
    return np.stack(columns, axis=1), every[0]


def _trials(x: Array, jacobian: Array, own: Array) -> Array:
    """Return steps of different damping, within the bounds."""
    normal, gradient = jacobian.T @ jacobian, jacobian.T @ own
    scale = np.diag(normal).max()
    steps = []
    for damping in DAMPINGS:
        damped = normal + damping * scale * np.eye(len(x))
        steps.append(-np.linalg.lstsq(damped, gradient, rcond=None)[0])
    return np.clip(x + np.array(steps), 0.0, 1.0)
