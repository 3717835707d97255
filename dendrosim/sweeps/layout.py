"""The arrays of a store: axes, seeds, measures, traces and status, with units and coordinates."""

from __future__ import annotations

from typing import Any

import numpy as np

from dendrosim.model.quantities import parse_unit, unit_text
from dendrosim.simulation import neuron_axis
from dendrosim.simulation.plan import recordable
from dendrosim.sweeps.integrity import checksum
from dendrosim.sweeps.plan import SweepPlan

#: Status of a point.
TO_DO, DONE, DIVERGED, FAILED = range(4)
STATUS = ("to_do", "done", "diverged", "failed")
#: Most characters of the error of a failed point.
MESSAGE = 160


class _Arrays:
    """Creates the arrays of a group."""

    def __init__(self, group: Any, chunk: int) -> None:
        self.group, self.chunk = group, chunk

    def filled(self, name: str, dims: tuple[str, ...], data: Any, **attrs: Any) -> None:
        """Create an array with its values."""
        data = np.asarray(data)
        self._made(name, dims, data.shape, data.dtype, None, attrs)[...] = data

    def empty(
        self, name: str, dims: tuple[str, ...], shape: tuple[int, ...], dtype: Any = float,
        **attrs: Any,
    ) -> None:  # fmt: skip
        """Create an array whose chunks are written later."""
        # The fill value is what xarray takes for missing.  Without one, a chunk that is to do
        # reads as 0 or "".
        fill = np.nan if np.dtype(dtype).kind == "f" else None
        self._made(name, dims, shape, dtype, fill, attrs)

    def _made(
        self, name: str, dims: tuple[str, ...], shape: tuple[int, ...], dtype: Any, fill: Any,
        attrs: dict[str, Any],
    ) -> Any:  # fmt: skip
        chunks = tuple(
            max(1, min(self.chunk, n)) if dim == "point" else max(1, n)
            for dim, n in zip(dims, shape, strict=True)
        )
        array = self.group.create_array(
            name, shape=shape, dtype=dtype, chunks=chunks, fill_value=fill, filters=[checksum()]
        )
        array.attrs.update({"_ARRAY_DIMENSIONS": list(dims), **attrs})
        return array


def lay_out(group: Any, plan: SweepPlan) -> None:
    """Create the arrays of a sweep in an empty group."""
    arrays, points = _Arrays(group, plan.chunk), plan.design.points
    coordinates = _coordinates(arrays, plan)
    attrs: dict[str, Any] = {"coordinates": " ".join(coordinates)}
    grid = own_grid(plan)
    if grid is not None:
        name, numbers, unit = grid
        arrays.filled(name, (name,), numbers, units=unit)
    extra = () if grid is None else ((grid[0], len(grid[1])),)
    for measure in plan.measures:
        more = () if measure.of_point else extra
        arrays.empty(
            measure.name, ("point", *(dim for dim, _ in more)), (points, *(n for _, n in more)),
            units=measure.unit, long_name=measure.doc, **attrs,
        )  # fmt: skip
    times = trace_times(plan)
    if times is not None:
        arrays.filled("time", ("time",), times, units="second")
        dims = ("point", *(dim for dim, _ in extra), "time")
        shape = (points, *(n for _, n in extra), len(times))
        for name in plan.traces:
            unit = recordable(plan.wholes()[0][0])[name]
            arrays.empty(trace_name(name), dims, shape, units=unit, **attrs)
    if plan.spikes:
        group.create_group("spike_times")
    arrays.empty("diverged_at", ("point",), (points,), units="second", **attrs)
    arrays.empty("error", ("point",), (points,), f"<U{MESSAGE}", **attrs)
    meanings = {"flag_values": list(range(len(STATUS))), "flag_meanings": " ".join(STATUS)}
    arrays.empty("status", ("point",), (points,), np.int8, **meanings, **attrs)


def _coordinates(arrays: _Arrays, plan: SweepPlan) -> list[str]:
    """Create the arrays of axes, repeats and seeds; return their names."""
    design, every = plan.design, np.arange(plan.design.points)
    values, found = design.values(every), []
    for axis, name in zip(design.axes, axis_names(plan), strict=True):
        own = values[axis.key] if axis.labels is None else np.array(axis.labels)[values[axis.key]]
        units = {"units": axis.unit} if axis.unit else {}
        arrays.filled(name, ("point",), own, long_name=axis.key, **units)
        found.append(name)
    if design.repeats > 1:
        arrays.filled("repeat", ("point",), every % design.repeats)
        found.append("repeat")
    if plan.noisy:
        arrays.filled("seed", ("point",), np.array(design.noise(every), dtype=np.int64))
        found.append("seed")
    if design.quantiles is not None:
        arrays.filled("quantiles", ("set", "axis"), design.quantiles)
    return found


def trace_name(name: str) -> str:
    """Return the name of the array of a recorded trace."""
    return f"trace_{name}"


def axis_names(plan: SweepPlan) -> list[str]:
    """Return the names of the axes: short, ``g_c``, if that is unique, else the full name."""
    taken = {m.name for m in plan.measures} | {
        "status", "seed", "repeat", "diverged_at", "error", "time", "point", "spikes",
    }  # fmt: skip
    keys = [axis.key for axis in plan.design.axes]
    grid = plan.protocol.grid if len(plan.wholes()[1]) == 1 else None
    short = [key.rpartition(".")[2] for key in keys]
    used = short + ([grid[0]] if grid is not None else [])
    return [
        name if used.count(name) == 1 and name not in taken else key
        for key, name in zip(keys, short, strict=True)
    ]


def own_grid(plan: SweepPlan) -> tuple[str, np.ndarray, str] | None:
    """Return name, SI values and unit of the protocol's own grid; None without one."""
    _, first = next(plan.packs(np.arange(1)))
    if first.each == 1:
        return None
    protocols = plan.wholes()[1]
    grid = neuron_axis.grid(first.base, first.each)
    if len(protocols) > 1 or grid is None:
        return "stimulus", np.arange(first.each), "1"
    unit = parse_unit(grid.unit)
    return grid.name, grid.values * float(unit), unit_text(unit.dim)


def trace_times(plan: SweepPlan) -> np.ndarray | None:
    """Return the times of the kept traces in s; None if none is kept."""
    if not plan.traces:
        return None
    _, first = next(plan.packs(np.arange(1)))
    step = plan.trace_step(first.model)
    return np.arange(int(np.ceil(float(first.base.duration) / step - 1e-9))) * step
