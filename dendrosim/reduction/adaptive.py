"""Reduction to the adaptive two-compartment neuron, by the times of its spikes.

Linear theory gives the coefficients of eqs 6-8 and the scales.  The rest is searched: first over
the whole of wide ranges by a Sobol sequence, because a search from one start ends in one of many
optima, then from the best of these by CMA-ES (Hansen 2016), briefly from several and long from the
best two.  A generation is one group of neurons of one compiled program.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dendrosim.comparison.protocol_measures import mean_where_defined
from dendrosim.errors import DendrosimError
from dendrosim.fitting.search import History, search
from dendrosim.model.model import Model
from dendrosim.model.optional import dt_of
from dendrosim.model.toml import load_model
from dendrosim.progress import progress_bar
from dendrosim.reduction.reduced import Reduction
from dendrosim.reduction.timing import (
    Timing,
    check_targets,
    inside,
    mean_gamma,
    timing_costs,
)
from dendrosim.simulation.run import simulate

Array = NDArray[np.float64]
#: Points of the Sobol sequence, and how many run at once.
POINTS, AT_ONCE = 8192, 128
#: Starts of short searches, their generations, candidates, and standard deviation.
STARTS, SHORT, FEW, WIDE = 5, 40, 32, 0.12
#: Starts of long searches, and their standard deviation.
LONG, NARROW = 2, 0.06
#: Precisions of the coincidence factor in the report (s).
PRECISIONS = (2e-3, 4e-3)
STRICT = f"coincidence, {PRECISIONS[1] * 1e3:g} ms"
#: A value so near a bound, as a part of its range, is reported.
NEAR = 0.01


@dataclass(frozen=True)
class Searched:
    """A parameter and its range.

    Attributes
    ----------
    name
        Name of the parameter.
    low, high
        Bounds: of the value, or of the time constant in s.
    scale
        ``"linear"``, ``"log"``, or ``"decay"``: the value is exp(-dt/tau), and tau is searched on a
        logarithmic scale.
    """

    name: str
    low: float
    high: float
    scale: str = "linear"

    def value(self, x: Array, dt: float) -> Array:
        """Return the values at positions from 0 to 1."""
        if self.scale == "linear":
            return self.low + x * (self.high - self.low)
        value = self.low * (self.high / self.low) ** x
        return np.exp(-dt / value) if self.scale == "decay" else value


def ranges(coefficients: dict[str, float], dt: float) -> tuple[Searched, ...]:
    """Return the ranges of the search.

    Potentials are in units of the threshold of linear theory; couplings are around those of linear
    theory; currents over a step grow with the step.
    """
    a_1, b_1, a_2, b_2 = (coefficients[k] for k in ("alpha_1", "beta_1", "alpha_2", "beta_2"))
    steps = dt / 0.5e-3
    return (
        Searched("alpha_1", max(0.0, a_1 - 0.3), min(1.0, a_1 + 0.3)),
        Searched("beta_1", 0.0, 2 * b_1),
        Searched("alpha_2", max(0.0, a_2 - 0.3), min(1.0, a_2 + 0.3)),
        Searched("beta_2", 0.4 * b_2, 1.5 * b_2),
        Searched("r", 0.04 * steps, 4 * steps, "log"),
        Searched("U_r", 1.0, 8.0),
        Searched("k_r", 0.2, 2.0, "log"),
        Searched("alpha_w", 5e-3, 1.0, "decay"),
        Searched("a", 1e-5 * steps, 0.02 * steps, "log"),
        Searched("b", 0.01 * steps, 2 * steps, "log"),
        Searched("c", 0.0, 1 / steps),
        Searched("drive", 0.0, 0.5),
        Searched("kick", -4.0, 8.0),
        Searched("pull", 0.0, 1.2),
        Searched("alpha_theta", 0.5e-3, 50e-3, "decay"),
        Searched("b_theta", 0.1, 10.0, "log"),
        Searched("V_th", 0.5, 4.0),
    )


def fit_adaptive(
    linear: Reduction, name: str, targets: Sequence[Timing], unseen: Sequence[Timing], *,
    device: str, generations: int, population: int, seeds: Sequence[int], progress: bool | None,
) -> Reduction:  # fmt: skip
    """Fit the adaptive neuron to the spikes of a biophysical neuron or of a recorded cell.

    Parameters
    ----------
    linear
        Its linear reduction, whose coefficients the search begins around.
    name
        Name of the neuron, for messages.
    targets, unseen
        Its spikes under the protocols of the fit, and under those of the evaluation afterwards.
    device
        As in `simulate`.
    generations, population
        Generations and candidates of the long searches.
    seeds
        Seeds of separate searches, of which the best is kept.
    progress
        Whether to show a bar.

    Returns
    -------
    Reduction

    Raises
    ------
    DendrosimError
        If the neuron does not fire under the protocols of the fit, or if there is none.
    """
    if not targets:
        raise DendrosimError("fit needs at least one protocol")
    check_targets(targets, name, float(dt_of(linear.model)))
    base = _started(linear)
    space = ranges(dict(linear.coefficients), float(dt_of(linear.model)))
    with progress_bar(progress, f"fitting the adaptive neuron to {name}") as tell:
        search_ = _Search(base, targets, space, device, tell, generations, len(seeds))
        ends = [search_.run(population, seed) for seed in seeds]
    models = [_with(base, search_.values(x[None])) for x, _ in ends]
    best = int(np.argmin([cost for _, cost in ends]))
    fitted, x = models[best], ends[best][0]
    groups = {k: listed for k, listed in {"fit": targets, "unseen": unseen}.items() if listed}
    rows = [
        [_row(model, target, role, device) for role, listed in groups.items() for target in listed]
        for model in models
    ]
    report = pd.DataFrame(rows[best])
    searches = pd.DataFrame([
        {"seed": seed, "cost": cost} | _timed(own, [*groups])
        for seed, own, (_, cost) in zip(seeds, rows, ends, strict=True)
    ]).set_index("seed")  # fmt: skip
    notes = [*linear.notes, *_one_sided(targets), *_diverging(report), *_at_bound(space, x)]
    return replace(
        linear, model=fitted, method="adaptive", report=report, searches=searches,
        notes=tuple(notes),
    )  # fmt: skip


def _with(base: Model, values: dict[str, Array]) -> Model:
    return base.with_(parameters={name: repr(float(v[0])) for name, v in values.items()})


def _timed(rows: Sequence[dict[str, Any]], roles: Sequence[str]) -> dict[str, float]:
    """Return the mean coincidence factor within 4 ms of each role."""
    return {
        f"coincidence, {role}": mean_where_defined(
            [row.get(STRICT, np.nan) for row in rows if row["role"] == role]
        )
        for role in roles
    }


def _one_sided(targets: Sequence[Timing]) -> list[str]:
    """Return a sentence if the fit had current into one compartment alone."""
    places = {into for t in targets for stimulus in t.protocol.stimuli for into in stimulus.into}
    return [
        f"The fit had current into the {place} alone. Under current into the {other} the neuron "
        "may fire at other times and rates."
        for place, other in (("soma", "dendrite"), ("dendrite", "soma"))
        if places == {place}
    ]


def _diverging(report: pd.DataFrame) -> list[str]:
    lost = report[report["rate, fitted (Hz)"].isna()]
    return [
        f"The fitted neuron diverges under {row['protocol']} ({row['role']})."
        for _, row in lost.iterrows()
    ]


def _started(linear: Reduction) -> Model:
    """Return the adaptive neuron with the coefficients and scales of linear theory."""
    base = load_model("two_compartment_adaptive")
    coefficients = {
        name: repr(value) for name, value in linear.coefficients.items() if name in base.parameters
    }
    # the soma follows the dendrite, whose kick and pull are its reset
    changed = base.with_(parameters=coefficients | {"rho": "0"}, dt=linear.model.dt)
    name = f"{linear.source} (adaptive)"
    return replace(changed, name=name, scales=linear.model.scales, areas=linear.model.areas)


class _Search:
    """The search of one fit: global, short and long."""

    def __init__(
        self, model: Model, targets: Sequence[Timing], space: Sequence[Searched], device: str,
        tell: Callable[[float], None] | None, generations: int, searches: int,
    ) -> None:  # fmt: skip
        self.model, self.targets, self.space, self.device = model, targets, space, device
        self.tell, self.done = tell, 0
        self.generations = generations
        # in units of one generation of a short search
        self.whole = searches * (POINTS // AT_ONCE + STARTS * SHORT + LONG * generations)

    def values(self, x: Array) -> dict[str, Array]:
        """Return the values of parameters at positions, shape (candidates, parameters)."""
        step = float(dt_of(self.model))
        return {one.name: one.value(x[:, k], step) for k, one in enumerate(self.space)}

    def costs(self, x: Array) -> Array:
        """Return the cost of each position."""
        found = timing_costs(self.model, self.targets, self.values(x), self.device)
        self.done += 1
        if self.tell is not None:
            self.tell(min(1.0, self.done / self.whole))
        return found

    def run(self, population: int, seed: int) -> tuple[Array, float]:
        """Return the best position and its cost."""
        from scipy.stats import qmc

        x = qmc.Sobol(len(self.space), rng=np.random.default_rng(seed)).random(POINTS)
        costs = np.concatenate([self.costs(x[k : k + AT_ONCE]) for k in range(0, POINTS, AT_ONCE)])
        best = np.argsort(costs, kind="stable")[:STARTS]
        ends = [self._from(x[k], FEW, SHORT, int(k), WIDE) for k in best]
        ends.sort(key=lambda end: end[1])
        last = [self._from(x, population, self.generations, seed, NARROW) for x, _ in ends[:LONG]]
        return min([*ends, *last], key=lambda end: end[1])

    def _from(
        self, start: Array, population: int, generations: int, seed: int, sigma: float
    ) -> tuple[Array, float]:
        history = History(None, [one.name for one in self.space])
        search("cma", self.costs, history, start, population=population, generations=generations,
               seed=seed, sigma=sigma)  # fmt: skip
        return history.best


def _row(fitted: Model, target: Timing, role: str, device: str) -> dict[str, Any]:
    run = simulate(
        fitted, target.protocol, record=[], device=device, diverged="nan", progress=False
    )
    if run.diverged:  # under protocols of another kind than those of the fit
        return {"protocol": target.protocol.name, "role": role,
                "rate (Hz)": float(target.rates.mean()), "rate, fitted (Hz)": np.nan}  # fmt: skip
    own = inside(run.trains, target.protocol)
    rates = np.array([len(train) for train in own]) / target.length
    row: dict[str, Any] = {
        "protocol": target.protocol.name, "role": role, "rate (Hz)": float(target.rates.mean()),
        "rate, fitted (Hz)": float(rates.mean()),
        "rate error (Hz)": float(np.sqrt(np.mean((rates - target.rates) ** 2))),
    }  # fmt: skip
    for precision in PRECISIONS:
        pairs = zip(target.trains, own, strict=True)
        row[f"coincidence, {precision * 1e3:g} ms"] = mean_gamma(pairs, precision, target.length)
    return row


def _at_bound(space: Sequence[Searched], x: Array) -> list[str]:
    """Return a sentence for each value that ended at a bound of its range."""
    notes = []
    for one, position in zip(space, x, strict=True):
        if min(position, 1 - position) <= NEAR:
            what = "with a time constant in s " if one.scale == "decay" else ""
            notes.append(
                f"{one.name} was searched {what}from {one.low:.3g} to {one.high:.3g} and ended "
                f"near {one.low if position < 0.5 else one.high:.3g}: the best value may lie "
                "beyond."
            )
    return notes
