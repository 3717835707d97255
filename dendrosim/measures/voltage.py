"""Features of voltage traces: spikes, crossings, sub-threshold error.

Pure functions on NumPy arrays in SI units: seconds and volts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from brian2 import second, volt
from brian2.units.fundamentalunits import Dimension
from numpy.typing import ArrayLike, NDArray

from dendrosim import checks
from dendrosim.errors import DendrosimError
from dendrosim.measures.spike_detection import DEFAULT, SpikeRule, find_spikes
from dendrosim.measures.trains import sorted_train
from dendrosim.model.quantities import unit_words

Array = NDArray[np.float64]


def trace(times: ArrayLike, *values: ArrayLike, names: Sequence[str] = ()) -> tuple[Array, ...]:
    """Return times and their traces as float arrays; refuse invalid input.

    Parameters
    ----------
    times
        Increasing times in s, shape (n,) with n >= 2.
    *values
        Traces of the same shape.
    names
        Names of the traces in error messages.

    Raises
    ------
    DendrosimError
        If the shapes differ, there are too few times, they do not increase, or a value is not
        finite.
    """
    called = ("times", *names, *(["a trace"] * (len(values) - len(names))))
    dims = (second.dim, *(None for _ in values))
    arrays = tuple(
        checks.numbers(x, name, dim=dim)
        for x, name, dim in zip((times, *values), called, dims, strict=True)
    )
    if any(x.ndim != 1 or x.shape != arrays[0].shape for x in arrays):
        raise DendrosimError(f"a trace has one value per time, not {[x.shape for x in arrays]}")
    if arrays[0].size < 2 or not (np.diff(arrays[0]) > 0).all():
        raise DendrosimError("the times of a trace must be two or more, and increase")
    for x in arrays:
        if not np.isfinite(x).all():
            at = int(np.argmin(np.isfinite(x)))
            raise DendrosimError(f"sample {at} of a trace is {x[at]}; every value must be finite")
    return arrays


def potential_trace(times: ArrayLike, v: ArrayLike) -> tuple[Array, Array]:
    """Return times in s and a membrane potential in V; refuse other units.

    A `Quantity` must be a time or a potential.  For plain numbers, a potential above 1 V is
    probably in millivolts and a step above 10 ms probably in milliseconds; both are refused.

    Raises
    ------
    DendrosimError
        As for `trace`, and if the units cannot be right.
    """
    for name, value, unit in (("times", times, second), ("v", v, volt)):
        dim = getattr(value, "dim", unit.dim)
        if dim is not unit.dim and not (isinstance(dim, Dimension) and dim.is_dimensionless):
            raise DendrosimError(f"{name} is in {unit_words(dim)}, but {unit} is needed")
    times, v = trace(times, v, names=["v"])
    if np.abs(v).max() > 1:
        raise DendrosimError(
            f"v reaches {np.abs(v).max():g} V, which no membrane does; a potential is given in V "
            "(millivolts times 1e-3)"
        )
    step = float(np.median(np.diff(times)))
    if step > 10e-3:
        raise DendrosimError(
            f"times have a step of {step:g} s, in which no spike can be seen; they are given in s "
            "(milliseconds times 1e-3)"
        )
    return times, v


def spike_times_from_trace(
    times: ArrayLike, v: ArrayLike, *, slope: float = DEFAULT.slope, peak: float = DEFAULT.peak,
    height: float = DEFAULT.height,
) -> Array:  # fmt: skip
    """Return the times at which the spikes of a potential start, in s.

    This is the detection used for recorded cells, see `spike_detection`: a fast rise to a peak
    that is prominent on both sides.  A simulated model has its own threshold, and its spikes are
    in the `Recording`; use this function for traces without a spike train.

    Parameters
    ----------
    times
        Evenly spaced times in s, shape (n,).
    v
        Potential in V, shape (n,).
    slope
        Minimum rate of rise, in V/s (mV/ms).
    peak
        Minimum potential of a peak, in V.
    height
        Minimum height of a peak above its onset and above its surroundings, in V.

    Returns
    -------
    ndarray, shape (spikes,)

    Raises
    ------
    DendrosimError
        If the shapes differ, the times are not evenly spaced, a value is not finite, or the units
        cannot be right.
    """
    rule = SpikeRule(
        *(checks.number(x, name) for name, x in
          {"slope": slope, "peak": peak, "height": height}.items())
    )  # fmt: skip
    times, v = potential_trace(times, v)
    steps = np.diff(times)
    if np.ptp(steps) > 1e-3 * steps.mean():
        raise DendrosimError(
            f"the times of a trace must be evenly spaced, not by {steps.min():g} to "
            f"{steps.max():g} s; interpolate first"
        )
    found = find_spikes(v, float(steps.mean()), rule)
    return times[found.onsets]


def level_crossings(
    times: ArrayLike, v: ArrayLike, level: float, interpolate: bool = True
) -> Array:
    """Return the times at which a smooth trace crosses a level upwards, in s.

    A noisy trace crosses a level many times; use `spike_times_from_trace` to detect spikes.
    A crossing lies between a sample at or below the level and the next one above it; a trace that
    starts above the level has no crossing at its start.  Brian2's SpikeMonitor records the start
    of the step in which the condition becomes true, and its StateMonitor shows the new value one
    step later: the SpikeMonitor's time is that of the sample before the crossing.

    Parameters
    ----------
    times
        Increasing times in s, shape (n,).
    v
        Trace, shape (n,).
    level
        In the unit of the trace.
    interpolate
        Interpolate linearly between the two samples instead of using the later one.

    Returns
    -------
    ndarray, shape (number of crossings,)

    Raises
    ------
    DendrosimError
        If the shapes differ, the times do not increase or the level is not a number.
    """
    level, interpolate = checks.number(level, "level"), checks.flag(interpolate, "interpolate")
    times, v = trace(times, v, names=["v"])
    above = v > level
    after = np.flatnonzero(above[1:] & ~above[:-1]) + 1
    if not interpolate:
        return times[after]
    before = after - 1
    part = (level - v[before]) / (v[after] - v[before])
    return times[before] + part * (times[after] - times[before])


class VoltageError(NamedTuple):
    """Differences of two traces over the selected samples, in V; nan if none is selected."""

    rms: float
    maximum: float


def exclude_spikes(
    times: ArrayLike, spikes: ArrayLike, before: float, after: float
) -> NDArray[np.bool_]:
    """Return the mask of the samples outside all spikes.

    Parameters
    ----------
    times
        Times of the samples, in s, any shape.
    spikes
        Spike times in s, shape (k,); to exclude the spikes of two cells, concatenate them.
    before, after
        Excluded time around a spike at ``s``, in s: ``s - before <= t <= s + after``.

    Returns
    -------
    ndarray of bool, same shape as `times`
        True for samples that count.

    Raises
    ------
    DendrosimError
        If `before` or `after` is negative.
    """
    before = checks.number(before, "exclude_spikes: before", dim=second.dim)
    after = checks.number(after, "exclude_spikes: after", dim=second.dim)
    if before < 0 or after < 0:
        raise DendrosimError(f"exclude_spikes: before and after >= 0, not {before} and {after} s")
    times, train = checks.numbers(times, "times", dim=second.dim, finite=True), sorted_train(spikes)
    # a sample is excluded if more windows have started than ended
    opened = np.searchsorted(train - before, times, side="right")
    closed = np.searchsorted(train + after, times, side="left")
    return opened == closed


def voltage_error(
    v: ArrayLike, reference: ArrayLike, mask: ArrayLike | None = None
) -> VoltageError:
    """Return the root-mean-square and the maximum difference of two traces.

    Parameters
    ----------
    v, reference
        Voltages in V at the same times, any shape, but equal.
    mask
        True for samples that count, same shape: see `exclude_spikes`; all samples by default.

    Raises
    ------
    DendrosimError
        If the shapes differ.
    """
    v = checks.numbers(v, "voltage_error: v", dim=volt.dim)
    reference = checks.numbers(reference, "voltage_error: reference", dim=volt.dim)
    mask = np.ones(v.shape, dtype=bool) if mask is None else _mask(mask)
    if not v.shape == reference.shape == mask.shape:
        raise DendrosimError(
            f"voltage_error: v {v.shape}, reference {reference.shape} and mask {mask.shape} "
            "must have one shape"
        )
    error = np.abs(v - reference)[mask]
    if not error.size:
        return VoltageError(np.nan, np.nan)
    return VoltageError(float(np.sqrt(np.mean(error**2))), float(error.max()))


def _mask(mask: ArrayLike) -> NDArray[np.bool_]:
    """Return a mask of bools or of 0 and 1; other values are refused."""
    values = checks.numbers(mask, "voltage_error: mask", kinds="biuf")
    if not np.isin(values, (0, 1)).all():
        raise DendrosimError(
            f"voltage_error: mask = {checks.short(mask)} should be True where a sample counts"
        )
    return values.astype(bool)
