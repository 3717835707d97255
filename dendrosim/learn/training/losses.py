"""Scores of the classes, loss and hits from the output of a network."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from dendrosim.errors import DendrosimError
from dendrosim.learn.tasks.task import UNSCORED
from dendrosim.learn.training.recipe_parts import Readout


class Sums(NamedTuple):
    """Sums over scored samples or steps, as scalars: loss, hits and count."""

    loss: Tensor
    hits: Tensor
    count: Tensor  # type: ignore[assignment]  # a field, which hides the method of tuple


def scores(values: Tensor, spikes: Tensor | None, readout: Readout) -> Tensor:
    """Return the scores of the classes.

    Parameters
    ----------
    values
        The linear readout of every step, shape (B, T, n_out).
    spikes
        Spikes of the last layer, shape (B, T, n); only the rule ``"rate"`` uses them.
    readout
        ``last``: the last step.  ``sum``, ``mean``, ``max``: over the steps.  ``softmax_sum``:
        sum over the steps of the softmax (Yin et al. 2021).  ``rate``: spikes per step of the
        output neurons.  ``steps``: every step separately.  Multiplied by `scale`, from step
        `start` on.

    Returns
    -------
    Tensor
        Shape (B, n_out), or (B, T, n_out) for the rule ``"steps"``.
    """
    values = values[:, readout.start :]
    match readout.rule:
        case "last":
            found = values[:, -1]
        case "sum":
            found = values.sum(1)
        case "mean":
            found = values.mean(1)
        case "max":
            found = values.amax(1)
        case "softmax_sum":
            found = torch.softmax(values, -1).sum(1)
        case "rate":
            assert spikes is not None  # networks without spikes have no such readout
            found = spikes[:, readout.start :].mean(1)
        case "steps":
            found = values
    return found * readout.scale


def sums(found: Tensor, target: Tensor, smoothing: float = 0.0) -> Sums:
    """Return the sums of cross-entropy and hits.

    Parameters
    ----------
    found
        Shape (B, n_out) or (B, T, n_out).
    target
        Shape (B,) or (B, T), `UNSCORED` for a step that does not count.
    smoothing
        Label smoothing.
    """
    found, target = found.flatten(0, -2), target.flatten()
    loss = functional.cross_entropy(
        found, target, ignore_index=UNSCORED, label_smoothing=smoothing, reduction="sum"
    )
    scored = target != UNSCORED
    hits = (found.argmax(-1) == target) & scored
    return Sums(loss, hits.sum(), scored.sum())


def check_targets(readout: Readout, target: Tensor, steps: int, where: str) -> None:
    """Refuse a readout that does not match the targets of the task.

    Raises
    ------
    DendrosimError
    """
    if (readout.rule == "steps") != (target.ndim == 2):
        fits = "steps" if target.ndim == 2 else "last, sum, mean, max, softmax_sum, rate"
        kind = "every step" if target.ndim == 2 else "a whole sample"
        raise DendrosimError(
            f"{where}: [readout] rule = {readout.rule!r}, but the task has a target for {kind}; "
            f"valid: {fits}"
        )
    if readout.start >= steps or (readout.rule == "steps" and readout.start):
        raise DendrosimError(
            f"{where}: [readout] start = {readout.start} should be below the {steps} steps of the "
            "task, and 0 where every step is scored"
        )
