"""The figure of a ladder: the same noise into the neuron and its reductions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from dendrosim.figures.style import COLOURS, GREY, REAL, STYLE, literal
from dendrosim.measures import coincidence_factor

if TYPE_CHECKING:
    from dendrosim.fitting.features import Response
    from dendrosim.reduction.ladder import Ladder

#: Duration that is drawn, in s; the part with most spikes.
DRAWN = 1.0
#: Precision of the coincidence factor (s), and the drawn potentials (mV).
PRECISION, LOW, HIGH = 4e-3, -105.0, 60.0


def ladder_figure(ladder: Ladder) -> Figure:
    """Return the figure of a ladder."""
    protocol, responses = ladder.shown
    names = list(ladder.models)
    whole = responses[names[0]]
    first = _busiest(whole.inside, whole.start, whole.stop)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.0, 1.45 * len(names) + 0.6), layout="constrained")
        axes = figure.subplots(len(names), 1, sharex=True)
        for k, (name, one) in enumerate(zip(names, axes, strict=True)):
            colour = REAL if k == 0 else COLOURS[(k - 1) % len(COLOURS)]
            own = responses[name]
            part = (own.times >= first) & (own.times <= first + DRAWN)
            if own.v is not None:
                one.plot((own.times[part] - first) * 1e3, own.v[part] * 1e3, color=colour, lw=0.9)
                one.set_ylim(LOW, HIGH)
                one.set_ylabel("mV")
            drawn = own.train[(own.train >= first) & (own.train <= first + DRAWN)]
            at = one.get_xaxis_transform()
            one.plot((drawn - first) * 1e3, np.full(len(drawn), 0.97), "|", color=colour, ms=5,
                     mew=0.9, transform=at)  # fmt: skip
            row = ladder.rungs.loc[name]
            one.set_title(literal(f"{name}: {row['states']:.0f} states"), color=colour,
                          weight="bold", size=9, loc="left", pad=3)  # fmt: skip
            one.set_title(_beside(own, whole, k == 0, protocol.name), color=GREY, size=8.5,
                          loc="right", pad=3)  # fmt: skip
        axes[-1].set_xlabel("time (ms)")
    return figure


def _busiest(train: np.ndarray, start: float, stop: float) -> float:
    """Return the start of the drawn second: that with most spikes, at a spike."""
    if not len(train):
        return start
    counts = [np.sum((train >= t) & (train < t + DRAWN)) for t in train]
    return float(max(start, min(train[int(np.argmax(counts))] - 0.05, stop - DRAWN)))


def _beside(own: Response, whole: Response, itself: bool, protocol: str) -> str:
    """Return what stands beside a trace."""
    if itself:
        return literal(f"{len(own.inside)} spikes under {protocol}")
    gamma = coincidence_factor(whole.inside, own.inside, PRECISION, whole.stop - whole.start)
    return f"{len(own.inside)} spikes, Gamma within {PRECISION * 1e3:g} ms: {gamma:.2f}"
