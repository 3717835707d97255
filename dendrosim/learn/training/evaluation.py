"""The accuracy of a saved network on a task, in torch or in Brian2, computed from its spikes.

All devices use the same function in double precision to compute scores from spikes.  If the spikes
of two devices are the same, so are the accuracies.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from dendrosim import checks
from dendrosim.devices.execute import DEVICES, MAX_THREADS
from dendrosim.errors import DendrosimError, did_you_mean
from dendrosim.learn.networks.run import run_torch
from dendrosim.learn.networks.trained_cells import TrainedCells
from dendrosim.learn.tasks.task import UNSCORED, Task, checked
from dendrosim.learn.training.losses import scores
from dendrosim.learn.training.recipe_parts import Readout, section
from dendrosim.networks.network import Network
from dendrosim.networks.run import run_network
from dendrosim.progress import progress_bar

PLACES = ("torch", *DEVICES)
PARTS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Performance of a network on a task.

    Attributes
    ----------
    predicted, target
        Class of each sample, shape (N,), or of each step, shape (N, T); a target of -1 is not
        scored.
    rates
        Spikes per step of each layer.
    meta
        Task, part, device, ``run_seconds``.
    """

    predicted: np.ndarray
    target: np.ndarray
    rates: tuple[float, ...]
    meta: Mapping[str, Any]

    @property
    def count(self) -> int:
        """Number of scored samples or steps."""
        return int((self.target != UNSCORED).sum())

    @property
    def hits(self) -> int:
        """Number of correct scored samples or steps."""
        return int((self._right & (self.target != UNSCORED)).sum())

    @property
    def accuracy(self) -> float:
        """Share of correct scored samples or steps."""
        return self.hits / self.count

    @property
    def whole(self) -> float:
        """Share of samples with only correct scored steps."""
        right = self._right | (self.target == UNSCORED)
        return float(right.reshape(len(right), -1).all(1).mean())

    @property
    def _right(self) -> np.ndarray:
        return self.predicted == self.target

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        told = {"accuracy": self.accuracy, "hits": self.hits, "count": self.count}
        if self.target.ndim == 2:
            told["whole_sequences"] = self.whole
        return told | {"activity": list(self.rates), **self.meta}


def evaluate(
    network: Network | TrainedCells,
    task: Task,
    device: str = "torch",
    *,
    part: str = "test",
    limit: int | None = None,
    batch: int = 250,
    threads: int = 1,
    progress: bool | None = None,
) -> Evaluation:
    """Run a network on a part of a task and score it.

    Parameters
    ----------
    network
        As saved by `train`: its metadata contain the readout.
    task
        A task returned by `load_task`.
    device
        ``"torch"``, ``"numpy"``, ``"cython"`` or ``"cpp"``; all compute in float64.
    part
        ``"test"``, ``"validation"`` or ``"train"``.
    limit
        Maximum number of samples, spread evenly over the part.
    batch
        Number of samples that run side by side.
    threads
        OpenMP threads, for device ``cpp``.
    progress
        Whether to show a progress bar; by default only on a terminal.

    Raises
    ------
    DendrosimError
        If network and task do not match, the network has no readout, or a name is unknown.
    """
    checks.instance(network, (Network, TrainedCells), "network")
    checks.instance(task, Task, "task")
    checks.whole(threads, "threads", least=1, most=MAX_THREADS)
    readout = readout_of(network)
    _check(network, task, device, part, readout)
    split = getattr(task, part)
    if limit is not None:
        checks.whole(limit, "limit", least=1)
    checks.whole(batch, "batch", least=1)
    n = min(len(split), limit or len(split))
    chosen = np.linspace(0, len(split) - 1, n).round().astype(int)
    side = min(batch, n)
    predicted, targets, seconds = [], [], 0.0
    fired: float | np.ndarray = 0.0
    with progress_bar(progress, f"{network!r} on {task.name}, {device}") as tell:
        for start in range(0, n, side):
            x, target = checked(task, split.batch(chosen[start : start + side]))
            values, spikes, took = _run(network, x, side, device, threads)
            last = torch.from_numpy(spikes[-1].astype(float)) if spikes else None
            predicted.append(scores(values, last, readout).argmax(-1).numpy())
            targets.append(np.asarray(target))
            fired = fired + np.array([layer.mean() * len(x) for layer in spikes])
            seconds += took
            if tell:
                tell(min(1.0, (start + side) / n))
    meta = {"task": task.name, "part": part, "samples": n, "device": device, "run_seconds": seconds}
    rates = tuple(float(rate) for rate in np.asarray(fired / n))
    return Evaluation(np.concatenate(predicted), np.concatenate(targets), rates, meta)


def readout_of(network: Network | TrainedCells) -> Readout:
    """Return the readout stored in the file of a trained network.

    Raises
    ------
    DendrosimError
        If the file contains none.
    """
    if "readout" not in network.metadata:
        raise DendrosimError(
            "the network's metadata hold no readout rule, as those of a trained network do"
        )
    return section(Readout, network.metadata["readout"], "metadata: readout")


def _check(
    network: Network | TrainedCells, task: Task, device: str, part: str, readout: Readout
) -> None:
    for name, valid, what in ((device, PLACES, "device"), (part, PARTS, "part")):
        if not isinstance(name, str) or name not in valid:
            hint = did_you_mean(str(name), valid)
            raise DendrosimError(f"{what} {checks.short(name)} is unknown; {hint}")
    if isinstance(network, TrainedCells) and device != "torch":
        raise DendrosimError(f"{network!r} has no model file: it runs on device 'torch' only")
    if readout.rule != "rate":
        n_out = network.n_out
    elif isinstance(network, Network):
        n_out = network.layers[-1].n
    else:
        raise DendrosimError(f"{network!r} has no spikes: its readout cannot be 'rate'")
    if (network.n_in, n_out) != (task.n_in, task.n_out):
        raise DendrosimError(
            f"{task.name} has {task.n_in} inputs and {task.n_out} classes, the network "
            f"{network.n_in} and {n_out}"
        )


def _run(
    network: Network | TrainedCells, x: np.ndarray, side: int, device: str, threads: int
) -> tuple[torch.Tensor, list[np.ndarray], float]:
    """Return readout, spikes of each layer, and seconds."""
    if isinstance(network, TrainedCells):
        began = time.perf_counter()
        module = copy.deepcopy(network.module).double().eval()
        with torch.inference_mode():
            values = module(torch.from_numpy(x)).readout
        return values, [], time.perf_counter() - began
    n = len(x)
    if n < side and device != "torch":  # fill the batch: a compiled program has a fixed size
        x = np.concatenate([x, np.zeros((side - n, *x.shape[1:]), x.dtype)])
    if device == "torch":
        out = run_torch(network, x)
    else:
        out = run_network(network, x, device=device, batch=side, threads=threads, progress=False)
    spikes = [spikes[:n] for spikes in out.spikes]
    return torch.from_numpy(network.readout(spikes[-1])), spikes, out.meta["run_seconds"]
