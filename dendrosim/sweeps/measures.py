"""Measures of the points of a sweep, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dendrosim import checks
from dendrosim.errors import DendrosimError, did_you_mean
from dendrosim.measures import adaptation_index, cv_isi, efel_features, efel_names, gain, rheobase
from dendrosim.measures.spike_features import OF_WHOLE_TRACE, WITHOUT_SPIKES
from dendrosim.model.quantities import parse_unit, unit_text
from dendrosim.simulation import neuron_axis
from dendrosim.simulation.protocol import Protocol
from dendrosim.simulation.recording import Recording
from dendrosim.sweeps.function_identity import identity
from dendrosim.sweeps.pack_run import PackRun, PointRun, point_runs
from dendrosim.sweeps.packing import Pack

Array = NDArray[np.float64]
#: Names of other arrays of a store.
RESERVED = ("status", "error", "diverged_at", "seed", "repeat", "point", "time", "quantiles",
            "spike_times", "set", "axis")  # fmt: skip
DEFAULT = ("spikes", "rate", "first_spike_latency", "burst_period", "spikes_per_burst")


@dataclass(frozen=True)
class Measure:
    """A number that describes a point.

    Attributes
    ----------
    name
        Name of the column.
    unit
        Unit in Brian2's names; that of eFEL for its features.
    function
        Gets the packed run; returns (points, neurons per point), or (points,) if `of_point`.
    doc
        One line for users.
    of_point
        Whether it is one number per point, also under a protocol with a grid of its own.
    of_curve
        Whether it is of the f-I curve of the protocol's grid of currents.
    potential
        Whether it needs the somatic potential.
    identity
        Text that is equal for equal functions.
    """

    name: str
    unit: str
    function: Callable[[PackRun], Array]
    doc: str
    of_point: bool = False
    of_curve: bool = False
    potential: bool = False
    identity: str = ""


def _curve(function: Callable[[Array, Array], float]) -> Callable[[PackRun], Array]:
    def of(run: PackRun) -> Array:
        values, unit = run.currents
        order = np.argsort(values, kind="stable")
        return np.array([function(values[order] * unit, rates[order]) for rates in run.rates])

    return of


def _rising(x: Array, y: Array) -> float:
    # a neuron that is silent at the largest current is blocked
    part = slice(None, np.argmax(y) + 1) if y.size and y[-1] == 0 else slice(None)
    return gain(x[part], y[part])


def _mean_potential(run: PackRun) -> Array:
    times, v = run.potentials
    start, stop = run.window
    return run.shaped(v[(times >= start) & (times <= stop)].mean(axis=0))


#: The built-in measures; all are of the protocol's measured window.
MEASURES = {
    m.name: m
    for m in (
        Measure("spikes", "1", lambda run: run.shaped(map(len, run.inside)), "spikes"),
        Measure("rate", "hertz", lambda run: run.rates, "spikes per second"),
        Measure("first_spike_latency", "second", lambda run: run.latencies,
                "from the earliest onset of a stimulus in the window to the first spike"),
        Measure("burst_period", "second", lambda run: run.burst[0], "between beginnings of bursts"),
        Measure("spikes_per_burst", "1", lambda run: run.burst[1], "1 for tonic firing"),
        Measure("cv_isi", "1", lambda run: run.shaped(map(cv_isi, run.inside)),
                "coefficient of variation of the interspike intervals"),
        Measure("adaptation_index", "1", lambda run: run.shaped(map(adaptation_index, run.inside)),
                "mean relative change from one interval to the next"),
        Measure("mean_potential", "volt", _mean_potential, "mean somatic potential",
                potential=True),
        Measure("rheobase", "", _curve(rheobase), "smallest current of the grid with a spike",
                of_point=True, of_curve=True),
        Measure("gain", "", _curve(_rising), "slope of the f-I curve above rheobase",
                of_point=True, of_curve=True),
        Measure("highest_rate", "hertz", _curve(lambda x, y: float(y.max())),
                "largest rate of the f-I curve", of_point=True, of_curve=True),
    )
}  # fmt: skip


def read_measures(
    names: Sequence[str | Callable], protocols: Sequence[Protocol]
) -> tuple[Measure, ...]:
    """Return the measures of these names: built-in, functions of a `PointRun`, or eFEL's features.

    Raises
    ------
    DendrosimError
        If there is no such measure, or if a protocol does not suit it.
    """
    if isinstance(names, str) or not checks.is_row(names) or not len(names):
        raise DendrosimError(
            f"measures = {checks.short(names)} should be a list such as {list(DEFAULT[:2])}"
        )
    found = [_measure(name) for name in names]
    if len({m.name for m in found}) < len(found):
        raise DendrosimError(f"measures = {checks.short(names)} holds a name twice")
    result = []
    for measure in found:
        if measure.of_curve:
            measure = _with_current(measure, protocols)
        result.append(measure)
    return tuple(result)


def _measure(name: Any) -> Measure:
    if callable(name):
        return _own(name)
    if isinstance(name, str) and name in MEASURES:
        return MEASURES[name]
    features = efel_names() if isinstance(name, str) else ()
    if name in features:
        return Measure(name, "", lambda run: _efel(run, name), "eFEL", potential=True)
    other = f"valid: {', '.join(MEASURES)}, a feature of eFEL, or a function of your own"
    near = did_you_mean(str(name), [*MEASURES, *features], other)
    raise DendrosimError(f"measures: {checks.short(name)} is not a measure; {near}")


def _with_current(measure: Measure, protocols: Sequence[Protocol]) -> Measure:
    """Return a measure of the f-I curve with its unit, or refuse a protocol without currents."""
    for protocol in protocols:
        grid = neuron_axis.grid(protocol, protocol.size) if protocol.size > 1 else None
        if grid is None or not grid.is_current:
            raise DendrosimError(
                f"measures: {measure.name} needs a protocol with a grid of constant currents, such "
                f"as fi_curve, over which there is no axis; {protocol.name} has none"
            )
        current = unit_text(parse_unit(grid.unit).dim)
        unit = {"rheobase": current, "gain": f"hertz/({current})"}.get(measure.name, measure.unit)
        measure = Measure(**{**vars(measure), "unit": unit})
    return measure


def _own(function: Callable) -> Measure:
    """Return a function of a `PointRun` as a measure."""
    name = getattr(function, "__name__", "")
    if not name.isidentifier() or name in MEASURES or name in RESERVED:
        why = "has the name of another value" if name in {*MEASURES, *RESERVED} else "has no name"
        raise DendrosimError(
            f"measures: {checks.short(function)} {why}; a measure of your own is a function "
            "written with def, whose name is that of the measure"
        )

    def of(run: PackRun) -> Array:
        return np.array([_number(name, function, one) for one in point_runs(run)])

    return Measure(
        name, "1", of, (function.__doc__ or "").partition("\n")[0],
        of_point=True, potential=True, identity=identity(function),
    )  # fmt: skip


def _number(name: str, function: Callable, run: PointRun) -> float:
    """Return what a function gives for a point; its errors make the point fail."""
    try:
        value = function(run)
    except DendrosimError:
        raise
    except Exception as error:
        raise DendrosimError(f"measures: {name} raised {type(error).__name__}: {error}") from error
    try:
        return float(value)
    except (TypeError, ValueError):
        raise DendrosimError(
            f"measures: {name} returned {checks.short(value)}, which is not a number"
        ) from None


def _efel(run: PackRun, name: str) -> Array:
    times, v = run.potentials
    start, stop = run.window
    stop = min(stop, float(times[-1]))
    whole = name in WITHOUT_SPIKES
    inside = (times >= start) & (times <= stop)
    if name in OF_WHOLE_TRACE:  # eFEL ignores the stimulus there
        times, v = times[inside], v[inside]
    values = [
        efel_features(times, v[:, k], [name], start=start, stop=stop, whole=whole)[name]
        if np.isfinite(v[:, k]).all()
        else np.nan
        for k in range(v.shape[1])
    ]
    return run.shaped(values)


def measured(
    recording: Recording, pack: Pack, measures: Sequence[Measure]
) -> tuple[dict[str, Array], Array]:
    """Measure the run of a pack.

    Returns
    -------
    values : dict
        Measure to values, shape (points, neurons per point), or (points,) for one of the f-I curve
        and for a protocol without a grid of its own.  NaN for what is undefined and for a neuron
        that diverged.
    diverged : ndarray, shape (points,)
        Time of the first divergence among the neurons of each point in s; nan if there is none.
    """
    run = PackRun(recording, pack)
    at = np.full(pack.neurons, np.inf)
    for neuron, time in recording.diverged.items():
        at[neuron] = time
    first = pack.by_point(at)
    lost = np.isfinite(first)
    values = {}
    for measure in measures:
        found = np.asarray(measure.function(run), dtype=float)
        found = np.where(lost.any(axis=1) if measure.of_point else lost, np.nan, found)
        values[measure.name] = found[:, 0] if found.ndim == 2 and pack.each == 1 else found
    earliest = first.min(axis=1)
    return values, np.where(np.isfinite(earliest), earliest, np.nan)
