"""Learning rates and annealed parameters as functions of the progress: nothing to save or resume.

The epoch counts from 0; what an epoch is trained with depends on the epochs before it only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from dendrosim.learn.training.recipe_parts import Anneal, Schedule

#: A validation accuracy is better if it is higher by more than this share of the best.
BETTER = 1e-4


def rate_factor(schedule: Schedule, epoch: int, epochs: int, accuracies: Sequence[float]) -> float:
    """Return what the learning rate is multiplied by in an epoch.

    Parameters
    ----------
    schedule
        ``constant``; ``step``: by `factor` every so many epochs; ``milestones``: by `factor` after
        each of them; ``cosine``: from 1 to 0 in half a cosine over all epochs (Loshchilov and
        Hutter 2017, without restarts); ``plateau``: by `factor` after more than `patience` epochs
        without a better validation accuracy.
    epoch, epochs
        The epoch from 0, and how many there are.
    accuracies
        Validation accuracy of every epoch before it.
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
        From where to where, and when.
    progress
        Epochs done, with the share of the one that runs.
    """
    share = (progress - anneal.first) / (anneal.last - anneal.first)
    return anneal.start + (anneal.end - anneal.start) * min(1.0, max(0.0, share))
