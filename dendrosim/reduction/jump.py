"""What a spike does to the states of a neuron, measured on its responses to noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dendrosim.errors import DendrosimError
from dendrosim.model.expressions import Expression
from dendrosim.model.model import Model
from dendrosim.model.quantities import UNITS
from dendrosim.simulation.protocol import Protocol
from dendrosim.simulation.recording import Recording
from dendrosim.simulation.run import simulate

Array = NDArray[np.float64]

#: The name of a spike's duration.
DURATION = "t_spike"
#: Fewest spikes for each coefficient of the map.
SPIKES_EACH = 5
#: A spike that has not ended after this time (s) is not one.
LONGEST = 20e-3
#: A predictor with a smaller spread, in parts of its mean, is taken as constant.
CONSTANT = 1e-9


@dataclass(frozen=True, eq=False)
class Jump:
    """An affine map from the states at the threshold to a spike's duration and the states after it.

    ``after = mean_after + slopes @ (before - mean_before)``, in SI units; duration and states of
    the threshold stay between the lowest and the highest that were measured.  A spike ends where
    the threshold is no longer crossed.

    Attributes
    ----------
    outcomes
        What the map gives: `DURATION` in s, then the states.
    predictors
        Names of the states that the map reads: those that the threshold does not fix.
    widths
        Durations of all spikes in s, shape (spikes,).
    mean_before, mean_after
        Shape (predictors,) and (outcomes,).
    slopes
        Shape (outcomes, predictors).
    lowest, highest
        Of the outcomes, shape (outcomes,).
    spread, residual
        Standard deviation of the outcomes, and of what the map leaves, shape (outcomes,).
    """

    outcomes: tuple[str, ...]
    predictors: tuple[str, ...]
    widths: Array
    mean_before: Array
    mean_after: Array
    slopes: Array
    lowest: Array
    highest: Array
    spread: Array
    residual: Array


def measure_jump(model: Model, drives: Sequence[Protocol], device: str = "cpp") -> Jump:
    """Measure the map of a continuous model under drives.

    Parameters
    ----------
    model
        Its threshold is a condition, and it has no reset.
    drives
        Protocols, usually with noise, under which it fires.
    device
        As in `simulate`.

    Raises
    ------
    DendrosimError
        If it fires too few spikes, or a spike does not end.
    """
    threshold = model.threshold
    assert isinstance(threshold, Expression)  # `spike_cut` refuses other models
    before: list[Array] = []
    after: list[Array] = []
    runs = [
        simulate(model, drive, device=device, record=list(model.states), record_dt=model.dt,
                 progress=False)
        for drive in drives
    ]  # fmt: skip
    found = [_crossings(model, run, threshold) for run in runs]
    widths = np.concatenate([own for _, _, own in found])
    fixed = threshold.names & set(model.states)
    predictors = tuple(name for name in model.states if name not in fixed)
    needed = SPIKES_EACH * (len(predictors) + 1)
    if len(widths) < needed:
        raise DendrosimError(
            f"{model.name} fires {len(widths)} spikes under {', '.join(d.name for d in drives)}, "
            f"but {needed} are needed to measure what a spike does; give a longer or stronger drive"
        )
    step = float(model.dt) if model.dt is not None else float(runs[0].meta["dt"])
    for run, (neurons, first, lengths) in zip(runs, found, strict=True):
        traces = {name: run.traces[name].values for name in model.states}
        last = first + lengths
        before.append(np.stack([traces[name][first, neurons] for name in predictors], axis=1))
        states = [traces[name][last, neurons] for name in model.states]
        after.append(np.stack([lengths * step, *states], axis=1))
    x, y = np.concatenate(before), np.concatenate(after)
    return _fitted((DURATION, *model.states), predictors, widths * step, x, y)


def _crossings(
    model: Model, run: Recording, threshold: Expression
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return neuron, sample and length in samples of each spike that ends within the run."""
    times = run.times
    step = float(times[1] - times[0])
    values = {name: run.traces[name].values for name in threshold.names & set(model.states)}
    others = {name: np.asarray(value) for name, value in {**UNITS, **model.values()}.items()}
    above = np.broadcast_to(threshold({**others, **values}), next(iter(values.values())).shape)
    neurons, firsts, lengths = [], [], []
    longest = round(LONGEST / step)
    for neuron, train in enumerate(run.trains):
        for time in train:
            first = round(time / step)
            part = above[first : first + longest, neuron]
            if not len(part):
                continue
            ended = np.flatnonzero(~part)
            if ended.size:
                neurons.append(neuron)
                firsts.append(first)
                lengths.append(int(ended[0]))
            elif len(part) == longest:
                raise DendrosimError(
                    f"{model.name}: a spike at {time * 1e3:.4g} ms lasts longer than "
                    f"{LONGEST * 1e3:g} ms; a depolarised block has no spikes to cut"
                )
    return np.array(neurons, int), np.array(firsts, int), np.array(lengths, int)


def _fitted(
    outcomes: Sequence[str], predictors: Sequence[str], widths: Array, x: Array, y: Array
) -> Jump:  # fmt: skip
    mean_x, mean_y = x.mean(axis=0), y.mean(axis=0)
    spread = x.std(axis=0)
    varies = spread > CONSTANT * np.abs(mean_x)
    scaled = (x - mean_x)[:, varies] / spread[varies]
    found = np.linalg.lstsq(scaled, y - mean_y, rcond=None)[0]
    slopes = np.zeros((len(outcomes), len(predictors)))
    slopes[:, varies] = (found / spread[varies, None]).T
    left = y - mean_y - (x - mean_x) @ slopes.T
    return Jump(
        tuple(outcomes), tuple(predictors), widths, mean_x, mean_y, slopes, y.min(axis=0),
        y.max(axis=0), y.std(axis=0), left.std(axis=0),
    )  # fmt: skip
