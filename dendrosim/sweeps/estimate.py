"""The estimate of a sweep before it starts: points, programs, seconds and bytes."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from dendrosim.errors import DendrosimError
from dendrosim.sweeps.chunks import compute
from dendrosim.sweeps.layout import MESSAGE, own_grid, trace_times
from dendrosim.sweeps.plan import SweepPlan
from dendrosim.sweeps.planning import compile_programs

#: Most points that are computed for the estimate.
PROBE = 64


@dataclass(frozen=True)
class Estimate:
    """What a sweep needs.

    Attributes
    ----------
    points, neurons, chunks
        Numbers of points, of neurons per point, and of runs.
    programs
        Number of programs to compile or to take from the cache.
    seconds
        Time on one processor, from a probe of a few points.
    bytes
        Size of the results without compression; spike times not counted.
    """

    points: int
    neurons: int
    chunks: int
    programs: int
    seconds: float
    bytes: int


def estimate(plan: SweepPlan) -> Estimate:
    """Compile the programs, run a few points and return what the whole sweep needs.

    Raises
    ------
    DendrosimError
        If the program cannot be built, or if the probed points fail.
    """
    programs = compile_programs(plan)
    probe = np.linspace(0, plan.design.points - 1, min(PROBE, plan.design.points)).astype(int)
    probe = np.unique(probe)
    compute(plan, probe[:1])  # the first run also loads what it needs
    started = time.perf_counter()
    found = compute(plan, probe)
    spent = time.perf_counter() - started
    errors = [str(error) for error in found.get("error", []) if error]
    if len(errors) == len(probe):
        raise DendrosimError(f"every probed point fails: {errors[0]}")
    grid, times = own_grid(plan), trace_times(plan)
    values = sum(1 if m.of_point or grid is None else len(grid[1]) for m in plan.measures)
    if times is not None:
        values += len(plan.traces) * len(times) * (1 if grid is None else len(grid[1]))
    per_point = 8 * (values + len(plan.design.axes) + 2) + 1 + 4 * MESSAGE
    return Estimate(
        plan.design.points, plan.each, plan.chunks, programs,
        spent * plan.design.points / len(probe), per_point * plan.design.points,
    )  # fmt: skip
