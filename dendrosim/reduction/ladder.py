"""The ladder of reductions: what each simplification of a neuron keeps, and what it costs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from brian2 import Quantity

from dendrosim import checks
from dendrosim.comparison.protocol_measures import mean_where_defined
from dendrosim.devices import execute
from dendrosim.errors import DendrosimError
from dendrosim.figures.style import save_figure
from dendrosim.files import make_folder, path_text, replacing
from dendrosim.fitting.costs import potential_error
from dendrosim.fitting.features import Response
from dendrosim.fitting.searches import read_seeds
from dendrosim.measures import bursts, isi
from dendrosim.model.model import Model
from dendrosim.model.parts import time_step
from dendrosim.model.toml import as_model
from dendrosim.pickling import Pickled
from dendrosim.reduction.drive import usual_drives
from dendrosim.reduction.reduced import Reduction
from dendrosim.reduction.reduction import reduce
from dendrosim.reduction.saved import save_model
from dendrosim.reduction.spike_cut import spike_cut
from dendrosim.reduction.timing import mean_gamma
from dendrosim.simulation import neuron_axis
from dendrosim.simulation.protocol import Protocol
from dendrosim.simulation.protocol_files import as_protocol
from dendrosim.simulation.run import simulate, trace_step
from dendrosim.tables import aligned

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Protocols of another kind than the noise of the fit.
OTHERS = ("fi_curve", "dendritic_step", "ramp", "chirp")
#: Files that `Ladder.save` writes, besides a model of each reduction.
FILES = ("rungs.csv", "table.csv", "ladder.png")
#: Precisions of the coincidence factor (s).
PRECISIONS = (2e-3, 4e-3)
#: Longest interval within a burst (s), the same for all rungs.
WITHIN = 20e-3
#: Step of the second spike cut, in steps of the neuron.
LONGER = 5
#: Neurons and duration of the runs that are timed.
NEURONS, TIMED = 1024, "200 ms"


@dataclass(frozen=True, eq=False)
class Ladder(Pickled):
    """A neuron, its reductions, and how they compare.

    Attributes
    ----------
    models
        Name of the rung to its model; the first is the neuron itself.
    rungs
        One row per rung: ``states``, ``numbers`` (how many were measured or searched), ``step
        (ms)``, and the processor time of a neuron, in ns per step and in us per ms.
    table
        One row per rung and group of protocols: ``role`` (``fit``, ``unseen`` or ``other``), Gamma
        at 2 and 4 ms; rate in Hz; mean number of spikes of runs of spikes at most 20 ms apart;
        distance of the inter-spike intervals (Kolmogorov-Smirnov, from 0 to 1); and root mean
        square error of the potential outside spikes, in mV.  The rung ``ceiling`` is the neuron
        itself at half its step.
    notes
        Remarks, one sentence each.
    """

    models: Mapping[str, Model]
    rungs: pd.DataFrame
    table: pd.DataFrame
    notes: tuple[str, ...]
    shown: tuple[Protocol, Mapping[str, Response]]

    def text(self) -> str:
        """Return the tables as text."""
        rungs = self.rungs.dropna(axis=1, how="all")  # no times without `timed`
        lines = aligned({"rung": list(rungs.index)} | _columns(rungs))
        for (role, name), rows in self.table.groupby(["role", "protocol"], sort=False):
            lines += ["", f"{name} ({role})"]
            own = rows.drop(columns=["role", "protocol"]).dropna(axis=1, how="all")
            lines += aligned(_columns(own))
        return "\n".join([*lines, *(f"\n{note}" for note in self.notes)])

    def plot(self, path: str | os.PathLike | None = None) -> Figure:
        """Return the figure: the potential of each rung under the same noise; save it to `path`."""
        from dendrosim.reduction.ladder_figure import ladder_figure

        figure = ladder_figure(self)
        if path is not None:
            save_figure(figure, path)
        return figure

    def save(self, folder: str | os.PathLike) -> None:
        """Write ``rungs.csv``, ``table.csv``, ``ladder.png`` and a model file per reduction.

        Raises
        ------
        DendrosimError
            If a file cannot be written.
        """
        where = make_folder(path_text(folder, "ladder"))
        for name, table in (("rungs.csv", self.rungs), ("table.csv", self.table)):
            with replacing(where / name) as temporary:
                table.to_csv(temporary, index=name == "rungs.csv")
        for name, model in list(self.models.items())[1:]:
            save_model(model, where / f"{name}.toml")
        self.plot(where / "ladder.png")


def ladder(
    model: Model | str | os.PathLike, dt: Any = "0.5 ms", *, fit: Any = None, unseen: Any = None,
    others: Any = OTHERS, reductions: Mapping[str, Any] | None = None, timed: bool = True,
    device: str = "cpp", seed: int | Sequence[int] = 0, progress: bool | None = None,
) -> Ladder:  # fmt: skip
    """Reduce a neuron in three ways and compare all of them.

    The spike cut runs at the neuron's step, and once more at five times that step.

    Parameters
    ----------
    model
        A continuous model with a soma and a dendrite, or its name or path.
    dt
        Step of the discrete rungs.
    fit, unseen
        Protocols that the rungs are fitted to, and others of the same kind that they are judged on;
        by default noise around the rheobase into each compartment, with two seeds.
    others
        Protocols of another kind to judge them on.
    reductions
        Name to a model: rungs that exist already, from which nothing is made; ``"adaptive"`` and
        ``"linear"`` replace those that would be fitted.
    timed
        Whether to measure the processor time of each rung, which compiles one more program each.
    device, progress
        As in `simulate`.
    seed
        Seed of the searches; of several, the adaptive neuron is searched with each, and the best is
        kept.

    Returns
    -------
    Ladder

    Raises
    ------
    DendrosimError
        As `reduce`.
    """
    model = as_model(model)
    if model.dt is None:
        raise DendrosimError(f"{model.name} has no time step of its own")
    execute.check_device(device, 1)
    step = time_step(dt, "ladder: dt")
    if fit is None and unseen is not None:
        raise DendrosimError("ladder: unseen has protocols, but fit has none")
    fits = usual_drives(model, device) if fit is None else _listed(fit, "fit")
    if unseen is None:
        unseen = [one.with_(seed=1) for one in fits] if fit is None else ()
    groups = {"fit": fits, "unseen": _listed(unseen, "unseen"), "other": _listed(others, "others")}
    models, numbers, notes = _rungs(
        model, step, fits, reductions, device, read_seeds(seed), progress
    )
    rungs = pd.DataFrame(
        [_size(one, n, device, timed) for one, n in zip(models.values(), numbers, strict=True)],
        index=pd.Index(models, name="rung"),
    )
    rows, shown = [], None
    for role, protocols in groups.items():
        for protocol in protocols:
            found = {name: _responses(one, protocol, device) for name, one in models.items()}
            found["ceiling"] = _responses(model, protocol, device, model.dt / 2)
            whole = found[model.name]
            rows += [
                {"role": role, "protocol": protocol.name, "rung": name} | _judged(own, whole)
                for name, own in found.items()
            ]
            if shown is None or role == "unseen":
                k = int(np.argsort([len(r.inside) for r in whole])[len(whole) // 2])
                shown = protocol, {name: own[k] for name, own in found.items()}
    assert shown is not None  # fits has a protocol
    return Ladder(models, rungs, pd.DataFrame(rows), tuple(notes), shown)


def _rungs(
    model: Model, step: Quantity, fits: Sequence[Protocol], given: Mapping[str, Any] | None,
    device: str, seeds: list[int], progress: bool | None,
) -> tuple[dict[str, Model], list[int], list[str]]:  # fmt: skip
    """Return the models, how many numbers of each were measured or searched, and notes."""
    known = {name: as_model(one) for name, one in (given or {}).items()}
    if model.name in known or "ceiling" in known:
        raise DendrosimError(
            f"ladder: reductions may not be named {model.name} or ceiling: these are the neuron"
        )
    models, numbers, notes = {model.name: model}, [0], []
    if "spike_cut" not in known:
        assert model.dt is not None  # `spike_cut` refuses models without a step
        cut = spike_cut(model, fits, device=device)
        # the map of the cut has a mean and slopes for each outcome
        measured = int((np.abs(cut.jump.slopes) > 0).sum() + len(cut.jump.outcomes))
        models["spike_cut"] = cut.model
        models["spike_cut_long_step"] = cut.model.with_(dt=LONGER * model.dt)
        numbers += [measured, measured]
        notes += [f"spike_cut: {note}" for note in cut.notes]
    for to in ("adaptive", "linear"):
        if to in known:
            models[to] = known.pop(to)
            numbers.append(len(models[to].parameters))
            continue
        found = reduce(
            model, step, to=to, fit=fits, device=device, progress=progress,
            seed=seeds if to == "adaptive" else seeds[:1],
        )  # fmt: skip
        assert isinstance(found, Reduction)  # a spike cut is made above
        models[to] = found.model
        numbers.append(len(found.coefficients) - (to == "adaptive"))  # rho is 0 there
        notes += [f"{to}: {note}" for note in found.notes]
    for name, one in known.items():
        models[name] = one
        numbers.append(len(one.parameters))
    return models, numbers, notes


def _listed(given: Any, name: str) -> list[Protocol]:
    if isinstance(given, str | os.PathLike | Protocol):
        given = [given]
    if not checks.is_row(given):
        raise DendrosimError(f"ladder: {name} = {checks.short(given)} should list protocols")
    return [as_protocol(one) for one in given]


def _responses(
    model: Model, protocol: Protocol, device: str, dt: Quantity | None = None
) -> list[Response]:
    soma, step = model.potentials["soma"], model.dt if dt is None else dt
    assert step is not None  # reductions and their sources have a step
    run = simulate(model, protocol, record=[soma], record_dt=trace_step(step), dt=dt, device=device,
                   diverged="nan", progress=False)  # fmt: skip
    if run.diverged:
        raise DendrosimError(f"{model.name} diverges under {protocol.name}")
    start, stop = protocol.window
    onsets, v = neuron_axis.onsets(protocol, run.n), run.voltage("soma")
    return [
        Response(train, run.times, v[:, k], start, stop, float(onsets[k]))
        for k, train in enumerate(run.trains)
    ]


def _size(model: Model, numbers: int, device: str, timed: bool) -> dict[str, float]:
    """Return states, numbers, step and processor time of a rung."""
    assert model.dt is not None  # reductions and their sources have a step
    step = float(model.dt)
    ns = _nanoseconds(model, step, device) if timed else np.nan
    return {"states": len(model.states), "numbers": numbers, "step (ms)": step * 1e3,
            "ns per step": ns, "us per ms": ns * 1e-3 / (step * 1e3)}  # fmt: skip


def _nanoseconds(model: Model, step: float, device: str) -> float:
    """Return the time of a neuron and step of a long run of many."""
    whole = {"start": "0 ms", "stop": TIMED}
    protocol = as_protocol("dendritic_step").with_(
        duration=TIMED, measure=whole, start="0 ms", stop=TIMED
    )
    seconds = []
    for _ in range(2):
        run = simulate(model, protocol, n=NEURONS, record=[], device=device, progress=False)
        seconds.append(run.meta["run_seconds"])
    return min(seconds) / (run.n * run.duration / step) * 1e9


def _judged(own: Sequence[Response], whole: Sequence[Response]) -> dict[str, float]:
    """Return the measures of one rung under one protocol."""
    row: dict[str, float] = {}
    length = whole[0].stop - whole[0].start
    for precision in PRECISIONS:
        pairs = ((a.inside, b.inside) for a, b in zip(whole, own, strict=True))
        row[f"Gamma, {precision * 1e3:g} ms"] = mean_gamma(pairs, precision, length)
    row["rate (Hz)"] = float(np.mean([len(r.inside) for r in own]) / length)
    row["spikes per burst"] = mean_where_defined([
        bursts(r.inside, WITHIN).spikes_per_burst for r in own if len(r.inside)
    ])  # fmt: skip
    row["ISI distance"] = _apart(*(np.concatenate([isi(r.inside) for r in one])
                                   for one in (own, whole)))  # fmt: skip
    errors = [potential_error(a, b) for a, b in zip(own, whole, strict=True)]
    row["potential (mV)"] = 1e3 * mean_where_defined(errors)
    return row


def _apart(a: np.ndarray, b: np.ndarray) -> float:
    from scipy.stats import ks_2samp

    return float(ks_2samp(a, b, method="asymp").statistic) if len(a) and len(b) else np.nan


def _columns(table: pd.DataFrame) -> dict[str, list]:
    shown = table.to_dict("list")
    return {
        name: [f"{v:.3g}" if isinstance(v, float) else v for v in values]
        for name, values in shown.items()
    }
