"""Learning rates and annealed parameters as functions of the progress, without saved state.

Epochs count from 0; the values for an epoch depend only on earlier epochs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from dendrosim.learn.training.recipe_parts import Anneal, Schedule

#: Minimum relative increase for a better validation accuracy.
BETTER = 1e-4


def rate_factor(schedule: Schedule, epoch: int, epochs: int, accuracies: Sequence[float]) -> float:
    """Return the factor of the learning rate in an epoch.

    Parameters
    ----------
    schedule
        ``constant``; ``step``: times `factor` after every `every` epochs; ``milestones``: times
        `factor` after each given epoch; ``cosine``: half a cosine from 1 to 0 over all epochs
        (Loshchilov and Hutter 2017, without restarts); ``plateau``: times `factor` after more
        than `patience` epochs without a better validation accuracy.
    epoch, epochs
        Number of the epoch from 0, and number of epochs.
    accuracies
        Validation accuracy of every earlier epoch.
    """
    match schedule.rule:
        case "step":
            return schedule.factor ** (epoch // schedule.every)
        case "milestones":
            return schedule.factor ** sum(epoch >= milestone for milestone in schedule.epochs)
        case "cosine":
            return 0.5 * (1 + math.cos(math.pi * epoch / epochs))
        case "plateau":
            return schedule.factor ** _plateaus(accuracies, schedule.patience)
    return 1.0


def _plateaus(accuracies: Sequence[float], patience: int) -> int:
    best, waited, falls = -math.inf, 0, 0
    for accuracy in accuracies:
        if accuracy > best * (1 + BETTER):
            best, waited = accuracy, 0
        else:
            waited += 1
        if waited > patience:
            falls, waited = falls + 1, 0
    return falls


def annealed(anneal: Anneal, progress: float) -> float:
    """Return the value of an annealed parameter.

    Parameters
    ----------
    anneal
        Values and epochs of the annealing.
    progress
        Number of completed epochs, including the fraction of the current one.
    """
    share = (progress - anneal.first) / (anneal.last - anneal.first)
    return anneal.start + (anneal.end - anneal.start) * min(1.0, max(0.0, share))
