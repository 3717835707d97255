"""Gates and spikes of LRMM while it keeps tokens and ignores noise (Fig. 5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dendrosim.papers.claims import Found

if TYPE_CHECKING:
    from dendrosim.papers.workshop import Workshop

Array = np.ndarray

#: Names of the gates' currents in the text of LRMM, by the paper's letters.
GATES = {"I": "I_I", "F": "I_F", "O": "I_O"}
SAMPLES = 100


@dataclass(frozen=True, eq=False)
class Dynamics:
    """What a trained network does in the noisy copy task.

    Attributes
    ----------
    phase
        ``"data"``, ``"noise"`` or ``"readout"`` of each step, shape (T,).
    gates
        Letter to the mean over samples and neurons in each step, shape (T,).
    spikes
        ``"N_M"`` and ``"N_C"`` to the spikes of one sample, shape (T, n).
    agreement
        Share of neurons of which N_C in step t (rows) does what N_M does in step t' (columns), mean
        over samples; shape (T, T).
    accuracy, chance
        Of the network on the test part, and of guessing.
    task
        Its size in words.
    """

    phase: Array
    gates: dict[str, Array]
    spikes: dict[str, Array]
    agreement: Array
    accuracy: float
    chance: float
    task: str


def dynamics(shop: Workshop) -> Dynamics:
    """Run the network that was trained for it on test samples."""
    return shop.once("dynamics", make=lambda: _dynamics(shop))


def _dynamics(shop: Workshop) -> Dynamics:
    from dendrosim.learn.run import run_torch

    made, task = shop.noisy_copy()
    x, _ = task.test.batch(np.arange(SAMPLES))
    names = (*GATES.values(), "S_M", "S_C")
    (states,) = run_torch(made.network, x, record={0: names}).states
    remember, ignore, _ = x[0, :, -3:].T
    phase = np.where(remember > 0, "data", np.where(ignore > 0, "noise", "readout"))
    memory, content = states["S_M"], states["S_C"]
    both = np.einsum("btn,bsn->ts", content, memory)
    neither = np.einsum("btn,bsn->ts", 1 - content, 1 - memory)
    return Dynamics(
        phase, {letter: states[name].mean((0, 2)) for letter, name in GATES.items()},
        {"N_M": memory[0], "N_C": content[0]}, (both + neither) / memory[:, 0].size, made.accuracy,
        1 / task.n_out, f"segments of {int(np.argmin(remember))}, {task.n_out} symbols",
    )  # fmt: skip


def gate_is_lower(shop: Workshop, gate: str, during: str, than: str) -> Found:
    """Tell whether a gate is lower in one phase than in another."""
    found = dynamics(shop)
    low, high = (float(found.gates[gate][found.phase == phase].mean()) for phase in (during, than))
    return Found(
        low < high, f"{gate} {low:.3f} in {during}, {high:.3f} in {than}; a network of "
        f"{found.accuracy:.0%} ({found.task}; chance {found.chance:.0%})"
    )  # fmt: skip


def agree_more(shop: Workshop, during: str = "noise", than: str = "data") -> Found:
    """Tell whether N_M and N_C fire more alike in one phase than in another."""
    found = dynamics(shop)
    same = np.diag(found.agreement)
    more, less = (float(same[found.phase == phase].mean()) for phase in (during, than))
    return Found(more > less, f"agreement {more:.3f} in {during}, {less:.3f} in {than}")
