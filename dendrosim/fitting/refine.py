"""Least squares on the potential, with a Jacobian from one packed run.

Features bring a search near the optimum; the potential then fixes every digit (Levenberg-
Marquardt).  All steps of the Jacobian run as neurons of one group, and so do trial steps of
different damping.

A spike that is late by its own width changes the potential by all of its height, so the potential
is far from linear around spikes.  The difference of the potentials is therefore smoothed, first
over a long time, then over shorter times, then not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dendrosim.fitting.costs import Every
from dendrosim.fitting.targets import Target

Array = NDArray[np.float64]
#: Positions to the responses of each candidate under each target's protocol.
Respond = Callable[[Array], Sequence[Every]]

#: Standard deviations of the smoothing, one stage after the other (s).
SMOOTHING = (20e-3, 5e-3, 1e-3, 0.0)
#: Most steps of a stage, and the part by which a step must lower the sum of squares.
STEPS, LOWER = 12, 0.1
#: Steps of central differences, in positions from 0 to 1.
DIFFERENCE = 1e-5
#: Trial dampings of a step, in parts of the diagonal (Marquardt 1963).
DAMPINGS = 10.0 ** np.arange(-12.0, 3.0)
#: Most samples of a potential that are compared.
SAMPLES = 40_000
#: A root mean square below this (V) is exact.
EXACT = 1e-13


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


def residual(responses: Every, targets: Sequence[Target], smoothing: float = 0.0) -> Array | None:
    """Return model minus target in V at the target's samples; None if a response diverged.

    Parameters
    ----------
    smoothing
        Standard deviation of a Gaussian in s.
    """
    parts = []
    samples = sum(len(r.times) for target in targets for r in target.responses)
    every = max(1, samples // SAMPLES)
    for own, target in zip(responses, targets, strict=True):
        if own is None:
            return None
        for r, wanted in zip(own, target.responses, strict=True):
            if r.v is None or wanted.v is None:
                return None
            inside = wanted.times <= r.times[-1]
            times = wanted.times[inside]
            apart = np.interp(times, r.times, r.v) - wanted.v[inside]
            if smoothing:
                apart = _smoothed(apart, smoothing / (times[1] - times[0]))
            parts.append(apart[::every])
    return np.concatenate(parts)


def _smoothed(values: Array, deviation: float) -> Array:
    """Return values smoothed by a Gaussian; deviation in samples, mirrored at the ends."""
    from scipy.signal import fftconvolve

    reach = max(1, round(4 * deviation))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    padded = np.pad(values, reach, mode="symmetric")
    return fftconvolve(padded, kernel / kernel.sum(), mode="valid")


def refine(respond: Respond, targets: Sequence[Target], x: Array) -> Refined | None:
    """Improve a position by least squares; None if a step of the Jacobian diverges.

    Parameters
    ----------
    respond
        Runs candidates.
    targets
        Targets with potentials.
    x
        First position, from 0 to 1.
    """
    evaluations = 0
    for smoothing in SMOOTHING:
        for _ in range(STEPS):
            linear = _linearised(respond, targets, x, smoothing)
            evaluations += 2 * len(x) + 1
            if linear is None:
                return None
            jacobian, own = linear
            square = float(own @ own)
            if square < len(own) * EXACT**2:
                break
            trials = _trials(x, jacobian, own)
            evaluations += len(trials)
            squares = [_square(r, targets, smoothing) for r in respond(trials)]
            best = int(np.argmin(squares))
            if squares[best] < square:
                x = trials[best]
            if not squares[best] < (1 - LOWER) * square:
                break
    last = linearised_at(respond, targets, x)
    if last is None:
        return None
    return Refined(x, last.jacobian, last.residual, evaluations + last.evaluations)


def linearised_at(respond: Respond, targets: Sequence[Target], x: Array) -> Refined | None:
    """Return Jacobian and residual at a position, without a step; None if a candidate diverges."""
    linear = _linearised(respond, targets, x, 0.0)
    return None if linear is None else Refined(x, *linear, 2 * len(x) + 1)


def _square(responses: Every, targets: Sequence[Target], smoothing: float) -> float:
    own = residual(responses, targets, smoothing)
    return np.inf if own is None else float(own @ own)


def _linearised(
    respond: Respond, targets: Sequence[Target], x: Array, smoothing: float
) -> tuple[Array, Array] | None:
    """Return Jacobian and residual at a position; central differences, one-sided at a bound."""
    up, down = np.minimum(x + DIFFERENCE, 1.0), np.maximum(x - DIFFERENCE, 0.0)
    candidates = [x]
    for k in range(len(x)):
        for moved in (up[k], down[k]):
            candidate = x.copy()
            candidate[k] = moved
            candidates.append(candidate)
    found = [residual(r, targets, smoothing) for r in respond(np.array(candidates))]
    every = [own for own in found if own is not None]
    if len(every) < len(candidates):
        return None
    columns = [(every[1 + 2 * k] - every[2 + 2 * k]) / (up[k] - down[k]) for k in range(len(x))]
    return np.stack(columns, axis=1), every[0]


def _trials(x: Array, jacobian: Array, own: Array) -> Array:
    """Return the position after one step of each damping, within the bounds."""
    normal, gradient = jacobian.T @ jacobian, jacobian.T @ own
    diagonal = np.diag(np.diag(normal))
    steps = [
        -np.linalg.lstsq(normal + damping * diagonal, gradient, rcond=None)[0]
        for damping in DAMPINGS
    ]
    return np.clip(x + np.array(steps), 0.0, 1.0)
