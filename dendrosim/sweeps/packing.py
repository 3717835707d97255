"""Packing: many parameter sets as the neurons of one group, run by one compiled program.

A point with the K values of its protocol's own grid takes K neurons.  The grid varies slowest and
the points fastest.  The number of neurons is padded with copies of the last point to a multiple of
`WIDTH`.  Without padding, a compiler would compute the last neurons of a loop with other
instructions than the rest, and the last bits of a result would depend on its place in the group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2 import Quantity

from dendrosim.model.model import Model
from dendrosim.model.quantities import with_dim
from dendrosim.simulation.grids import Grid, arranged
from dendrosim.simulation.neurons import NeuronJob
from dendrosim.simulation.protocol import Protocol
from dendrosim.simulation.recording import Recording
from dendrosim.simulation.run import make_job, run_job
from dendrosim.time_grid import samples_over

#: Neurons of a run are a multiple of this, more than a processor computes at once.
WIDTH = 64
#: Least capacity of the compiled program, so that small and large chunks share it.
ROOM = 1024
#: Most values of a sampled signal of one run, 128 MiB.
MAX_SAMPLES = 1 << 24


@dataclass(frozen=True, eq=False)
class Pack:
    """Points that run together.

    Attributes
    ----------
    model, protocol
        With one value per neuron of everything that varies.
    base
        The protocol with its own grid alone.
    points
        Number of points, without padding.
    n
        Neurons per value of the protocol's grid, as in `simulate`; 1 if all are written out.
    width
        Points with padding.
    each
        Neurons per point.
    """

    model: Model
    protocol: Protocol
    base: Protocol
    points: int
    n: int
    width: int
    each: int

    @property
    def neurons(self) -> int:
        """Number of neurons of the run, with padding."""
        return self.width * self.each

    def by_point(self, values: np.ndarray) -> np.ndarray:
        """Return values of neurons, shape (neurons, ...), as (points, each, ...)."""
        shaped = values.reshape(self.each, self.width, *values.shape[1:])
        return np.moveaxis(shaped, 1, 0)[: self.points]

    def neurons_of(self, point: int) -> np.ndarray:
        """Return the neurons of a point, in the order of the protocol's grid."""
        return np.arange(self.each) * self.width + point


def pack(
    model: Model, protocol: Protocol, values: Mapping[str, Any],
    noise: Sequence[int] | None = None, points: int = 1,
) -> Pack:  # fmt: skip
    """Pack points into one model and protocol.

    Parameters
    ----------
    model, protocol
        What all points share.
    values
        Full name to one value per point: a quantity, or a list of seeds.
    noise
        Seed of each point for all noise of the protocol; None keeps the protocol's.
    points
        Number of points.

    Raises
    ------
    DendrosimError
        If a value is invalid.
    """
    own: dict[str, dict[str, Any]] = {"parameters": {}, "initial": {}}
    stimuli: dict[tuple[int, str], Any] = {}
    for key, value in values.items():
        kind, _, rest = key.partition(".")
        if kind in own:
            own[kind][rest] = value
        else:
            number, _, name = rest.partition(".")
            stimuli[int(number), name] = value
    for k, stimulus in enumerate(protocol.stimuli):
        if noise is not None and stimulus.shape == "ou" and (k, "seed") not in stimuli:
            stimuli[k, "seed"] = list(noise)
    # a swept value replaces a grid that the protocol has there
    first = {place: value[0] for place, value in stimuli.items()}
    protocol = protocol.with_(stimuli=_tables(first))
    protocol = arranged(model, protocol, None)[1] if len(protocol.sizes) > 1 else protocol
    each = protocol.size
    width = -(-points // WIDTH) * WIDTH
    place = np.minimum(np.arange(width), points - 1)
    tiled: dict[str, Any] = {
        kind: {name: _tiled(value, place, each) for name, value in given.items()}
        for kind, given in own.items()
        if given
    }
    model = model.with_(**tiled)
    if not stimuli:
        shared = protocol.with_(stimuli=_shared_noise(protocol, each, width))
        return Pack(model, shared, protocol, points, width, width, each)
    written = {place_: _tiled(value, place, each) for place_, value in stimuli.items()}
    for key, grid in protocol.grids_given():
        _, number, name = key.split(".")
        if (int(number), name) not in written:
            written[int(number), name] = _of_grid(protocol, int(number), name, grid, width)
    packed = protocol.with_(stimuli=_tables(written), grids="zip")
    packed = packed.with_(stimuli=_shared_noise(protocol, each, width))
    return Pack(model, packed, protocol, points, 1, width, each)


def _tables(values: Mapping[tuple[int, str], Any]) -> dict[int, dict[str, Any]]:
    tables: dict[int, dict[str, Any]] = {}
    for (k, name), value in values.items():
        tables.setdefault(k, {})[name] = value
    return tables


def _tiled(value: Any, place: np.ndarray, each: int) -> Any:
    """Return one value per neuron: those of the points, padded, once per value of the grid."""
    if isinstance(value, Quantity):
        return with_dim(np.tile(np.asarray(value)[place], each), value.dim)
    return [value[k] for k in place] * each


def _of_grid(protocol: Protocol, k: int, name: str, grid: Quantity, width: int) -> Any:
    """Return one value per neuron of the protocol's own grid."""
    if name in ("sweeps", "seed"):
        return [int(value) for value in grid for _ in range(width)]
    return with_dim(np.repeat(np.asarray(grid), width), grid.dim)


def _shared_noise(protocol: Protocol, each: int, width: int) -> dict[int, dict[str, Any]]:
    """Return the numbers of independent noise: a point has the noise of a run of its own."""
    own = {k: stimulus.options.get("independent") for k, stimulus in enumerate(protocol.stimuli)}
    return {
        k: {"independent": np.repeat(given if isinstance(given, list) else range(each), width)}
        for k, given in own.items()
        if given
    }


def neurons_at_once(protocol: Protocol, most: int) -> int:
    """Return how many neurons a run may have, so that its sampled signals fit into memory."""
    limit = most
    for stimulus in protocol.stimuli:
        if stimulus.shape == "ou":
            step = float(stimulus.values["sample"])
            samples = 1 << (samples_over(float(protocol.duration), step) - 1).bit_length()
            limit = min(limit, max(WIDTH, MAX_SAMPLES // samples))
    return limit


def run_pack(packed: Pack, *, device: str, threads: int, **settings: Any) -> Recording:
    """Simulate a pack; a neuron that diverges is frozen and marked.

    Parameters
    ----------
    packed
        From `pack`.
    device, threads
        As in `simulate`.
    settings
        As in `job_of`.
    """
    job, model, protocol, grids = job_of(packed, **settings)
    shown = {"device": device, "dtype": settings["dtype"], "threads": threads, "seed": None}
    return run_job(job, model, protocol, grids, shown, diverged="nan", progress=False)


def job_of(packed: Pack, **settings: Any) -> tuple[NeuronJob, Model, Protocol, list[Grid]]:
    """Return the job of a pack, and its model, protocol and grids.

    Parameters
    ----------
    packed
        From `pack`.
    settings
        ``method``, ``dt``, ``dtype``, ``record``, ``record_dt`` and ``room``, as in `make_job`.
    """
    model, protocol, grids = arranged(packed.model, packed.protocol, "zip")
    return make_job(model, protocol, n=packed.n, grids="zip", **settings), model, protocol, grids
