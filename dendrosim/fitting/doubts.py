"""Sentences on what a reader of a fit should doubt: its cost, its spikes, its data, its values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dendrosim.errors import DendrosimError
from dendrosim.fitting.costs import DIVERGED, Cost
from dendrosim.fitting.features import Response
from dendrosim.fitting.free import Free
from dendrosim.fitting.problem import Problem
from dendrosim.fitting.report import APART
from dendrosim.fitting.search import History
from dendrosim.fitting.targets import Target

Array = NDArray[np.float64]
#: A cost per weight above this is noted: on average, differences count as so many spreads.
LARGE = 2.0
#: Another number of spikes is noted from this part of the target's.
OTHER = 0.1
#: Samples that are further apart (s) do not tell when a spike was.
COARSE = 0.5e-3
#: Costs are equal if they differ by less.
EQUAL = 1e-12


def refuse_diverged(cost: float, histories: Mapping[int, History], free: Sequence[Free]) -> None:
    """Refuse searches all of whose candidates diverged.

    Raises
    ------
    DendrosimError
    """
    if cost >= DIVERGED:
        count = sum(history.evaluations for history in histories.values())
        names = ", ".join(one.name for one in free)
        raise DendrosimError(
            f"fit: all {count} candidates diverge under the fitted protocols; another range of "
            f"{names} or a smaller dt would help"
        )


def cost_notes(cost: float, weighed: Cost) -> list[str]:
    """Return a sentence on a cost that is large at its best."""
    each = cost / sum(weighed.weights.values())
    if not each > LARGE:
        return []
    return [
        f"The cost that is left, {cost:.3g}, is large: nothing in these ranges comes close to the "
        "target, so that the values and their standard errors mean little."
    ]


def spike_notes(
    shown: Iterable[tuple[str, Target, Sequence[Response] | None]],
) -> list[str]:
    """Return a sentence for each fitted protocol with another number of spikes than the target."""
    notes = []
    for role, target, responses in shown:
        if role != "fit" or responses is None:
            continue
        pairs = [(len(t.inside), len(r.inside)) for t, r in zip(target.responses, responses,
                                                                strict=True)]  # fmt: skip
        wanted, found = (sum(own) for own in zip(*pairs, strict=True))
        if sum(abs(a - b) for a, b in pairs) > OTHER * wanted:
            notes.append(
                f"{target.name}: the target fires {wanted} spike(s) and the fit {found}"
                + ("." if wanted != found else ", but not under the same stimuli.")
            )
    return notes


def criterion_notes(targets: Iterable[Target]) -> list[str]:
    """Return a sentence for each recording with another number of spikes for the model."""
    notes = []
    for target in targets:
        count = sum(len(r.train) for r in target.responses)
        if target.rises is not None and target.rises != count:
            notes.append(
                f"{target.name}: the recording has {target.rises} fast rise(s), and {count} "
                "crossing(s) of the model's threshold; what the model would call a spike is "
                "compared."
            )
    return notes


def sample_notes(targets: Iterable[Target]) -> list[str]:
    """Return a sentence for each target whose samples are too far apart for spikes."""
    notes = []
    for target in targets:
        if target.times is None or len(target.times) < 2 or target.known_spikes:
            continue
        apart = float(target.times[-1] - target.times[0]) / (len(target.times) - 1)
        if apart > COARSE * (1 + 1e-6):
            notes.append(
                f"{target.name}: the samples of the target are {apart * 1e3:.3g} ms apart, so that "
                f"spikes can be missed and are not timed; {COARSE * 1e3:g} ms or less would do."
            )
    return list(dict.fromkeys(notes))


def plateau_notes(
    problem: Problem, x: Array, cost: float, histories: Mapping[int, History]
) -> list[str]:
    """Return a sentence for each value of which clearly different ones have the best cost, too.

    A search ends at the first candidate without a difference, so that it may not have seen others.
    Those around it are therefore run.

    Parameters
    ----------
    x, cost
        The best candidate, and its cost.
    histories
        The searches.
    """
    parts = [history.candidates for history in histories.values()]
    seen, costs = (np.concatenate(own) for own in zip(*parts, strict=True))
    around = np.clip(x + APART * np.concatenate([np.eye(len(x)), -np.eye(len(x))]), 0, 1)
    near = [problem.cost.of(problem.targets, own) for own in problem.respond(around)]
    places, found = np.concatenate([seen, around]), np.concatenate([costs, near])
    equal = places[np.abs(found - cost) <= EQUAL]
    notes = []
    for k, one in enumerate(problem.free):
        low, high = min(x[k], *equal[:, k]), max(x[k], *equal[:, k])
        if high - low >= APART * (1 - 1e-9):
            ends = [f"{one.shown(float(one.value(end))):.4g}" for end in (low, high)]
            notes.append(
                f"{one.name} is one value of many: others from {ends[0]} to {ends[1]} {one.unit} "
                "have the same cost, so that it does not determine the value."
            )
    return notes


def without_effect(jacobian: Array) -> NDArray[np.bool_]:
    """Return which values do not change the potential at all, shape (free values,)."""
    return np.asarray(~jacobian.any(axis=0))


def effect_notes(free: Sequence[Free], silent: NDArray[np.bool_]) -> list[str]:
    """Return a sentence for each value without an effect on the potential."""
    return [
        f"{one.name} does not change the potential near its found value, so that its standard "
        "error is not known."
        for one, own in zip(free, silent, strict=True)
        if own
    ]
