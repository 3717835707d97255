"""Features of responses: what a fit compares.

Each feature is one number of a spike train and a potential in the measured window of a protocol.
An undefined feature is nan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dendrosim import checks
from dendrosim.errors import DendrosimError, did_you_mean
from dendrosim.measures import efel_features, efel_names
from dendrosim.measures.trains import cv_isi
from dendrosim.time_grid import in_window

Array = NDArray[np.float64]

#: Time around a spike that does not belong to the potential between spikes (s).
BEFORE, AFTER = 2e-3, 20e-3
#: Time around the time of a spike in which its peak is sought, and after it its minimum (s).
PEAK, TROUGH = 2e-3, 30e-3
#: The lowest potentials are those of a running mean over this time (s): the lowest of many samples
#: with noise is lower than any potential without.
MEAN = 1e-3


@dataclass(frozen=True, eq=False)
class Response:
    """One neuron under one stimulus.

    Attributes
    ----------
    train
        Spike times in s.
    times
        Of the potential in s, shape (samples,).
    v
        Potential in V, shape (samples,); None without a physical scale.
    start, stop
        Measured window in s.
    onset
        Onset of the stimulus in s; nan without one.
    """

    train: Array
    times: Array
    v: Array | None
    start: float
    stop: float
    onset: float

    @cached_property
    def inside(self) -> Array:
        """Spikes in the measured window."""
        return self.train[in_window(self.train, self.start, self.stop)]

    @cached_property
    def quiet(self) -> Array:
        """Potential in the window, away from spikes; empty without a potential."""
        if self.v is None:
            return np.empty(0)
        keep = (self.times >= self.start) & (self.times <= self.stop)
        for first, last in self.around(self.train, BEFORE, AFTER):
            keep[first:last] = False
        return self.v[keep]

    @cached_property
    def running(self) -> Array:
        """Running mean of the potential over `MEAN`, shape (samples - width + 1,)."""
        assert self.v is not None  # features of a potential ask for one first
        return _running(self.v, self.width)

    @property
    def width(self) -> int:
        """Number of samples of a running mean."""
        return max(1, min(round(MEAN / float(self.times[1] - self.times[0])), len(self.times)))

    def around(self, spikes: Array, before: float, after: float) -> NDArray[np.intp]:
        """Return the first sample and the end of the samples around spikes, shape (spikes, 2)."""
        first = np.searchsorted(self.times, spikes - before)
        # a sample at the last time belongs to them
        end = np.searchsorted(self.times, spikes + after, side="right")
        return np.stack([first, end], axis=1)


def _latency(r: Response) -> float:
    origin = r.onset if r.start <= r.onset < r.stop else r.start
    return r.inside[0] - origin if len(r.inside) else np.nan


def _interval(k: int) -> Callable[[Response], float]:
    def of(r: Response) -> float:
        gaps = np.diff(r.inside)
        return float(gaps[k]) if len(gaps) else np.nan

    return of


def _of_quiet(function: Callable[[Response], float]) -> Callable[[Response], float]:
    def of(r: Response) -> float:
        return float(function(r)) if r.quiet.size else np.nan

    return of


def _peak(r: Response) -> float:
    """Return the mean of the highest potentials around spikes."""
    if r.v is None:
        return np.nan
    return _mean_of(np.maximum, r.v, r.around(r.inside, PEAK, PEAK))


def _trough(r: Response) -> float:
    """Return the mean of the lowest running means after spikes."""
    if r.v is None:
        return np.nan
    span = r.around(r.inside, 0.0, TROUGH)
    # the running means of all samples in the span; of its first ones if it is too short for one
    span[:, 1] = np.maximum(span[:, 1] - r.width + 1, span[:, 0] + 1)
    return _mean_of(np.minimum, r.running, np.minimum(span, len(r.running)))


def _mean_of(extreme: np.ufunc, values: Array, spans: NDArray[np.intp]) -> float:
    """Return the mean of the extreme values in spans of samples; nan without a span."""
    spans = spans[spans[:, 1] > spans[:, 0]]
    if not len(spans):
        return np.nan
    # reduceat needs a sample at every index, also at the end of the last span
    padded = np.r_[values, values[-1]]
    return float(extreme.reduceat(padded, spans.ravel())[::2].mean())


def _running(v: Array, width: int) -> Array:
    sums = np.concatenate([[0.0], np.cumsum(v)])
    return (sums[width:] - sums[:-width]) / width


def _lowest(r: Response) -> float:
    """Return the lowest running mean away from spikes."""
    return float(_running(r.quiet, min(r.width, r.quiet.size)).min())


class Feature(NamedTuple):
    """A feature with its spread: the difference that counts as 1."""

    function: Callable[[Response], float]
    unit: str
    spread: float  #: in SI units; at least this
    relative: float  #: part of the target's value; at least this
    doc: str


FEATURES: dict[str, Feature] = {
    "spikes": Feature(lambda r: float(len(r.inside)), "1", 0.5, 0.05, "number of spikes"),
    "first_spike_latency": Feature(_latency, "second", 1e-3, 0.05, "onset to first spike"),
    "first_isi": Feature(_interval(0), "second", 1e-3, 0.05, "first interspike interval"),
    "last_isi": Feature(_interval(-1), "second", 1e-3, 0.05, "last interspike interval"),
    "mean_isi": Feature(lambda r: float(np.diff(r.inside).mean()) if len(r.inside) > 1 else np.nan,
                        "second", 1e-3, 0.05, "mean interspike interval"),
    "cv_isi": Feature(lambda r: cv_isi(r.inside), "1", 0.05, 0.05,
                      "coefficient of variation of the intervals"),
    "last_spike": Feature(lambda r: r.inside[-1] - r.start if len(r.inside) else np.nan,
                          "second", 2e-3, 0.02, "start of the window to the last spike"),
    "mean_potential": Feature(_of_quiet(lambda r: r.quiet.mean()), "volt", 1e-3, 0.0,
                              "mean away from spikes"),
    "lowest_potential": Feature(_of_quiet(_lowest), "volt", 1e-3, 0.0, "lowest away from spikes"),
    "std_potential": Feature(_of_quiet(lambda r: r.quiet.std()), "volt", 0.5e-3, 0.05,
                             "spread away from spikes"),
    "spike_peak": Feature(_peak, "volt", 2e-3, 0.0,
                          "mean peak of spikes"),
    "spike_trough": Feature(_trough, "volt", 1e-3, 0.0,
                            "mean lowest potential after a spike"),
}  # fmt: skip
#: A feature that only one of both has, or that differs by more, counts as this many spreads.
WORST = 10.0


def read_features(names: Sequence[str] | None) -> dict[str, Feature]:
    """Return features by name: those of `FEATURES`, or eFEL's.

    Raises
    ------
    DendrosimError
        If there is no such feature.
    """
    if names is None:
        return dict(FEATURES)
    found = {}
    wanted = checks.texts(names, "features")
    if not wanted:
        raise DendrosimError(
            f"features = [] compares nothing; valid: {', '.join(FEATURES)}, or a feature of eFEL"
        )
    for name in wanted:
        if name in FEATURES:
            found[name] = FEATURES[name]
            continue
        efel = efel_names()
        if name not in efel:
            other = f"valid: {', '.join(FEATURES)}, or a feature of eFEL"
            near = did_you_mean(name, [*FEATURES, *efel], other)
            raise DendrosimError(f"features: {name!r} is not a feature; {near}")
        found[name] = Feature(_of_efel(name), "eFEL's", 1.0, 0.05, "eFEL")
    return found


def _of_efel(name: str) -> Callable[[Response], float]:
    def of(r: Response) -> float:
        if r.v is None or not np.isfinite(r.v).all():
            return np.nan
        stop = min(r.stop, float(r.times[-1]))
        return efel_features(r.times, r.v, [name], start=r.start, stop=stop)[name]

    return of


def vector(response: Response, features: Mapping[str, Feature]) -> Array:
    """Return the features of a response, shape (features,)."""
    return np.array([feature.function(response) for feature in features.values()], dtype=float)


def spreads(target: Array, features: Mapping[str, Feature], given: Mapping[str, Any]) -> Array:
    """Return the spread of each feature of a target, shape (features,)."""
    own = []
    for value, (name, feature) in zip(target, features.items(), strict=True):
        size = abs(value) if np.isfinite(value) else 0.0
        own.append(given.get(name, max(feature.spread, feature.relative * size)))
    return np.array(own, dtype=float)


def distance(candidate: Array, target: Array, spread: Array) -> float:
    """Return the root mean square of the differences in spreads; 0 for equal features.

    A feature that both lack does not count.
    """
    counted = np.isfinite(candidate) | np.isfinite(target)
    if not counted.any():
        return 0.0
    return float(np.sqrt(np.mean(differences(candidate, target, spread)[counted] ** 2)))


def differences(candidate: Array, target: Array, spread: Array) -> Array:
    """Return candidate minus target in spreads, from -`WORST` to `WORST`, shape (features,).

    A feature that only one of both has counts as `WORST`, one that both lack as 0.
    """
    known, wanted = np.isfinite(candidate), np.isfinite(target)
    z = np.where(known | wanted, WORST, 0.0)
    both = known & wanted
    z[both] = np.clip((candidate[both] - target[both]) / spread[both], -WORST, WORST)
    return z
