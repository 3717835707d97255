"""Simulation of a model under a protocol on a device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dendrosim import checks
from dendrosim.devices import execute
from dendrosim.errors import DendrosimError, at
from dendrosim.model.model import Model
from dendrosim.model.parts import time_step
from dendrosim.model.quantities import describe, unit_text
from dendrosim.model.toml import as_model
from dendrosim.progress import progress_bar
from dendrosim.simulation.grids import Grid, arranged, per_neuron
from dendrosim.simulation.neurons import NeuronJob, Result
from dendrosim.simulation.plan import Plan, make_plan
from dendrosim.simulation.protocol import Protocol
from dendrosim.simulation.protocol_files import as_protocol
from dendrosim.simulation.recording import Recording
from dendrosim.simulation.run_description import describe_run
from dendrosim.time_grid import step_at

#: Approximate step of recorded traces (s): short compared with a spike, but with small files.
TRACE_STEP = 0.1e-3


def trace_step(step: Any, wanted: float | None = None) -> Any:
    """Return the multiple of a time step that is nearest to `wanted` (s), `TRACE_STEP` by default.

    Parameters
    ----------
    step
        The time step of the run; None, for a model that has none, is returned.
    """
    if step is None:
        return None
    return max(1, round((wanted or TRACE_STEP) / float(step))) * step


_DIVERGED = ("raise", "nan")


def simulate(
    model: Model,
    protocol: Protocol,
    *,
    device: str = "cpp",
    method: str | None = None,
    dt: Any = None,
    n: int = 1,
    grids: str | None = None,
    seed: int | Sequence[int] | None = None,
    threads: int = 1,
    record: Sequence[str] | None = None,
    record_dt: Any = None,
    record_neurons: Sequence[int] | None = None,
    dtype: str = "float64",
    diverged: str = "raise",
    progress: bool | None = None,
) -> Recording:
    """Simulate a model under a protocol.

    Parameters
    ----------
    model, protocol
        Model and protocol, or their names or paths; see `load_model` and `load_protocol`.
    device
        ``"numpy"``, ``"cython"`` or ``"cpp"`` (compiled once, then reused).
    method
        Brian2's name of an integration method; the model's own by default.
    dt
        Time step; the model's own by default.
    n
        Neurons per point of a grid.
    grids
        For several grids: ``"zip"`` pairs their values, ``"cross"`` takes every combination.  The
        first grid varies slowest; the grids of the protocol come before those of the model.
        `Recording.grids` has the values of each neuron.
    seed
        Seed of the noise of all Ornstein-Uhlenbeck stimuli, instead of the protocol's; a list of
        seeds is a grid.
    threads
        OpenMP threads, device ``cpp`` only.
    record
        Names of state variables, subexpressions or inputs to record; the potentials by default,
        ``[]`` for none.
    record_dt
        Time between recorded samples, a multiple of `dt`; every step by default.
    record_neurons
        Indices of the neurons whose traces are recorded; all by default.  Spikes are always
        recorded from all neurons.
    dtype
        ``"float64"`` or ``"float32"``: the type of every variable except time.
    diverged
        What to do if a state diverges: ``"raise"`` ends the run with an error, ``"nan"`` freezes
        the neuron while the others continue.  Spikes and traces of a frozen neuron end at the last
        check that its states passed.  After that, its traces are NaN.  `Recording.diverged` lists
        it.
    progress
        Whether to show a progress bar; on a terminal by default.

    Returns
    -------
    Recording

    Raises
    ------
    DendrosimError
        If an argument is invalid; the message is one sentence.
    DivergenceError
        If a state diverged: it is not finite, or a potential of the model is beyond 10 V, or any
        other state is beyond 1e50 in SI units.  The message names model, variable, neuron and
        time.

    Examples
    --------
    >>> import dendrosim as ds
    >>> r = ds.simulate(ds.load_model("lif"), ds.load_protocol("constant").with_(
    ...     amplitude="0.5", duration="20 ms"), device="numpy")
    >>> len(r.spike_times[0])
    6
    """
    execute.check_device(device, threads)
    checks.one_of(diverged, _DIVERGED, "unknown diverged")
    seed = _checked_seed(seed)
    model, protocol = as_model(model), as_protocol(protocol)
    if seed is not None:
        protocol = protocol.seeded(seed)
    model, protocol, found = arranged(model, protocol, grids)
    job = make_job(
        model, protocol, method=method, dt=dt, n=n, grids="zip", record=record,
        record_dt=record_dt, record_neurons=record_neurons, dtype=dtype,
    )  # fmt: skip
    settings = {"device": device, "dtype": dtype, "threads": threads, "seed": seed}
    return run_job(job, model, protocol, found, settings, diverged=diverged, progress=progress)


def run_job(
    job: NeuronJob, model: Model, protocol: Protocol, grids: Sequence[Grid],
    settings: Mapping[str, Any], *, diverged: str = "raise", progress: bool | None = None,
) -> Recording:  # fmt: skip
    """Execute the job of a model and a protocol.

    Parameters
    ----------
    job
        From `make_job`.
    model, protocol, grids
        Arranged by `arranged`, for the description of the run.
    settings
        ``device``, ``dtype``, ``threads`` and ``seed``, as in `simulate`.
    diverged, progress
        As in `simulate`.
    """
    plan = job.plan
    label = f"{model.name} under {protocol.name}"
    with at(model.name), progress_bar(progress, label) as tell:
        done = execute.execute(
            job, settings["device"], settings["threads"], tell, freeze=diverged == "nan"
        )
    result = job.result(done)
    return Recording(
        result.spike_i,
        result.spike_t,
        _dataset(plan, result, grids),
        {
            **describe_run(model, protocol, plan, grids),
            **settings,
            "compiled": done.compiled,
            "compile_seconds": done.compile_seconds,
            "run_seconds": done.run_seconds,
            "processor_seconds": done.processor_seconds,
            "diverged": {str(k): done.diverged[k][1] for k in sorted(done.diverged)},
        },
    )


def make_job(
    model: Model, protocol: Protocol, *, method: str | None = None, dt: Any = None, n: int = 1,
    grids: str | None = None, record: Sequence[str] | None = None, record_dt: Any = None,
    record_neurons: Sequence[int] | None = None, dtype: str = "float64", room: int = 0,
) -> NeuronJob:  # fmt: skip
    """Return the job that a device executes.

    The parameters are those of `simulate`; `room` is that of `make_plan`.
    """
    model, protocol, _ = arranged(as_model(model), as_protocol(protocol), grids)
    execute.check_dtype(dtype)
    step, method = _step_and_method(model, dt, method)
    names = _recorded(model, record)
    every = None if record_dt is None else float(time_step(record_dt, "record_dt"))
    plan = make_plan(
        model, protocol, dt=step, method=method, n=n, record=names, record_dt=every,
        record_neurons=record_neurons, room=room,
    )  # fmt: skip
    return NeuronJob(plan, dtype)


def _checked_seed(seed: Any) -> int | list[int] | None:
    if checks.is_row(seed) and len(seed):
        return [checks.whole(one, "seed") for one in seed]
    return None if seed is None else checks.whole(seed, "seed")


def _recorded(model: Model, record: Any) -> list[str]:
    if record is None:
        return list(dict.fromkeys(model.potentials.values()))
    names = [record] if isinstance(record, str) else record
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise DendrosimError(f"record = {record!r} is not a list of names")
    return list(dict.fromkeys(names))


def _step_and_method(model: Model, dt: Any, method: str | None) -> tuple[float, str | None]:
    given = model.dt if dt is None else time_step(dt, "dt")
    if given is None:
        raise DendrosimError(f"{model.name} has no time step of its own; give dt")
    if model.kind == "discrete":
        if method is not None:
            raise DendrosimError(f"{model.name} is discrete: it has no integration method")
        if model.scales is not None and abs(float(given / model.dt) - 1) > 1e-9:
            raise DendrosimError(
                f"{model.name} was reduced for a step of {describe(model.dt)}, not "
                f"{describe(given)}"
            )
        return float(given), None
    method = model.method if method is None else method
    if method is None:
        raise DendrosimError(f"{model.name} has no method of its own; give one")
    execute.check_method(method)
    return float(given), method


def _dataset(plan: Plan, result: Result, grids: Sequence[Grid]) -> Any:
    import xarray as xr

    # The number of a sample times its step, because summed steps add rounding errors
    times = step_at(result.trace_t, plan.record_dt) * plan.record_dt
    return xr.Dataset(
        {
            name: (("time", "neuron"), values, {"units": plan.units[name]})
            for name, values in result.traces.items()
        },
        coords={
            "time": ("time", times, {"units": "second"}),
            "neuron": plan.recorded,
            **{
                grid.key: (
                    "neuron",
                    per_neuron(grid, plan.neurons)[plan.recorded],
                    {"units": unit_text(grid.values.dim)},
                )
                for grid in grids
            },
        },
    )
