"""The plan of a sweep from its arguments, which are checked before anything is written."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from dendrosim import checks
from dendrosim.devices import execute
from dendrosim.errors import DendrosimError, DendrosimWarning
from dendrosim.model.model import Model
from dendrosim.model.parts import time_step
from dendrosim.model.toml import as_model
from dendrosim.simulation.grids import grids_of
from dendrosim.simulation.plan import recordable
from dendrosim.simulation.protocol import Protocol
from dendrosim.simulation.protocol_files import as_protocol
from dendrosim.sweeps.axes import Axis, read_axes
from dendrosim.sweeps.design import Design, make_design
from dendrosim.sweeps.measures import DEFAULT, read_measures
from dendrosim.sweeps.packing import ROOM, WIDTH, job_of, neurons_at_once
from dendrosim.sweeps.plan import SweepPlan, protocol_text


def plan_sweep(
    model: Model | str | os.PathLike, protocol: Protocol | str | os.PathLike,
    axes: Mapping[str, Any], *, design: str = "grid", n: int | None = None, repeats: int = 1,
    seed: int = 0, frozen: bool = False, measures: Sequence[str | Callable] = DEFAULT,
    traces: Sequence[str] | None = None, spikes: bool = False, record_dt: Any = None,
    chunk: int | None = None, device: str = "cpp", method: str | None = None, dt: Any = None,
    dtype: str = "float64", threads: int = 1,
) -> SweepPlan:  # fmt: skip
    """Check the arguments of `sweep` and return its plan.

    Raises
    ------
    DendrosimError
        As for `sweep`.
    """
    execute.check_device(device, threads)
    execute.check_dtype(dtype)
    model, protocol = as_model(model), as_protocol(protocol)
    found = read_axes(axes, model, protocol)
    points = make_design(found, design, n, repeats, seed, checks.flag(frozen, "frozen"))
    own = {axis.key: axis.values for axis in found}
    models = own.get("model") or (model,)
    _refuse_ignored(model, protocol, own)
    protocols = [_without_axes(p, found) for p in own.get("protocol") or (protocol,)]
    _refuse_beyond(found, protocols)
    for one in models:
        _refuse_grids(one, protocols[0], own)
    check_step_and_method(models, dt, method)
    settings = {
        "device": device, "method": method, "dtype": dtype, "threads": threads,
        "dt": None if dt is None else time_step(dt, "dt"),
    }  # fmt: skip
    most = _chunk(points.points * protocols[0].size) if chunk is None else (
        checks.whole(chunk, "chunk", least=1)
    )  # fmt: skip
    neurons = min(neurons_at_once(p, most) for p in protocols)
    each = {p.size for p in protocols}
    if len(each) > 1:
        raise DendrosimError(
            f"axes: the protocols have grids of their own of different lengths, {sorted(each)}, so "
            "their points would differ in shape; sweep them one by one"
        )
    per_run = max(1, neurons // each.pop())
    plan = SweepPlan(
        models[0], protocols[0], points, read_measures(measures, protocols),
        _traces(traces, models, protocols, own), checks.flag(spikes, "spikes"), per_run,
        _room(per_run, protocols[0]), _is_noisy(protocols, points), settings,
        None if record_dt is None else float(time_step(record_dt, "record_dt")),
    )  # fmt: skip
    _check_potential(plan, models)
    if plan.noisy and not frozen and design in ("saltelli", "morris"):
        warnings.warn(
            f"each point of design = {design!r} has noise of its own, which counts as an effect of "
            "every axis, so that the indices are too large; frozen=True gives all points the same "
            "noise",
            DendrosimWarning, stacklevel=3,
        )  # fmt: skip
    return plan


def compile_programs(plan: SweepPlan) -> int:
    """Compile the programs of a sweep before its workers start; return their number.

    Raises
    ------
    DendrosimError
        If a program cannot be built, or if the first points cannot run.
    """
    jobs = jobs_of(plan)
    for job in jobs:
        execute.compile_program(job, plan.settings["device"], plan.settings["threads"])
    return len(jobs)


def jobs_of(plan: SweepPlan) -> list[Any]:
    """Return one job for each program of a sweep, from its first point, without compiling it.

    Raises
    ------
    DendrosimError
        If such a point cannot run, for example with a current in the unit of a conductance.
    """
    jobs: dict[str, Any] = {}
    values = plan.design.values(np.arange(plan.design.points))
    whole = [values[key] for key in ("model", "protocol", *_of_text(plan)) if key in values]
    kinds = np.unique(np.stack(whole), axis=1, return_index=True)[1] if whole else [0]
    for point in kinds:
        _, packed = next(plan.packs(np.array([point])))
        job, *_ = job_of(packed, **plan.run_settings(packed.model))
        jobs.setdefault(repr(job.structure), job)
    return list(jobs.values())


def _of_text(plan: SweepPlan) -> list[str]:
    """Return the axes of words, such as the place of a stimulus, that change a program's text."""
    return [a.key for a in plan.design.axes if not a.of_neurons and a.labels and "." in a.key]


def _without_axes(protocol: Protocol, axes: Sequence[Axis]) -> Protocol:
    """Return the protocol without those of its grids that an axis replaces."""
    stimuli: dict[int, dict[str, Any]] = {}
    for axis in axes:
        kind, _, rest = axis.key.partition(".")
        if kind == "stimuli":
            number, _, name = rest.partition(".")
            stimuli.setdefault(int(number), {})[name] = axis.source[:1][0]
    return protocol.with_(stimuli=stimuli)


