"""Gates and spikes of LRMM while it stores tokens and ignores noise (Fig. 5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dendrosim.papers.claims import Found, check_apart

if TYPE_CHECKING:
    from dendrosim.papers.workshop import Workshop

Array = np.ndarray

#: Names of the gate currents in the text of LRMM, by the letters of the paper.
GATES = {"I": "I_I", "F": "I_F", "O": "I_O"}
SAMPLES = 100


@dataclass(frozen=True, eq=False)
class Dynamics:
    """Activity of a trained network in the noisy copy task.

    Attributes
    ----------
    phase
        ``"data"``, ``"noise"`` or ``"readout"`` of each step, shape (T,).
    gates
        Letter to the mean over neurons in each sample and step, shape (B, T).
    spikes
        ``"N_M"`` and ``"N_C"`` to the spikes of one sample, shape (T, n).
    same
        Share of neurons whose N_C and N_M agree in a step, shape (B, T).
    agreement
        Share of neurons whose N_C in step t (rows) agrees with N_M in step t' (columns), mean
        over samples; shape (T, T).
    accuracy, chance
        Accuracy of the network on the test part, and of guessing.
    task
        Size of the task in words.
    """

    phase: Array
    gates: dict[str, Array]
    spikes: dict[str, Array]
    same: Array
    agreement: Array
    accuracy: float
    chance: float
    task: str


def dynamics(shop: Workshop) -> Dynamics:
    """Run the network trained on the noisy copy task on test samples."""
    return shop.once("dynamics", make=lambda: _dynamics(shop))


def _dynamics(shop: Workshop) -> Dynamics:
    from dendrosim.learn.networks.run import run_torch

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
        phase, {letter: states[name].mean(2) for letter, name in GATES.items()},
        {"N_M": memory[0], "N_C": content[0]}, (memory == content).mean(2),
        (both + neither) / memory[:, 0].size, made.accuracy,
        1 / task.n_out, f"segments of {int(np.argmin(remember))}, {task.n_out} symbols",
    )  # fmt: skip


def gate_is_lower(shop: Workshop, gate: str, during: str, than: str) -> Found:
    """Test whether a gate is lower in one phase than in another."""
    found = dynamics(shop)
    low, high, told = _phases(found, f"gate {gate}", found.gates[gate], during, than)
    return Found(low < high, told)


def agree_more(shop: Workshop, during: str = "noise", than: str = "data") -> Found:
    """Test whether spikes of N_M and N_C agree more in one phase than in another."""
    found = dynamics(shop)
    more, less, told = _phases(found, "agreement", found.same, during, than)
    return Found(more > less, told)


def _phases(
    found: Dynamics, name: str, values: Array, first: str, second: str
) -> tuple[float, float, str]:
    """Return the means in two phases and a sentence with both.

    Raises
    ------
    NotReachableError
        If they differ by less than two standard errors over the samples.
    """
    each = [values[:, found.phase == phase].mean(1) for phase in (first, second)]
    a, b = (float(one.mean()) for one in each)
    error = (each[0] - each[1]).std(ddof=1) / np.sqrt(len(values))
    told = (
        f"{name} {a:.3f} in {first}, {b:.3f} in {second} (standard error of the difference "
        f"{error:.1g}); a network of {found.accuracy:.0%} ({found.task}; chance {found.chance:.0%})"
    )
    check_apart(a, b, error, told)
    return a, b, told
