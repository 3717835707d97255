"""Sweeps: one model under one protocol at thousands of parameter sets."""

from __future__ import annotations

import os
import tempfile
import warnings
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dendrosim import checks
from dendrosim.errors import DendrosimError, DendrosimWarning
from dendrosim.files import path_text
from dendrosim.model.model import Model
from dendrosim.progress import points_bar
from dendrosim.simulation.protocol import Protocol
from dendrosim.sweeps.engines import check_engine, run_chunks
from dendrosim.sweeps.measures import DEFAULT
from dendrosim.sweeps.plan import SweepPlan
from dendrosim.sweeps.planning import compile_programs, plan_sweep
from dendrosim.sweeps.result import Sweep
from dendrosim.sweeps.store import open_or_create


def sweep(
    model: Model | str | os.PathLike,
    protocol: Protocol | str | os.PathLike,
    axes: Mapping[str, Any],
    *,
    design: str = "grid",
    n: int | None = None,
    repeats: int = 1,
    seed: int = 0,
    frozen: bool = False,
    measures: Sequence[str | Callable] = DEFAULT,
    traces: Sequence[str] | None = None,
    spikes: bool = False,
    record_dt: Any = None,
    chunk: int | None = None,
    engine: Any = None,
    out: str | os.PathLike | None = None,
    task: tuple[int, int] | None = None,
    device: str = "cpp",
    method: str | None = None,
    dt: Any = None,
    dtype: str = "float64",
    threads: int = 1,
    progress: bool | None = None,
) -> Sweep:
    """Simulate a model at many parameter sets and measure each.

    All points are neurons of one compiled program and run in chunks.  A sweep with `out` can be
    interrupted at any time; the same call goes on where it stopped.  The results do not depend on
    the engine, the size of a chunk, or interruptions.

    Parameters
    ----------
    model, protocol
        A `Model` and a `Protocol`, or their names or paths.
    axes
        What varies: a name as for ``--set`` (``"g_c"``, ``"initial.q"``,
        ``"stimuli.0.amplitude"``, ``"protocol.duration"``, ``"model"``, ``"protocol"``), to a list
        such as ``"linspace(1, 15, 41) mS/cm**2"``, or to a distribution,
        ``"uniform(1, 15) mS/cm**2"`` or ``"loguniform(0.1, 10) uA/cm**2"``.
    design, n, repeats, seed
        See `make_design`: ``"grid"``, ``"zip"``, or `n` draws ``"random"``, ``"sobol"``, ``"lhs"``,
        ``"saltelli"``, ``"morris"``.  Each repeat has its own noise.  The noise of a point depends
        on `seed` and on its number alone; the protocol's own seed has no effect.
    frozen
        Whether all parameter sets have the same noise, so that points differ by their values only.
    measures
        Names of measures (`MEASURES`), of eFEL's features, or functions of a `PointRun` that
        return a number.  They are taken in the measured window of the protocol.  The latency of
        the first spike counts from the earliest onset of a stimulus; it is nan if that is not in
        the window.
    traces
        Names of variables whose traces are kept; none by default.
    spikes
        Whether to keep all spike times, see `Sweep.spikes`.
    record_dt
        Step of the kept traces, and of those that a function of your own sees, rounded to the
        nearest multiple of the time step; near 0.1 ms by default.  Other measures of the potential
        are always taken near 0.1 ms.
    chunk
        Neurons per run; by default up to 1,024, and fewer so that there are four runs to share.  A
        point has one neuron for each value of the protocol's own grid.  Noise and recorded currents
        may need smaller chunks.  A sweep that goes on keeps the chunks of its store.
    engine
        None for one process per processor, a number of processes, or a ``dask.distributed.Client``.
    out
        Folder of the store, in zarr format; without one, the results are kept in memory.
    task
        ``(k, n)``: compute only part k of n, counted from 1, for the job array of a cluster.
    device, method, dt, dtype, threads
        As in `simulate`.
    progress
        Whether to show a progress bar; on a terminal by default.

    Returns
    -------
    Sweep

    Raises
    ------
    DendrosimError
        If an argument is invalid, if `out` holds another sweep, or if a worker was killed.

    Examples
    --------
    >>> import dendrosim as ds
    >>> protocol = ds.load_protocol("constant").with_(duration="100 ms")
    >>> s = ds.sweep("lif", protocol, {"amplitude": "[0.1, 0.5]", "beta": "[0.8, 0.9]"},
    ...              device="numpy", measures=["spikes"])
    >>> s.to_xarray()["spikes"].values.astype(int).tolist()
    [[0, 0], [33, 40]]
    """
    plan = plan_sweep(
        model, protocol, axes, design=design, n=n, repeats=repeats, seed=seed, frozen=frozen,
        measures=measures,
        traces=traces, spikes=spikes, record_dt=record_dt, chunk=chunk, device=device,
        method=method, dt=dt, dtype=dtype, threads=threads,
    )  # fmt: skip
    return run_sweep(plan, engine=engine, out=out, task=task, progress=progress)


def run_sweep(
    plan: SweepPlan, *, engine: Any = None, out: str | os.PathLike | None = None,
    task: tuple[int, int] | None = None, progress: bool | None = None,
) -> Sweep:  # fmt: skip
    """Simulate the points of a plan.

    Parameters
    ----------
    plan
        From `plan_sweep`.
    engine, out, task, progress
        As of `sweep`.

    Raises
    ------
    DendrosimError
        As for `sweep`.
    """
    engine = check_engine(engine)
    if out is None and task is not None:
        raise DendrosimError("task needs out, the store that all tasks share")
    _part(plan.chunks, task)
    if out is not None:
        return _swept(plan, Path(path_text(out, "sweep")), engine, task, progress)
    kept = Path(tempfile.mkdtemp(prefix="dendrosim-sweep-"))
    try:
        result = _swept(plan, kept / "sweep.zarr", engine, task, progress)
    except BaseException:
        _remove(kept)
        raise
    weakref.finalize(result, _remove, kept)
    return result


def _swept(plan: SweepPlan, path: Path, engine: Any, task: Any, progress: bool | None) -> Sweep:
    """Compute what is to do in the store at a path."""
    compile_programs(plan)
    store = open_or_create(path, plan)
    plan = replace(plan, chunk=store.chunk)
    chunks = _part(plan.chunks, task)
    if not chunks:
        warnings.warn(
            f"this task has nothing to do, because the sweep has only {plan.chunks} run(s); a "
            "smaller chunk makes more",
            DendrosimWarning, stacklevel=4,
        )  # fmt: skip
    waiting = [k for k in chunks if not store.done(k)]
    before = sum(len(plan.points_of(k)) for k in set(chunks) - set(waiting))
    total = sum(len(plan.points_of(k)) for k in chunks)
    with points_bar(
        progress, f"{plan.model.name} under {plan.protocol.name}", total, before
    ) as tell:
        for _, points, _ in run_chunks(plan, path, waiting, engine):
            tell(points)
    return Sweep(path)


def _part(chunks: int, task: tuple[int, int] | None) -> list[int]:
    if task is None:
        return list(range(chunks))
    if not checks.is_row(task) or len(task) != 2:
        raise DendrosimError(f"task = {checks.short(task)} should be (k, n), such as (3, 100)")
    of = checks.whole(task[1], "task: number of parts", least=1)
    k = checks.whole(task[0], "task: part", least=1, most=of)
    return list(range(chunks))[k - 1 :: of]


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