def check_step_and_method(models: Sequence[Model], dt: Any, method: Any) -> None:
    """Refuse a step or a method that no model would use.

    Discrete models keep their step, and have no method.

    Raises
    ------
    DendrosimError
    """
    if method is not None:
        execute.check_method(method)
    if all(model.kind == "discrete" for model in models):
        for name, value in (("dt", dt), ("method", method)):
            if value is not None:
                raise DendrosimError(
                    f"{name} = {checks.short(value)} would have no effect: {models[0].name} is "
                    "discrete"
                )


def _refuse_ignored(model: Model, protocol: Protocol, axes: Mapping[str, Any]) -> None:
    """Refuse a model or protocol whose values would have no effect beside an axis of others."""
    if "model" in axes and model.hash not in {one.hash for one in axes["model"]}:
        raise DendrosimError(
            f"axes: the model of the sweep, {model.name} with its values, is not one of the axis "
            "'model', so it would be ignored; give one of them"
        )
    if "protocol" in axes:
        texts = [protocol_text(one) for one in axes["protocol"]]
        if protocol_text(protocol) not in texts:
            raise DendrosimError(
                f"axes: the protocol of the sweep, {protocol.name} with its values, is not one of "
                "the axis 'protocol', so it would be ignored; give one of them"
            )


def _refuse_beyond(axes: Sequence[Axis], protocols: Sequence[Protocol]) -> None:
    """Refuse ends of a stimulus after the end of the run, which are all the same one."""
    if any(axis.key == "protocol.duration" for axis in axes):
        return
    end = min(float(protocol.duration) for protocol in protocols)
    for axis in axes:
        if axis.key.startswith("stimuli.") and axis.key.endswith(".stop"):
            late = np.asarray(axis.source)[np.asarray(axis.source) > end * (1 + 1e-9)]
            same = int(np.sum(np.asarray(axis.source) >= end * (1 - 1e-9)))
            if late.size and (same > 1 or axis.bounds is not None):
                raise DendrosimError(
                    f"axes: {axis.key} goes to {late.max() * 1e3:g} ms, but the run ends at "
                    f"{end * 1e3:g} ms, from where on all values are the same; end there"
                )


def _refuse_grids(model: Model, protocol: Protocol, axes: Mapping[str, Any]) -> None:
    for grid in grids_of(model, protocol):
        if not grid.key.startswith("stimuli.") and grid.key not in axes:
            raise DendrosimError(
                f"{model.name}: {grid.key} has {grid.size} values; give them as an axis"
            )


def _is_noisy(protocols: Sequence[Protocol], design: Design) -> bool:
    """Whether points have noise; refuse repeats that would all be equal."""
    given = {axis.key for axis in design.axes}
    free = [
        f"stimuli.{k}.seed" not in given and not isinstance(s.options["seed"], list)
        for p in protocols
        for k, s in enumerate(p.stimuli)
        if s.shape == "ou"
    ]
    if design.repeats > 1 and not any(free):
        raise DendrosimError(
            f"repeats = {design.repeats}, but no stimulus of {protocols[0].name} has noise of its "
            "own, so that all repeats would be equal"
        )
    return any(free)


def _traces(
    names: Sequence[str] | None, models: Sequence[Model], protocols: Sequence[Protocol],
    axes: Mapping[str, Any],
) -> tuple[str, ...]:  # fmt: skip
    if names is None:
        return ()
    found = checks.texts([names] if isinstance(names, str) else names, "traces")
    for model in models:
        for name in found:
            if name not in recordable(model):
                raise DendrosimError(f"traces: {model.name} has no variable {name!r}")
    lengths = {float(p.duration) for p in protocols}
    steps = {None if m.dt is None else float(m.dt) for m in models}
    if found and (len(lengths) > 1 or len(steps) > 1 or "protocol.duration" in axes):
        raise DendrosimError(
            "traces: the traces of models with different steps or protocols of different durations "
            "have different lengths; sweep them one by one"
        )
    return tuple(found)


def _chunk(neurons: int) -> int:
    """Return the neurons per run: up to `ROOM`, and so few that four runs can be shared."""
    quarter = -(-neurons // (4 * WIDTH)) * WIDTH
    return min(ROOM, quarter)


def _room(per_run: int, protocol: Protocol) -> int:
    """Return the capacity of the program in neurons: that of a full chunk with padding."""
    full = -(-per_run // WIDTH) * WIDTH * protocol.size
    # a sampled signal needs memory for each neuron of the capacity
    return max(full, neurons_at_once(protocol, ROOM))


def _check_potential(plan: SweepPlan, models: Sequence[Model]) -> None:
    for measure in plan.measures:
        for model in models:
            if not measure.potential or measure.identity:
                continue
            if "soma" not in model.potentials:
                raise DendrosimError(
                    f"measures: {measure.name} needs the potential of the soma, which "
                    f"{model.name} does not name (key 'potentials')"
                )
            if model.kind == "discrete" and model.scales is None:
                raise DendrosimError(
                    f"measures: {measure.name} needs the potential of the soma in volt, and "
                    f"{model.name} has no units (key 'scales')"
                )
