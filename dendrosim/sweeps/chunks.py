"""The work of a sweep: run one chunk of points, measure it and store it.

This module runs in workers of every engine.  It needs the plan and the path of the store only.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from dendrosim.errors import DendrosimError
from dendrosim.simulation.recording import Recording
from dendrosim.sweeps.layout import DIVERGED, DONE, FAILED, MESSAGE, trace_name
from dendrosim.sweeps.measures import measured
from dendrosim.sweeps.packing import Pack, run_pack
from dendrosim.sweeps.plan import SweepPlan
from dendrosim.sweeps.store import Store

Values = dict[str, np.ndarray]


def do_chunk(plan: SweepPlan, path: str | Path, k: int) -> tuple[int, int, float]:
    """Compute and store a chunk, unless it is finished.

    Returns
    -------
    chunk, points, seconds
        The chunk, its points and the time it took; 0 points if it was finished.
    """
    started = time.perf_counter()
    store = Store(path)
    if store.done(k):
        return k, 0, 0.0
    points = plan.points_of(k)
    values = compute(plan, points)
    if plan.spikes:
        values |= _spikes(values.pop("spike_times/trains", None), len(points), plan.each)
    store.write(k, values)
    return k, len(points), time.perf_counter() - started


def compute(plan: SweepPlan, points: np.ndarray) -> Values:
    """Return the results of some points: arrays whose first dimension is that of `points`."""
    found: dict[int, Values] = {}
    try:
        parts = list(plan.packs(points))
    except DendrosimError as error:
        return _apart(plan, points, error)
    for own, packed in parts:
        try:
            values = _of_pack(plan, packed)
        except DendrosimError as error:
            values = _apart(plan, own, error)
        for j, point in enumerate(own):
            found[int(point)] = {name: array[j] for name, array in values.items()}
    return _stacked([found[int(point)] for point in points])


def _apart(plan: SweepPlan, points: np.ndarray, error: DendrosimError) -> Values:
    """Split points whose run failed in two, until only those that cause the error fail.

    A point's results do not depend on the points it runs with, see `packing`.
    """
    if len(points) == 1:
        message = str(error)[:MESSAGE]
        return {"status": np.array([FAILED], dtype=np.int8), "error": np.array([message])}
    middle = len(points) // 2
    halves = [compute(plan, part) for part in (points[:middle], points[middle:])]
    rows = [
        {name: array[j] for name, array in half.items()}
        for half in halves
        for j in range(len(half["status"]))
    ]
    return _stacked(rows)


def _stacked(rows: list[Values]) -> Values:
    """Return the rows of points as arrays; a failed point has nan, and no spikes."""
    names = {name: row[name] for row in rows for name in row}
    result: Values = {}
    for name, example in names.items():
        if name.startswith("spike_times/"):
            result[name] = _ragged([row.get(name) for row in rows])
            continue
        example = np.asarray(example)
        empty = "" if example.dtype.kind == "U" else np.full(example.shape, np.nan)
        result[name] = np.array([row.get(name, empty) for row in rows])
    return result


def _ragged(rows: list) -> np.ndarray:
    made = np.empty(len(rows), dtype=object)
    made[:] = rows
    return made


def _spikes(trains: np.ndarray | None, points: int, each: int) -> Values:
    """Return spike counts, shape (points, each), and all times in s, one train after the other."""
    empty = [np.empty(0)] * each
    rows = [
        empty if row is None else row for row in ([None] * points if trains is None else trains)
    ]
    counts = np.array([[len(train) for train in row] for row in rows], dtype=np.int64)
    times = np.concatenate([train for row in rows for train in row])
    return {"spike_times/count": counts, "spike_times/time": times}


def _thinned(recording: Recording, every: int, step: float) -> Recording:
    """Return a recording with every so many of its samples, which are then `step` (s) apart."""
    if every == 1:
        return recording
    traces = recording.traces.isel(time=slice(None, None, every))
    # as a run with this step has them, to the last bit
    times = traces["time"].copy(data=np.arange(traces.sizes["time"]) * step)
    return replace(recording, traces=traces.assign_coords(time=times))


def _of_pack(plan: SweepPlan, packed: Pack) -> Values:
    settings = plan.run_settings(packed.model)
    recording = run_pack(
        packed, device=plan.settings["device"], threads=plan.settings["threads"], **settings
    )
    samples = plan.samples(packed.model)
    kept = _thinned(recording, samples.kept, plan.trace_step(packed.model, samples.kept))
    own = [m for m in plan.measures if m.identity]  # functions see the kept traces
    values, diverged = measured(
        _thinned(recording, samples.measured, plan.trace_step(packed.model, samples.measured)),
        packed, [m for m in plan.measures if not m.identity],
    )  # fmt: skip
    values |= measured(kept, packed, own)[0]
    status = np.where(np.isfinite(diverged), DIVERGED, DONE).astype(np.int8)
    result: Values = {**values, "diverged_at": diverged, "status": status}
    for name in plan.traces:
        traces = packed.by_point(np.asarray(kept.traces[name].values).T)
        result[trace_name(name)] = traces[:, 0] if packed.each == 1 else traces
    if plan.spikes:
        trains = recording.trains
        every = [[trains[n] for n in packed.neurons_of(p)] for p in range(packed.points)]
        result["spike_times/trains"] = _ragged(every)
    return result
