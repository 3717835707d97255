"""Running a job in this process, on Brian2's targets ``numpy`` and ``cython``."""

from __future__ import annotations

import time
from pathlib import Path

import brian2 as b2
import numpy as np

from dendrosim.devices import signals
from dendrosim.devices.cython_modules import keep, remove_damaged
from dendrosim.devices.job import (
    Built,
    Done,
    Job,
    Progress,
    beyond,
    check_finite,
    steps_between_checks,
    steps_of,
)
from dendrosim.errors import DendrosimError


def run_here(job: Job, target: str, progress: Progress | None, freeze: bool) -> Done:
    """Run a job; the parameters and errors are those of `devices.execute`."""
    started, since = time.perf_counter(), time.time()
    b2.prefs.codegen.target = target
    if target == "cython":
        remove_damaged(Path(b2.prefs.codegen.runtime.cython.cache_dir))
    built = job.build()
    sampled = signals.numbers(job.samples, job.rooms.get("neurons"))
    for (group, name), value in (*job.values.items(), *sampled):
        built.groups[group].variables[name].set_value(value)
    watch = _Watch(job, built, progress, freeze)
    every = steps_between_checks(job) * job.dt * b2.second
    built.network.add(b2.NetworkOperation(watch.look, dt=every, when="start", name="watch"))
    built.network.run(0 * b2.second, namespace={})
    compile_seconds = time.perf_counter() - started
    _check_compiled(built.network)
    modules = _modules(built.network)
    keep(modules)
    compiled = any(module.stat().st_mtime >= since for module in modules)
    started, used = time.perf_counter(), time.process_time()
    built.network.run(steps_of(job) * job.dt * b2.second, namespace={})
    run_seconds, processor = time.perf_counter() - started, time.process_time() - used
    if built.clock.variables["timestep"].get_value().item() != steps_of(job):
        raise KeyboardInterrupt  # Brian2 returns normally from a run that was stopped
    watch.check(job.duration)
    arrays = {name: np.array(v.get_value()) for name, v in built.outputs.items()}
    return Done(arrays, compile_seconds, run_seconds, processor, compiled, watch.frozen)


class _Watch:
    """Checks the states at intervals.

    Attributes
    ----------
    frozen
        Neuron to the last check time with its states within their limits and the first check time
        with a state beyond.
    """

    def __init__(self, job: Job, built: Built, progress: Progress | None, freeze: bool) -> None:
        self.job, self.built, self.progress, self.freeze = job, built, progress, freeze
        self.frozen: dict[int, tuple[float, float]] = {}
        self.last = 0.0

    def look(self, t: b2.core.variables.VariableView) -> None:
        now = float(t[:])
        self.check(now)
        if self.progress:
            self.progress(now / self.job.duration)

    def check(self, now: float) -> None:
        """Raise an error for diverged states, or freeze their neurons."""
        states = {label: np.asarray(v.get_value()) for label, v in self.built.finite.items()}
        if not self.freeze:
            check_finite(self.job, states, now)
            return
        for label, values in states.items():
            for neuron in beyond(self.job, label, values):
                self.frozen.setdefault(int(neuron), (self.last, now))
        if self.frozen:
            gone = list(self.frozen)
            for label, variable in self.built.finite.items():
                states[label][gone] = np.nan
                variable.set_value(states[label])
        self.last = now


def _check_compiled(network: b2.Network) -> None:
    """Raise an error if a part of a network was not compiled: Brian2 would skip it silently."""
    for thing in network.sorted_objects:
        for code in thing.code_objects:
            for block, compiled in code.compiled_code.items():
                text = getattr(code.code, block, "").strip()
                if compiled is None and text and "EMPTY_CODE_BLOCK" not in text:
                    raise DendrosimError(
                        f"{code.class_name} could not compile {code.name}; what the compiler said "
                        "stands above"
                    )


def _modules(network: b2.Network) -> list[Path]:
    """Return the files of the Cython modules of a network, from Brian2's cache."""
    return [
        Path(module.__file__)
        for thing in network.sorted_objects
        for code in thing.code_objects
        for module in code.compiled_code.values()
        if hasattr(module, "__file__")
    ]
