"""The copy task: tokens, a stop signal, a delay, then the same tokens in the same order.

The paper specifies tokens, stop signal, delay and readout cue.  Two choices were made here: the
cue stays on while the tokens are recalled, one per step, and a channel signals the delay.
"""

from __future__ import annotations

import numpy as np

from dendrosim.learn.tasks.builder import Builder, Parts, whole
from dendrosim.learn.tasks.recall import recall_parts

STOP, DELAY, CUE = range(3)  # the channels after the tokens


def make(
    *,
    data: None,
    seed: int,
    length: int = 10,
    alphabet: int = 10,
    delay: int = 20,
    n_train: int = 50_000,
    n_validation: int = 2_000,
    n_test: int = 2_000,
) -> Parts:
    """Create sequences of ``2*length + 1 + delay`` steps; ``n_train`` is the size of an epoch."""
    where = "task copy_task:"
    whole(f"{where} length", length, least=1, most=1_000)
    whole(f"{where} alphabet", alphabet, least=2, most=1_000)
    whole(f"{where} delay", delay, least=0, most=100_000)
    signals = np.zeros((2 * length + 1 + delay, 3))
    signals[length, STOP] = 1
    signals[length + 1 : length + 1 + delay, DELAY] = 1
    signals[-length:, CUE] = 1
    sizes = {"train": n_train, "validation": n_validation, "test": n_test}
    return recall_parts("copy_task", signals, length, range(length), alphabet, sizes, seed)


BUILDER = Builder(
    name="copy_task",
    title="Copy task: repeat the tokens after a delay",
    reference="Anonymous (2025), LRMM, Fig. 3; Graves et al. (2014)",
    shape=(41, 13, 10),
    samples=(50_000, 2_000, 2_000),
    data="",
    make=make,
)
