"""The noisy copy task: recall the tokens marked by a control signal and ignore the others.

The paper specifies 20 steps (5 data, 5 noise, 5 data, 5 noise), a control signal at each step, and
a readout signal.  The following choices were made here: the size of the alphabet, noise from the
same tokens as the data, and separate channels for "remember" and "ignore".
"""

from __future__ import annotations

import numpy as np

from dendrosim.learn.tasks.builder import Builder, Parts, whole
from dendrosim.learn.tasks.recall import recall_parts

REMEMBER, IGNORE, CUE = range(3)  # the channels after the tokens


def make(
    *,
    data: None,
    seed: int,
    alphabet: int = 10,
    segment: int = 5,
    repeats: int = 2,
    n_train: int = 50_000,
    n_validation: int = 2_000,
    n_test: int = 2_000,
) -> Parts:
    """Create sequences of ``repeats`` times data and noise, then recall of all data in order."""
    where = "task noisy_copy:"
    whole(f"{where} alphabet", alphabet, least=2, most=1_000)
    whole(f"{where} segment", segment, least=1, most=1_000)
    whole(f"{where} repeats", repeats, least=1, most=1_000)
    informative = np.tile(np.repeat([True, False], segment), repeats)
    kept = np.flatnonzero(informative)
    signals = np.zeros((len(informative) + len(kept), 3))
    signals[: len(informative), REMEMBER] = informative
    signals[: len(informative), IGNORE] = ~informative
    signals[-len(kept) :, CUE] = 1
    sizes = {"train": n_train, "validation": n_validation, "test": n_test}
    return recall_parts("noisy_copy", signals, len(informative), kept, alphabet, sizes, seed)


BUILDER = Builder(
    name="noisy_copy",
    title="Noisy copy task: repeat what was to be remembered, not the noise between",
    reference="Anonymous (2025), LRMM, Fig. 5",
    shape=(30, 13, 10),
    samples=(50_000, 2_000, 2_000),
    data="",
    make=make,
)
