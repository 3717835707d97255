"""Costs of a fit: how far the responses of a candidate are from a target."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dendrosim import checks
from dendrosim.comparison.protocol_measures import COINCIDENCE, mean_where_defined
from dendrosim.comparison.responses import AROUND_SPIKES
from dendrosim.errors import DendrosimError
from dendrosim.fitting.features import Feature, Response, distance, spreads, vector
from dendrosim.fitting.targets import Target
from dendrosim.measures import coincidence_factor, exclude_spikes
from dendrosim.time_grid import in_window

Array = NDArray[np.float64]
#: The responses of a candidate under each protocol; None where it diverged.
Every = Sequence[Sequence[Response] | None]

#: A rate error of this size (Hz), or of this part of the mean rate, counts as 1.
RATE, RATE_PART = 1.0, 0.05
#: A mean error of the potential of this size (V) counts as 1.
POTENTIAL = 1e-3
#: A sample within a spike that only the candidate has counts as this difference (V).
LOST = 20e-3
#: Cost of a candidate that diverges: larger than any other.
DIVERGED = 1e6


def potential_error(response: Response, target: Response) -> float:
    """Return the root mean square difference in V outside the spikes of both; nan if none is."""
    apart, outside, lost = _apart(response, target)
    away = outside & ~lost
    return float(np.sqrt(np.mean(apart[away] ** 2))) if away.any() else np.nan


def _apart(response: Response, target: Response) -> tuple[Array, NDArray, NDArray]:
    """Return differences in V, masks of samples outside the target's spikes and at the response's.

    All have the shape (samples in the window,); they are empty without potentials.
    """
    if response.v is None or target.v is None:
        return np.empty(0), np.empty(0, bool), np.empty(0, bool)
    window = (target.times >= target.start) & (target.times <= target.stop)
    window &= target.times <= response.times[-1]
    times = target.times[window]
    outside = exclude_spikes(times, target.train, *AROUND_SPIKES)
    lost = ~exclude_spikes(times, response.train, *AROUND_SPIKES)
    return np.interp(times, response.times, response.v) - target.v[window], outside, lost


def gamma(response: Response, target: Response) -> float:
    """Return the coincidence factor of the spikes in the window; nan if neither fires."""
    a, b = (r.train[in_window(r.train, target.start, target.stop)] for r in (target, response))
    return coincidence_factor(a, b, COINCIDENCE, target.stop - target.start)


def _voltage(target: Target, responses: Sequence[Response], _: Any) -> float:
    squares = []
    for response, wanted in zip(responses, target.responses, strict=True):
        apart, outside, lost = _apart(response, wanted)
        if outside.any():
            # a candidate must not hide an error behind spikes that the target does not have
            squares.append(np.mean(np.where(lost, LOST, apart)[outside] ** 2))
    return float(np.sqrt(np.mean(squares))) / POTENTIAL if squares else 0.0


def _spikes(target: Target, responses: Sequence[Response], _: Any) -> float:
    pairs = zip(responses, target.responses, strict=True)
    found = np.array([gamma(r, t) for r, t in pairs])
    return float(np.nan_to_num(mean_where_defined(10 * (1 - found))))


def _fi(target: Target, responses: Sequence[Response], _: Any) -> float:
    length = target.responses[0].stop - target.responses[0].start
    rates = np.array([[len(r.inside) / length for r in every]
                      for every in (responses, target.responses)])  # fmt: skip
    error = np.sqrt(np.mean((rates[0] - rates[1]) ** 2))
    return float(error / max(RATE, RATE_PART * rates[1].mean()))


def _features(target: Target, responses: Sequence[Response], known: FeatureTarget) -> float:
    own = [
        distance(vector(r, known.features), wanted, spread)
        for r, wanted, spread in zip(responses, known.vectors, known.spreads, strict=True)
    ]
    return float(np.sqrt(np.mean(np.square(own))))


@dataclass(frozen=True)
class FeatureTarget:
    """Features of a target and their spreads, one row per stimulus."""

    features: Mapping[str, Feature]
    vectors: Array
    spreads: Array


COSTS: dict[str, Callable[[Target, Sequence[Response], Any], float]] = {
    "features": _features, "voltage": _voltage, "spikes": _spikes, "fi": _fi,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Cost:
    """A weighted sum of costs, averaged over protocols.

    Attributes
    ----------
    weights
        Name of a cost to its weight.
    features
        Features of cost ``"features"``.
    known
        Features of each target.
    spread
        Given spreads of features, in SI units.
    """

    weights: Mapping[str, float]
    features: Mapping[str, Feature]
    known: tuple[FeatureTarget, ...]
    spread: Mapping[str, float] = field(default_factory=dict)

    def of(self, targets: Sequence[Target], responses: Every) -> float:
        """Return the cost of a candidate, given its responses under each protocol."""
        total = 0.0
        for target, own, known in zip(targets, responses, self.known, strict=True):
            if own is None:
                return DIVERGED
            for name, weight in self.weights.items():
                total += weight * COSTS[name](target, own, known)
        return total / len(targets)


def read_cost(
    cost: Any, targets: Sequence[Target], features: Mapping[str, Feature],
    spread: Mapping[str, float],
) -> Cost:  # fmt: skip
    """Return the cost of a fit.

    Parameters
    ----------
    cost
        A name in `COSTS`, a list of names, or a mapping of names to weights.
    targets
        The targets.
    features, spread
        Features of cost ``"features"``, and given spreads in SI units.

    Raises
    ------
    DendrosimError
        If there is no such cost, or if it cannot tell any candidates apart.
    """
    if isinstance(cost, Mapping):
        weights = dict(cost)
    else:
        weights = dict.fromkeys(checks.texts(cost, "cost"), 1.0)
    if not weights:
        raise DendrosimError(f"cost needs at least one name; valid: {', '.join(COSTS)}")
    if not isinstance(spread, Mapping):
        raise DendrosimError(
            f"spread = {checks.short(spread)} should map names of features to numbers"
        )
    for name, weight in weights.items():
        checks.one_of(name, COSTS, "unknown cost")
        weights[name] = checks.number(weight, f"cost: {name}")
        if weights[name] <= 0:
            raise DendrosimError(
                f"cost: {name} = {checks.short(weight)} should be a weight above 0"
            )
    for name in spread:
        if name not in features:
            raise DendrosimError(f"spread: {name!r} is not a feature of this fit")
        if not checks.number(spread[name], f"spread: {name}") > 0:
            raise DendrosimError(f"spread: {name} = {checks.short(spread[name])} should be above 0")
    known = []
    for target in targets:
        vectors = np.array([vector(r, features) for r in target.responses])
        own = np.array([spreads(v, features, spread) for v in vectors])
        known.append(FeatureTarget(features, vectors, own))
    _refuse_blind(weights, targets)
    given = {name: float(value) for name, value in spread.items()}
    return Cost(weights, features, tuple(known), given)


def _refuse_blind(weights: Mapping[str, float], targets: Sequence[Target]) -> None:
    every = [r for target in targets for r in target.responses]
    potential = any(r.v is not None for r in every)
    if "voltage" in weights and not potential:
        raise DendrosimError(
            "the potential of the target has no unit, so that cost 'voltage' cannot be computed; "
            "choose 'features', 'spikes' or 'fi'"
        )
    seen = potential and {"features", "voltage"} & weights.keys()
    if not seen and not any(len(r.inside) for r in every):
        raise DendrosimError(
            "the target never fires in the measured window, and this cost sees spikes alone, so "
            "that every silent candidate is perfect; choose a protocol under which it fires"
        )
