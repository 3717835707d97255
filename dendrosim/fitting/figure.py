"""The figure of a fit: traces of target and fit, and the cost by evaluations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dendrosim.figures.style import COLOURS, STYLE, literal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dendrosim.fitting.result import Fit

#: Most traces that are drawn.
MOST = 4


def fit_figure(fit: Fit) -> Figure:
    """Return the figure of a fit."""
    import matplotlib
    from matplotlib.figure import Figure

    shown = _traces(fit)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.0, 1.8 * len(shown) + 2.4), layout="constrained")
        axes = np.atleast_1d(figure.subplots(len(shown) + 1, 1))
        for one, (title, response, target) in zip(axes, shown, strict=False):
            _trace(one, title, response, target)
        if shown:
            axes[0].legend(loc="upper right", ncols=2)
            axes[len(shown) - 1].set_xlabel("time (ms)")
        last = axes[-1]
        for k, (seed, rows) in enumerate(fit.history.groupby("seed")):
            last.plot(rows["evaluations"], rows["best cost"], color=COLOURS[k % len(COLOURS)],
                      label=f"seed {seed}")  # fmt: skip
        if (fit.history["best cost"] > 0).all():
            last.set_yscale("log")
        last.set(xlabel="evaluations", ylabel="best cost")
        if fit.history["seed"].nunique() > 1:
            last.legend()
    return figure


def _traces(fit: Fit) -> list[tuple[str, Any, Any]]:
    found = []
    for role, target, responses in fit._shown:
        if responses is None:
            continue
        # the stimulus with most spikes of the target shows most
        counts = [len(r.inside) for r in target.responses]
        k = int(np.argmax(counts))
        found.append((f"{target.name} ({role})", responses[k], target.responses[k]))
    return found[:MOST]


def _trace(axes: Any, title: str, response: Any, target: Any) -> None:
    for one, colour, label, width in (
        (target, "0.6", "target", 1.6),
        (response, COLOURS[0], "fit", 0.9),
    ):
        if one.v is not None:
            axes.plot(one.times * 1e3, one.v * 1e3, color=colour, label=label, lw=width)
        else:
            axes.eventplot(one.train * 1e3, colors=colour, label=label)
    axes.set_xlim(response.times[0] * 1e3, response.times[-1] * 1e3)
    axes.set_title(literal(title))
    axes.set_ylabel("mV" if target.v is not None else "")
