"""The figure of a fit: traces of target and fit in several sweeps, and the cost by evaluations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dendrosim.figures.style import COLOURS, STYLE, literal, plain_ticks, pretty
from dendrosim.figures.style import short as shortened
from dendrosim.fitting.costs import gamma
from dendrosim.fitting.features import Response
from dendrosim.fitting.targets import Target, recorded_stimulus
from dendrosim.model.quantities import describe
from dendrosim.simulation import neuron_axis

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dendrosim.fitting.result import Fit

#: Most protocols, which are columns, and most sweeps of each.
MOST_PROTOCOLS, MOST = 4, 4
#: Costs that differ by less than this factor are drawn on a linear axis.
WIDE = 5.0


class _Column(NamedTuple):
    """A protocol of the figure: its heading, and title, response and target of each sweep."""

    heading: str
    sweeps: list[tuple[str, Response, Response]]


def fit_figure(fit: Fit) -> Figure:
    """Return the figure of a fit."""
    import matplotlib
    from matplotlib.figure import Figure

    columns = _columns(fit)
    rows = max((len(column.sweeps) for column in columns), default=0)
    with matplotlib.rc_context(STYLE):
        width = 7.0 if len(columns) < 2 else min(4.2 * len(columns), 14.0)
        figure = Figure(figsize=(width, 1.6 * rows + 2.4), layout="constrained")
        grid = figure.add_gridspec(rows + 1, max(1, len(columns)))
        for k, column in enumerate(columns):
            _draw_column(figure, grid[:, k], rows, column, first=k == 0)
        if columns:
            handles, names = figure.axes[0].get_legend_handles_labels()
            figure.legend(handles, names, loc="outside upper right", ncols=2)
        _draw_costs(figure.add_subplot(grid[-1, :]), fit)
    return figure


def _columns(fit: Fit) -> list[_Column]:
    """Return what is drawn: fitted and unseen protocols, as many of each as there is room for."""
    told = {"fit": "fitted", "unseen": "unseen"}
    found: dict[str, list[_Column]] = {role: [] for role in told}
    for role, target, responses in fit._shown:
        if responses is not None:
            found[role].append(
                _Column(f"{shortened(target.name)} ({told[role]})", _sweeps(target, responses))
            )
    unseen = min(len(found["unseen"]), max(MOST_PROTOCOLS // 2, MOST_PROTOCOLS - len(found["fit"])))
    return found["fit"][: MOST_PROTOCOLS - unseen] + found["unseen"][:unseen]


def _sweeps(
    target: Target, responses: Sequence[Response]
) -> list[tuple[str, Response, Response]]:  # fmt: skip
    spikes = [len(r.inside) for r in target.responses]
    return [
        (_title(target, k, responses[k]), responses[k], target.responses[k])
        for k in chosen_sweeps(spikes)
    ]


def chosen_sweeps(spikes: Sequence[int], most: int = MOST) -> list[int]:
    """Return which sweeps are drawn: evenly spread, among them the one with most spikes.

    Parameters
    ----------
    spikes
        Number of the target's spikes in each sweep.
    most
        Most sweeps.
    """
    spread = np.unique(np.linspace(0, len(spikes) - 1, min(most, len(spikes))).round().astype(int))
    busiest = int(np.argmax(spikes))
    if spikes[busiest] > max(spikes[k] for k in spread):
        spread[np.argmin(np.abs(spread - busiest))] = busiest
    return sorted(int(k) for k in spread)


def _title(target: Target, k: int, response: Response) -> str:
    """Return number, amplitude and coincidence factor of a sweep, where they are known."""
    parts = []
    if target.clamp is not None:
        parts.append(f"sweep {recorded_stimulus(target.protocol)[1].sweep_numbers[k]}")
    elif len(target.responses) > 1:
        parts.append(f"stimulus {k}")
    parts.append(_amplitude(target, k))
    found = gamma(response, target.responses[k])
    if np.isfinite(found):
        parts.append(f"Γ {found:.2f}")
    return ", ".join(part for part in parts if part)


def _amplitude(target: Target, k: int) -> str:
    """Return the value of the protocol's grid, or the one amplitude of its stimulus; else ""."""
    protocol = target.protocol
    grid = neuron_axis.grid(protocol, len(target.responses))
    if grid is None:
        alone = protocol.stimuli[0].values.get("amplitude") if len(protocol.stimuli) == 1 else None
        return "" if alone is None or alone.ndim else _printed("amplitude", describe(alone))
    value = _printed(grid.name, f"{grid.values[k]:.4g} {grid.unit}")
    # noise has no amplitude: its furthest value is shown
    return f"up to {value}" if target.clamp is not None and not grid.is_current else value


def _printed(name: str, text: str) -> str:
    """Return a value as in print; a current with its unit needs no name."""
    number, _, unit = text.replace("-", "\u2212").partition(" ")
    plain = f"{number} {pretty(unit)}".rstrip()
    return (
        plain if name in ("amplitude", "command") and unit not in ("", "1") else f"{name} {plain}"
    )


def _draw_column(figure: Figure, place: Any, rows: int, column: _Column, first: bool) -> None:
    panels: list[Any] = []
    inside = place.get_gridspec()
    number = place.colspan.start
    for row, (title, response, target) in enumerate(column.sweeps):
        top = panels[0] if panels else None
        panel = figure.add_subplot(inside[row, number], sharex=top, sharey=top)
        _trace(panel, response, target)
        heading = f"{column.heading}\n" if row == 0 else ""
        panel.set_title(literal(f"{heading}{title}"))
        if target.v is not None and first:
            panel.set_ylabel("mV")
        panel.tick_params(labelbottom=row == len(column.sweeps) - 1)
        panels.append(panel)
    panels[-1].set_xlabel("time (ms)")


def _trace(panel: Any, response: Response, target: Response) -> None:
    for place, (one, colour, label, width) in enumerate(
        (
            (target, "0.6", "target", 1.6),
            (response, COLOURS[0], "fit", 0.9),
        )
    ):
        if one.v is not None:
            panel.plot(one.times * 1e3, one.v * 1e3, color=colour, label=label, lw=width)
        else:
            panel.eventplot(one.train * 1e3, colors=colour, label=label, lineoffsets=place,
                            linelengths=0.8)  # fmt: skip
            panel.set_yticks([])
    panel.set_xlim(response.times[0] * 1e3, response.times[-1] * 1e3)


def _draw_costs(panel: Any, fit: Fit) -> None:
    for k, (seed, rows) in enumerate(fit.history.groupby("seed")):
        panel.plot(rows["evaluations"], rows["best cost"], color=COLOURS[k % len(COLOURS)],
                   label=f"seed {seed}")  # fmt: skip
    costs = fit.history["best cost"]
    least, greatest = float(costs.min()), float(costs.max())
    plain_ticks(panel, "y", least, greatest, log=least > 0 and greatest > WIDE * least)
    panel.set(xlabel="evaluations", ylabel="best cost")
    if fit.history["seed"].nunique() > 1:
        panel.legend()
